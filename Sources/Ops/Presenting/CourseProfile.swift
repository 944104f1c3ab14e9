import Numerics

/// How a course is distributed: over values, over the window, and along lags.
struct CourseProfile {
  /// In deviations from its mean, over both texts.
  private let values: [Double]
  private let windows: [Range<Int>]
  /// Above it a token is an event, in the same units.
  let threshold: Double

  init(_ part: LayerDescription, _ index: Int) {
    let course = part.courses.row(index).map(Double.init)
    let (center, scale) = (mean(course), max(standardDeviation(course), .leastNormalMagnitude))
    values = course.map { ($0 - center) / scale }
    windows = zip(part.starts, part.starts.dropFirst()).map { $0..<$1 }
    threshold = (part.sets[index].threshold - center) / scale
  }

  /// Tokens in each of `count` equal stretches from -4 to 6 deviations; what lies outside counts in the last ones.
  func histogram(_ count: Int) -> [Int] {
    var bins = [Int](repeating: 0, count: count)
    for value in values {
      let place = (value + 4) / 10 * Double(count)
      bins[place.isFinite ? min(count - 1, max(0, Int(place.rounded(.down)))) : 0] += 1
    }
    return bins
  }

  /// The median over windows at each place of a window.
  var medianByPlace: [Double] {
    (0..<(windows.map(\.count).max() ?? 0)).map { place in
      median(windows.filter { place < $0.count }.map { values[$0.lowerBound + place] })
    }
  }

  /// The correlation with the course so many tokens later in the same window, from lag 0 on.
  func autocorrelation(lags: Int) -> [Double] {
    (0...lags).map { lag in
      let pairs = windows.flatMap { window in
        window.dropLast(lag).map { (values[$0], values[$0 + lag]) }
      }
      return pairs.count > 1 ? correlation(pairs.map(\.0), pairs.map(\.1)) : .nan
    }
  }
}
