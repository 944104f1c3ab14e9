import Numerics

/// How the networks' values at a neuron become its score.
package enum KeyNeuronRule: Sendable, Equatable {
  /// M_j = max |z|: pruning M_j ≤ θ is the same as the papers' OR over masks |z| > θ.
  case maximum
  /// Σ z², which no rotation changes: N times the leverage of the principal components, whatever ICA found.
  case sumOfSquares
  /// How many networks have |z| > θ.
  case count(above: Double)
}

/// One score per neuron from networks over `halves` signals of each neuron side by side (gate and up: 2).
///
/// - Parameter z: k×N, N = halves · n.
/// - Returns: n scores.
package func keyNeuronScores(_ z: Matrix<Double>, halves: Int, _ rule: KeyNeuronRule = .maximum) -> [Double] {
  precondition(halves >= 1 && z.columns % halves == 0, "\(z.columns) signals in \(halves) halves")
  let n = z.columns / halves
  var scores = [Double](repeating: 0, count: n)
  for i in 0..<z.rows {
    let row = z.row(i)
    for (place, value) in row.enumerated() {
      let j = place % n
      switch rule {
      case .maximum: scores[j] = max(scores[j], abs(value))
      case .sumOfSquares: scores[j] += value * value
      case .count(let threshold): if abs(value) > threshold { scores[j] += 1 }
      }
    }
  }
  return scores
}
