import Kernel
import Numerics
import Transformer

/// How well a model predicts a text when blocks, or halves of them, are left out, one more in each trial.
///
/// A trial differs from the others only from its block on. So all trials of some windows pass the blocks together: each
/// block is loaded once, and what stands before the block of a trial is computed once for all.
struct BlockTrials {
  let network: LanguageModel
  let sequences: Sequences
  /// The half of a block that is left out; nil: all of it.
  let half: Module?
  let context: any RunContext

  private var removed: [Module] { half.map { [$0] } ?? Module.allCases }

  /// Tokens of the windows that pass together, in every trial.
  private static let chunkTokens = 4096

  /// Bytes at the peak, with so many candidates: the streams of all trials, and what walks share, with a block and another that
  /// has half its weights, or with the head.
  static func bytes(_ network: LanguageModel, _ sequences: Sequences, candidates: Int, half: Module?) -> Int {
    let tokens = min(sequences.tokens.count, max(chunkTokens, sequences.longest))
    let configuration = network.configuration
    let other = half.map { half in
      network.blockBytes - configuration.units(half, layer: 0) * configuration.parametersPerUnit(half)
        * network.precision.bytesPerWeight
    }
    return candidates * network.statesBytes(tokens)
      + network.walkBytes(tokens: tokens, longest: sequences.longest) - network.blockBytes
      + max(network.blockBytes + (other ?? 0), network.headBytes(tokens: tokens))
  }

  /// The mean of −log p over all targets, in nats, without each candidate.
  ///
  /// - Parameters:
  ///   - candidates: ascending.
  ///   - gone: blocks that are left out in every trial; how many there are names what is saved on the way.
  func losses(of candidates: [Int], without gone: [Int] = []) throws -> [Double] {
    let chunks = sequences.batches(tokens: Self.chunkTokens)
    let name = "without-\(gone.count)"
    let saved = try context.checkpoints(of: name, count: chunks.count) { try $0.array("loss", as: Double.self) }
    if !saved.isEmpty { context.resumed(at: saved.count, of: chunks.count, "chunk") }
    var sums = [Double](repeating: 0, count: candidates.count)
    for (index, chunk) in chunks.enumerated() {
      let found = try saved[index] ?? losses(of: candidates, without: Set(gone), in: sequences[chunk])
      if saved[index] == nil {
        try context.checkpoint("\(name)-\(index)") { try $0.vector("loss", found, axis: "candidate") }
      }
      sums = zip(sums, found).map(+)
    }
    let targets = sequences.targets.count { $0 >= 0 }
    return sums.map { $0 / Double(max(1, targets)) }
  }

  /// Sums over the targets of some windows.
  private func losses(of candidates: [Int], without gone: Set<Int>, in part: Sequences) throws -> [Double] {
    let limit = context.memoryLimit / 2 / (candidates.count + 1)
    let common = try Walk(network, part, spillAbove: limit, in: context.scratch, ranks: context.ranks)
    try common.embed()
    var trials: [Walk] = []
    for layer in 0..<network.layers {
      try context.progress(gone.count * network.layers + layer, of: (gone.count + 1) * network.layers, "block")
      func step(_ walk: Walk, _ block: Block) throws {
        try walk.step(block, pulse: { _ in try context.checkCancelled() })
      }
      let block = try network.loadBlock(layer, without: gone.contains(layer) ? removed : [])
      for trial in trials { try step(trial, block) }
      if candidates.contains(layer) {
        let trial = try common.branched(spillAbove: limit, in: context.scratch)
        try step(trial, network.loadBlock(layer, without: removed))
        trials.append(trial)
      }
      if let last = candidates.last, layer < last { try step(common, block) }
    }
    return try zip(candidates, trials).map { candidate, trial in
      let losses = try network.losses(
        states: trial.states, part, ranks: context.ranks, pulse: { try context.checkCancelled() })
      guard losses.allSatisfy(\.isFinite) else {
        let what = half.map { "the \($0.rawValue) of " } ?? ""
        throw Diagnostic("without \(what)block \(candidate) the model gives a token a probability that is no number")
      }
      return losses.reduce(0, +)
    }
  }
}
