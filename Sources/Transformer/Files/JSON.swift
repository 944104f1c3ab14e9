/// A string as its UTF-8 bytes. Two are equal when their bytes are; Swift's `String` compares by canonical
/// equivalence, which would merge distinct tokens or tensor names ("\u{e9}" and "e\u{301}").
public struct ByteString: Hashable, Comparable, Sendable {
  public let bytes: [UInt8]

  public init(_ bytes: [UInt8]) { self.bytes = bytes }
  public init(_ text: String) { bytes = Array(text.utf8) }

  /// Byte order, which for UTF-8 is the order of code points.
  public static func < (left: ByteString, right: ByteString) -> Bool {
    left.bytes.lexicographicallyPrecedes(right.bytes)
  }

  public var text: String { String(decoding: bytes, as: UTF8.self) }
}

extension ByteString: ExpressibleByStringInterpolation {
  public init(stringLiteral value: String) { self.init(value) }
}

extension ByteString: CustomStringConvertible {
  /// The text as it may be shown: control characters are replaced, and at most 200 bytes are kept, because names
  /// from a hostile file must not drive the terminal.
  public var description: String { printable(bytes) }
}

/// At most `limit` bytes of untrusted text, without control characters.
func printable(_ bytes: [UInt8], limit: Int = 200) -> String {
  var shown = String.UnicodeScalarView()
  for scalar in String(decoding: bytes.prefix(limit), as: UTF8.self).unicodeScalars {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator: shown.append("\u{FFFD}")
    default: shown.append(scalar)
    }
  }
  return String(shown) + (bytes.count > limit ? "…" : "")
}

/// A JSON value. Whole numbers stay exact: `2` is an integer, `2.0` and `2e0` are numbers.
public enum JSON: Sendable, Equatable {
  case null
  case bool(Bool)
  case integer(Int)
  case number(Double)
  case string(ByteString)
  case array([JSON])
  /// Members in the order of the file.
  case object([Member])

  public struct Member: Sendable, Equatable {
    public let key: ByteString
    public let value: JSON

    public init(_ key: ByteString, _ value: JSON) {
      self.key = key
      self.value = value
    }
  }

  public static func text(_ text: String) -> JSON { .string(ByteString(text)) }

  /// The value of a member of an object, `nil` for anything else.
  public subscript(_ key: ByteString) -> JSON? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.key == key }?.value
  }

  /// What kind of value this is, for messages.
  public var kind: String {
    switch self {
    case .null: "null"
    case .bool: "true or false"
    case .integer: "a whole number"
    case .number: "a number"
    case .string: "a text"
    case .array: "a list"
    case .object: "an object"
    }
  }
}

/// Why bytes are not JSON, and at which byte.
public struct JSONError: Error, Equatable, CustomStringConvertible, Sendable {
  public enum Reason: Equatable, Sendable {
    case empty
    case byteOrderMark
    case invalidUTF8
    case loneSurrogate
    case controlCharacter
    case badEscape
    case badNumber
    case unexpected(UInt8)
    case unexpectedEnd
    case trailingText
    case duplicateKey(ByteString)
    case tooDeep(limit: Int)
  }

  public let reason: Reason
  /// Bytes from the start of the text.
  public let offset: Int

  public var description: String {
    let what =
      switch reason {
      case .empty: "there is no JSON value"
      case .byteOrderMark: "the text starts with a byte order mark"
      case .invalidUTF8: "the text is not UTF-8"
      case .loneSurrogate: "an escape is half of a surrogate pair"
      case .controlCharacter: "a control character stands in a string"
      case .badEscape: "an escape is not one of JSON's"
      case .badNumber: "a number is malformed"
      case .unexpected(let byte):
        byte > 32 && byte < 127
          ? "`\(Character(Unicode.Scalar(byte)))` is not expected here" : "byte \(byte) is not expected here"
      case .unexpectedEnd: "the text ends too early"
      case .trailingText: "something follows the value"
      case .duplicateKey(let key): "`\(key)` occurs twice in one object"
      case .tooDeep(let limit): "values are nested more than \(limit) deep"
      }
    return "\(what) (byte \(offset))"
  }
}
