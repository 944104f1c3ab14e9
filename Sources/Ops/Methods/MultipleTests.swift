import Glibc
import Numerics

// Many tests at once.

/// The share of false discoveries at which each test would be one (Benjamini and Hochberg 1995): q_i is the least
/// p_(j) m / j over the ranks j at or above that of p_i.
package func benjaminiHochberg(_ p: [Double]) -> [Double] {
  let order = argsort(p)
  var q = [Double](repeating: 1, count: p.count)
  var least = 1.0
  for (rank, index) in order.enumerated().reversed() {
    least = min(least, p[index] * Double(p.count) / Double(rank + 1))
    q[index] = least
  }
  return q
}

/// p values that hold for all tests together (Holm 1979): p_(j) (m - j + 1), never falling.
package func holm(_ p: [Double]) -> [Double] {
  var adjusted = [Double](repeating: 1, count: p.count)
  var largest = 0.0
  for (rank, index) in argsort(p).enumerated() {
    largest = max(largest, min(1, p[index] * Double(p.count - rank)))
    adjusted[index] = largest
  }
  return adjusted
}

/// The chance of a normal number of at least this size.
package func twoSided(_ z: Double) -> Double { erfc(abs(z) / 2.0.squareRoot()) }

/// The chance that a positive case scores above a negative one, ties counted half: the area under the ROC curve. NaN when
/// either is missing.
package func areaUnderROC(_ score: [Double], isPositive: [Bool]) -> Double {
  let positives = isPositive.count { $0 }
  let negatives = isPositive.count - positives
  guard positives > 0, negatives > 0 else { return .nan }
  let ranks = ranks(score)
  let sum = zip(ranks, isPositive).reduce(0.0) { $0 + ($1.1 ? $1.0 : 0) }
  return (sum - Double(positives * (positives + 1)) / 2) / (Double(positives) * Double(negatives))
}
