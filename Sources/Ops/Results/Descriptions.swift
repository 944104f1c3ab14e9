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
    var part: Int
    var layers: [Int]
    var name: String
    var keys: Int
    var rules: String
    var auroc: Double
    /// Median of its own random sets, and what 95 % of those of its layer stay below.
    var random: Double
    var randomLimit: Double
    var r2: Double
    var randomR2: Double
    var again: Double
    var otherText: Double

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
    try writer.vector("part", lines.map { Int32($0.part) }, axis: "network", meaning: "which child")
    try writer.vector("first_layer", lines.map { Int32($0.layers.first ?? 0) }, axis: "network")
    try writer.vector("last_layer", lines.map { Int32($0.layers.last ?? 0) }, axis: "network")
    try writer.strings("name", lines.map(\.name), axis: "network")
    try writer.strings("rules", lines.map(\.rules), axis: "network")
    try writer.vector("keys", lines.map { Int32($0.keys) }, axis: "network", meaning: "key units")
    for (name, meaning, value) in Descriptions.columns {
      try writer.vector(name, lines.map { $0[keyPath: value] }, axis: "network", meaning: meaning)
    }
    try writer.preview(
      title: "AUROC of the rules of each \(noun)", values: lines.prefix(4096).map { Float($0.auroc) }, axis: "network")
  }

  private static let columns: [(String, String, WritableKeyPath<Line, Double> & Sendable)] = [
    ("auroc", "rules against events of the other text", \.auroc), ("random", "median of random sets", \.random),
    ("random_limit", "95% of the random sets of the layer are below", \.randomLimit),
    ("r2", "share of the course that all facts explain in the other text", \.r2),
    ("random_r2", "median of random sets", \.randomR2),
    ("again", "|correlation| with the partner found from another seed", \.again),
    ("other_text", "|correlation| with the partner found in the other text", \.otherText),
  ]

  public init(from reader: any ArtifactReader) throws {
    noun = try reader.attribute("of").stringValue ?? ""
    described = try reader.attribute("described_content").stringValue ?? ""
    parts = try reader.children
    let names = try reader.strings("name")
    let rules = try reader.strings("rules")
    func whole(_ path: String) throws -> [Int] { try reader.array(path, as: Int32.self).map { Int($0) } }
    let (part, first, last, keys) = (
      try whole("part"), try whole("first_layer"), try whole("last_layer"), try whole("keys")
    )
    var lines = names.indices.map { i in
      Line(
        part: part[i], layers: Array(first[i]...last[i]), name: names[i], keys: keys[i], rules: rules[i], auroc: .nan,
        random: .nan, randomLimit: .nan, r2: .nan, randomR2: .nan, again: .nan, otherText: .nan)
    }
    for (name, _, value) in Descriptions.columns {
      for (i, number) in try reader.array(name, as: Double.self).enumerated() { lines[i][keyPath: value] = number }
    }
    self.lines = lines
    open = { try reader.open($0) }
  }
}
