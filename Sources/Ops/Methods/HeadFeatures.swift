import Numerics

// MoDeGPT (Lin et al. 2025): attention as modules of two maps, each of which loses what matters least for their product.
//
// Type II, queries and keys (a CR decomposition). Their products are sums over features, and features turn in pairs p and
// p' by the place of the token: a pair stays or goes as a whole, for all query heads j that share a key,
//
//     s_p = Σ_j (c_j,p^q c_p^k + c_j,p'^q c_p'^k)        c = E x², over tokens, before anything is rotated
//
// Type III, values and output (an SVD). What a head carries, z with second moments C, is read by W_j, those columns of the
// output maps that belong to the head. The best k directions for what they give, Σ_j ‖W_j z − W_j B A z‖², are
//
//     U Σ² Uᵀ = C^½ K C^½,  K = Σ_j W_jᵀ W_j        B = C^½ U_k        A = Σ_k⁻² Bᵀ K  = U_kᵀ C^(−½)
//
// so that A B = 1 and no root is inverted; A goes into the value map and B into the output maps. The paper takes
// C = W_V E[x xᵀ] W_Vᵀ, values that are not mixed yet (joint; with K = 1 where heads share values, grouped). What the heads
// really give is captured just as easily (attended).

/// Features of a head that stay: an even number, (1 − rate) of them rounded half up, two at least.
package func headFeatures(keeping kept: Double, of size: Int) -> Int {
  min(size, max(2, 2 * Int((kept * Double(size) / 2 + 0.5 + 1e-9).rounded(.down))))
}

/// s_p of every pair.
///
/// - Parameters:
///   - queries: E q² of every feature, of each query head that shares the key.
///   - key: E k² of every feature.
///   - pairs: the two features of each pair.
///   - together: whether a pair's features count as one, (Σ c^q) (Σ c^k), which no rotation of the pair changes.
package func pairScores(
  queries: [[Double]], key: [Double], pairs: [(Int, Int)], together: Bool
) -> [Double] {
  pairs.map { a, b in
    queries.reduce(0) { sum, query in
      sum + (together ? (query[a] + query[b]) * (key[a] + key[b]) : query[a] * key[a] + query[b] * key[b])
    }
  }
}

/// The places of the highest scores, ascending; of equals the first.
package func highest(_ count: Int, of scores: [Double]) -> [Int] {
  scores.indices.sorted { (-scores[$0], $0) < (-scores[$1], $1) }.prefix(count).sorted()
}

/// B, size×k, and A, k×size. A direction in which nothing varies or nothing is read is left out: its row of A is 0.
///
/// - Parameters:
///   - C: size×size, second moments of what a head carries, up to a factor.
///   - K: size×size, Σ W_jᵀ W_j; nil for K = 1.
package func valueDirections(
  _ C: Matrix<Double>, read K: Matrix<Double>?, keeping k: Int
) throws(DecompositionFailure) -> (B: Matrix<Double>, A: Matrix<Double>) {
  let root = try squareRoot(C)
  let seen = K.map { root * $0 * root } ?? C
  let (squares, U) = try topEigen(0.5 * (seen + seen.T), k)
  let B = (root * U).copy()
  let A = (K.map { B.T * $0 } ?? B.T).copy()
  A.scaleRows(by: squares.map { $0 > 1e-24 * max(squares.first ?? 0, 0) ? 1 / $0 : 0 })
  return (B, A)
}

/// H^½, symmetric; what rounding made negative counts as zero.
private func squareRoot(_ H: Matrix<Double>) throws(DecompositionFailure) -> Matrix<Double> {
  let (values, E) = try symmetricEigen(H)
  let scaled = E.copy()
  scaled.scaleColumns(by: values.map { max($0, 0).squareRoot() })
  return scaled * E.T
}
