import Glibc

// Statistics of plain arrays. Sums run in order, in double precision, twice where a mean is subtracted.

extension Double {
  /// The natural logarithm.
  static func logarithm(_ x: Double) -> Double { log(x) }
}

/// The arithmetic mean; NaN for no values.
public func mean(_ values: [Double]) -> Double {
  values.isEmpty ? .nan : values.reduce(0, +) / Double(values.count)
}

/// Σ (x − mean)² / (count − ddof); NaN when count ≤ ddof.
public func variance(_ values: [Double], ddof: Int = 0) -> Double {
  guard values.count > ddof else { return .nan }
  let center = mean(values)
  return values.reduce(0) { $0 + ($1 - center) * ($1 - center) } / Double(values.count - ddof)
}

/// The square root of `variance`.
public func standardDeviation(_ values: [Double], ddof: Int = 0) -> Double {
  variance(values, ddof: ddof).squareRoot()
}

/// (x − mean) / standard deviation; zeros when the values are all the same.
public func standardised(_ values: [Double], ddof: Int = 0) -> [Double] {
  let center = mean(values)
  let scale = standardDeviation(values, ddof: ddof)
  return values.map { scale > 0 ? ($0 - center) / scale : 0 }
}

/// The value below which the fraction `q` of the values lies, between two neighbours in proportion (as numpy's default).
/// NaN for no values.
public func quantile(_ values: [Double], _ q: Double) -> Double {
  precondition(q >= 0 && q <= 1, "the quantile \(q)")
  guard !values.isEmpty else { return .nan }
  let sorted = values.sorted()
  let place = q * Double(sorted.count - 1)
  let low = Int(place.rounded(.down))
  let high = min(low + 1, sorted.count - 1)
  return sorted[low] + (place - Double(low)) * (sorted[high] - sorted[low])
}

/// The middle value, or the mean of the two in the middle. NaN for no values.
public func median(_ values: [Double]) -> Double { quantile(values, 0.5) }

/// The indices in ascending order of their values; equal values keep the order of their indices, NaN goes last.
public func argsort<Value: BinaryFloatingPoint>(_ values: [Value], descending: Bool = false) -> [Int] {
  values.indices.sorted { a, b in
    let (x, y) = (values[a], values[b])
    if x == y || (x.isNaN && y.isNaN) { return a < b }
    if x.isNaN || y.isNaN { return y.isNaN }
    return descending ? x > y : x < y
  }
}

/// Ranks from 1 in ascending order; equal values share the mean of their ranks.
public func ranks(_ values: [Double]) -> [Double] {
  let order = argsort(values)
  var ranks = [Double](repeating: 0, count: values.count)
  var start = 0
  while start < order.count {
    var end = start + 1
    while end < order.count, values[order[end]] == values[order[start]] { end += 1 }
    for place in start..<end { ranks[order[place]] = Double(start + end + 1) / 2 }
    start = end
  }
  return ranks
}

/// Pearson's correlation; NaN when one side does not vary.
public func correlation(_ a: [Double], _ b: [Double]) -> Double {
  precondition(a.count == b.count, "a correlation of \(a.count) and \(b.count) values")
  let (x, y) = (mean(a), mean(b))
  let products = zip(a, b).reduce(0) { $0 + ($1.0 - x) * ($1.1 - y) }
  return products / (Double(a.count) * (variance(a) * variance(b)).squareRoot())
}

/// Spearman's: the correlation of the ranks.
public func rankCorrelation(_ a: [Double], _ b: [Double]) -> Double { correlation(ranks(a), ranks(b)) }

/// How likely a split of `a + b` fair coins is that is at least as uneven as `a` to `b`: the exact two-sided sign test, and
/// McNemar's when `a` and `b` count the items that only one of two sides got right. 1 for no coins.
public func signTest(_ a: Int, _ b: Int) -> Double {
  precondition(a >= 0 && b >= 0, "a sign test of \(a) and \(b)")
  let n = Double(a + b)
  let tail = (0...min(a, b)).reduce(0.0) { sum, k in
    let k = Double(k)
    return sum + exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) - n * log(2))
  }
  return min(1, 2 * tail)
}
