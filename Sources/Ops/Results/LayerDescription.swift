import Kernel
import Numerics

/// What the networks of a layer do, or of layers analysed together; also of groups and clusters.
public struct LayerDescription: Artifact {
  public static let type = ArtifactType("descriptions.layer", version: 2)

  public let layers: [Int]
  /// One per network.
  let sets: [SetDescription]
  /// The questions that were asked of tokens.
  let facts: [String]
  /// Names of the kinds of text, where they are known.
  let kinds: [String]
  /// The signals of a unit that networks have a z for.
  let signals: [String]
  /// networks × tokens: how active each is at each token, of the described text and then of the one it is judged on.
  let courses: Matrix<Float>
  /// Tokens of the described text.
  let fitTokens: Int
  /// First token of each window of both texts, and the end.
  let starts: [Int]
  /// Of clusters: adjusted mutual information with each fact, on the text it is judged on.
  let information: [Double]?

  public var summary: String { "\(LayerNetworks.title(layers)), \(sets.count) descriptions" }

  /// 95 % of what random sets of the layer reach.
  var randomAUROC: Double { quantile(sets.flatMap(\.nullAUROC).filter { !$0.isNaN }, 0.95) }
}

/// What one network does.
struct SetDescription: Sendable {
  /// Its number in the layer, or `shared`.
  var name: String
  /// Key units of each layer, the largest |z| first.
  var keys: [[Int32]]
  /// By layer, of each key unit its z for each signal; none when it is no network.
  var keyZ: [[[Double]]] = []
  /// Share of the signals' variance that it explains.
  var explained = Double.nan
  /// Share of Σz² in each layer.
  var spread: [Double]
  /// A token is an event when the course is above it.
  var threshold: Double
  var rules: [Rule] = []
  var contexts: [Context] = []
  var enriched: [Enriched] = []
  /// Log odds of each kind of text at the events.
  var kindOdds: [Double] = []
  /// Of the rules on the other text, and with its windows turned.
  var auroc = Double.nan
  var turned = Double.nan
  /// Of a model of all facts on the other text.
  var ceilingAUROC = Double.nan
  var r2 = Double.nan
  var correlation = Double.nan
  /// R² of each fact alone.
  var factShares: [Double] = []
  /// The same of random sets.
  var nullAUROC: [Double] = []
  var nullCeiling: [Double] = []
  var nullR2: [Double] = []
  var nullFactShares: [[Double]] = []
  /// |r| with the partner among networks found from another seed, and in the other text.
  var again = Double.nan
  var otherText = Double.nan

  struct Rule: Sendable, Equatable {
    var fact = ""
    var value = ""
    /// Log odds among the tokens that no rule before met.
    var weight = 0.0

    /// "class is space", "after “ the”".
    var words: String {
      switch ContextFact(rawValue: fact) {
      case .token: "“\(value)”"
      case .previous: "after “\(value)”"
      case .previousLooks: "after \(value)"
      case .position: "at place \(value) of the window"
      case .sinceNewline: "\(value) tokens after a newline"
      case .repeated: value == "yes" ? "seen before in the window" : "new in the window"
      case .kind: "in \(value)"
      case .looks, nil: value
      }
    }
  }

  /// A place where it is active.
  struct Context: Sendable {
    /// 0 for the strongest places; 1 to 4 for samples of each quarter of the rest, the strongest quarter first.
    var quarter = 0
    var course = 0.0
    /// Place of the token in its text, and the bytes it stands for there; -1 when they are not known.
    var token = 0
    var start = -1
    var end = -1
    var before = ""
    var text = ""
    var after = ""

    var bytes: Range<Int>? { start < 0 ? nil : start..<max(start, end) }
  }

  struct Enriched: Sendable {
    var fact = ""
    var value = ""
    var delta = 0.0
    var z = 0.0
    var q = 0.0
    var inside = 0
    var all = 0
  }

  /// "“⏎”; space; in code"
  var words: String { rules.isEmpty ? "no rule" : rules.map(\.words).joined(separator: "; ") }
}

