import Numerics

/// Which network of one set is which of another.
package struct NetworkMatch: Sendable, Equatable {
  /// For every network of the smaller set, its partner in the larger.
  package var partner: [Int]
  /// |correlation| of each pair.
  package var similarity: [Double]
}

/// The one-to-one pairing of largest total |correlation| (optimal, not greedy).
///
/// - Parameters: k×N and k′×N networks, k ≤ k′.
package func matchNetworks(_ a: Matrix<Double>, _ b: Matrix<Double>) -> NetworkMatch {
  precondition(a.columns == b.columns && a.rows <= b.rows, "matching \(a.shape) with \(b.shape)")
  let C = correlated(a) * correlated(b).T
  let S = Matrix(rows: a.rows, columns: b.rows, values: C.values.map { abs($0) })
  let partner = bestPairing(S)
  return NetworkMatch(partner: partner, similarity: partner.enumerated().map { S[$0.offset, $0.element] })
}

/// Rows with mean 0 and norm 1.
private func correlated(_ z: Matrix<Double>) -> Matrix<Double> {
  let result = z.copy()
  for i in 0..<z.rows {
    let row = z.row(i)
    let center = mean(row)
    let norm = row.reduce(0) { $0 + ($1 - center) * ($1 - center) }.squareRoot()
    let values = row.map { norm > 0 ? ($0 - center) / norm : 0 }
    result.rows(i..<(i + 1)).assign(Matrix(rows: 1, columns: z.columns, values: values))
  }
  return result
}
