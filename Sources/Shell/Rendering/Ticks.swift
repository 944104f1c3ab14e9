import Glibc
import Kernel

extension Double {
  var logarithm10: Double { log10(self) }

  /// Where it lies between two numbers, 0 to 1 and a little beyond; in the middle when the three do not say. Halves,
  /// because the distance of two large numbers may be none.
  func share(from lower: Double, to upper: Double) -> Double {
    let share = (self / 2 - lower / 2) / (upper / 2 - lower / 2)
    return share.isFinite ? min(max(share, -1), 2) : 0.5
  }
}

/// Round numbers to mark an axis with, and their labels.
struct Ticks: Equatable {
  var values: [Double]
  var labels: [String]
  /// The range the axis covers: the data, widened to whole steps on request.
  var lower: Double
  var upper: Double

  /// - Parameters:
  ///   - count: about how many ticks are wanted.
  ///   - widening: whether the axis grows to the next tick at both ends.
  init(from smallest: Double, to largest: Double, axis: PlotAxis, count: Int = 6, widening: Bool = true) {
    switch axis.spacing {
    case .linear: self = Ticks.linear(smallest, largest, axis, count: count, widening: widening)
    case .logarithmic: self = Ticks.logarithmic(smallest, largest, axis, count: count, widening: widening)
    }
  }

  private init(values: [Double], labels: [String], lower: Double, upper: Double) {
    (self.values, self.labels, self.lower, self.upper) = (values, labels, lower, upper)
  }

  private static func linear(_ smallest: Double, _ largest: Double, _ axis: PlotAxis, count: Int, widening: Bool)
    -> Ticks
  {
    var (lower, upper) = (smallest, largest)
    if !(upper > lower) {
      let pad = lower == 0 ? 1 : abs(lower) * 0.05
      // All of something stays all of it: no axis to 106%.
      (lower, upper) = (lower - pad, axis.isRatio && lower <= 1 ? min(1, lower + pad) : lower + pad)
    }
    let raw = (upper - lower) / Double(max(1, count - 1))
    let power = pow(10, raw.logarithm10.rounded(.down))
    let round = power * ([1, 2, 2.5, 5, 10].first { $0 * power >= raw * 0.999 } ?? 10)
    let step = axis.isWhole ? max(1, round.rounded(.up)) : round
    // Counting in whole steps keeps 0.3 from becoming 0.30000000000000004.
    let first = widening ? (lower / step + 1e-9).rounded(.down) : (lower / step - 1e-9).rounded(.up)
    let last = widening ? (upper / step - 1e-9).rounded(.up) : (upper / step + 1e-9).rounded(.down)
    var values: [Double] = []
    var index = first
    while index <= last, values.count < 50 {
      values.append(index * step)
      index += 1
    }
    if widening { (lower, upper) = (first * step, last * step) }
    return Ticks(
      values: values, labels: labelled(values, step: step, isRatio: axis.isRatio), lower: lower, upper: upper)
  }

  private static func labelled(_ values: [Double], step: Double, isRatio: Bool) -> [String] {
    let unit = isRatio ? step * 100 : step
    let largest = (values.map(abs).max() ?? 0) * (isRatio ? 100 : 1)
    if largest >= 1e6 || (largest > 0 && largest < 1e-3) {
      return values.map { NumberText.significant($0 * (isRatio ? 100 : 1), 4) + (isRatio ? "%" : "") }
    }
    // As many decimals as the step itself has: 2.5 needs one, 0.05 two.
    var decimals = 0
    while decimals < 6, abs(unit * pow(10, Double(decimals)) - (unit * pow(10, Double(decimals))).rounded()) > 1e-6 {
      decimals += 1
    }
    return values.map { NumberText.fixed($0 * (isRatio ? 100 : 1), decimals) + (isRatio ? "%" : "") }
  }

  private static func logarithmic(
    _ smallest: Double, _ largest: Double, _ axis: PlotAxis, count: Int, widening: Bool
  ) -> Ticks {
    var lower = smallest > 0 ? smallest : 1e-12
    var upper = largest > lower ? largest : min(lower * 10, .greatestFiniteMagnitude)
    // Values at the ends keep clear of the frame.
    if widening {
      let room = pow(upper / lower, 0.03)
      if room.isFinite { (lower, upper) = (lower / room, min(upper * room, .greatestFiniteMagnitude)) }
    }
    // Within a decade the numbers of an even scale say more.
    if upper / lower < 10 {
      let even = linear(lower, upper, axis, count: count, widening: false)
      return Ticks(values: even.values, labels: even.labels, lower: lower, upper: upper)
    }
    let decades = (Int(lower.logarithm10.rounded(.down))...Int(upper.logarithm10.rounded(.up)))
    let multiples: [Double] = decades.count <= 3 ? [1, 2, 5] : [1]
    let stride = max(1, decades.count / 8)
    var values: [Double] = []
    for (index, decade) in decades.enumerated() where index % stride == 0 {
      for multiple in multiples {
        let value = multiple * pow(10, Double(decade))
        if value >= lower * 0.999, value <= upper * 1.001 { values.append(value) }
      }
    }
    if values.isEmpty { values = [lower, upper] }
    let labels = values.map { NumberText.significant($0 * (axis.isRatio ? 100 : 1), 4) + (axis.isRatio ? "%" : "") }
    return Ticks(values: values, labels: labels, lower: lower, upper: upper)
  }

  /// Where `value` lies between the ends, 0 to 1.
  func fraction(_ value: Double, _ spacing: PlotAxis.Spacing) -> Double {
    switch spacing {
    case .linear: return value.share(from: lower, to: upper)
    case .logarithmic: return log(max(value, 1e-300)).share(from: log(lower), to: log(upper))
    }
  }
}

extension PlotAxis {
  /// "perplexity (per token)".
  var text: String { unit.map { label.isEmpty ? $0 : "\(label) (\($0))" } ?? label }
}
