import Numerics

/// The directions in which rows of numbers vary most.
package struct PrincipalComponents: Sendable {
  /// p means.
  package var mean: [Double]
  /// p×q, one orthonormal direction per column, largest variance first; the largest entry of each is positive.
  package var axes: Matrix<Double>
  /// q variances (ddof 1).
  package var variances: [Double]
  /// Of all p directions together.
  package var totalVariance: Double

  /// Share of the variance that each direction explains.
  package var explained: [Double] { variances.map { totalVariance > 0 ? $0 / totalVariance : 0 } }

  /// Coordinates along the axes: (X − mean) axes, tokens×q.
  package func projected(_ X: Matrix<Float>) -> Matrix<Float> {
    let result = Matrix<Float>(rows: X.rows, columns: axes.columns)
    let directions = Matrix<Float>(axes)
    let means = mean.map { Float($0) }
    // The mean is taken off before the product, so that a large one costs no digits.
    for rows in Parallel.ranges(X.rows, of: 4096) {
      let chunk = X.rows(rows).copy()
      chunk.addToRows(means, scaledBy: -1)
      multiply(chunk, directions, into: result.rows(rows))
    }
    return result
  }
}

/// Adds Σ (x − mean)(x − mean)ᵀ over the rows of X: products in single precision, the running sum in double.
package func accumulateCovariance(_ X: Matrix<Float>, mean: [Double], into C: Matrix<Double>) {
  let means = mean.map { Float($0) }
  for rows in Parallel.ranges(X.rows, of: 2048) {
    let chunk = X.rows(rows).copy()
    chunk.addToRows(means, scaledBy: -1)
    accumulateGram(chunk, into: C)
  }
}

/// From a covariance sum (see `accumulateCovariance`).
///
/// - Parameters:
///   - C: p×p, Σ (x − mean)(x − mean)ᵀ.
///   - rows: how many rows went into it.
///   - count: q ≤ p.
package func principalComponents(
  covarianceSum C: Matrix<Double>, mean: [Double], rows: Int, count: Int
) throws -> PrincipalComponents {
  let scale = 1 / Double(max(rows - 1, 1))
  let (values, vectors) = try leadingEigen(C, count)
  return PrincipalComponents(
    mean: mean, axes: signed(vectors), variances: values.map { max($0, 0) * scale },
    totalVariance: trace(C) * scale)
}

/// Shows rows of numbers, in batches with their places, from the first to the last.
package typealias RowPass = (_ look: (_ X: Matrix<Float>, _ rows: Range<Int>) throws -> Void) throws -> Void

/// Of rows that are looked at twice: for the means, and for the covariance about them.
///
/// - Parameters:
///   - columns: p.
///   - count: q ≤ min(rows, p).
package func principalComponents(columns: Int, count: Int, _ pass: RowPass) throws -> PrincipalComponents {
  var moments = Moments(columns: columns)
  try pass { X, _ in moments.add(X) }
  let C = Matrix<Double>(rows: columns, columns: columns)
  try pass { X, _ in accumulateCovariance(X, mean: moments.mean, into: C) }
  return try principalComponents(covarianceSum: C, mean: moments.mean, rows: moments.count, count: count)
}

/// Each column turned so that its entry of largest size is positive; the first of equally large ones decides.
func signed(_ vectors: Matrix<Double>) -> Matrix<Double> {
  let result = vectors.copy()
  result.scaleColumns(by: (0..<vectors.columns).map { dominantSign(vectors.column($0)) })
  return result
}

/// The sign of the entry of largest size, +1 for zeros.
func dominantSign(_ x: [Double]) -> Double {
  var largest = 0.0
  for value in x where abs(value) > abs(largest) { largest = value }
  return largest < 0 ? -1 : 1
}

private func trace(_ C: Matrix<Double>) -> Double { C.diagonal.reduce(0, +) }
