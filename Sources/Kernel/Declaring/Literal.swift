/// A value as it can be written in a script.
public indirect enum Literal: Sendable, Hashable {
  case none
  case bool(Bool)
  case integer(Int)
  case number(Double)
  /// `20%` is `.ratio(0.2)`.
  case ratio(Double)
  /// A size: `2GiB` is 2147483648 bytes.
  case bytes(Int)
  /// A duration: `3min` is 180 seconds.
  case seconds(Double)
  case string(String)
  case path(String)
  /// A bare, possibly dotted word where an enumeration is expected: `oneshot`, `attn.heads`.
  case symbol(String)
  /// `lower..upper:step`, inclusive; negative numbers count from the end; nil means "to the end".
  case range(lower: Int, upper: Int?, step: Int)
  /// `[a, b]`, `a,b`, or with labels `[name: a, other: b]`.
  case list([Item])

  public struct Item: Sendable, Hashable {
    public var label: String?
    public var value: Literal
    public init(label: String? = nil, _ value: Literal) {
      self.label = label
      self.value = value
    }
  }

  /// The text that reads back as this literal.
  public var rendered: String {
    switch self {
    case .none: return "none"
    case .bool(let value): return value ? "true" : "false"
    case .integer(let value): return String(value)
    case .number(let value): return JSONValue.number(value).canonical
    case .ratio(let value): return JSONValue.number((value * 1e12).rounded() / 1e10).canonical + "%"
    case .bytes(let value):
      for (unit, size) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] where value != 0 && value % size == 0 {
        return "\(value / size)\(unit)"
      }
      return String(value)
    case .seconds(let value): return JSONValue.number(value).canonical + "s"
    case .string(let value): return Literal.quoted(value)
    case .path(let value): return value
    case .symbol(let value): return value
    case .range(let lower, let upper, let step):
      return "\(lower)..\(upper.map(String.init) ?? "")" + (step == 1 ? "" : ":\(step)")
    case .list(let items):
      return "[" + items.map { ($0.label.map { "\($0): " } ?? "") + $0.value.rendered }.joined(separator: ", ") + "]"
    }
  }

  private static func quoted(_ text: String) -> String {
    var escaped = text
    for (character, escape) in [("\\", "\\\\"), ("\"", "\\\""), ("\n", "\\n"), ("\t", "\\t")] {
      escaped = escaped.split(separator: Character(character), omittingEmptySubsequences: false).joined(
        separator: escape)
    }
    return "\"\(escaped.printable)\""
  }

  /// The value under which a step key records it: units folded, so `20%` and `0.2` are one parameter.
  public var canonical: JSONValue {
    switch self {
    case .none: return .null
    case .bool(let value): return .bool(value)
    case .integer(let value), .bytes(let value): return .integer(value)
    case .number(let value), .ratio(let value), .seconds(let value): return .number(value)
    case .string(let value), .path(let value), .symbol(let value): return .string(value)
    case .range(let lower, let upper, let step):
      return .object(["from": .integer(lower), "to": upper.map(JSONValue.integer) ?? .null, "step": .integer(step)])
    case .list(let items): return .array(items.map(\.value.canonical))
    }
  }

  /// What it is, for "expected a ratio, found …".
  public var kind: String {
    switch self {
    case .none: return "none"
    case .bool: return "a truth value"
    case .integer: return "a whole number"
    case .number: return "a number"
    case .ratio: return "a ratio"
    case .bytes: return "a size"
    case .seconds: return "a duration"
    case .string: return "a string"
    case .path: return "a path"
    case .symbol: return "a symbol"
    case .range: return "a range"
    case .list: return "a list"
    }
  }

  /// The next value of the same kind downwards (-1) or upwards (1), near enough to test a bound.
  func nudged(by direction: Int) -> Literal {
    switch self {
    case .integer(let value): return .integer(value + direction)
    case .number(let value): return .number(value + Double(direction) * max(1e-3, abs(value) * 1e-3))
    case .ratio(let value): return .ratio(value + Double(direction) * 1e-3)
    case .seconds(let value): return .seconds(value + Double(direction))
    default: return self
    }
  }

  /// Its value as a number, for comparisons; nil for what is no quantity.
  public var quantity: Double? {
    switch self {
    case .integer(let value), .bytes(let value): return Double(value)
    case .number(let value), .ratio(let value), .seconds(let value): return value
    default: return nil
    }
  }

  /// Its text, when it is a string, a path or a symbol.
  public var text: String? {
    switch self {
    case .string(let value), .path(let value), .symbol(let value): return value
    default: return nil
    }
  }
}

extension JSONValue {
  /// The literal that is recorded in this form, as a script writes it: `0..2`, `30%`, `[gate, up]`.
  public var asWritten: String {
    switch self {
    case .null: return Literal.none.rendered
    case .string(let text):
      let isWord =
        text.first?.isLetter == true
        && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "_.:".contains($0)) }
      return isWord && !["true", "false", "none"].contains(text) ? text : Literal.string(text).rendered
    case .array(let items): return "[" + items.map(\.asWritten).joined(separator: ", ") + "]"
    case .object(let members):
      if let share = members["relative"]?.doubleValue { return Literal.ratio(share).rendered }
      if let lower = members["from"]?.intValue {
        let upper = members["to"]?.intValue
        return Literal.range(lower: lower, upper: upper, step: members["step"]?.intValue ?? 1).rendered
      }
      return canonical
    default: return canonical
    }
  }
}
