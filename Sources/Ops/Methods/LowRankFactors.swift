import Glibc
import Numerics

// SVD-LLM (Wang et al. 2025): the best W' of rank k for the inputs X that a map sees, min ‖(W − W') X‖.
//
// With H = X Xᵀ and any root S of it, W S = U Σ Vᵀ is cut after k and S undone. That is U_k U_kᵀ W, with U the
// eigenvectors of W H Wᵀ: the principal components of the outputs. So no root of H and no inverse is needed; where W has
// more rows than columns, the smaller S Wᵀ W S gives the same U.

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

/// B = U_k Σ_k^½ and A = Σ_k^(-½) U_kᵀ W, with ‖(W − B A) X‖² = Σ_{i>k} σ_i².
///
/// - Parameters:
///   - W: m×n.
///   - gram: n×n, H up to a factor; nil for the plain singular value decomposition, H = I.
///   - k: at most min(m, n).
package func lowRankFactors(
  _ W: Matrix<Double>, gram: Matrix<Double>?, rank k: Int
) throws(DecompositionFailure) -> (B: Matrix<Double>, A: Matrix<Double>) {
  let (m, n) = (W.rows, W.columns)
  let squares: [Double]
  var U: Matrix<Double>
  if m <= n {
    (squares, U) = try topEigen((gram.map { W * $0 } ?? W) * W.T, k)
  } else {
    // V of W S, n×n, and U = W S V / σ.
    var WS = W
    if let gram { WS = W * (try squareRoot(gram)) }
    let (values, V) = try topEigen(WS.T * WS, k)
    squares = values
    U = WS * V
    U = U.copy()
    U.scaleColumns(by: values.map { $0 > 0 ? 1 / $0.squareRoot() : 0 })
  }
  // A direction in which no output varies is left out.
  let scales = squares.map { $0 > 1e-24 * max(squares.first ?? 0, 0) ? pow($0, 0.25) : 0 }
  let B = U.copy()
  B.scaleColumns(by: scales)
  let A = (U.T * W).copy()
  A.scaleRows(by: scales.map { $0 > 0 ? 1 / $0 : 0 })
  return (B, A)
}

/// ‖(W − B A) X‖ for the best factors of rank k, H = X Xᵀ: √ Σ_{i>k} σ_i².
package func truncationLoss(
  _ W: Matrix<Double>, gram H: Matrix<Double>, rank k: Int
) throws(DecompositionFailure) -> Double {
  let squares: [Double]
  if W.rows <= W.columns {
    squares = try symmetricEigen(W * H * W.T).values
  } else {
    let WS = W * (try squareRoot(H))
    squares = try symmetricEigen(WS.T * WS).values
  }
  return squares.sorted(by: >).dropFirst(k).reduce(0) { $0 + max($1, 0) }.squareRoot()
}

/// H^½, symmetric; what rounding made negative counts as zero.
func squareRoot(_ H: Matrix<Double>) throws(DecompositionFailure) -> Matrix<Double> {
  let (values, E) = try symmetricEigen(H)
  let scaled = E.copy()
  scaled.scaleColumns(by: values.map { max($0, 0).squareRoot() })
  return scaled * E.T
}

/// The best B for a given A on other inputs X', to give W X' there (SVD-LLM's update): B = W H' Aᵀ (A H' Aᵀ)⁻¹. On the
/// inputs that A was made for it changes nothing.
package func outerFactor(_ W: Matrix<Double>, inner A: Matrix<Double>, gram: Matrix<Double>) throws -> Matrix<Double> {
  let HA = gram * A.T
  let reduced = A * HA
  let H = try curvature(of: 0.5 * (reduced + reduced.T), damping: 1e-10)
  return W * HA * H.inverse
}
