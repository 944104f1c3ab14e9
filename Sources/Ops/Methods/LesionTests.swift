import Glibc
import Numerics

// What a lesion costs, against random sets: in all, by kind of text, and between two networks.

/// The chance of a random set costing at least as much: (1 + number that do) / (R + 1).
package func exceedance(_ observed: Double, _ null: [Double]) -> Double {
  Double(1 + null.count { $0 >= observed }) / Double(null.count + 1)
}

/// The same for a deviation from what random sets cost on average, to either side.
package func exceedanceTwoSided(_ observed: Double, _ null: [Double]) -> Double {
  let center = mean(null)
  return exceedance(abs(observed - center), null.map { abs($0 - center) })
}

/// (x - mean) / standard deviation of random sets; NaN when they do not vary.
package func standing(_ observed: Double, _ null: [Double]) -> Double {
  let sd = standardDeviation(null, ddof: 1)
  return sd > 0 ? (observed - mean(null)) / sd : .nan
}

/// The chance that one more random set would deviate as much from the mean of R others, if they are normal: Student's t
/// with R - 1 degrees of freedom of (x - mean) / (sd √(1 + 1/R)). NaN for fewer than 3.
package func studentTwoSided(_ observed: Double, _ null: [Double]) -> Double {
  let R = Double(null.count)
  guard null.count >= 3, standardDeviation(null, ddof: 1) > 0 else { return .nan }
  let t = standing(observed, null) / (1 + 1 / R).squareRoot()
  return studentTwoSided(squared: t * t, freedom: R - 1)
}

/// The chance of a t of that square or a larger one.
package func studentTwoSided(squared: Double, freedom: Double) -> Double {
  incompleteBeta(freedom / (freedom + squared), freedom / 2, 0.5)
}

/// I_x(a, b), the regularised incomplete beta function, by Lentz's continued fraction (Press et al. 2007, 6.4).
package func incompleteBeta(_ x: Double, _ a: Double, _ b: Double) -> Double {
  if x <= 0 { return 0 }
  if x >= 1 { return 1 }
  // The fraction converges fast below the mean.
  if x > (a + 1) / (a + b + 2) { return 1 - incompleteBeta(1 - x, b, a) }
  let tiny = 1e-300
  func nonzero(_ value: Double) -> Double { abs(value) < tiny ? tiny : value }
  var c = 1.0
  var d = 1 / nonzero(1 - (a + b) * x / (a + 1))
  var fraction = d
  for m in 1...500 {
    let m = Double(m)
    for term in [
      m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
      -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
    ] {
      d = 1 / nonzero(1 + term * d)
      c = nonzero(1 + term / c)
      fraction *= c * d
    }
    if abs(c * d - 1) < 1e-15 { break }
  }
  let front: Double = lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(1 - x)
  return exp(front) * fraction / a
}

/// The line of y on x by least squares.
package struct Line: Sendable, Equatable {
  package var intercept: Double
  package var slope: Double
  /// Share of the variance of y that it explains.
  package var r2: Double

  package init(_ x: [Double], _ y: [Double]) {
    let (mx, my) = (mean(x), mean(y))
    let xx = x.reduce(0) { $0 + ($1 - mx) * ($1 - mx) }
    let xy = zip(x, y).reduce(0) { $0 + ($1.0 - mx) * ($1.1 - my) }
    let yy = y.reduce(0) { $0 + ($1 - my) * ($1 - my) }
    slope = xx > 0 ? xy / xx : 0
    intercept = my - slope * mx
    r2 = xx > 0 && yy > 0 ? xy * xy / (xx * yy) : 0
  }

  package func residual(_ x: Double, _ y: Double) -> Double { y - intercept - slope * x }
}

/// Sums of losses of lesions, cell by cell: a cell is a passage, or what a window holds of a class.
package struct LossCells: Sendable {
  /// Class of each cell.
  package let kind: [Int]
  package let kinds: Int

  package init(kind: [Int], kinds: Int) {
    self.kind = kind
    self.kinds = kinds
  }

  /// Change per target in every class; NaN for one without targets.
  package func byKind(_ sums: [Double], _ counts: [Double]) -> [Double] {
    var (sum, count) = ([Double](repeating: 0, count: kinds), [Double](repeating: 0, count: kinds))
    for (cell, c) in kind.enumerated() where c >= 0 {
      sum[c] += sums[cell]
      count[c] += counts[cell]
    }
    return zip(sum, count).map { $1 > 0 ? $0 / $1 : .nan }
  }

  /// s_c = δ_c - mean over classes of δ.
  package func specificity(_ sums: [Double], _ counts: [Double]) -> [Double] {
    let change = byKind(sums, counts)
    let center = mean(change.filter { !$0.isNaN })
    return change.map { $0 - center }
  }
}

/// Two lesions that each hurt what the other spares.
package struct Dissociation: Sendable {
  /// Classes on which the first lesion costs most more, and most less, than the second; chosen on one half.
  package var first: Int
  package var second: Int
  /// δ_i - δ_j on `first`, and δ_j - δ_i on `second`, on the other half.
  package var effects: (Double, Double)
  package var p: Double
}

/// Split-half double dissociation. Classes are chosen where passages will not be tested, since a choice and a test on
/// the same passages find dissociations of random sets in a quarter of all pairs. p is the larger of two: each is the
/// share of 400 resamplings of passages in which the effect is not above 0 (an intersection-union test).
///
/// - Parameters:
///   - sums: of each of the two lesions, by cell; cells are passages.
///   - counts: targets of the cells.
/// - Returns: nil when a class has fewer than 8 passages in a half.
package func doubleDissociation(
  _ cells: LossCells, _ sums: ([Double], [Double]), counts: [Double], using stream: inout RandomStream
) -> Dissociation? {
  var halves: [[[Int]]] = [[], []]
  for c in 0..<cells.kinds {
    let own = cells.kind.indices.filter { cells.kind[$0] == c && counts[$0] > 0 }
    // Dealt alternately, in the order of the text.
    for half in 0..<2 { halves[half].append(own.enumerated().filter { $0.offset % 2 == half }.map(\.element)) }
  }
  guard halves.allSatisfy({ $0.allSatisfy { $0.count >= 8 } }) else { return nil }
  func difference(_ passages: [Int]) -> Double {
    let (sum, count) = passages.reduce((0.0, 0.0)) { ($0.0 + sums.0[$1] - sums.1[$1], $0.1 + counts[$1]) }
    return sum / count
  }
  let chosen = halves[0].map(difference)
  let order = argsort(chosen)
  guard let least = order.first, let most = order.last, least != most else { return nil }
  func test(_ kind: Int, sign: Double) -> (effect: Double, p: Double) {
    let passages = halves[1][kind]
    let draws = 400
    let failed = (0..<draws).count { _ in
      sign * difference(passages.indices.map { _ in passages[stream.below(passages.count)] }) <= 0
    }
    return (sign * difference(passages), Double(1 + failed) / Double(draws + 1))
  }
  let (a, b) = (test(most, sign: 1), test(least, sign: -1))
  return Dissociation(first: most, second: least, effects: (a.effect, b.effect), p: max(a.p, b.p))
}

/// What losing some neurons would change, from one derivative: with s_w the sum of h_j ∂L/∂h_j over the tokens of
/// window w and the neurons, and L the sum of its losses,
///
///     Σ_w (-s_w + s_w²/2)
///
/// the first order, and the square as a stand-in for the curvature (its expectation is the Fisher information).
package func estimatedChange(_ s: [Double]) -> Double { s.reduce(0) { $0 - $1 + $1 * $1 / 2 } }
