import Kernel
import Numerics
import Transformer

/// Tokens and what should follow them: a prompt and a choice, or one token and a window of a page.
struct ContinuationPair: Hashable, Sendable {
  let context: [Int32]
  let continuation: [Int32]

  /// What goes into a model that takes `length` tokens: cut on the left, without the last token, which is only predicted.
  func input(length: Int) -> ArraySlice<Int32> { (context + continuation).suffix(length + 1).dropLast() }
}

/// The log-likelihood of each continuation after its context, in nats.
///
/// Equal pairs have one number, so that equal choices of an item tie. Inputs that are equal run once, also when they only
/// predict different last tokens (`Answer:` and A, B, C, D). Inputs that begin alike, as the choices of an item do, run
/// together, and what they share runs once. Families of such inputs run in order of size, in stretches that depend on the
/// pairs alone, so that the bits do not depend on threads or on where an interrupted run is taken up. No continuation is
/// empty, and none is longer than `length`.
///
/// - Parameter length: the most tokens the model is shown.
/// - Throws: what the model throws of tokens it cannot take.
func continuationLogLikelihoods(
  _ model: LanguageModel, _ pairs: [ContinuationPair], length: Int, _ context: any RunContext
) throws -> [Double] {
  let different = pairs.uniqued
  let work = ContinuationWork(different, length: length)
  let saved = try context.checkpoints(of: "stretch", count: work.stretches.count) {
    try $0.array("log_likelihood", as: Double.self)
  }
  if !saved.isEmpty {
    context.resumed(
      at: saved.keys.reduce(0) { $0 + work.inputs(of: work.stretches[$1]).count }, of: work.inputs.count, "sequence")
  }
  var found: [ContinuationPair: Double] = [:]
  for (index, stretch) in work.stretches.enumerated() {
    let members = work.inputs(of: stretch).flatMap { work.members[$0] }
    let values = try saved[index] ?? work.logLikelihoods(of: stretch, model, context)
    if saved[index] == nil {
      try context.checkpoint("stretch-\(index)") { try $0.vector("log_likelihood", values, axis: "pair") }
    }
    for (member, value) in zip(members, values) { found[different[member]] = value }
  }
  return pairs.compactMap { found[$0] }
}

/// Pairs sorted into the inputs they share, and those into families.
private struct ContinuationWork {
  /// Tokens that walk through the model together.
  static let stretchTokens = 16_384

  let pairs: [ContinuationPair]
  /// Different inputs, sorted token by token.
  let inputs: [[Int32]]
  /// The pairs of each input.
  let members: [[Int]]
  /// In order of size.
  let families: [PrefixFamily]
  /// Families that run together.
  let stretches: [Range<Int>]

  init(_ pairs: [ContinuationPair], length: Int) {
    self.pairs = pairs
    let sorted = Dictionary(grouping: pairs.indices) { pairs[$0].input(length: length) }
      .sorted { $0.key.lexicographicallyPrecedes($1.key) }
    inputs = sorted.map { Array($0.key) }
    members = sorted.map(\.value)
    families = PrefixFamily.fewestTokens(inputs).sorted {
      ($0.tokens, $0.inputs.lowerBound) < ($1.tokens, $1.inputs.lowerBound)
    }
    var stretches: [Range<Int>] = []
    var (start, tokens) = (0, 0)
    for (index, family) in families.enumerated() {
      if tokens + family.tokens > Self.stretchTokens, index > start {
        stretches.append(start..<index)
        (start, tokens) = (index, 0)
      }
      tokens += family.tokens
    }
    if start < families.count { stretches.append(start..<families.count) }
    self.stretches = stretches
  }

  /// The inputs of some families, in the order in which they run.
  func inputs(of stretch: Range<Int>) -> [Int] { stretch.flatMap { families[$0].inputs } }

  /// One number for each member of each input of a stretch, in that order.
  func logLikelihoods(of stretch: Range<Int>, _ model: LanguageModel, _ context: any RunContext) throws -> [Double] {
    var parts: [[Int32]] = []
    var parents: [Int?] = []
    /// What each input is put together from.
    var places: [(shared: Int?, own: Int)] = []
    for family in families[stretch] {
      let shared = family.shared > 0 ? parts.count : nil
      if shared != nil {
        parts.append(Array(inputs[family.inputs.lowerBound].prefix(family.shared)))
        parents.append(nil)
      }
      for index in family.inputs {
        places.append((shared, parts.count))
        parts.append(Array(inputs[index].dropFirst(family.shared)))
        parents.append(shared)
      }
    }
    let sequences = Sequences(parts, after: parents)
    let walk = try Walk(
      model, sequences, spillAbove: context.memoryLimit / 2, in: context.scratch, ranks: context.ranks)
    let order = inputs(of: stretch)
    let done = stretches.prefix { $0.lowerBound < stretch.lowerBound }.reduce(0) { $0 + inputs(of: $1).count }
    func pulse() throws {
      let share = order.count * walk.layer / (model.layers + 1)
      try context.progress(done + share, of: inputs.count, "sequence")
    }
    try walk.embed()
    while walk.layer < model.layers { try walk.step(pulse: { _ in try pulse() }) }
    var rows: [Int] = []
    var targets: [Int32] = []
    var counts: [Int] = []
    for (index, place) in zip(order, places) {
      let all = (place.shared.map { Array(sequences[$0]) } ?? []) + sequences[place.own]
      for member in members[index] {
        let continuation = pairs[member].continuation
        rows += all.suffix(continuation.count)
        targets += continuation
        counts.append(continuation.count)
      }
    }
    var losses = try model.losses(
      states: walk.states, rows: rows, targets: targets, ranks: context.ranks, pulse: pulse)[...]
    return counts.map { count in
      defer { losses = losses.dropFirst(count) }
      return -losses.prefix(count).reduce(0, +)
    }
  }
}
