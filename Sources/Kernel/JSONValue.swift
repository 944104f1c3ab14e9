import Foundation

/// A JSON value with one canonical text: keys sorted, no spaces, the shortest digits that read back as the same number.
/// Step keys, provenance and the journal are made of it.
public enum JSONValue: Sendable, Hashable {
  case null
  case bool(Bool)
  case integer(Int)
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  /// The canonical text, pure ASCII.
  public var canonical: String {
    switch self {
    case .null: return "null"
    case .bool(let value): return value ? "true" : "false"
    case .integer(let value): return String(value)
    case .number(let value):
      // A whole number is written as one: `9` and `9.0` are the same parameter.
      if let whole = Int(exactly: value) { return String(whole) }
      return value.isFinite ? "\(value)" : "\"\(value)\""
    case .string(let value): return JSONValue.quoted(value)
    case .array(let items): return "[" + items.map(\.canonical).joined(separator: ",") + "]"
    case .object(let members):
      let sorted = members.sorted { Array($0.key.utf8).lexicographicallyPrecedes(Array($1.key.utf8)) }
      return "{" + sorted.map { JSONValue.quoted($0.key) + ":" + $0.value.canonical }.joined(separator: ",") + "}"
    }
  }

  /// Reads JSON text.
  /// - Throws: `JSONValue.Malformed` when it is not JSON.
  public init(parsing text: String) throws {
    // JSONDecoder, not JSONSerialization: the latter rounds some doubles of 17 digits to a neighbour.
    guard let value = try? JSONDecoder().decode(JSONValue.self, from: Data(text.utf8)) else { throw Malformed() }
    self = value
  }

  /// The text is not JSON.
  public struct Malformed: Error {}

  private static func quoted(_ text: String) -> String {
    var out = "\""
    for unit in text.utf16 {
      switch unit {
      case 0x22: out += "\\\""
      case 0x5C: out += "\\\\"
      case 0x0A: out += "\\n"
      case 0x09: out += "\\t"
      case 0x0D: out += "\\r"
      case 0x20...0x7E: out.unicodeScalars.append(Unicode.Scalar(UInt8(unit)))
      default:
        let digits = String(unit, radix: 16)
        out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      }
    }
    return out + "\""
  }

  public subscript(_ key: String) -> JSONValue? {
    if case .object(let members) = self { return members[key] }
    return nil
  }
  public var stringValue: String? { if case .string(let value) = self { return value } else { return nil } }
  public var arrayValue: [JSONValue]? { if case .array(let value) = self { return value } else { return nil } }
  public var objectValue: [String: JSONValue]? {
    if case .object(let value) = self { return value } else { return nil }
  }
  public var boolValue: Bool? { if case .bool(let value) = self { return value } else { return nil } }
  public var intValue: Int? {
    switch self {
    case .integer(let value): return value
    case .number(let value): return Int(exactly: value)
    default: return nil
    }
  }
  public var doubleValue: Double? {
    switch self {
    case .integer(let value): return Double(value)
    case .number(let value): return value
    default: return nil
    }
  }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
  ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
  public init(stringLiteral value: String) { self = .string(value) }
  public init(integerLiteral value: Int) { self = .integer(value) }
  public init(floatLiteral value: Double) { self = .number(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    self = .object(Dictionary(elements, uniquingKeysWith: { $1 }))
  }
  public init(nilLiteral: ()) { self = .null }
}

extension JSONValue: Decodable {
  public init(from decoder: any Decoder) throws {
    let value = try decoder.singleValueContainer()
    if value.decodeNil() {
      self = .null
    } else if let bool = try? value.decode(Bool.self) {
      self = .bool(bool)
    } else if let whole = try? value.decode(Int.self) {
      self = .integer(whole)
    } else if let number = try? value.decode(Double.self) {
      self = .number(number)
    } else if let text = try? value.decode(String.self) {
      self = .string(text)
    } else if let items = try? value.decode([JSONValue].self) {
      self = .array(items)
    } else {
      self = .object(try value.decode([String: JSONValue].self))
    }
  }
}