// MARK: - The file

extension LayerDescription {
  public func write(to writer: any ArtifactWriter) throws {
    try writer.scale("layer", layers.map(Int64.init), meaning: "layer of the model")
    try writer.strings("asked", facts, axis: "fact")
    if !kinds.isEmpty { try writer.strings("kinds", kinds, axis: "kind") }
    try writer.attribute("signals", .string(signals.joined(separator: ",")))
    try writer.attribute("fit_tokens", .integer(fitTokens))
    try writer.vector(
      "window_start", starts.map(Int64.init), axis: "bound", meaning: "first token of each window, then the end")
    try courses.copy().withUnsafePointer { pointer, _ in
      try writer.array(
        "course", UnsafeBufferPointer(start: pointer, count: courses.count), shape: [courses.rows, courses.columns],
        axes: ["network", "token"], meaning: "activity, of the described text and then of the one it is judged on",
        units: nil)
    }
    try writer.columns(SetDescription.columns, of: sets, axis: "network")
    if let information {
      try writer.vector("information", information, axis: "fact", meaning: "adjusted mutual information with the fact")
    }
    try writeLists(to: writer)
    let width = min(courses.columns, max(1, 4096 / max(1, courses.rows)))
    try writer.preview(
      title: "activity in \(LayerNetworks.title(layers))",
      rows: (0..<courses.rows).map { Array(courses.row($0).prefix(width)) },
      axis: "token", rowAxis: "network")
  }

  /// Lists of any length, network after network: which network an entry is of stands beside it.
  private func writeLists(to writer: any ArtifactWriter) throws {
    func write<Entry>(
      _ group: String, _ axis: String, _ columns: [Column<Entry>], _ entries: (SetDescription) -> [Entry]
    ) throws {
      let all = sets.enumerated().flatMap { index, set in entries(set).map { (Int32(index), $0) } }
      try writer.vector("\(group)/network", all.map(\.0), axis: axis, meaning: "network of the entry")
      try writer.columns(columns, of: all.map(\.1), axis: axis, in: group + "/")
    }
    try write("key", "member", SetDescription.Member.columns) { set in
      layers.indices.flatMap { place in
        set.keys[place].enumerated().map { index, unit in
          .init(
            layer: layers[place], unit: Int(unit),
            z: set.keyZ.isEmpty ? [] : set.keyZ[place][index])
        }
      }
    }
    try write("rules", "rule", SetDescription.Rule.columns, \.rules)
    try write("context", "place", SetDescription.Context.columns, \.contexts)
    try write("enrichment", "level", SetDescription.Enriched.columns, \.enriched)
  }

  public init(from reader: any ArtifactReader) throws {
    layers = try reader.array("layer", as: Int64.self).map { Int($0) }
    facts = try reader.strings("asked")
    kinds = reader.has("kinds") ? try reader.strings("kinds") : []
    signals = try (reader.attribute("signals").stringValue ?? "").split(separator: ",").map(String.init)
    fitTokens = try reader.attribute("fit_tokens").intValue ?? 0
    starts = try reader.array("window_start", as: Int64.self).map { Int($0) }
    let shape = try reader.shape("course")
    courses = Matrix(rows: shape[0], columns: shape[1])
    try reader.read("course", rows: 0..<shape[0], into: courses)
    information = reader.has("information") ? try reader.array("information", as: Double.self) : nil
    var sets = Array(
      repeating: SetDescription(name: "", keys: layers.map { _ in [] }, spread: [], threshold: .nan),
      count: try reader.shape("name")[0])
    try reader.fill(&sets, SetDescription.columns)
    func read<Entry>(
      _ group: String, _ columns: [Column<Entry>], _ none: Entry, _ add: (inout SetDescription, Entry) -> Void
    ) throws {
      let owners = try reader.array("\(group)/network", as: Int32.self)
      var entries = Array(repeating: none, count: owners.count)
      try reader.fill(&entries, columns, in: group + "/")
      for (owner, entry) in zip(owners, entries) { add(&sets[Int(owner)], entry) }
    }
    try read("key", SetDescription.Member.columns, .init()) { [layers] set, member in
      let place = layers.firstIndex(of: member.layer) ?? 0
      set.keys[place].append(Int32(member.unit))
      if member.z.isEmpty { return }
      if set.keyZ.isEmpty { set.keyZ = layers.map { _ in [] } }
      set.keyZ[place].append(member.z)
    }
    try read("rules", SetDescription.Rule.columns, .init()) { $0.rules.append($1) }
    try read("context", SetDescription.Context.columns, .init()) { $0.contexts.append($1) }
    try read("enrichment", SetDescription.Enriched.columns, .init()) { $0.enriched.append($1) }
    self.sets = sets
  }
}

