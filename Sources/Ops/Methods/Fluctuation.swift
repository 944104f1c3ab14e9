import Numerics

// FLAP: Fluctuation-based Adaptive Structured Pruning (An et al., AAAI 2024).
//
// A column i of the input of W (tokens × n, W is d × n) that hardly moves can be replaced by its mean, so what counts
// is how much it fluctuates and how strongly W amplifies that. Everything here works on moments; no token is stored.

/// How fluctuation becomes a score (FANG eq. 12-14, FLAP section 4.1).
package enum FluctuationMetric: String, Sendable, CaseIterable {
  /// Var(x_i) · ‖W_:,i‖²
  case wifv
  /// Var(x_i)
  case ifv
  /// mean_o |W_oi| · sqrt(E x_i²)
  case wifn

  package var meaning: String {
    switch self {
    case .wifv: "variance of the input x squared norm of its weights"
    case .ifv: "variance of the input"
    case .wifn: "norm of the weights x root mean square of the input"
    }
  }
}

/// Why fluctuation scores could not be made.
package enum FluctuationError: Error, Equatable, CustomStringConvertible {
  case tooFewSamples(found: Int)
  case constantScores(site: String, layer: Int)

  package var description: String {
    switch self {
    case .tooFewSamples(let found):
      "fluctuation needs at least two samples; the capture holds \(found)"
    case .constantScores(let site, let layer):
      "the \(site) scores of layer \(layer) are all equal, so they cannot be standardised across layers"
    }
  }
}

/// The score of every column of W's input.
///
/// - Parameters:
///   - W: d×n weight whose input columns are judged.
///   - mean: n means of the input over tokens, x̄.
///   - variance: n variances over tokens, divided by their number (ddof 0).
/// - Returns: n scores; low means removable.
package func fluctuation<Element: Scalar>(
  _ metric: FluctuationMetric, W: Matrix<Element>, mean: [Double], variance: [Double]
) -> [Double] {
  precondition(mean.count == W.columns && variance.count == W.columns, "\(mean.count) moments for \(W.shape)")
  switch metric {
  case .wifv: return zip(variance, columnNorms(W)).map { $0 * $1 * $1 }
  case .ifv: return variance
  case .wifn: return wanda(W, meanSquare: zip(mean, variance).map { $0 * $0 + $1 })
  }
}

/// What the authors' program accumulates instead of the variance (`flap compat=flap`).
///
/// There the old and the new mean are one tensor, updated in place, so sample s adds S_s = Σ_t (x_t − m_s)² with the
/// mean m_s *after* that sample, and the first sample adds nothing:
///
///     F_N = 1/(N−1) · Σ_{s=2..N} (s−1)/s · S_s
///
/// m_s is the plain mean of the s sample means. F_N is about (tokens per sample) · Var(x).
package struct ReferenceFluctuation: Sendable {
  private var samples = 0
  private var mean: [Double]
  private var sum: [Double]

  /// - Parameter columns: n, the width of the input.
  package init(columns: Int) {
    mean = [Double](repeating: 0, count: columns)
    sum = mean
  }

  /// Adds one sample.
  ///
  /// - Parameters:
  ///   - sampleMean: n means over the tokens of the sample.
  ///   - squares: n sums of squared deviations from `sampleMean`.
  ///   - tokens: how many tokens the sample has.
  package mutating func add(mean sampleMean: [Double], squares: [Double], tokens: Int) {
    samples += 1
    let s = Double(samples)
    for i in mean.indices {
      mean[i] += (sampleMean[i] - mean[i]) / s
      let shift = sampleMean[i] - mean[i]
      // Σ (x − m_s)² = Σ (x − own mean)² + tokens · (own mean − m_s)²
      let S = squares[i] + Double(tokens) * shift * shift
      sum[i] += (s - 1) / s * S
    }
  }

  /// F_N per column.
  package func values() throws -> [Double] {
    guard samples >= 2 else { throw FluctuationError.tooFewSamples(found: samples) }
    return sum.map { $0 / Double(samples - 1) }
  }
}

/// Sums of consecutive runs of `width` numbers.
package func summed(_ columns: [Double], by width: Int) -> [Double] {
  precondition(width > 0 && columns.count % width == 0, "\(columns.count) columns in units of \(width)")
  return stride(from: 0, to: columns.count, by: width).map { columns[$0..<($0 + width)].reduce(0, +) }
}

/// FLAP's compensation (eq. 13): the mean of what the removed columns contributed,
///
///     b = W (M ∘ x̄)
///
/// - Parameters:
///   - W: d×n, before pruning.
///   - removed: the columns in M.
///   - mean: n means x̄ of W's input.
/// - Returns: d numbers, to be added to whatever bias is there.
package func compensation<Element: Scalar>(W: Matrix<Element>, removed: [Int], mean: [Double]) -> [Double] {
  precondition(mean.count == W.columns, "\(mean.count) means for \(W.shape)")
  let pruned = W.gathering(columns: removed)
  let x = removed.map { mean[$0] }
  let W_M = pruned.isTransposed ? pruned.copy() : pruned
  var b = [Double](repeating: 0, count: W.rows)
  W_M.withUnsafePointer { start, step in
    for o in 0..<W_M.rows {
      let row = start + o * step
      var sum = 0.0
      for i in 0..<x.count { sum += Double(row[i]) * x[i] }
      b[o] = sum
    }
  }
  return b
}
