extension JSON {
  /// What may stand in a text.
  public enum Dialect: Sendable {
    /// JSON, and no key twice in one object.
    case strict
    /// What Python's json module writes and reads: also NaN and Infinity, and of equal keys the last counts.
    case python
  }

  /// Parses a whole text: UTF-8 without a byte order mark, one value, nothing after it but white space.
  ///
  /// - Parameters:
  ///   - depth: how deep arrays and objects may nest.
  /// - Throws: `JSONError`.
  public static func parse(_ bytes: [UInt8], dialect: Dialect = .strict, depth: Int = 128) throws -> JSON {
    try bytes.withUnsafeBufferPointer { try parse($0, dialect: dialect, depth: depth) }
  }

  public static func parse(
    _ bytes: UnsafeBufferPointer<UInt8>, dialect: Dialect = .strict, depth: Int = 128
  ) throws -> JSON {
    if bytes.count >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF {
      throw JSONError(reason: .byteOrderMark, offset: 0)
    }
    if let bad = firstInvalidUTF8(bytes) { throw JSONError(reason: .invalidUTF8, offset: bad) }
    var parser = JSONParser(bytes: bytes, dialect: dialect, depthLimit: depth)
    return try parser.document()
  }
}

/// One pass over bytes already known to be UTF-8.
private struct JSONParser {
  let bytes: UnsafeBufferPointer<UInt8>
  let dialect: JSON.Dialect
  let depthLimit: Int
  var at = 0
  var depth = 0

  init(bytes: UnsafeBufferPointer<UInt8>, dialect: JSON.Dialect, depthLimit: Int) {
    self.bytes = bytes
    self.dialect = dialect
    self.depthLimit = depthLimit
  }

  mutating func document() throws -> JSON {
    skipSpace()
    if at == bytes.count { throw JSONError(reason: .empty, offset: at) }
    let value = try value()
    skipSpace()
    if at < bytes.count { throw JSONError(reason: .trailingText, offset: at) }
    return value
  }

  mutating func skipSpace() {
    while at < bytes.count {
      switch bytes[at] {
      case 0x20, 0x0A, 0x0D, 0x09: at += 1
      default: return
      }
    }
  }

  func peek() throws -> UInt8 {
    if at >= bytes.count { throw JSONError(reason: .unexpectedEnd, offset: bytes.count) }
    return bytes[at]
  }

  mutating func value() throws -> JSON {
    switch try peek() {
    case UInt8(ascii: "\""): return .string(ByteString(try string()))
    case UInt8(ascii: "{"):
      try descend()
      defer { depth -= 1 }
      return try object()
    case UInt8(ascii: "["):
      try descend()
      defer { depth -= 1 }
      return try array()
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    case UInt8(ascii: "N") where dialect == .python: return try word("NaN", .number(.nan))
    case UInt8(ascii: "I") where dialect == .python: return try word("Infinity", .number(.infinity))
    case let byte: throw JSONError(reason: .unexpected(byte), offset: at)
    }
  }

  /// Steps over an opening bracket.
  mutating func descend() throws {
    if depth == depthLimit { throw JSONError(reason: .tooDeep(limit: depthLimit), offset: at) }
    depth += 1
    at += 1
  }

  mutating func word(_ word: StaticString, _ value: JSON) throws -> JSON {
    for index in 0..<word.utf8CodeUnitCount {
      if try peek() != word.utf8Start[index] { throw JSONError(reason: .unexpected(bytes[at]), offset: at) }
      at += 1
    }
    return value
  }

  mutating func array() throws -> JSON {
    var elements: [JSON] = []
    skipSpace()
    if try peek() == UInt8(ascii: "]") {
      at += 1
      return .array(elements)
    }
    elements.reserveCapacity(2)
    while true {
      skipSpace()
      elements.append(try value())
      skipSpace()
      let byte = try peek()
      at += 1
      if byte == UInt8(ascii: "]") { return .array(elements) }
      if byte != UInt8(ascii: ",") { throw JSONError(reason: .unexpected(byte), offset: at - 1) }
    }
  }

