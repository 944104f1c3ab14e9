// Some eigenvectors of a large symmetric matrix, by products alone.

/// The `k` largest eigenvalues of A, and their eigenvectors, by restarted block Krylov iteration.
///
/// LAPACK reduces the whole of A to tridiagonal form, which is bound by memory and takes minutes at n = 7,600. Here A is
/// only multiplied: from a block V of k + 16 orthonormal columns the space [V, AV, A²V, …] is built with full
/// orthogonalisation, the best approximations in it are found (Rayleigh-Ritz), and the best block starts again until
///
///     ‖A v − λ v‖ ≤ tolerance · λ₁    for each of the k
///
/// The start is fixed, so equal matrices give equal bits. Small matrices go to LAPACK.
///
/// - Parameter A: n×n, symmetric, positive semi-definite; both triangles are read.
/// - Returns: `values` descending, and `vectors` n×k with one eigenvector per *column*.
public func leadingEigen(
  _ A: Matrix<Double>, _ k: Int, tolerance: Double = 1e-10, restarts: Int = 40
) throws(DecompositionFailure) -> (values: [Double], vectors: Matrix<Double>) {
  let n = A.rows
  let width = k + Krylov.guards
  let depth = Krylov.depth
  if !Krylov.isFaster(n, k) { return try topEigen(A, k) }
  var stream = RandomStream(seed: 0, name: "leadingEigen")
  var block = orthonormalised(stream.gaussianMatrix(rows: n, columns: width) as Matrix<Double>)
  for restart in 1...restarts {
    let V = Matrix<Double>(rows: n, columns: depth * width)
    let AV = Matrix<Double>(rows: n, columns: depth * width)
    for step in 0..<depth {
      let J = (step * width)..<((step + 1) * width)
      if step > 0 {
        block = AV.columns((J.lowerBound - width)..<J.lowerBound).copy()
        let before = V.columns(0..<J.lowerBound)
        // Twice is enough (Giraud et al. 2005); the second time also mends what QR fills in for lost rank.
        for _ in 0..<2 {
          multiply(before, before.T * block, into: block, alpha: -1, beta: 1)
          block = orthonormalised(block).copy()
        }
      }
      V.columns(J).assign(block)
      multiply(A, block, into: AV.columns(J))
    }
    let (theta, S) = try symmetricEigen(V.T * AV)
    let order = Array((0..<theta.count).reversed().prefix(width))
    let best = S.gathering(columns: order)
    let Y = V * best
    let values = order.prefix(k).map { theta[$0] }
    let R = AV * best.columns(0..<k)
    for j in 0..<k { R.columns(j..<(j + 1)).add(Y.columns(j..<(j + 1)), scaledBy: -values[j]) }
    let residual = R.columnMoments.sumOfSquares.max() ?? 0
    if residual.squareRoot() <= tolerance * abs(values.first ?? 0) || restart == restarts {
      return (values, Y.columns(0..<k).copy())
    }
    block = orthonormalised(Y).copy()
  }
  return try topEigen(A, k)  // no restarts were allowed
}

/// Bytes that `leadingEigen` takes beside A.
public func leadingEigenBytes(_ n: Int, _ k: Int) -> Int {
  // LAPACK works on a copy, and its vectors are turned. Krylov has V and A V, a block before it is reduced, and what
  // Rayleigh-Ritz makes of them.
  8 * n * (Krylov.isFaster(n, k) ? (2 * Krylov.depth + 4) * (k + Krylov.guards) : n + 2 * k)
}

private enum Krylov {
  /// Columns of a block beyond those that are wanted.
  static let guards = 16
  /// Blocks of a space before it starts again.
  static let depth = 6

  static func isFaster(_ n: Int, _ k: Int) -> Bool { n > 1024 && 2 * depth * (k + guards) <= n }
}
