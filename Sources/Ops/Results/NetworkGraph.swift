import Kernel
import Numerics

/// How networks hang together: edges between all of them, and the modules these fall into.
public struct NetworkGraph: Artifact, InputValue {
  public static let type = ArtifactType("graph", version: 2)

  /// A network, by its number among those of its part.
  public struct Node: Sendable, Equatable {
    /// The first layer of the part.
    var layer: Int
    var network: Int
    var module: Int
    /// Sum of the node's edges.
    var strength: Double
    /// How evenly its positive edges spread over the modules, 0 to 1.
    var participation: Double
    /// Its strength inside its module, in standard deviations of those of the module.
    var withinModuleZ: Double
  }

  /// The same networks on another text.
  public struct Retest: Sendable, Equatable {
    /// Correlation of the edges.
    var edges: Double
    /// Cohen's kappa of "in the same module" over pairs of networks.
    var kappa: Double
  }

  /// Content hash of the networks.
  let described: String
  let nodes: [Node]
  /// n×n, symmetric, with a zero diagonal.
  let edges: Matrix<Double>
  /// What an edge is: `size of correlation`.
  let edge: String
  let gamma: Double
  let Q: Double
  /// Q when every course is turned by an offset of its own, one for each draw.
  let nullQ: [Double]
  /// Share of the orders in which Louvain reached this Q.
  let agreement: Double
  let retest: Retest?

  public var modules: Int { (nodes.map(\.module).max() ?? -1) + 1 }
  public var summary: String {
    "\(counted(nodes.count, "network")) in \(counted(modules, "module")), Q \(formatted(Q)), by chance \(formatted(mean(nullQ)))"
      + (retest.map { ", edges on the other text r \(formatted($0.edges)), kappa \(formatted($0.kappa))" } ?? "")
  }
  public static let fields = ["modules": "number of modules", "q": "modularity"]
  public func field(_ name: String) -> Literal? {
    switch name {
    case "modules": .integer(modules)
    case "q": .number(Q)
    default: nil
    }
  }

  init(
    of described: String, nodes: [Node], edges: Matrix<Double>, edge: String, gamma: Double, Q: Double, nullQ: [Double],
    agreement: Double,
    retest: Retest?
  ) {
    self.described = described
    self.nodes = nodes
    self.edges = edges
    self.edge = edge
    self.gamma = gamma
    self.Q = Q
    self.nullQ = nullQ
    self.agreement = agreement
    self.retest = retest
  }

  private static let columns: [Column<Node>] = [
    .whole("layer", as: Int32.self, \.layer), .whole("network", as: Int32.self, \.network),
    .whole("module", as: Int32.self, \.module), .number("strength", \.strength, "sum of the edges"),
    .number("participation", \.participation, "1 - sum over modules of squared shares of the positive edges"),
    .number("within_module_z", \.withinModuleZ, "strength inside the module, standardised there"),
  ]

  public func write(to writer: any ArtifactWriter) throws {
    try writer.columns(Self.columns, of: nodes, axis: "node")
    try writer.array(
      "edges", edges.values, shape: [nodes.count, nodes.count], axes: ["node", "node_2"], meaning: edge)
    try writer.vector("null/q", nullQ, axis: "draw", meaning: "modularity with every course turned by itself")
    try writer.attribute("described_content", .string(described))
    try writer.attribute("edge", .string(edge))
    try writer.attribute("gamma", .number(gamma))
    try writer.attribute("q", .number(Q))
    try writer.attribute("agreement", .number(agreement))
    if let retest {
      try writer.attribute("retest_edges", .number(retest.edges))
      try writer.attribute("retest_kappa", .number(retest.kappa))
    }
    let shown = nodes.indices.prefix(256)
    try writer.preview(
      title: "edges between networks, \(edge)", rows: shown.map { i in edges.row(i).prefix(256).map { Float($0) } },
      axis: "node")
  }

  public init(from reader: any ArtifactReader) throws {
    let shape = try reader.shape("edges")
    var nodes = [Node](
      repeating: Node(layer: 0, network: 0, module: 0, strength: 0, participation: 0, withinModuleZ: 0),
      count: shape[0])
    try reader.fill(&nodes, Self.columns)
    func number(_ name: String) throws -> Double { try reader.attribute(name).doubleValue ?? .nan }
    let edgesAgain = (try? reader.attribute("retest_edges"))?.doubleValue
    let kappa = (try? reader.attribute("retest_kappa"))?.doubleValue
    self.init(
      of: try reader.attribute("described_content").stringValue ?? "", nodes: nodes,
      edges: Matrix(rows: shape[0], columns: shape[1], values: try reader.array("edges", as: Double.self)),
      edge: try reader.attribute("edge").stringValue ?? "", gamma: try number("gamma"), Q: try number("q"),
      nullQ: try reader.array("null/q", as: Double.self), agreement: try number("agreement"),
      retest: edgesAgain.map { Retest(edges: $0, kappa: kappa ?? .nan) })
  }
}