  mutating func object() throws -> JSON {
    var members: [JSON.Member] = []
    skipSpace()
    if try peek() == UInt8(ascii: "}") {
      at += 1
      return .object(members)
    }
    var known: ByteTable?
    while true {
      skipSpace()
      let keyStart = at
      let quote = try peek()
      if quote != UInt8(ascii: "\"") { throw JSONError(reason: .unexpected(quote), offset: at) }
      let key = ByteString(try string())
      // A linear search beats hashing for the small objects that make up almost all of a file.
      let place: Int?
      if members.count < 16 {
        place = members.firstIndex { $0.key == key }
      } else {
        if known == nil {
          var table = ByteTable(capacity: 64)
          for member in members { table.insert(member.key.bytes) }
          known = table
        }
        place = known.flatMap { $0.find(key.bytes) }
        if place == nil { known?.insert(key.bytes) }
      }
      if place != nil, dialect == .strict { throw JSONError(reason: .duplicateKey(key), offset: keyStart) }
      skipSpace()
      let colon = try peek()
      if colon != UInt8(ascii: ":") { throw JSONError(reason: .unexpected(colon), offset: at) }
      at += 1
      skipSpace()
      let member = JSON.Member(key, try value())
      if let place { members[place] = member } else { members.append(member) }
      skipSpace()
      let byte = try peek()
      at += 1
      if byte == UInt8(ascii: "}") { return .object(members) }
      if byte != UInt8(ascii: ",") { throw JSONError(reason: .unexpected(byte), offset: at - 1) }
    }
  }

  mutating func number() throws -> JSON {
    let start = at
    let isNegative = bytes[at] == UInt8(ascii: "-")
    if isNegative { at += 1 }
    if isNegative, dialect == .python, try peek() == UInt8(ascii: "I") {
      return try word("Infinity", .number(-.infinity))
    }
    let firstDigit = at
    try digits(of: start)
    if bytes[firstDigit] == UInt8(ascii: "0"), at > firstDigit + 1 {
      throw JSONError(reason: .badNumber, offset: start)
    }
    let integerEnd = at
    if at < bytes.count, bytes[at] == UInt8(ascii: ".") {
      at += 1
      try digits(of: start)
    }
    if at < bytes.count, bytes[at] | 0x20 == UInt8(ascii: "e") {
      at += 1
      if at < bytes.count, bytes[at] == UInt8(ascii: "+") || bytes[at] == UInt8(ascii: "-") { at += 1 }
      try digits(of: start)
    }
    if at == integerEnd, let whole = wholeNumber(firstDigit..<at, isNegative) { return .integer(whole) }
    guard let value = Double(String(decoding: bytes[start..<at], as: UTF8.self)) else {
      throw JSONError(reason: .badNumber, offset: start)
    }
    return .number(value)
  }

  /// Skips one or more digits of the number that starts at `start`.
  mutating func digits(of start: Int) throws {
    let first = at
    while at < bytes.count, isDigit(bytes[at]) { at += 1 }
    if at == first { throw JSONError(reason: .badNumber, offset: start) }
  }

  /// `nil` when it does not fit 64 bits; such a number is kept as a floating-point one.
  func wholeNumber(_ range: Range<Int>, _ isNegative: Bool) -> Int? {
    var total = 0
    for index in range {
      let (shifted, overflow) = total.multipliedReportingOverflow(by: 10)
      let digit = Int(bytes[index] &- UInt8(ascii: "0"))
      let (next, overflowToo) = shifted.addingReportingOverflow(isNegative ? -digit : digit)
      if overflow || overflowToo { return nil }
      total = next
    }
    return total
  }

  func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

