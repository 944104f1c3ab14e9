import Numerics

/// Queries or keys that are normed before they are rotated: each head by itself, or all heads as one vector.
///
///     q ← w ∘ q / √(Σ q² / n + ε)
///
/// with n the width in the unpruned model. A kernel that divides by the width m that is left computes the same with
/// w √(n/m) and ε n/m.
struct NormedPart: Sendable {
  let role: LinearRole
  /// Where they stand in what the input maps make.
  let columns: Range<Int>
  private let weight: [Float]
  private let epsilon: Float

  init(_ branch: Branch, _ role: LinearRole, layer: Int) {
    let configuration = branch.configuration
    let weight = branch.outputNorms[role] ?? []
    let isWhole = configuration.family.queryKeyNorm == .acrossHeads
    let width = isWhole ? configuration.size(role.rows, layer: layer) : configuration.headSize
    let ratio = Float(width) / Float(max(weight.count, 1))
    self.role = role
    columns = branch.rows(of: role)
    self.weight = ratio == 1 ? weight : weight.map { $0 * ratio.squareRoot() }
    epsilon = configuration.epsilon * ratio
  }

  func normalize(_ raw: Matrix<Float>, into target: Matrix<Float>) {
    normalizeSegments(raw, weight, epsilon, into: target)
  }

  /// The derivative by what enters the norm, from that by what leaves it.
  ///
  /// - Parameter result: overwritten.
  func gradient(_ raw: Matrix<Float>, _ gradient: Matrix<Float>, into result: Matrix<Float>) {
    segmentGradient(raw, weight, epsilon, gradient, into: result)
  }
}
