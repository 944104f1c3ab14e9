import Numerics
import Ranks

/// What the backward pass shows of one batch in one block, at the input of the down projection.
/// The matrices are only valid during the call that receives them.
public struct GradientTap {
  /// Where the derivative is taken.
  static let site = Site.activation

  public let layer: Int
  /// Rows of the whole set of sequences.
  public let rows: Range<Int>
  /// h: one row per token, one column per neuron of the unpruned model; what was pruned is 0.
  public let h: Matrix<Float>
  /// ∂L/∂h, where L is the mean loss over the targets of the token's own sequence. Rows of last tokens are 0.
  public let gradient: Matrix<Float>
}

extension LanguageModel {
  /// Runs sequences forward and back, and shows h and ∂L/∂h of every block, last block first in each batch.
  ///
  /// Only derivatives by activations are computed, none by weights. Batches are whole sequences of about 1024 tokens. Of
  /// each batch the blocks' inputs are kept, and of each block what its derivative needs, or else it is computed again.
  ///
  /// Several ranks share the batches by turns. What is summed of a batch goes to all of them, and they add it in order.
  ///
  /// - Parameters:
  ///   - lowest: no block below this one is shown, and the backward pass stops there.
  ///   - memory: bytes that kept weights and kept activations may take, each.
  ///   - ranks: those that divide the batches among them.
  ///   - tap: shown what this rank's batches show.
  ///   - sums: what was made of the batch just shown, with these rows; it is forgotten then.
  ///   - add: takes in the sums of every batch in order.
  ///   - pulse: called between chunks of work with the number of tokens done; throw from it to stop.
  /// - Returns: the loss of every token, as `losses`.
  @discardableResult
  public func gradients(
    _ sequences: Sequences, lowest: Int = 0, memory: Int = 1 << 30, ranks: any Communicator = OneRank(),
    tap: (GradientTap) throws -> Void, sums: (Range<Int>) throws -> [Double] = { _ in [] },
    add: (Range<Int>, ArraySlice<Double>) throws -> Void = { _, _ in }, pulse: (Int) throws -> Void = { _ in }
  ) throws -> [Double] {
    let walk = try BackwardWalk(self, sequences, lowest: lowest, memory: memory)
    let batches = sequences.batches().map { Batch(sequences, $0) }
    var losses: [Double] = []
    try ranks.forEach(batches.count) { index in
      let batch = batches[index]
      return try withoutActuallyEscaping({ try pulse(batch.rows.lowerBound) }) { pulse in
        try walk.batch(batch, tap: tap, pulse: pulse) + sums(batch.rows)
      }
    } take: { index, numbers in
      let rows = batches[index].rows
      losses += numbers.prefix(rows.count)
      try add(rows, numbers.dropFirst(rows.count))
    }
    try pulse(sequences.tokens.count)
    return losses
  }

  /// Runs sequences forward and back batch by batch, and shows what the derivatives by weights are made of: for sums over
  /// tokens. Every branch that has units is shown once in each batch, last block first.
  ///
  /// - Parameters: as of `gradients`.
  /// - Returns: the loss of every token, as `losses`. Derivatives are of Σ over sequences of their mean loss.
  @discardableResult
  public func batchedBranchGradients(
    _ sequences: Sequences, memory: Int = 1 << 30, look: (BranchGradient) throws -> Void,
    pulse: (Int) throws -> Void = { _ in }
  ) throws -> [Double] {
    let walk = try BackwardWalk(self, sequences, lowest: 0, memory: memory)
    var losses: [Double] = []
    for range in sequences.batches() {
      let batch = Batch(sequences, range)
      losses += try withoutActuallyEscaping(look) { look in
        try withoutActuallyEscaping({ try pulse(batch.rows.lowerBound) }) { pulse in
          try walk.batch(batch, look: look, pulse: pulse)
        }
      }
    }
    try pulse(sequences.tokens.count)
    return losses
  }
}

/// Forward and back over batches of the same sequences, with memory used again from batch to batch.
final class BackwardWalk {
  let model: LanguageModel
  let sequences: Sequences
  let lowest: Int
  let memory: Int
  let head: Head
  let rotation: RotationTables?
  private let blocks: Blocks
  private let scratch = Scratch()
  private var kept: [Scratch] = []

