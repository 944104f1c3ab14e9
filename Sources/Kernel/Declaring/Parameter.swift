/// A keyword parameter of an op: type, default, range, unit and meaning in one place.
@propertyWrapper
public final class Param<Value: ParameterValue> {
  let meaning: String
  let unit: String?
  let range: Bounds<Value>?
  let defaultValue: Value?
  let isLater: Bool
  let isPositional: Bool
  var bound: Value?

  /// - Parameter later: for a parameter that came after results without it: the step key names it only where it differs
  ///   from its default, so that those results keep their keys.
  public init(
    wrappedValue: Value, _ meaning: String, unit: String? = nil, in range: Bounds<Value>? = nil, later: Bool = false
  ) {
    self.meaning = meaning
    self.unit = unit
    self.range = range
    isLater = later
    isPositional = false
    defaultValue = wrappedValue
  }

  /// A parameter without a default: it must be given.
  ///
  /// - Parameter positional: whether it can also be given without its name, behind the inputs.
  public init(_ meaning: String, unit: String? = nil, in range: Bounds<Value>? = nil, positional: Bool = false) {
    self.meaning = meaning
    self.unit = unit
    self.range = range
    isLater = false
    isPositional = positional
    defaultValue = nil
  }

  public var wrappedValue: Value {
    guard let value = bound ?? defaultValue else {
      // The binder refuses a call that leaves out a required parameter, so an op never runs without it.
      preconditionFailure("parameter read before it was bound")
    }
    return value
  }

  /// The wrapper itself: `$samples.isGiven` in `check`.
  public var projectedValue: Param<Value> { self }

  /// Whether the call gives it, even if as its default.
  public var isGiven: Bool { bound != nil }
}

/// The legal values of a comparable parameter, with the text help prints.
public struct Bounds<Value: Sendable>: Sendable {
  public let text: String
  /// Values at the edge that are just outside, as literals for the negative tests.
  let outside: [Literal]
  let contains: @Sendable (Value) -> Bool
}

extension Bounds {
  /// The same limits for a parameter that may be `none`.
  public static func ifGiven<Wrapped: Sendable>(_ bounds: Bounds<Wrapped>) -> Bounds where Value == Wrapped? {
    Bounds(text: bounds.text, outside: bounds.outside, contains: { $0.map(bounds.contains) ?? true })
  }
}

extension Bounds where Value: Comparable & ParameterValue {
  /// `lower` and above.
  public static func atLeast(_ lower: Value) -> Bounds {
    Bounds(
      text: "at least \(lower.literal.rendered)", outside: [lower.literal.nudged(by: -1)], contains: { $0 >= lower })
  }
  /// More than `lower`.
  public static func above(_ lower: Value) -> Bounds {
    Bounds(text: "above \(lower.literal.rendered)", outside: [lower.literal], contains: { $0 > lower })
  }
  /// Between `lower` and `upper`, both allowed.
  public static func between(_ lower: Value, _ upper: Value) -> Bounds {
    Bounds(
      text: "\(lower.literal.rendered) to \(upper.literal.rendered)",
      outside: [lower.literal.nudged(by: -1), upper.literal.nudged(by: 1)],
      contains: { $0 >= lower && $0 <= upper })
  }
  /// From `lower`, below `upper`.
  public static func from(_ lower: Value, below upper: Value) -> Bounds {
    Bounds(
      text: "\(lower.literal.rendered) up to, not including, \(upper.literal.rendered)",
      outside: [lower.literal.nudged(by: -1), upper.literal],
      contains: { $0 >= lower && $0 < upper })
  }
}

/// For parameters that may be none: the bounds hold for what is given.
extension Bounds {
  /// `lower` and above.
  public static func atLeast<Wrapped: Comparable & ParameterValue>(_ lower: Wrapped) -> Bounds where Value == Wrapped? {
    Bounds(orNone: .atLeast(lower))
  }
  /// More than `lower`.
  public static func above<Wrapped: Comparable & ParameterValue>(_ lower: Wrapped) -> Bounds where Value == Wrapped? {
    Bounds(orNone: .above(lower))
  }
  /// Between `lower` and `upper`, both allowed.
  public static func between<Wrapped: Comparable & ParameterValue>(_ lower: Wrapped, _ upper: Wrapped) -> Bounds
  where Value == Wrapped? {
    Bounds(orNone: .between(lower, upper))
  }
  /// From `lower`, below `upper`.
  public static func from<Wrapped: Comparable & ParameterValue>(_ lower: Wrapped, below upper: Wrapped) -> Bounds
  where Value == Wrapped? {
    Bounds(orNone: .from(lower, below: upper))
  }

  private init<Wrapped>(orNone inner: Bounds<Wrapped>) where Value == Wrapped? {
    self.init(text: inner.text, outside: inner.outside, contains: { $0.map(inner.contains) ?? true })
  }
}
