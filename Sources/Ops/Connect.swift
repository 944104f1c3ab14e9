import Kernel
import Numerics
import Transformer

struct Connect: Op {
  static let name = "connect"
  static let summary = "Tell which networks are active together, and the modules they fall into."
  static let reference: String? =
    "signed modularity: Rubinov and Sporns 2011; Louvain: Blondel et al. 2008; shrinkage: Ledoit and Wolf 2004"
  static let revision = 2
  static let example = """
    param windows = 16
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=windows length=128 take=order
    nets = canica (capture m cal sites=ffn.gate,ffn.up keep=stream) components=8 per_run=16
    show (connect nets)
    """

  enum Edge: String, Choice {
    case correlation, partial

    var meaning: String {
      switch self {
      case .correlation: "correlation of the courses"
      case .partial: "correlation that the other courses do not explain, with a shrunk covariance"
      }
    }
  }

  enum Sign: String, Choice {
    case absolute, pole

    var meaning: String {
      switch self {
      case .absolute: "sizes of edges: the sign of a network is a convention"
      case .pole: "signed edges, each course with the sign in which its events are peaks"
      }
    }
  }

  @Input("networks, found with keep=maps") var networks: Networks
  @Input("the model they were found in, to walk over test=", named: true) var model: Model?
  @Input("another text, to see which edges and modules are there again", named: true) var test: Corpus?
  @Param("run of the networks", in: .atLeast(0)) var run = 0
  @Param("what an edge is") var edge = Edge.correlation
  @Param("whether edges have signs") var sign = Sign.absolute
  @Param("resolution: larger gives more and smaller modules", in: .between(0, 100)) var gamma = 1.0
  @Param("orders in which modules are sought; the best is taken", in: .atLeast(1)) var orders = 20
  @Param("draws of chance", in: .atLeast(1)) var nulls = 100
  @Param("seed of orders and draws", in: .atLeast(0)) var seed = 0

  init() {}

  func check() throws -> NoFacts {
    if $model.isGiven != $test.isGiven {
      let (given, wanted) = $model.isGiven ? ("model", "test") : ("test", "model")
      throw Diagnostic("\(given)= needs \(wanted)=: a model is walked over another text", argument: given, kind: .usage)
    }
    return NoFacts()
  }

  func estimate(within limit: Int) throws -> Resources {
    let nodes = networks.partLayers.count * networks.settings.components
    let tokens = try networks.part(0).runs.map(\.tokens).max() ?? 0
    var memory = 8 * (3 * nodes * tokens + 6 * nodes * nodes)
    if let model, let test {
      let walk = model.network.walkBytes(tokens: test.tokens.count, longest: test.sequences.longest)
      let signals = NetworkSignals.bytes(networks, model.configuration, tokens: test.tokens.count)
      memory += walk + signals + 8 * 3 * nodes * test.tokens.count
    }
    return Resources(memory: memory)
  }

  func run(_ context: any RunContext) throws -> NetworkGraph {
    try networks.require(run: run)
    let A = sideBySide(
      try networks.partLayers.indices.map { part in
        try at(LayerNetworks.title(networks.partLayers[part])) {
          Matrix<Double>(try networks.part(part).courses(run: run)).T
        }
      })
    for (rows, argument) in [(A.rows, "networks"), (test?.tokens.count ?? A.rows, "test")]
    where rows <= 2 * Connect.leastTurn {
      throw Diagnostic(
        "\(rows) tokens are too few: chance turns each course by at least \(Connect.leastTurn)", argument: argument)
    }
    let retest = try again(context)
    let edges = try edges(of: A)
    let found = modules(of: edges, "connect")
    let nullQ = try (0..<nulls).map { draw in
      try context.progress(draw, of: nulls, "draw")
      var stream = RandomStream(seed: seed, name: "connect draw \(draw)")
      let rolled = rolledCourses(A, least: Connect.leastTurn, using: &stream)
      return modules(of: try self.edges(of: rolled), "connect draw \(draw)").Q
    }
    return NetworkGraph(
      of: $networks.references[0].content, nodes: nodes(edges, found.modules), edges: edges, edge: edgeTitle,
      gamma: gamma, Q: found.Q, nullQ: nullQ, agreement: found.agreement,
      retest: retest.map {
        .init(
          edges: correlation(upperEdges(edges), upperEdges($0)),
          kappa: sameModuleKappa(found.modules, modules(of: $0, "connect test").modules))
      })
  }

  /// Tokens by which chance turns a course at least: longer than anything a course remembers.
  static let leastTurn = 200

  /// The edges on the other text.
  private func again(_ context: any RunContext) throws -> Matrix<Double>? {
    guard let model, let test else { return nil }
    try test.requireWindows(of: model, argument: "test")
    try networks.require(of: $model.references[0], argument: "model")
    let courses = TextCourses(
      networks: networks, run: run, model: model.network, sequences: test.sequences, context: context)
    return try edges(of: courses.found())
  }

  private func edges(of A: Matrix<Double>) throws -> Matrix<Double> {
    if sign == .pole { A.scaleColumns(by: (0..<A.columns).map { pole(A.column($0)) }) }
    let W = edge == .correlation ? courseCorrelations(A) : try coursePartialCorrelations(A)
    return sign == .absolute ? W.map { abs($0) } : W
  }

  private var edgeTitle: String {
    (sign == .absolute ? "size of " : "") + (edge == .partial ? "partial correlation" : "correlation")
  }

  private func modules(of W: Matrix<Double>, _ name: String) -> NetworkModules {
    NetworkModules(W, gamma: gamma, runs: orders, seed: seed, name: name)
  }

  private func nodes(_ W: Matrix<Double>, _ modules: [Int]) -> [NetworkGraph.Node] {
    let (strength, spread) = (strengths(W), participation(W, modules))
    let z = withinModuleZ(W, modules)
    let owners = networks.partLayers.flatMap { layers in
      (0..<networks.settings.components).map { (layer: layers[0], network: $0) }
    }
    return owners.indices.map { i in
      .init(
        layer: owners[i].layer, network: owners[i].network, module: modules[i], strength: strength[i],
        participation: spread[i], withinModuleZ: z[i])
    }
  }
}
