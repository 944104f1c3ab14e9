import Numerics

/// What a figure is an average of: one value and one weight for each window, page or item.
///
///     ratio = Σ values / Σ weights
public struct Samples: Sendable, Equatable {
  public let values: [Double]
  public let weights: [Double]
  /// The stratum of each sample, from 0: the spread is taken inside strata, as when several tasks of fixed size are
  /// averaged.
  public let strata: [Int]

  /// - Parameters:
  ///   - weights: 1 each when left out.
  ///   - strata: one stratum when left out.
  public init(_ values: [Double], weights: [Double]? = nil, strata: [Int]? = nil) {
    self.values = values
    self.weights = weights ?? Array(repeating: 1, count: values.count)
    self.strata = strata ?? Array(repeating: 0, count: values.count)
    precondition(self.weights.count == values.count && self.strata.count == values.count, "samples of unequal number")
  }

  public var count: Int { values.count }

  public var ratio: Double { values.reduce(0, +) / weights.reduce(0, +) }

  /// The samples of each stratum.
  private var parts: [Samples] {
    guard let last = strata.max(), last > 0 else { return [self] }
    var members = [[Int]](repeating: [], count: last + 1)
    for (index, stratum) in strata.enumerated() { members[stratum].append(index) }
    return members.filter { !$0.isEmpty }.map { picked($0) }
  }

  /// Some of the samples, as one stratum.
  private func picked(_ indices: [Int]) -> Samples {
    Samples(indices.map { values[$0] }, weights: indices.map { weights[$0] })
  }

  /// The standard error of `ratio`, by linearisation (Cochran 1977, section 6.3); NaN where a stratum has a single sample
  /// with any weight, which shows no spread.
  ///
  ///     se² = Σ_strata  var(values − ratio · weights) n / (Σ weights)²,  var with ddof 1
  public var standardError: Double {
    let total = weights.reduce(0, +)
    let squares = parts.map { part -> Double in
      guard part.weights.count(where: { $0 != 0 }) > 1 else { return .nan }
      let (ratio, center, n) = (part.ratio, mean(part.weights), Double(part.count))
      // A constant added to every residual leaves the spread as it is; with equal weights the values stay themselves.
      let residuals = zip(part.values, part.weights).map { $0 - ratio * ($1 - center) }
      let share = n / total
      return variance(residuals, ddof: 1) / n * (share * share)
    }
    return squares.reduce(0, +).squareRoot()
  }

  /// This minus another, sample by sample; nil when they are not of the same windows, pages or items, as when other labels
  /// were put on a text.
  public func minus(_ other: Samples) -> Samples? {
    guard weights == other.weights, strata == other.strata else { return nil }
    return Samples(zip(values, other.values).map(-), weights: weights, strata: strata)
  }

  /// Where `ratio` falls in 95 of 100 draws of as many samples again, with replacement inside their strata (the
  /// percentile bootstrap; Efron and Tibshirani 1993, section 13.3). Draws without any weight, as of a rare label, say
  /// nothing; nil when all are.
  func interval(draws: Int = 2000, _ stream: RandomStream) -> ClosedRange<Double>? {
    var stream = stream
    let parts = parts
    let found = (0..<draws).compactMap { _ -> Double? in
      var (value, weight) = (0.0, 0.0)
      for part in parts {
        for _ in 0..<part.count {
          let index = stream.below(part.count)
          value += part.values[index]
          weight += part.weights[index]
        }
      }
      return weight > 0 ? value / weight : nil
    }
    return found.isEmpty ? nil : quantile(found, 0.025)...quantile(found, 0.975)
  }
}
