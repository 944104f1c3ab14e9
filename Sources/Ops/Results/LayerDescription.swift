import Kernel
import Numerics

/// What the networks of a layer do, or of layers analysed together; also of groups and clusters.
public struct LayerDescription: Artifact {
  public static let type = ArtifactType("descriptions.layer")

  public let layers: [Int]
  /// One per network.
  let sets: [SetDescription]
  /// The questions that were asked of tokens.
  let facts: [String]
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
  /// Share of Σz² in each layer.
  var spread: [Double]
  /// A token is an event when the course is above it.
  var threshold: Double
  var rules: [Rule] = []
  var contexts: [Context] = []
  var enriched: [Enriched] = []
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
    var fact: String
    var value: String
    /// Log odds among the tokens that no rule before met.
    var weight: Double

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
    var quarter: Int
    var course: Double
    /// Place of the token in its text, and the bytes it stands for there; -1 when they are not known.
    var token: Int
    var bytes: Range<Int>?
    var before: String
    var text: String
    var after: String
  }

  struct Enriched: Sendable {
    var fact: String
    var value: String
    var delta: Double
    var z: Double
    var q: Double
    var inside: Int
    var all: Int
  }

  /// "“⏎”; space; in code"
  var words: String { rules.isEmpty ? "no rule" : rules.map(\.words).joined(separator: "; ") }
}

// MARK: - The file