  /// The contents of a string, whose opening quote stands at `at`.
  mutating func string() throws -> [UInt8] {
    at += 1
    let start = at
    while at < bytes.count {
      let byte = bytes[at]
      if byte == UInt8(ascii: "\"") {
        at += 1
        return Array(UnsafeBufferPointer(rebasing: bytes[start..<(at - 1)]))
      }
      if byte == UInt8(ascii: "\\") { return try escapedString(from: start) }
      if byte < 0x20 { throw JSONError(reason: .controlCharacter, offset: at) }
      at += 1
    }
    throw JSONError(reason: .unexpectedEnd, offset: bytes.count)
  }

  mutating func escapedString(from start: Int) throws -> [UInt8] {
    var result = Array(bytes[start..<at])
    while at < bytes.count {
      let byte = bytes[at]
      at += 1
      switch byte {
      case UInt8(ascii: "\""): return result
      case 0..<0x20: throw JSONError(reason: .controlCharacter, offset: at - 1)
      case UInt8(ascii: "\\"): try escape(into: &result)
      default: result.append(byte)
      }
    }
    throw JSONError(reason: .unexpectedEnd, offset: bytes.count)
  }

  mutating func escape(into result: inout [UInt8]) throws {
    let start = at - 1
    let letter = try peek()
    at += 1
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(letter)
    case UInt8(ascii: "b"): result.append(0x08)
    case UInt8(ascii: "f"): result.append(0x0C)
    case UInt8(ascii: "n"): result.append(0x0A)
    case UInt8(ascii: "r"): result.append(0x0D)
    case UInt8(ascii: "t"): result.append(0x09)
    case UInt8(ascii: "u"):
      var code = try hexadecimal()
      if code >= 0xD800, code < 0xDC00 {
        guard at + 1 < bytes.count, bytes[at] == UInt8(ascii: "\\"), bytes[at + 1] == UInt8(ascii: "u") else {
          throw JSONError(reason: .loneSurrogate, offset: start)
        }
        at += 2
        let low = try hexadecimal()
        if low < 0xDC00 || low > 0xDFFF { throw JSONError(reason: .loneSurrogate, offset: start) }
        code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw JSONError(reason: .loneSurrogate, offset: start) }
      result.append(contentsOf: UTF8.encode(scalar).unsafelyUnwrapped)  // every scalar has an encoding
    default: throw JSONError(reason: .badEscape, offset: start)
    }
  }

  mutating func hexadecimal() throws -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      let byte = try peek()
      let digit: UInt8
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
      default: throw JSONError(reason: .badEscape, offset: at)
      }
      code = code << 4 | UInt32(digit)
      at += 1
    }
    return code
  }
}

/// The offset of the first byte that cannot be part of UTF-8 (Unicode table 3-7: no surrogates, no overlong forms).
package func firstInvalidUTF8(_ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
  let count = bytes.count
  let raw = UnsafeRawBufferPointer(bytes)
  var at = 0
  while at < count {
    while at + 8 <= count, raw.loadUnaligned(fromByteOffset: at, as: UInt64.self) & 0x8080_8080_8080_8080 == 0 {
      at += 8
    }
    if at == count { break }
    let lead = bytes[at]
    if lead < 0x80 {
      at += 1
      continue
    }
    let length: Int
    var lowest: UInt8 = 0x80
    var highest: UInt8 = 0xBF
    switch lead {
    case 0xC2...0xDF: length = 2
    case 0xE0: (length, lowest) = (3, 0xA0)
    case 0xED: (length, highest) = (3, 0x9F)
    case 0xE1...0xEF: length = 3
    case 0xF0: (length, lowest) = (4, 0x90)
    case 0xF1...0xF3: length = 4
    case 0xF4: (length, highest) = (4, 0x8F)
    default: return at
    }
    if at + length > count || bytes[at + 1] < lowest || bytes[at + 1] > highest { return at }
    for index in 2..<max(length, 2) where bytes[at + index] & 0xC0 != 0x80 { return at }
    at += length
  }
  return nil
}
