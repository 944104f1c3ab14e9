import Glibc
import Numerics

// Token-aware reweighting (FANG eq. 6, 7, 11, 15): group k of neurons is judged on all tokens, but those of clusters
// close to its own weigh more.

/// How clusters weigh in the judgement of a group.
package enum ContextWeighting: String, Sendable, CaseIterable {
  /// softmax(−D/τ): near clusters weigh more (the paper's).
  case context
  /// softmax(+D/τ): the ablation turned round.
  case reverse
  /// 1/K each.
  case uniform
  /// Only the group's own cluster.
  case matched

  package var meaning: String {
    switch self {
    case .context: "clusters near the group's own count more"
    case .reverse: "clusters far from the group's own count more"
    case .uniform: "all clusters count alike"
    case .matched: "only the group's own cluster counts"
    }
  }
}

/// The scale of the softmax.
public enum Temperature: Sendable, Hashable {
  /// In units of D, as in the paper (9 for LLaMA-2-7B).
  case absolute(Double)
  /// A multiple of the mean distance between two clusters; carries over from model to model.
  case relative(Double)
}

/// Why weights could not be made.
package enum ContextWeightError: Error, Equatable, CustomStringConvertible {
  case temperatureNotPositive(Double)
  case clusterWithoutTokens(Int)

  package var description: String {
    switch self {
    case .temperatureNotPositive(let tau): "tau is a positive number, not \(tau)"
    case .clusterWithoutTokens(let k): "cluster \(k) has no tokens"
    }
  }
}

/// α of eq. 6 and how sharp it came out.
package struct ContextWeights: Sendable {
  /// K×K; row k weighs the clusters for group k and sums to 1.
  package var alpha: Matrix<Double>
  /// K×K, D_kj = ‖c_k − c_j‖.
  package var distances: Matrix<Double>
  /// Entropy of each row over ln K: 1 is uniform, 0 one-hot.
  package var entropies: [Double]
  /// The τ that was used, in units of D.
  package var tau: Double
}

/// Relevance of every cluster to every group:
///
///     D_kj = ‖c_k − c_j‖    α_k = softmax_j(−D_kj / τ)
///
/// - Parameter centers: K×n; c_k is the mean input of W_down over the tokens of cluster k.
package func contextWeights(
  centers: Matrix<Double>, _ weighting: ContextWeighting, temperature: Temperature
) throws -> ContextWeights {
  let K = centers.rows
  let D = pairwiseDistances(centers)
  let tau: Double
  switch temperature {
  case .absolute(let value): tau = value
  case .relative(let multiple):
    let mean = K > 1 ? D.values.reduce(0, +) / Double(K * (K - 1)) : 0
    // Centres that coincide leave no scale; then every τ gives the same weights.
    tau = mean > 0 ? multiple * mean : multiple
  }
  guard tau > 0 else { throw ContextWeightError.temperatureNotPositive(tau) }
  let alpha = Matrix<Double>(rows: K, columns: K)
  for k in 0..<K {
    let row: [Double]
    switch weighting {
    case .context: row = softmax(D.row(k).map { -$0 / tau })
    case .reverse: row = softmax(D.row(k).map { $0 / tau })
    case .uniform: row = [Double](repeating: 1 / Double(K), count: K)
    case .matched: row = (0..<K).map { $0 == k ? 1 : 0 }
    }
    for j in 0..<K { alpha[k, j] = row[j] }
  }
  let entropies = (0..<K).map { k in
    K > 1 ? -alpha.row(k).reduce(0) { $0 + ($1 > 0 ? $1 * log($1) : 0) } / log(Double(K)) : 0
  }
  return ContextWeights(alpha: alpha, distances: D, entropies: entropies, tau: tau)
}

/// ‖c_k − c_j‖ for all pairs of rows; from differences, so that close centres lose no digits.
private func pairwiseDistances(_ c: Matrix<Double>) -> Matrix<Double> {
  let D = Matrix<Double>(rows: c.rows, columns: c.rows)
  let rows = (0..<c.rows).map(c.row)
  for k in 0..<c.rows {
    for j in 0..<k {
      let d = zip(rows[k], rows[j]).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
      D[k, j] = d
      D[j, k] = d
    }
  }
  return D
}

/// The Hessian of one group (eq. 11): H_k = Σ_j α_kj X_{G_k,C_j} X_{G_k,C_j}ᵀ.
///
/// - Parameters:
///   - grams: K matrices m×m; the j-th sums x xᵀ over the tokens of cluster j, x restricted to the group's neurons.
///   - alpha: K weights, row k of α.
package func combined(_ grams: [Matrix<Double>], alpha: [Double]) -> Matrix<Double> {
  precondition(grams.count == alpha.count && !grams.isEmpty, "\(grams.count) Gram matrices, \(alpha.count) weights")
  let H = Matrix<Double>(rows: grams[0].rows, columns: grams[0].columns)
  for (gram, weight) in zip(grams, alpha) where weight != 0 {
    H.withUnsafeMutablePointer { h, hStep in
      gram.withUnsafePointer { g, gStep in
        for i in 0..<H.rows { for j in 0..<H.columns { h[i * hStep + j] += weight * g[i * gStep + j] } }
      }
    }
  }
  return H
}

/// x̄ of eq. 12: the plain mean over all tokens, from the clusters' means.
package func globalMean(_ clusters: [Moments]) -> [Double] {
  guard var all = clusters.first else { return [] }
  for cluster in clusters.dropFirst() { all.merge(cluster) }
  return all.mean
}

/// F-FANG's score (eq. 15), with the global unweighted mean x̄:
///
///     S_i = ‖W_:,i‖² Σ_c α_kc Σ_{t in C_c} (x_it − x̄_i)²      k = group of neuron i
///
/// The inner sum is M2_ci + N_c (mean_ci − x̄_i)², so no token is needed.
///
/// - Parameters:
///   - columnNorms: n norms ‖W_:,i‖.
///   - clusters: K moments of W_down's input, each over the tokens of one cluster.
///   - group: group of each neuron; the shared group, numbered K, gets the plain sum (α = 1).
///   - alpha: K×K.
package func reweightedFluctuation(
  columnNorms: [Double], clusters: [Moments], group: [Int], alpha: Matrix<Double>
) -> [Double] {
  let x = globalMean(clusters)
  return columnNorms.indices.map { i in
    var sum = 0.0
    for (c, moments) in clusters.enumerated() {
      let shift = moments.mean[i] - x[i]
      let weight = group[i] < alpha.rows ? alpha[group[i], c] : 1
      sum += weight * (moments.m2[i] + Double(moments.count) * shift * shift)
    }
    return columnNorms[i] * columnNorms[i] * sum
  }
}

/// Exponentials over their sum, the largest subtracted first.
private func softmax(_ x: [Double]) -> [Double] {
  let largest = x.max() ?? 0
  let e = x.map { exp($0 - largest) }
  let sum = e.reduce(0, +)
  return e.map { $0 / sum }
}
