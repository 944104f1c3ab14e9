import Glibc
import Numerics

// SVD-LLM (Wang et al. 2025): the best W' of rank k for the inputs X that a map sees, min ‖(W − W') X‖.
//
// With H = X Xᵀ and any root S of it, W S = U Σ Vᵀ is cut after k and S undone. That is U_k U_kᵀ W, with U the
// eigenvectors of W H Wᵀ: the principal components of the outputs. So no root of H and no inverse is needed. A map with
// more rows than columns, W = Q R, gives outputs in the directions of Q alone: U = Q U', with U' the eigenvectors of the
// smaller R H Rᵀ, and Uᵀ W = U'ᵀ R.

/// Why no factors could be found.
package enum LowRankError: Error, Equatable, CustomStringConvertible {
  case noRank(rows: Int, columns: Int, rate: Double)
  case tooFewTokens(Int, rank: Int)

  package var description: String {
    switch self {
    case .noRank(let rows, let columns, let rate):
      "a \(rows)x\(columns) map that loses \(percent(rate)) of its parameters has no rank left"
    case .tooFewTokens(let tokens, let rank): "\(tokens) tokens cannot say what a map of rank \(rank) should keep"
    }
  }
}

/// k such that k (m + n) is the share of m n that stays, rounded down. Saving begins below m n / (m + n): a square map of
/// half its rank saves nothing.
package func rankKeeping(_ kept: Double, rows m: Int, columns n: Int) throws -> Int {
  let k = Int((kept * Double(m) * Double(n) / Double(max(1, m + n)) + 1e-9).rounded(.down))
  guard k >= 1 else { throw LowRankError.noRank(rows: m, columns: n, rate: 1 - kept) }
  return k
}

/// ‖(W − B A) X‖ for the best factors of rank k, H = X Xᵀ: √ Σ_{i>k} σ_i².
package func truncationLoss(
  _ W: Matrix<Double>, gram H: Matrix<Double>, rank k: Int
) throws(DecompositionFailure) -> Double {
  let squares = try symmetricEigenvalues(OutputMoments(of: W, gram: H).moments)
  return squares.dropLast(k).reduce(0) { $0 + max($1, 0) }.squareRoot()
}

/// Second moments of what a map gives, in the coordinates of the smaller of its two sides.
package struct OutputMoments: Sendable {
  /// W H Wᵀ, m×m; or R H Rᵀ, n×n, where the map has more rows than columns.
  package let moments: Matrix<Double>
  private let basis: Basis

  private enum Basis: Sendable {
    /// The outputs themselves.
    case outputs
    /// Q = W R⁻¹, with R = Lᵀ of WᵀW = L Lᵀ: products alone.
    case triangle(Cholesky<Double>)
    /// Where W hardly has n independent columns.
    case columns(Q: Matrix<Double>, R: Matrix<Double>)
  }

  /// The least ratio of pivots of L: Q is as far from orthonormal as rounding times the square of W's condition.
  private static var leastPivot: Double { 1e-4 }

  /// - Parameters:
  ///   - W: m×n.
  ///   - gram: n×n, H up to a factor; nil for the plain singular value decomposition, H = I.
  package init(of W: Matrix<Double>, gram: Matrix<Double>?) {
    func seen(through M: Matrix<Double>) -> Matrix<Double> { symmetricProduct(gram.map { M * $0 } ?? M, M.T) }
    if W.rows <= W.columns {
      (basis, moments) = (.outputs, seen(through: W))
    } else if let L = try? cholesky(symmetricProduct(W.T, W)), let least = L.L.diagonal.min(),
      let most = L.L.diagonal.max(), least > Self.leastPivot * most
    {
      (basis, moments) = (.triangle(L), seen(through: L.L.T))
    } else {
      let Q = orthonormalised(W)
      let R = Q.T * W
      (basis, moments) = (.columns(Q: Q, R: R), seen(through: R))
    }
  }

  /// The k largest σ², and their directions in these coordinates.
  package func principal(
    _ k: Int
  ) throws(DecompositionFailure) -> (squares: [Double], directions: Matrix<Double>) {
    let (squares, directions) = try topEigen(moments, k)
    return (squares, directions)
  }

  /// B = U_k Σ_k^½ and A = Σ_k^(-½) U_kᵀ W, with ‖(W − B A) X‖² = Σ_{i>k} σ_i², where W is the map that these are of. A
  /// direction in which no output varies is left out.
  package func factors(
    of W: Matrix<Double>, _ principal: (squares: [Double], directions: Matrix<Double>)
  ) -> (B: Matrix<Double>, A: Matrix<Double>) {
    let (squares, U) = principal
    let scales = squares.map { $0 > 1e-24 * max(squares.first ?? 0, 0) ? pow($0, 0.25) : 0 }
    let scaled = U.copy()
    scaled.scaleColumns(by: scales)
    let (B, A) =
      switch basis {
      case .outputs: (scaled, U.T * W)
      case .triangle(let L): (W * L.solveBack(scaled), U.T * L.L.T)
      case .columns(let Q, let R): (Q * scaled, U.T * R)
      }
    A.scaleRows(by: scales.map { $0 > 0 ? 1 / $0 : 0 })
    return (B, A)
  }
}

/// The best B for a given A on other inputs X', to give W X' there (SVD-LLM's update): B = W H' Aᵀ (A H' Aᵀ)⁻¹. On the
/// inputs that A was made for it changes nothing.
package func outerFactor(_ W: Matrix<Double>, inner A: Matrix<Double>, gram: Matrix<Double>) throws -> Matrix<Double> {
  let HA = gram * A.T
  let reduced = A * HA
  let H = try curvature(of: 0.5 * (reduced + reduced.T), damping: 1e-10)
  return W * HA * H.inverse
}
