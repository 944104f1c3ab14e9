import Kernel
import Numerics

/// What networks, groups or clusters do on a text; one child object per layer, or per set of layers analysed together.
public struct Descriptions: Artifact, InputValue {
  public static let type = ArtifactType("descriptions", version: 2)

  /// "network", "group" or "cluster".
  let noun: String
  /// Content hash of what is described.
  let described: String
  /// `descriptions.layer` objects.
  let parts: [ArtifactReference]
  /// `descriptions.writes` objects of the same layers; none of clusters.
  let written: [ArtifactReference]
  /// One line per network, layer after layer.
  let lines: [Line]
  let open: @Sendable (ArtifactReference) throws -> any ArtifactReader

  /// What the table says of a network.
  struct Line: Sendable {
    var part = 0
    var layers: [Int] = []
    var name = ""
    var keys = 0
    var rules = ""
    var auroc = Double.nan
    /// Median of its own random sets, and what 95 % of those of its layer stay below.
    var random = Double.nan
    var randomLimit = Double.nan
    var r2 = Double.nan
    var randomR2 = Double.nan
    var again = Double.nan
    var otherText = Double.nan
    /// Words that it makes likelier.
    var writes = ""
    /// The largest size of what it adds to a logit, the median of random sets and what 95 % of them stay below, in nats.
    var largest = Double.nan
    var randomLargest = Double.nan
    var largestLimit = Double.nan
    /// Correlation of what it adds to the logits with what taking it out changes.
    var fidelity = Double.nan

    /// What the file knows of the layers; the part has them all.
    fileprivate var firstLayer: Int {
      get { layers.first ?? 0 }
      set { layers = [newValue] }
    }
    fileprivate var lastLayer: Int {
      get { layers.last ?? 0 }
      set { layers = Array(firstLayer...max(firstLayer, newValue)) }
    }

    /// Whether the rules find its events better than rules find those of random sets.
    var isBetter: Bool { auroc > randomLimit }
    /// Whether it adds more to some logit than random sets do.
    var isLarger: Bool { largest > largestLimit }
  }

  public var summary: String {
    let better = lines.count(where: \.isBetter)
    return "\(counted(lines.count, noun)) of \(counted(Set(lines.flatMap(\.layers)).count, "layer")), "
      + "AUROC \(formatted(median(known(\.auroc)))) (random sets \(formatted(median(known(\.random))))), "
      + "\(better) better than random sets"
  }

  public static let fields = [
    "described": "number of descriptions", "better": "share that tells more than random sets",
    "auroc": "median AUROC of the rules on the other text", "random": "median AUROC of the rules of random sets",
  ]
  public func field(_ name: String) -> Literal? {
    switch name {
    case "described": return .integer(lines.count)
    case "better": return .ratio(Double(lines.count(where: \.isBetter)) / Double(max(1, lines.count)))
    case "auroc": return .number(median(known(\.auroc)))
    case "random": return .number(median(known(\.random)))
    default: return nil
    }
  }

  private func known(_ value: (Line) -> Double) -> [Double] { lines.map(value).filter { !$0.isNaN } }

  func part(_ index: Int) throws -> LayerDescription { try LayerDescription(from: open(parts[index])) }

  /// What the sets of a part write; nil of clusters.
  func writes(_ part: Int) throws -> LayerWrites? {
    written.indices.contains(part) ? try LayerWrites(from: open(written[part])) : nil
  }

  init(
    noun: String, described: String, parts: [ArtifactReference], of found: [LayerDescription],
    written: [ArtifactReference], of writes: [LayerWrites],
    open: @escaping @Sendable (ArtifactReference) throws -> any ArtifactReader
  ) {
    self.noun = noun
    self.described = described
    self.parts = parts
    self.written = written
    self.open = open
    lines = found.enumerated().flatMap { index, part in
      let limit = part.randomAUROC
      return part.sets.enumerated().map { place, set in
        var line = Line(
          part: index, layers: part.layers, name: set.name, keys: set.keys.reduce(0) { $0 + $1.count },
          rules: set.words, auroc: set.auroc, random: median(set.nullAUROC), randomLimit: limit, r2: set.r2,
          randomR2: median(set.nullR2), again: set.again, otherText: set.otherText)
        if writes.indices.contains(index) {
          let own = writes[index].sets[place]
          line.writes = own.spelled(likelier: true, 5)
          line.largest = own.largest
          line.randomLargest = own.randomLargest
          line.largestLimit = own.randomLimit
          line.fidelity = own.fidelity
        }
        return line
      }
    }
  }

  public func write(to writer: any ArtifactWriter) throws {
    for part in parts + written { try writer.child(part) }
    try writer.attribute("of", .string(noun))
    try writer.attribute("described_content", .string(described))
    try writer.columns(Descriptions.columns, of: lines, axis: "network")
    try writer.preview(
      title: "AUROC of the rules of each \(noun)", values: lines.prefix(4096).map { Float($0.auroc) }, axis: "network")
  }

  private static let columns: [Column<Line>] = [
    .whole("part", as: Int32.self, \.part, "which child"), .whole("first_layer", as: Int32.self, \.firstLayer),
    .whole("last_layer", as: Int32.self, \.lastLayer), .text("name", \.name), .text("rules", \.rules),
    .whole("keys", as: Int32.self, \.keys, "key units"),
    .number("auroc", \.auroc, "rules against events of the other text"),
    .number("random", \.random, "median of random sets"),
    .number("random_limit", \.randomLimit, "95% of the random sets of the layer are below"),
    .number("r2", \.r2, "share of the course that all facts explain in the other text"),
    .number("random_r2", \.randomR2, "median of random sets"),
    .number("again", \.again, "|correlation| with the partner found from another seed"),
    .number("other_text", \.otherText, "|correlation| with the partner found in the other text"),
    .text("writes", \.writes), .number("largest", \.largest, "largest size of what it adds to a logit, in nats"),
    .number("random_largest", \.randomLargest, "median of random sets"),
    .number("largest_limit", \.largestLimit, "95% of its random sets are below"),
    .number("fidelity", \.fidelity, "correlation of what it adds to the logits with what taking it out changes"),
  ]

  public init(from reader: any ArtifactReader) throws {
    noun = try reader.attribute("of").stringValue ?? ""
    described = try reader.attribute("described_content").stringValue ?? ""
    var lines = Array(repeating: Line(), count: try reader.shape("part")[0])
    try reader.fill(&lines, Descriptions.columns)
    self.lines = lines
    let children = try reader.children
    let count = (lines.map(\.part).max() ?? -1) + 1
    parts = Array(children.prefix(count))
    written = Array(children.dropFirst(count))
    open = { try reader.open($0) }
  }
}