extension LayerDescription {
  public func write(to writer: any ArtifactWriter) throws {
    try writer.scale("layer", layers.map(Int64.init), meaning: "layer of the model")
    try writer.strings("name", sets.map(\.name), axis: "network")
    try writer.strings("asked", facts, axis: "fact")
    try writer.attribute("fit_tokens", .integer(fitTokens))
    try writer.vector(
      "window_start", starts.map(Int64.init), axis: "bound", meaning: "first token of each window, then the end")
    try courses.copy().withUnsafePointer { pointer, _ in
      try writer.array(
        "course", UnsafeBufferPointer(start: pointer, count: courses.count), shape: [courses.rows, courses.columns],
        axes: ["network", "token"], meaning: "activity, of the described text and then of the one it is judged on",
        units: nil)
    }
    func per(_ path: String, _ meaning: String, _ value: (SetDescription) -> Double) throws {
      try writer.vector(path, sets.map(value), axis: "network", meaning: meaning)
    }
    func perDraw(_ path: String, _ meaning: String, _ values: (SetDescription) -> [Double]) throws {
      try writer.array(
        path, sets.flatMap(values), shape: [sets.count, sets.first.map { values($0).count } ?? 0],
        axes: ["network", "draw"], meaning: meaning)
    }
    try per("threshold", "a token is an event when the course is above it", \.threshold)
    try per("score/auroc", "rules against events of the other text", \.auroc)
    try per("score/turned", "the same with the windows turned", \.turned)
    try per("score/ceiling_auroc", "a model of all facts against events of the other text", \.ceilingAUROC)
    try per("score/ceiling_r2", "share of the course that a model of all facts explains in the other text", \.r2)
    try per("score/ceiling_correlation", "correlation of that model with the course", \.correlation)
    try per("again", "|correlation| with the partner found from another seed", \.again)
    try per("other_text", "|correlation| with the partner found in the other text", \.otherText)
    try perDraw("null/auroc", "rules of random sets", \.nullAUROC)
    try perDraw("null/ceiling_auroc", "a model of all facts of random sets", \.nullCeiling)
    try perDraw("null/ceiling_r2", "share explained of random sets", \.nullR2)
    try writer.array(
      "fact_r2", sets.flatMap(\.factShares), shape: [sets.count, facts.count], axes: ["network", "fact"],
      meaning: "share that each fact alone explains in the other text")
    try writer.array(
      "null/fact_r2", sets.flatMap { $0.nullFactShares.joined() },
      shape: [sets.count, sets.first?.nullFactShares.count ?? 0, facts.count], axes: ["network", "draw", "fact"],
      meaning: "the same of random sets")
    try writer.array(
      "spread", sets.flatMap(\.spread), shape: [sets.count, layers.count], axes: ["network", "layer"],
      meaning: "share of the sum of z^2 in each layer")
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
    func owners<Entry>(_ group: String, _ axis: String, _ entries: (SetDescription) -> [Entry]) throws -> [Entry] {
      let all = sets.enumerated().flatMap { index, set in entries(set).map { (Int32(index), $0) } }
      try writer.vector("\(group)/network", all.map(\.0), axis: axis, meaning: "network of the entry")
      return all.map(\.1)
    }
    let keys = try owners("key", "member") { set in
      set.keys.enumerated().flatMap { layer, units in units.map { (Int32(layer), $0) } }
    }
    try writer.vector("key/layer", keys.map { Int32(layers[Int($0.0)]) }, axis: "member", meaning: "layer of the unit")
    try writer.vector("key/unit", keys.map(\.1), axis: "member", meaning: "unit, the largest |z| first")
    let rules = try owners("rules", "rule", \.rules)
    try writer.strings("rules/fact", rules.map(\.fact), axis: "rule")
    try writer.strings("rules/value", rules.map(\.value), axis: "rule")
    try writer.vector("rules/weight", rules.map(\.weight), axis: "rule", meaning: "log odds")
    let contexts = try owners("context", "place", \.contexts)
    try writer.vector(
      "context/quarter", contexts.map { Int32($0.quarter) }, axis: "place",
      meaning: "0 = strongest, 1 to 4 = sampled from quarters of the rest")
    try writer.vector("context/course", contexts.map(\.course), axis: "place", meaning: "activity")
    try writer.vector("context/token", contexts.map { Int64($0.token) }, axis: "place", meaning: "token of the text")
    try writer.vector(
      "context/start", contexts.map { Int64($0.bytes?.lowerBound ?? -1) }, axis: "place", meaning: "first byte")
    try writer.vector(
      "context/end", contexts.map { Int64($0.bytes?.upperBound ?? -1) }, axis: "place", meaning: "byte after the last")
    for (name, text) in [
      ("before", \SetDescription.Context.before), ("text", \.text), ("after", \.after),
    ] {
      try writer.strings("context/\(name)", contexts.map { $0[keyPath: text] }, axis: "place")
    }
    let enriched = try owners("enrichment", "level", \.enriched)
    try writer.strings("enrichment/fact", enriched.map(\.fact), axis: "level")
    try writer.strings("enrichment/value", enriched.map(\.value), axis: "level")
    try writer.vector("enrichment/delta", enriched.map(\.delta), axis: "level", meaning: "log odds")
    try writer.vector("enrichment/z", enriched.map(\.z), axis: "level", meaning: "corrected for runs of events")
    try writer.vector("enrichment/q", enriched.map(\.q), axis: "level", meaning: "false discovery rate within the fact")
    try writer.vector("enrichment/inside", enriched.map { Int64($0.inside) }, axis: "level", meaning: "events")
    try writer.vector("enrichment/all", enriched.map { Int64($0.all) }, axis: "level", meaning: "tokens")
  }

