import Kernel
import Numerics

/// What networks, groups or clusters do on a text; one child object per layer, or per set of layers analysed together.
public struct Descriptions: Artifact, InputValue {
  public static let type = ArtifactType("descriptions")

  /// "network", "group" or "cluster".
  let noun: String
  /// Content hash of what is described.
  let described: String
  /// `descriptions.layer` objects.
  let parts: [ArtifactReference]
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
  }

  public var summary: String {
    let better = lines.count(where: \.isBetter)
    return "\(lines.count) \(noun)s of \(Set(lines.flatMap(\.layers)).count) layers, "
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

  init(
    noun: String, described: String, parts: [ArtifactReference], of found: [LayerDescription],
    open: @escaping @Sendable (ArtifactReference) throws -> any ArtifactReader
  ) {
    self.noun = noun
    self.described = described
    self.parts = parts
    self.open = open
    lines = found.enumerated().flatMap { index, part in
      let limit = part.randomAUROC
      return part.sets.map { set in
        Line(
          part: index, layers: part.layers, name: set.name, keys: set.keys.reduce(0) { $0 + $1.count },
          rules: set.words, auroc: set.auroc, random: median(set.nullAUROC), randomLimit: limit, r2: set.r2,
          randomR2: median(set.nullR2), again: set.again, otherText: set.otherText)
      }
    }
  }

  public func write(to writer: any ArtifactWriter) throws {
    for part in parts { try writer.child(part) }
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
  ]

  public init(from reader: any ArtifactReader) throws {
    noun = try reader.attribute("of").stringValue ?? ""
    described = try reader.attribute("described_content").stringValue ?? ""
    parts = try reader.children
    var lines = Array(repeating: Line(), count: try reader.shape("part")[0])
    try reader.fill(&lines, Descriptions.columns)
    self.lines = lines
    open = { try reader.open($0) }
  }
}
