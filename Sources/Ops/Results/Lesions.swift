import Kernel
import Numerics

/// What a model loses without each of some networks, groups or masks.
public struct Lesions: Artifact, InputValue {
  public static let type = ArtifactType("lesions")

  /// "network", "group" or "mask".
  var noun: String
  /// "each", "only", "grow"; "zero", "mean"; "exact", "estimate".
  var mode: String
  var with: String
  var how: String
  /// Content hashes of what was lesioned.
  var described: [String]
  /// Names of the classes of targets.
  var kinds: [String]
  /// Class of every cell, a passage or a window's part of a class; -1 for none.
  var cellKinds: [Int]
  /// How random sets tell about classes: "exact", counted; "student", by mean and deviation; "estimate", counted among
  /// estimates; or "none".
  var classNulls: String
  /// Lesions, or with mode=grow a row for each lesion and share of the layer.
  var rows: [Row]
  /// Pairs of one layer, and the same test on a random set of each.
  var pairs: [Pair]
  var randomPairs: [Pair]

  struct Row: Sendable {
    var layers: [Int]
    var name: String
    var units: Int
    /// Share of the layer's units that are out (mode=grow).
    var share = Double.nan
    /// Change of the loss, nats per target.
    var change = Double.nan
    /// By the derivative alone, where it was asked for.
    var estimate = Double.nan
    /// Of random sets.
    var null: [Double] = []
    /// (change - mean of random sets) / their deviation; the same after the line on log energy is taken off, and the share of
    /// random changes that the line explains.
    var z = Double.nan
    var adjusted = Double.nan
    var energyShare = Double.nan
    /// Of a random set costing as much; and for all lesions together.
    var p = Double.nan
    var holm = Double.nan
    /// Mean of ‖W_S h_S‖².
    var energy = Double.nan
    var nullEnergy: [Double] = []
    /// Change by class, and what it is above the mean of the classes.
    var byKind: [Double] = []
    var specificity: [Double] = []
    var nullByKind: [[Double]] = []
    var kindZ: [Double] = []
    var kindP: [Double] = []
    var kindQ: [Double] = []
    /// Sums of changes by cell, and targets.
    var sums: [Double] = []
    var counts: [Double] = []

    init(layers: [Int], name: String, units: Int) {
      self.layers = layers
      self.name = name
      self.units = units
    }
  }

  /// Two lesions of one layer.
  struct Pair: Sendable {
    var first: Int
    var second: Int
    var found: Dissociation
    var q: Double
  }

  var isGrown: Bool { mode == "grow" }

  public var summary: String {
    if isGrown { return "\(Set(rows.map { "\($0.layers)\($0.name)" }).count) \(noun)s taken out step by step, \(how)" }
    let changes = rows.map(\.change)
    let matter = rows.count { $0.holm < 0.05 }
    let specific = rows.count { $0.kindQ.contains { $0 < 0.05 } }
    return "\(rows.count) \(noun)s, \(how), up to \(formatted(changes.max() ?? .nan)) nats"
      + (rows.contains { !$0.null.isEmpty } ? ", \(matter) matter more than random sets" : "")
      + (kinds.isEmpty || classNulls == "none" ? "" : ", \(specific) matter to some kind of text")
  }

  public static let fields = [
    "lesions": "number of lesions", "matter": "lesions that cost more than random sets (Holm, 5%)",
    "specific": "lesions with a class of q < 5%", "dissociated": "pairs with a double dissociation of q < 5%",
    "largest": "largest change of the loss in nats per target",
  ]
  public func field(_ name: String) -> Literal? {
    switch name {
    case "lesions": return .integer(rows.count)
    case "matter": return .integer(rows.count { $0.holm < 0.05 })
    case "specific": return .integer(rows.count { $0.kindQ.contains { $0 < 0.05 } })
    case "dissociated": return .integer(pairs.count { $0.q < 0.05 })
    case "largest": return .number(rows.map(\.change).max() ?? .nan)
    default: return nil
    }
  }

  init(
    noun: String, mode: String, with: String, how: String, described: [String], kinds: [String], cellKinds: [Int],
    classNulls: String, rows: [Row], pairs: [Pair], randomPairs: [Pair]
  ) {
    self.noun = noun
    self.mode = mode
    self.with = with
    self.how = how
    self.described = described
    self.kinds = kinds
    self.cellKinds = cellKinds
    self.classNulls = classNulls
    self.rows = rows
    self.pairs = pairs
    self.randomPairs = randomPairs
  }
}

// MARK: - The file

