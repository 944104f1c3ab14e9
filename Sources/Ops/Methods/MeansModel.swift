import Numerics

/// A course from facts about tokens: a sum of one mean per level of each fact, found by backfitting (Buja, Hastie and
/// Tibshirani 1989). What it explains of a text it has not seen is how much any description by these facts could.
///
///     m_w = n_w/(n_w + 8) · mean of the residual over the n_w tokens of level w,   fact after fact, two rounds
package struct MeansModel: Sendable {
  private let intercept: Double
  /// Of each level, fact by fact.
  private let means: [[Double]]

  private static let shrinkage = 8.0
  private static let rounds = 2

  /// - Parameters:
  ///   - y: a value for each token of `tokens`.
  ///   - tokens: rows of the facts.
  package init(_ facts: [FactLevels], _ y: [Double], _ tokens: Range<Int>) {
    intercept = mean(y)
    var residual = y.map { [intercept] in $0 - intercept }
    var means = facts.map { [Double](repeating: 0, count: $0.names.count) }
    // One fact alone is fitted by its first round.
    for _ in 0..<(facts.count > 1 ? Self.rounds : 1) {
      for (index, fact) in facts.enumerated() {
        let before = means[index]
        var sum = [Double](repeating: 0, count: before.count)
        var count = sum
        for (i, t) in tokens.enumerated() where fact.level[t] >= 0 {
          let level = Int(fact.level[t])
          sum[level] += residual[i] + before[level]
          count[level] += 1
        }
        for w in sum.indices { means[index][w] = sum[w] / (count[w] + Self.shrinkage) }
        for (i, t) in tokens.enumerated() where fact.level[t] >= 0 {
          let level = Int(fact.level[t])
          residual[i] += before[level] - means[index][level]
        }
      }
    }
    self.means = means
  }

  package func predicted(_ facts: [FactLevels], _ tokens: Range<Int>) -> [Double] {
    tokens.map { t in
      zip(facts, means).reduce(intercept) { $1.0.level[t] < 0 ? $0 : $0 + $1.1[Int($1.0.level[t])] }
    }
  }
}

/// 1 - Σ(y - ŷ)² / Σ(y - ȳ)²; NaN when y does not vary.
package func explainedShare(of y: [Double], by predicted: [Double]) -> Double {
  let center = mean(y)
  let total = y.reduce(0) { $0 + ($1 - center) * ($1 - center) }
  let left = zip(y, predicted).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
  return total > 0 ? 1 - left / total : .nan
}