// MARK: - Columns

extension SetDescription {
  static let columns: [Column<SetDescription>] = [
    .text("name", \.name), .number("threshold", \.threshold, "a token is an event when the course is above it"),
    .number("explained", \.explained, "share of the variance of the signals"),
    .list("kind_odds", \.kindOdds, per: "kind", "log odds of the kind of text at events"),
    .number("score/auroc", \.auroc, "rules against events of the other text"),
    .number("score/turned", \.turned, "the same with the windows turned"),
    .number("score/ceiling_auroc", \.ceilingAUROC, "a model of all facts against events of the other text"),
    .number("score/ceiling_r2", \.r2, "share of the course that a model of all facts explains in the other text"),
    .number("score/ceiling_correlation", \.correlation, "correlation of that model with the course"),
    .number("again", \.again, "|correlation| with the partner found from another seed"),
    .number("other_text", \.otherText, "|correlation| with the partner found in the other text"),
    .list("null/auroc", \.nullAUROC, per: "draw", "rules of random sets"),
    .list("null/ceiling_auroc", \.nullCeiling, per: "draw", "a model of all facts of random sets"),
    .list("null/ceiling_r2", \.nullR2, per: "draw", "share explained of random sets"),
    .list("fact_r2", \.factShares, per: "fact", "share that each fact alone explains in the other text"),
    .lists("null/fact_r2", \.nullFactShares, per: "draw", "fact", "the same of random sets"),
    .list("spread", \.spread, per: "layer", "share of the sum of z^2 in each layer"),
  ]

  /// A key unit and where it is.
  fileprivate struct Member {
    var layer = 0
    var unit = 0
    var z: [Double] = []

    static let columns: [Column<Member>] = [
      .whole("layer", as: Int32.self, \.layer, "layer of the unit"),
      .whole("unit", as: Int32.self, \.unit, "unit, the largest |z| first"),
      .list("z", \.z, per: "signal", "z of the unit's signals"),
    ]
  }
}

extension SetDescription.Rule {
  fileprivate static let columns: [Column<Self>] = [
    .text("fact", \.fact), .text("value", \.value), .number("weight", \.weight, "log odds"),
  ]
}

extension SetDescription.Context {
  fileprivate static let columns: [Column<Self>] = [
    .whole("quarter", as: Int32.self, \.quarter, "0 = strongest, 1 to 4 = sampled from quarters of the rest"),
    .number("course", \.course, "activity"), .whole("token", as: Int64.self, \.token, "token of the text"),
    .whole("start", as: Int64.self, \.start, "first byte"),
    .whole("end", as: Int64.self, \.end, "byte after the last"), .text("before", \.before), .text("text", \.text),
    .text("after", \.after),
  ]
}

extension SetDescription.Enriched {
  fileprivate static let columns: [Column<Self>] = [
    .text("fact", \.fact), .text("value", \.value), .number("delta", \.delta, "log odds"),
    .number("z", \.z, "corrected for runs of events"),
    .number("q", \.q, "false discovery rate within the fact"), .whole("inside", as: Int64.self, \.inside, "events"),
    .whole("all", as: Int64.self, \.all, "tokens"),
  ]
}