  public init(from reader: any ArtifactReader) throws {
    layers = try reader.array("layer", as: Int64.self).map { Int($0) }
    let names = try reader.strings("name")
    let count = names.count
    facts = try reader.strings("asked")
    fitTokens = try reader.attribute("fit_tokens").intValue ?? 0
    starts = try reader.array("window_start", as: Int64.self).map { Int($0) }
    let shape = try reader.shape("course")
    courses = Matrix(rows: shape[0], columns: shape[1])
    try reader.read("course", rows: 0..<shape[0], into: courses)
    information = reader.has("information") ? try reader.array("information", as: Double.self) : nil
    func numbers(_ path: String) throws -> [Double] { try reader.array(path, as: Double.self) }
    func rows(_ path: String) throws -> [[Double]] {
      let all = try numbers(path)
      let width = all.count / max(1, count)
      return (0..<count).map { Array(all[($0 * width)..<(($0 + 1) * width)]) }
    }
    var sets = names.map { [layers] in
      SetDescription(name: $0, keys: layers.map { _ in [] }, spread: [], threshold: .nan)
    }
    func fill(_ path: String, _ place: WritableKeyPath<SetDescription, Double>) throws {
      for (index, value) in try numbers(path).enumerated() { sets[index][keyPath: place] = value }
    }
    func fill(_ path: String, _ place: WritableKeyPath<SetDescription, [Double]>) throws {
      for (index, values) in try rows(path).enumerated() { sets[index][keyPath: place] = values }
    }
    try fill("threshold", \.threshold)
    try fill("score/auroc", \.auroc)
    try fill("score/turned", \.turned)
    try fill("score/ceiling_auroc", \.ceilingAUROC)
    try fill("score/ceiling_r2", \.r2)
    try fill("score/ceiling_correlation", \.correlation)
    try fill("again", \.again)
    try fill("other_text", \.otherText)
    try fill("null/auroc", \.nullAUROC)
    try fill("null/ceiling_auroc", \.nullCeiling)
    try fill("null/ceiling_r2", \.nullR2)
    try fill("fact_r2", \.factShares)
    try fill("spread", \.spread)
    for (index, values) in try rows("null/fact_r2").enumerated() {
      sets[index].nullFactShares = Parallel.ranges(values.count, of: max(1, facts.count)).map { Array(values[$0]) }
    }
    func owners(_ group: String) throws -> [Int] {
      try reader.array("\(group)/network", as: Int32.self).map { Int($0) }
    }
    func integers(_ path: String) throws -> [Int] { try reader.array(path, as: Int64.self).map { Int($0) } }
    let (unit, ofLayer) = (try reader.array("key/unit", as: Int32.self), try reader.array("key/layer", as: Int32.self))
    for (index, owner) in try owners("key").enumerated() {
      sets[owner].keys[layers.firstIndex(of: Int(ofLayer[index])) ?? 0].append(unit[index])
    }
    do {
      let (fact, value) = (try reader.strings("rules/fact"), try reader.strings("rules/value"))
      let weight = try numbers("rules/weight")
      for (i, owner) in try owners("rules").enumerated() {
        sets[owner].rules.append(SetDescription.Rule(fact: fact[i], value: value[i], weight: weight[i]))
      }
    }
    do {
      let quarter = try reader.array("context/quarter", as: Int32.self)
      let (course, token) = (try numbers("context/course"), try integers("context/token"))
      let (start, end) = (try integers("context/start"), try integers("context/end"))
      let before = try reader.strings("context/before")
      let (text, after) = (try reader.strings("context/text"), try reader.strings("context/after"))
      for (i, owner) in try owners("context").enumerated() {
        sets[owner].contexts.append(
          SetDescription.Context(
            quarter: Int(quarter[i]), course: course[i], token: token[i], bytes: start[i] < 0 ? nil : start[i]..<end[i],
            before: before[i], text: text[i], after: after[i]))
      }
    }
    do {
      let (fact, value) = (try reader.strings("enrichment/fact"), try reader.strings("enrichment/value"))
      let (delta, z, q) = (
        try numbers("enrichment/delta"), try numbers("enrichment/z"), try numbers("enrichment/q")
      )
      let (inside, all) = (try integers("enrichment/inside"), try integers("enrichment/all"))
      for (i, owner) in try owners("enrichment").enumerated() {
        sets[owner].enriched.append(
          SetDescription.Enriched(
            fact: fact[i], value: value[i], delta: delta[i], z: z[i], q: q[i], inside: inside[i], all: all[i]))
      }
    }
    self.sets = sets
  }
}
