import Kernel
import Numerics
import Transformer

/// Lesions and a text, cut so that what goes through the model at once fits into memory.
struct LesionRounds {
  let network: LanguageModel
  let sets: [LesionSet]
  let sequences: Sequences
  /// By layer and module, means that stand in place of what is taken out; nil for zeros.
  let means: [PerModule<[Double]>]?
  let context: any RunContext

  /// Some lesions over a stretch of the text.
  struct Round {
    /// The same for the same round of the same lesions.
    let name: String
    /// Places among the lesions.
    let lesions: [Int]
    let part: Sequences
    /// Row of the part's first token in the whole text, and the part's share of all tokens.
    let base: Int
    let share: Double
  }

  /// However much memory there is.
  static let mostTogether = 256

  /// Lesions that go through the model together.
  /// - Parameter states: bytes of the residual stream of one of them.
  private static func together(states: Int, within limit: Int) -> Int {
    max(1, min(mostTogether, limit / 2 / max(1, states) - 2))
  }

  /// Bytes at the peak of a round.
  static func memory(_ lesions: Int, _ network: LanguageModel, _ text: Sequences, within limit: Int) -> Int {
    let longest = text.longest
    let tokens = min(text.tokens.count, max(WindowProtocol.chunkTokens, longest))
    let states = network.statesBytes(tokens)
    let widest = network.configuration.mostUnits(.ffn)
    // The dense walk and the copies, h of the module they leave at with what one of them takes out of it, and the module's
    // weights without it.
    let copies = min(lesions, together(states: states, within: limit)) + 2
    return network.walkBytes(tokens: tokens, longest: longest) + copies * states + 4 * tokens * widest
      + network.blockBytes / 2
  }

  /// Stretch after stretch, and in each late layers first: their lesions cross the fewest blocks.
  var rounds: [Round] {
    let chunks = Parallel.ranges(
      sequences.count, of: max(1, WindowProtocol.chunkTokens / max(1, sequences.longest)))
    let order = sets.indices.sorted {
      (-(sets[$0].pieces.first?.layer ?? 0), $0) < (-(sets[$1].pieces.first?.layer ?? 0), $1)
    }
    let tokens = chunks.map { sequences.offsets[$0.upperBound] - sequences.offsets[$0.lowerBound] }
    let perGroup = LesionRounds.together(states: network.statesBytes(tokens.max() ?? 1), within: context.memoryLimit)
    let groups = Parallel.ranges(order.count, of: perGroup).map { Array(order[$0]) }
    return chunks.enumerated().flatMap { c, chunk in
      groups.enumerated().map { g, group in
        Round(
          name: "lesions-\(c)-\(g)-\(group.count)", lesions: group, part: sequences[chunk],
          base: sequences.offsets[chunk.lowerBound],
          share: Double(tokens[c]) / Double(max(1, sequences.tokens.count)))
      }
    }
  }

  /// How many times a lesion goes through the model.
  var passes: Int { rounds.reduce(0) { $0 + $1.lesions.count } }

  /// - Parameters:
  ///   - energies: gets a lesion's place and the mean of ‖W_S h_S‖² over the part's tokens.
  ///   - finish: gets a lesion's place and the states that leave its last block.
  func run(
    _ round: Round, energies: (Int, Double) throws -> Void = { _, _ in }, pulse: () throws -> Void,
    finish: (Int, Matrix<Float>) throws -> Void
  ) throws {
    let lesions = round.lesions
    try LesionWalk(network: network, means: means, context: context).run(
      lesions.map { sets[$0] }, on: round.part, energies: { try energies(lesions[$0], $1) }, pulse: pulse,
      finish: { try finish(lesions[$0], $1) })
  }
}
