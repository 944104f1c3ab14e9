// Paths, which begin and end like nothing else.

extension Lexer {
  /// Whether a path starts here that says so: `/`, `./`, `../` or `~/`.
  var startsPath: Bool {
    switch bytes[position] {
    case UInt8(ascii: "/"): return true
    case UInt8(ascii: "."):
      return peek(1) == UInt8(ascii: "/") || (peek(1) == UInt8(ascii: ".") && peek(2) == UInt8(ascii: "/"))
    case UInt8(ascii: "~"): return peek(1) == UInt8(ascii: "/")
    case UInt8(ascii: "-"): return isPipe
    default: return false
    }
  }

  /// Whether a path through a hidden folder starts here: `.prn/vars/main/mk.h5`. A point right behind a value begins a field.
  var startsHiddenPath: Bool {
    guard bytes[position] == UInt8(ascii: "."), isLetter(peek(1)) || isDigit(peek(1)) else { return false }
    switch tokens.last?.kind {
    case .name where !isSpaced, .literal where !isSpaced: return false
    case .symbol(.closeParenthesis) where !isSpaced, .symbol(.closeBracket) where !isSpaced: return false
    default: break
    }
    let rest = bytes[position...].dropFirst().drop {
      isLetter($0) || isDigit($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".")
    }
    return rest.first == UInt8(ascii: "/")
  }

  /// Whether words begin here that only a path can be: `data/tiny-llama`, `tiny-llama`, `my-plot.svg`. Neither `/` nor `-`
  /// has a meaning between names.
  var startsBarePath: Bool {
    guard isLetter(bytes[position]) else { return false }
    var index = position
    while index < bytes.count, isLetter(bytes[index]) || isDigit(bytes[index]) || bytes[index] == UInt8(ascii: ".") {
      index += 1
    }
    guard index + 1 < bytes.count, bytes[index - 1] != UInt8(ascii: ".") else { return false }
    if bytes[index] == UInt8(ascii: "/") { return true }
    return bytes[index] == UInt8(ascii: "-") && (isLetter(bytes[index + 1]) || isDigit(bytes[index + 1]))
  }

  /// A lone `-`, which stands for standard input; behind a number it is meant as arithmetic.
  private var isPipe: Bool {
    if case .literal(.integer)? = tokens.last?.kind { return false }
    if case .literal(.number)? = tokens.last?.kind { return false }
    return position + 1 == bytes.count || " \t\n\r".utf8.contains(peek(1))
      || ",)]".utf8.contains(peek(1))
  }

  mutating func scanPath() {
    let start = position
    // White space, and what separates values, ends a path; others are written in quotes.
    let ends = Set(" \t\r\n,;()[]{}|\"'".utf8)
    while position < bytes.count, !ends.contains(bytes[position]) { position += 1 }
    append(.literal(.path(String(decoding: bytes[start..<position], as: UTF8.self))), start..<position)
  }
}
