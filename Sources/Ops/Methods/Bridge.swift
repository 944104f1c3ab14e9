import Numerics

// Neighbouring blocks that were removed, and one linear map in their place: the closed form of what LLM-Streamline
// (Chen et al. 2025) trains a layer for.
//
//     x^{l+n} ≈ x^l + A f + c        f = norm_l(x^l)
//
// A normed f keeps a few tokens of huge norm from deciding everything.

/// The map that stands for what some blocks added to the residual stream.
package struct LinearBridge: Sendable {
  /// d×d.
  package var A: Matrix<Double>
  package var c: [Double]
}

/// A = Yᵀ F (FᵀF + λI)⁻¹ on centred F and Y, λ = ridge · mean(diag FᵀF), and c = ȳ − A f̄: the least squares of Y = F Aᵀ + c.
///
/// - Parameters:
///   - F: tokens×d, what the map reads.
///   - change: tokens×d, Y = x^{l+n} − x^l.
package func linearBridge(from F: Matrix<Float>, to change: Matrix<Float>, ridge: Double = 1e-4) throws -> LinearBridge
{
  precondition(F.shape == change.shape, "a map from \(F.shape) to \(change.shape)")
  let (d, T) = (F.columns, F.rows)
  let gram = Matrix<Double>(rows: d, columns: d)
  let cross = Matrix<Double>(rows: d, columns: d)
  for rows in Parallel.ranges(T, of: 1024) {
    accumulateGram(F.rows(rows), into: gram)
    accumulateProduct(change.rows(rows), F.rows(rows), into: cross)
  }
  let (f, y) = (columnMeans(F), columnMeans(change))
  for i in 0..<d {
    for j in 0..<d {
      gram[i, j] -= Double(T) * f[i] * f[j]
      cross[i, j] -= Double(T) * y[i] * f[j]
    }
  }
  let H = try curvature(of: gram, damping: ridge)
  let A = cross * H.inverse
  let shift = (A * Matrix(rows: d, columns: 1, values: f)).values
  return LinearBridge(A: A, c: zip(y, shift).map(-))
}

private func columnMeans(_ X: Matrix<Float>) -> [Double] {
  var moments = Moments(columns: X.columns)
  moments.add(X)
  return moments.mean
}
