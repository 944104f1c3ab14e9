import Kernel
import Numerics

/// What is known of networks or groups, side by side: a file of references to their descriptions, lesions and graph, and
/// what these say of each other.
public struct Cards: Artifact {
  public static let type = ArtifactType("cards")

  let descriptions: Descriptions
  let lesions: Lesions?
  let graph: NetworkGraph?
  let code: Networks?
  private let references: References
  /// In the order of the descriptions.
  let rows: [Row]

  struct References: Sendable {
    var descriptions: ArtifactReference
    var lesions: ArtifactReference?
    var graph: ArtifactReference?
    var code: ArtifactReference?

    var all: [ArtifactReference] { [descriptions] + [lesions, graph, code].compactMap { $0 } }
  }

  /// What is known of one besides its description.
  struct Row: Sendable {
    /// Its place among the lesions and in the graph; -1 for none.
    var lesion = -1
    var node = -1
    var module = -1
    /// Of the loss without it, in nats per target; against random sets; and its p among all lesions.
    var change = Double.nan
    var z = Double.nan
    var holm = Double.nan
    /// The kind of text that is hurt most.
    var hurts = ""
    /// Rank correlation over kinds of how often it is active there with what its lesion costs there; the median of random
    /// sets.
    var agreement = Double.nan
    var randomAgreement = Double.nan
    var verdict: KindAgreement.Verdict?

    fileprivate var word: String {
      get { verdict?.rawValue ?? "" }
      set { verdict = KindAgreement.Verdict(rawValue: newValue) }
    }
  }

  public var summary: String {
    let better = descriptions.lines.count(where: \.isBetter)
    let judged = rows.count { $0.verdict != nil }
    return "\(rows.count) \(descriptions.noun)s, \(better) described better than random sets"
      + (judged == 0 ? "" : ", \(count(.confirmed)) confirmed and \(count(.contradicted)) contradicted by a lesion")
  }

  func count(_ verdict: KindAgreement.Verdict) -> Int { rows.count { $0.verdict == verdict } }

  /// Described better than random sets and confirmed by a lesion.
  var both: Int { zip(descriptions.lines, rows).count { $0.isBetter && $1.verdict == .confirmed } }

  public static let fields = [
    "better": "number described better than random sets",
    "confirmed": "number whose lesion hurts what they are active at",
    "contradicted": "number whose lesion spares what they are active at", "both": "better and confirmed",
  ]
  public func field(_ name: String) -> Literal? {
    switch name {
    case "better": .integer(descriptions.lines.count(where: \.isBetter))
    case "confirmed": .integer(count(.confirmed))
    case "contradicted": .integer(count(.contradicted))
    case "both": .integer(both)
    default: nil
    }
  }

  init(
    descriptions: Descriptions, lesions: Lesions?, graph: NetworkGraph?, code: Networks?, references: References,
    rows: [Row]
  ) {
    self.descriptions = descriptions
    self.lesions = lesions
    self.graph = graph
    self.code = code
    self.references = references
    self.rows = rows
  }

  private static let columns: [Column<Row>] = [
    .whole("lesion", as: Int32.self, \.lesion, "place among the lesions, -1 for none"),
    .whole("node", as: Int32.self, \.node, "place in the graph, -1 for none"),
    .whole("module", as: Int32.self, \.module, "module of the graph, -1 for none"),
    .number("change", \.change, "change of the loss without it, nats per target"),
    .number("z", \.z, "of the change, against random sets"),
    .number("holm", \.holm, "p of the change among all lesions"), .text("hurts", \.hurts),
    .number("agreement", \.agreement, "rank correlation over kinds of its events with what its lesion costs"),
    .number("random_agreement", \.randomAgreement, "median of random sets"), .text("verdict", \.word),
  ]

  public func write(to writer: any ArtifactWriter) throws {
    for reference in references.all { try writer.child(reference) }
    try writer.attribute("has_lesions", .integer(lesions == nil ? 0 : 1))
    try writer.attribute("has_graph", .integer(graph == nil ? 0 : 1))
    try writer.columns(Cards.columns, of: rows, axis: "network")
    try writer.preview(
      title: "agreement of events and lesions", values: rows.prefix(4096).map { Float($0.agreement) }, axis: "network")
  }

  public init(from reader: any ArtifactReader) throws {
    var children = try reader.children
    references = References(
      descriptions: children.removeFirst(),
      lesions: try reader.attribute("has_lesions").intValue == 1 ? children.removeFirst() : nil,
      graph: try reader.attribute("has_graph").intValue == 1 ? children.removeFirst() : nil,
      code: children.first)
    descriptions = try Descriptions(from: reader.open(references.descriptions))
    lesions = try references.lesions.map { try Lesions(from: reader.open($0)) }
    graph = try references.graph.map { try NetworkGraph(from: reader.open($0)) }
    code = try references.code.map { try Networks(from: reader.open($0)) }
    var rows = Array(repeating: Row(), count: try reader.shape("lesion")[0])
    try reader.fill(&rows, Cards.columns)
    self.rows = rows
  }
}
