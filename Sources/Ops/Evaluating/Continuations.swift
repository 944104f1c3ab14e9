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
/// Inputs that are equal run once, also when they only predict different last tokens (`Answer:` and A, B, C, D). They run
/// in order of length, in stretches that depend on the pairs alone, so that the bits do not depend on threads or on where
/// an interrupted run is taken up. No continuation is empty, and none is longer than `length`.
///
/// - Parameter length: the most tokens the model is shown.
/// - Throws: what the model throws of tokens it cannot take.
func continuationLogLikelihoods(
  _ model: LanguageModel, _ pairs: [ContinuationPair], length: Int, _ context: any RunContext
) throws -> [Double] {
  let work = ContinuationWork(pairs, length: length)
  let saved = try context.checkpoints(of: "stretch", count: work.stretches.count) {
    try $0.array("log_likelihood", as: Double.self)
  }
  if !saved.isEmpty {
    context.resumed(at: saved.keys.reduce(0) { $0 + work.stretches[$1].count }, of: work.inputs.count, "sequence")
  }
  var found = [Double](repeating: 0, count: pairs.count)
  for (index, stretch) in work.stretches.enumerated() {
    let members = stretch.flatMap { work.members[$0] }
    let values = try saved[index] ?? work.logLikelihoods(of: stretch, model, context)
    if saved[index] == nil {
      try context.checkpoint("stretch-\(index)") { try $0.vector("log_likelihood", values, axis: "pair") }
    }
    for (member, value) in zip(members, values) { found[member] = value }
  }
  return found
}

/// Pairs sorted into the inputs they share.
private struct ContinuationWork {
  /// Tokens that walk through the model together.
  static let stretchTokens = 16_384

  let pairs: [ContinuationPair]
  let length: Int
  /// Different inputs in order of length.
  let inputs: [[Int32]]
  /// The pairs of each input.
  let members: [[Int]]
  /// Inputs that run together.
  let stretches: [Range<Int>]

  init(_ pairs: [ContinuationPair], length: Int) {
    self.pairs = pairs
    self.length = length
    var places: [ArraySlice<Int32>: Int] = [:]
    var found: [(input: ArraySlice<Int32>, members: [Int])] = []
    for (index, pair) in pairs.enumerated() {
      let input = pair.input(length: length)
      if let place = places[input] {
        found[place].members.append(index)
      } else {
        places[input] = found.count
        found.append((input, [index]))
      }
    }
    let order = found.indices.sorted { (found[$0].input.count, $0) < (found[$1].input.count, $1) }
    inputs = order.map { Array(found[$0].input) }
    members = order.map { found[$0].members }
    var stretches: [Range<Int>] = []
    var (start, tokens) = (0, 0)
    for (index, input) in inputs.enumerated() {
      if tokens + input.count > Self.stretchTokens, index > start {
        stretches.append(start..<index)
        (start, tokens) = (index, 0)
      }
      tokens += input.count
    }
    if start < inputs.count { stretches.append(start..<inputs.count) }
    self.stretches = stretches
  }

  /// One number for each member of each input of a stretch, in that order.
  func logLikelihoods(of stretch: Range<Int>, _ model: LanguageModel, _ context: any RunContext) throws -> [Double] {
    let sequences = Sequences(inputs[stretch].map { $0 })
    let walk = try Walk(model, sequences, spillAbove: context.memoryLimit / 2, in: context.scratch)
    func pulse() throws {
      let share = stretch.count * walk.layer / (model.layers + 1)
      try context.progress(stretch.lowerBound + share, of: inputs.count, "sequence")
    }
    try walk.embed()
    while walk.layer < model.layers { try walk.step(pulse: { _ in try pulse() }) }
    var rows: [Int] = []
    var targets: [Int32] = []
    var counts: [Int] = []
    for (place, index) in stretch.enumerated() {
      for member in members[index] {
        let continuation = pairs[member].continuation
        let end = sequences[place].upperBound
        rows += (end - continuation.count)..<end
        targets += continuation
        counts.append(continuation.count)
      }
    }
    var losses = try model.losses(states: walk.states, rows: rows, targets: targets, pulse: pulse)[...]
    return counts.map { count in
      defer { losses = losses.dropFirst(count) }
      return -losses.prefix(count).reduce(0, +)
    }
  }
}