extension Lesions {
  private static let columns: [Column<Row>] = [
    .number("share", \.share, "share of the layer's units that are out"),
    .number("change", \.change, "change of the loss, nats per target"),
    .number("estimate", \.estimate, "by the derivative alone"), .number("z", \.z, "against random sets"),
    .number("adjusted", \.adjusted, "against random sets of the same energy"),
    .number("energy_share", \.energyShare, "share of the random changes that log energy explains"),
    .number("p", \.p, "chance of a random set costing as much"),
    .number("holm", \.holm, "p for all lesions together"),
    .number("energy", \.energy, "mean of |W h|^2 of what is out"),
    .list("null/change", \.null, per: "draw", "change of random sets"),
    .list("null/energy", \.nullEnergy, per: "draw", "energy of random sets"),
    .list("class/change", \.byKind, per: "kind", "change by class of target"),
    .list("class/specificity", \.specificity, per: "kind", "change above the mean of the classes"),
    .list("class/z", \.kindZ, per: "kind", "specificity against random sets"),
    .list("class/p", \.kindP, per: "kind", "chance of a random set deviating as much"),
    .list("class/q", \.kindQ, per: "kind", "false discovery rate over lesions and classes"),
    .list("cell/sum", \.sums, per: "cell", "sum of changes, nats"),
    .list("cell/targets", \.counts, per: "cell", "targets"),
    .lists("null/class", \.nullByKind, per: "draw", "kind", "change of random sets by class"),
  ]
  private static let pairColumns: [Column<Pair>] = [
    .whole("first", as: Int32.self, \.first), .whole("second", as: Int32.self, \.second),
    .whole("first_class", as: Int32.self, \.found.first), .whole("second_class", as: Int32.self, \.found.second),
    .number("first_effect", \.found.effects.0), .number("second_effect", \.found.effects.1),
    .number("p", \.found.p), .number("q", \.q),
  ]

  public func write(to writer: any ArtifactWriter) throws {
    for (name, value) in [
      ("of", noun), ("mode", mode), ("with", with), ("how", how), ("class_nulls", classNulls),
      ("described_content", described.joined(separator: ",")),
    ] {
      try writer.attribute(name, .string(value))
    }
    try writer.strings("name", rows.map(\.name), axis: "lesion")
    try writer.vector("first_layer", rows.map { Int32($0.layers.first ?? 0) }, axis: "lesion")
    try writer.text(
      "layers", JSONValue.array(rows.map { .array($0.layers.map(JSONValue.integer)) }).canonical)
    try writer.vector("units", rows.map { Int32($0.units) }, axis: "lesion", meaning: "units that are out")
    try writer.columns(Lesions.columns, of: rows, axis: "lesion")
    if !kinds.isEmpty {
      try writer.strings("class/name", kinds, axis: "kind")
      try writer.vector("cell/class", cellKinds.map { Int32($0) }, axis: "cell", meaning: "class of the cell")
    }
    for (group, pairs) in [("pair", pairs), ("random_pair", randomPairs)] where !pairs.isEmpty {
      try writer.columns(Lesions.pairColumns, of: pairs, axis: group, in: group + "/")
    }
    try writer.preview(
      title: "change of the loss without each \(noun)", values: rows.prefix(4096).map { Float($0.change) },
      axis: "lesion")
  }

  public init(from reader: any ArtifactReader) throws {
    func word(_ name: String) throws -> String { try reader.attribute(name).stringValue ?? "" }
    let layers = try JSONValue(parsing: reader.text("layers")).arrayValue ?? []
    let units = try reader.array("units", as: Int32.self)
    let names = try reader.strings("name")
    var rows = names.indices.map { i in
      Row(layers: layers[i].arrayValue?.compactMap(\.intValue) ?? [], name: names[i], units: Int(units[i]))
    }
    try reader.fill(&rows, Lesions.columns)
    func pairs(_ group: String) throws -> [Pair] {
      guard reader.has("\(group)/p") else { return [] }
      let none = Pair(first: 0, second: 0, found: Dissociation(first: 0, second: 0, effects: (0, 0), p: .nan), q: .nan)
      var pairs = Array(repeating: none, count: try reader.shape("\(group)/p")[0])
      try reader.fill(&pairs, Lesions.pairColumns, in: group + "/")
      return pairs
    }
    self.init(
      noun: try word("of"), mode: try word("mode"), with: try word("with"), how: try word("how"),
      described: try word("described_content").split(separator: ",").map(String.init),
      kinds: reader.has("class/name") ? try reader.strings("class/name") : [],
      cellKinds: reader.has("cell/class") ? try reader.array("cell/class", as: Int32.self).map { Int($0) } : [],
      classNulls: try word("class_nulls"), rows: rows, pairs: try pairs("pair"), randomPairs: try pairs("random_pair"))
  }
}
