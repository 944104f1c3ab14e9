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
  private static let numbers: [(String, String, WritableKeyPath<Row, Double> & Sendable)] = [
    ("share", "share of the layer's units that are out", \.share),
    ("change", "change of the loss, nats per target", \.change),
    ("estimate", "by the derivative alone", \.estimate), ("z", "against random sets", \.z),
    ("adjusted", "against random sets of the same energy", \.adjusted),
    ("energy_share", "share of the random changes that log energy explains", \.energyShare),
    ("p", "chance of a random set costing as much", \.p), ("holm", "p for all lesions together", \.holm),
    ("energy", "mean of |W h|^2 of what is out", \.energy),
  ]
  /// With an axis of their own beside that of lesions.
  private static let lists: [(String, String, String, WritableKeyPath<Row, [Double]> & Sendable)] = [
    ("null/change", "draw", "change of random sets", \.null),
    ("null/energy", "draw", "energy of random sets", \.nullEnergy),
    ("class/change", "kind", "change by class of target", \.byKind),
    ("class/specificity", "kind", "change above the mean of the classes", \.specificity),
    ("class/z", "kind", "specificity against random sets", \.kindZ),
    ("class/p", "kind", "chance of a random set deviating as much", \.kindP),
    ("class/q", "kind", "false discovery rate over lesions and classes", \.kindQ),
    ("cell/sum", "cell", "sum of changes, nats", \.sums), ("cell/targets", "cell", "targets", \.counts),
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
    for (name, meaning, value) in Lesions.numbers {
      try writer.vector(name, rows.map { $0[keyPath: value] }, axis: "lesion", meaning: meaning)
    }
    for (path, axis, meaning, value) in Lesions.lists {
      let width = rows.first?[keyPath: value].count ?? 0
      guard width > 0 else { continue }
      try writer.array(
        path, rows.flatMap { $0[keyPath: value] }, shape: [rows.count, width], axes: ["lesion", axis], meaning: meaning)
    }
    if let first = rows.first, !first.nullByKind.isEmpty, !kinds.isEmpty {
      try writer.array(
        "null/class", rows.flatMap { $0.nullByKind.joined() },
        shape: [rows.count, first.nullByKind.count, kinds.count],
        axes: ["lesion", "draw", "kind"], meaning: "change of random sets by class")
    }
    if !kinds.isEmpty {
      try writer.strings("class/name", kinds, axis: "kind")
      try writer.vector("cell/class", cellKinds.map { Int32($0) }, axis: "cell", meaning: "class of the cell")
    }
    try write(pairs, "pair", to: writer)
    try write(randomPairs, "random_pair", to: writer)
    try writer.preview(
      title: "change of the loss without each \(noun)", values: rows.prefix(4096).map { Float($0.change) },
      axis: "lesion")
  }

  private func write(_ pairs: [Pair], _ group: String, to writer: any ArtifactWriter) throws {
    guard !pairs.isEmpty else { return }
    for (name, value) in [
      ("first", \Pair.first), ("second", \Pair.second), ("first_class", \Pair.found.first),
      ("second_class", \Pair.found.second),
    ] as [(String, KeyPath<Pair, Int>)] {
      try writer.vector("\(group)/\(name)", pairs.map { Int32($0[keyPath: value]) }, axis: group)
    }
    for (name, value) in [
      ("first_effect", \Pair.found.effects.0), ("second_effect", \Pair.found.effects.1), ("p", \Pair.found.p),
      ("q", \Pair.q),
    ] as [(String, KeyPath<Pair, Double>)] {
      try writer.vector("\(group)/\(name)", pairs.map { $0[keyPath: value] }, axis: group)
    }
  }

  public init(from reader: any ArtifactReader) throws {
    func word(_ name: String) throws -> String { try reader.attribute(name).stringValue ?? "" }
    let layers = try JSONValue(parsing: reader.text("layers")).arrayValue ?? []
    let units = try reader.array("units", as: Int32.self)
    let names = try reader.strings("name")
    var rows = names.indices.map { i in
      Row(layers: layers[i].arrayValue?.compactMap(\.intValue) ?? [], name: names[i], units: Int(units[i]))
    }
    for (name, _, value) in Lesions.numbers {
      for (i, number) in try reader.array(name, as: Double.self).enumerated() { rows[i][keyPath: value] = number }
    }
    for (path, _, _, value) in Lesions.lists where reader.has(path) {
      let all = try reader.array(path, as: Double.self)
      let width = all.count / max(1, rows.count)
      for i in rows.indices { rows[i][keyPath: value] = Array(all[(i * width)..<((i + 1) * width)]) }
    }
    let kinds = reader.has("class/name") ? try reader.strings("class/name") : []
    if reader.has("null/class") {
      let all = try reader.array("null/class", as: Double.self)
      let block = all.count / max(1, rows.count)
      for i in rows.indices {
        rows[i].nullByKind = Parallel.ranges(block, of: max(1, kinds.count)).map {
          Array(all[(i * block + $0.lowerBound)..<(i * block + $0.upperBound)])
        }
      }
    }
    func pairs(_ group: String) throws -> [Pair] {
      guard reader.has("\(group)/p") else { return [] }
      func whole(_ name: String) throws -> [Int] {
        try reader.array("\(group)/\(name)", as: Int32.self).map { Int($0) }
      }
      func number(_ name: String) throws -> [Double] { try reader.array("\(group)/\(name)", as: Double.self) }
      let (first, second) = (try whole("first"), try whole("second"))
      let (a, b) = (try whole("first_class"), try whole("second_class"))
      let (x, y, p, q) = (
        try number("first_effect"), try number("second_effect"), try number("p"), try number("q")
      )
      return p.indices.map {
        Pair(
          first: first[$0], second: second[$0],
          found: Dissociation(first: a[$0], second: b[$0], effects: (x[$0], y[$0]), p: p[$0]), q: q[$0])
      }
    }
    self.init(
      noun: try word("of"), mode: try word("mode"), with: try word("with"), how: try word("how"),
      described: try word("described_content").split(separator: ",").map(String.init), kinds: kinds,
      cellKinds: reader.has("cell/class") ? try reader.array("cell/class", as: Int32.self).map { Int($0) } : [],
      classNulls: try word("class_nulls"), rows: rows, pairs: try pairs("pair"), randomPairs: try pairs("random_pair"))
  }
}
