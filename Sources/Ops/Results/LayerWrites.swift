import Kernel
import Numerics

/// What the networks of a layer, or of layers analysed together, write into the residual stream; also of groups.
public struct LayerWrites: Artifact {
  public static let type = ArtifactType("descriptions.writes")

  public let layers: [Int]
  /// One per network, in the order of their descriptions.
  let sets: [SetWrites]

  public var summary: String {
    "\(LayerNetworks.title(layers)), what \(counted(sets.count, "set")) \(sets.count == 1 ? "writes" : "write")"
  }
}

/// What a network writes at its events, beyond what it writes elsewhere.
struct SetWrites: Sendable {
  /// What it adds to the residual stream: as wide as the stream.
  var stream: [Float] = []
  /// Of each of its units.
  var energies: [UnitEnergy] = []
  /// What that adds to the logit of each word through the head alone, less the mean over all words, in nats.
  var logits: [Float] = []
  /// Words it makes likelier, the most first, and then as many that it makes less likely, the most first.
  var words: [Word] = []
  /// The largest size of these logits, and that of random sets of as much energy at the same events.
  var largest = Double.nan
  var null: [Double] = []
  /// Correlation over all words of what the head alone tells with what taking the set out changes.
  var fidelity = Double.nan
  /// Events at which it was taken out.
  var checked = 0

  struct Word: Sendable, Equatable {
    var token = 0
    var text = ""
    /// In nats.
    var effect = 0.0
  }

  struct UnitEnergy: Sendable {
    var layer = 0
    var unit = 0
    /// E[h²] ‖W‖²: what it puts into the stream over the whole text.
    var energy = 0.0
  }

  /// Below it most of what a set does goes through later layers or the final norm.
  static let directFidelity = 0.5

  /// Of random sets: the median, and what 95 % stay below.
  var randomLargest: Double { median(null.filter { !$0.isNaN }) }
  var randomLimit: Double { quantile(null.filter { !$0.isNaN }, 0.95) }

  /// How much of what taking it out changes the head alone tells.
  var verdict: String {
    guard !fidelity.isNaN else { return "not checked by taking it out" }
    let number = formatted((fidelity * 1000).rounded() / 1000)
    return "fidelity \(number)"
      + (fidelity < SetWrites.directFidelity ? ", indirect: later layers or the final norm do most of it" : "")
  }

  /// "“ 10” “ 5”": words that become likelier, or less likely.
  func spelled(likelier: Bool, _ count: Int = 10) -> String {
    words.filter { ($0.effect > 0) == likelier }.prefix(count).map { "“\($0.text)”" }.joined(separator: " ")
  }
}

extension LayerWrites {
  public func write(to writer: any ArtifactWriter) throws {
    try writer.scale("layer", layers.map(Int64.init), meaning: "layer of the model")
    func rows(_ name: String, _ axis: String, _ meaning: String, _ units: String?, _ values: (SetWrites) -> [Float])
      throws
    {
      try writer.array(
        name, sets.flatMap(values), shape: [sets.count, sets.first.map(values)?.count ?? 0], axes: ["network", axis],
        meaning: meaning, units: units)
    }
    try rows("stream", "feature", "what it adds to the residual stream at events, less elsewhere", nil, \.stream)
    try rows(
      "logits", "word", "what that adds to the logits through the head alone, less the mean over words", "nat", \.logits
    )
    try writer.columns(SetWrites.columns, of: sets, axis: "network")
    let words = sets.enumerated().flatMap { index, set in set.words.map { (Int32(index), $0) } }
    try writer.vector("words/network", words.map(\.0), axis: "entry", meaning: "network of the entry")
    try writer.columns(SetWrites.Word.columns, of: words.map(\.1), axis: "entry", in: "words/")
    let energies = sets.enumerated().flatMap { index, set in set.energies.map { (Int32(index), $0) } }
    try writer.vector("unit/network", energies.map(\.0), axis: "member", meaning: "network of the entry")
    try writer.columns(SetWrites.UnitEnergy.columns, of: energies.map(\.1), axis: "member", in: "unit/")
    try writer.preview(
      title: "largest change of a logit, \(LayerNetworks.title(layers))",
      values: sets.prefix(4096).map { Float($0.largest) }, axis: "network")
  }

  public init(from reader: any ArtifactReader) throws {
    layers = try reader.array("layer", as: Int64.self).map { Int($0) }
    let count = try reader.shape("fidelity")[0]
    var sets = Array(repeating: SetWrites(), count: count)
    try reader.fill(&sets, SetWrites.columns)
    let (stream, logits) = (try reader.array("stream", as: Float.self), try reader.array("logits", as: Float.self))
    let (d, words) = (stream.count / max(1, count), logits.count / max(1, count))
    for i in sets.indices {
      sets[i].stream = Array(stream[(i * d)..<((i + 1) * d)])
      sets[i].logits = Array(logits[(i * words)..<((i + 1) * words)])
    }
    let owners = try reader.array("words/network", as: Int32.self)
    var entries = Array(repeating: SetWrites.Word(), count: owners.count)
    try reader.fill(&entries, SetWrites.Word.columns, in: "words/")
    for (owner, entry) in zip(owners, entries) { sets[Int(owner)].words.append(entry) }
    let members = try reader.array("unit/network", as: Int32.self)
    var energies = Array(repeating: SetWrites.UnitEnergy(), count: members.count)
    try reader.fill(&energies, SetWrites.UnitEnergy.columns, in: "unit/")
    for (owner, energy) in zip(members, energies) { sets[Int(owner)].energies.append(energy) }
    self.sets = sets
  }
}

extension SetWrites {
  fileprivate static let columns: [Column<SetWrites>] = [
    .number("largest", \.largest, "largest size of a change of a logit, in nats"),
    .list("null/largest", \.null, per: "draw", "the same of random sets of as much energy"),
    .number("fidelity", \.fidelity, "correlation over words with what taking the set out changes"),
    .whole("checked", as: Int32.self, \.checked, "events at which it was taken out"),
  ]
}

extension SetWrites.Word {
  fileprivate static let columns: [Column<Self>] = [
    .whole("token", as: Int32.self, \.token, "word of the vocabulary"), .text("text", \.text),
    .number("effect", \.effect, "change of its logit, in nats"),
  ]
}

extension SetWrites.UnitEnergy {
  fileprivate static let columns: [Column<Self>] = [
    .whole("layer", as: Int32.self, \.layer, "layer of the unit"), .whole("unit", as: Int32.self, \.unit, "unit"),
    .number("energy", \.energy, "mean of h^2 |W|^2 over the text"),
  ]
}