  init(_ model: LanguageModel, _ sequences: Sequences, lowest: Int, memory: Int) throws {
    precondition(sequences.parents.allSatisfy { $0 == nil }, "the backward pass is of sequences that share nothing")
    try sequences.check(model.configuration)
    self.model = model
    self.sequences = sequences
    self.lowest = lowest
    self.memory = memory
    rotation = RotationTables(model.configuration, positions: 0..<sequences.longest)
    (head, blocks) = try model.weights(staying: memory)
  }

  /// - Parameters:
  ///   - tap: shown h of every block, and the derivative by it.
  ///   - look: shown every branch; the branches of the lowest block are then gone back through like the others.
  func batch(
    _ batch: Batch, tap: (GradientTap) throws -> Void = { _ in }, look: ((BranchGradient) throws -> Void)? = nil,
    pulse: @escaping () throws -> Void
  ) throws -> [Double] {
    let (tokens, d) = (batch.rows.count, model.configuration.hiddenSize)
    let keepsAll = keepsAllTraces(tokens)
    if kept.isEmpty { kept = (0..<(keepsAll ? model.layers : 1)).map { _ in Scratch() } }
    func pass(_ block: Block) -> BlockPass {
      BlockPass(block, batch, rotation, scratch, kept: kept[keepsAll ? block.layer : 0], pulse: pulse)
    }

    // Forward, keeping the input of every block.
    let states = Matrix<Float>(rows: tokens, columns: d)
    try model.embed(sequences.tokens[batch.rows], positions: batch.positions, into: states)
    var inputs: [Matrix<Float>] = []
    var traces: [PerModule<BranchTrace>] = []
    for layer in 0..<model.layers {
      inputs.append(states.copy())
      let pass = pass(try blocks[layer])
      let trace = try pass.trace(inputs[layer])
      if keepsAll { traces.append(trace) }
      states.assign(trace.ffn.input)
      try pass.add(trace.ffn.mixed, pass.block[.ffn], to: states)
    }

    // Back. `gradient` is ∂L by what leaves the branch, and after the branch's turn by what enters it.
    let gradient = Matrix<Float>(rows: tokens, columns: d)
    let losses = try head.gradient(
      states, targets: Array(sequences.targets[batch.rows]), weights: Self.targetWeights(batch), into: gradient,
      pulse: pulse)
    for layer in (lowest..<model.layers).reversed() {
      let pass = pass(try blocks[layer])
      let trace = try keepsAll ? traces[layer] : pass.trace(inputs[layer])
      for module in Module.allCases.reversed() {
        let branch = pass.block[module]
        let derivative = try pass.mixedGradient(gradient, trace[module], branch)
        if module.site == GradientTap.site {
          let space = module.output.columns
          try tap(
            GradientTap(
              layer: layer, rows: batch.rows, h: pass.scattered(trace[module].mixed, branch, space, .scattered),
              gradient: pass.scattered(derivative, branch, space, .scatteredGradient)))
          if layer == lowest, look == nil { break }
        }
        try pass.goBack(trace[module], branch, derivative, through: gradient, look: look)
      }
    }
    return losses
  }

  /// What a trace of every block takes for one batch: the residual stream and both ends of every mix.
  private func keepsAllTraces(_ tokens: Int) -> Bool {
    if !kept.isEmpty { return kept.count == model.layers }
    let longest = max(1024, tokens, sequences.longest)
    let configuration = model.configuration
    let numbers = (0..<model.layers).reduce(0) { sum, layer in
      configuration.roles.reduce(sum + configuration.hiddenSize) {
        let space = $1 == $1.module.output ? $1.columns : $1.rows
        return $0 + configuration.size(space, layer: layer)
      }
    }
    return numbers * longest * MemoryLayout<Float>.stride <= memory
  }

  /// 1 / (number of targets of the token's sequence).
  private static func targetWeights(_ batch: Batch) -> [Float] {
    batch.spans.flatMap { Array(repeating: 1 / Float(max($0.queries.count - 1, 1)), count: $0.queries.count) }
  }
}
