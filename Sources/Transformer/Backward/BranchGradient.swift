import Numerics

/// What the backward pass shows of one branch of a block: what its maps read, and the derivatives of the loss by what
/// they give. With them ∂L/∂W = dYᵀ X for every map. The matrices are only valid during the call that receives them.
public struct BranchGradient {
  public let layer: Int
  public let branch: Branch
  /// X of the input maps: the normalised stream, tokens × d, or what is left of it.
  public let normalized: Matrix<Float>
  /// ∂L/∂y of the input maps, before norms of their own and rotation: tokens × outputs.
  public let projectedGradient: Matrix<Float>
  /// X of the output map: all heads side by side, or h.
  public let mixed: Matrix<Float>
  /// ∂L/∂X of the output map.
  public let mixedGradient: Matrix<Float>
  /// ∂L/∂y of the output map: tokens × d.
  public let outputGradient: Matrix<Float>
  /// What the branch's norm gives, and the derivative by it: tokens × d.
  public let norm: (output: Matrix<Float>, gradient: Matrix<Float>)

  /// The norm's output without what its bias adds: the weight times this is where the weight enters.
  public var scaledNorm: Matrix<Float> {
    guard let bias = branch.norm.bias else { return norm.output }
    let scaled = norm.output.copy()
    scaled.addToRows(bias, scaledBy: -1)
    return scaled
  }

  /// X and ∂L/∂y of one linear map.
  public func signals(_ role: LinearRole) -> (input: Matrix<Float>, gradient: Matrix<Float>) {
    role == branch.module.output
      ? (mixed, outputGradient) : (normalized, projectedGradient.columns(branch.rows(of: role)))
  }
}

extension LanguageModel {
  /// Runs sequences forward and back together, and shows what the derivatives by weights are made of, last block first.
  ///
  /// Sums over tokens come before anything that is not linear in the gradient, so the sequences are not cut into batches:
  /// the inputs of all blocks for all tokens are in memory, tokens × d × blocks.
  ///
  /// - Parameters:
  ///   - memory: bytes that kept weights and kept activations may take, each, beyond that.
  ///   - look: called for each branch that has units.
  ///   - pulse: called between chunks of work; throw from it to stop.
  /// - Returns: the loss of every token, as `losses`. Derivatives are of Σ over sequences of their mean loss.
  @discardableResult
  public func branchGradients(
    _ sequences: Sequences, memory: Int = 1 << 30, look: (BranchGradient) throws -> Void,
    pulse: () throws -> Void = {}
  ) throws -> [Double] {
    let walk = try BackwardWalk(self, sequences, lowest: 0, memory: memory)
    return try withoutActuallyEscaping(pulse) { pulse in
      try withoutActuallyEscaping(look) { look in
        try walk.batch(Batch(sequences, 0..<sequences.count), look: look, pulse: pulse)
      }
    }
  }
}
