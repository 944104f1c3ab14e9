/// Cuts source text into tokens. Line ends inside `( )` and `[ ]`, and after a token that continues the line, are dropped.
struct Lexer {
  private(set) var tokens: [Token] = []
  private(set) var cells: [Cell] = []
  private(set) var diagnostics: [Diagnostic] = []
  /// Whether the text stops in the middle of something, so that the shell asks for another line.
  private(set) var isIncomplete = false

  private let source: Source
  let bytes: [UInt8]
  var position = 0
  var isSpaced = false
  /// Brackets that are open, innermost last.
  private var open: [(symbol: Token.Symbol, range: Range<Int>)] = []
  /// Set for a second pass when a bracket is never closed: then a line `name = …` at the margin ends it.
  private let endsBracketsAtAssignments: Bool

  init(_ source: Source) {
    var first = Lexer(source, endsBracketsAtAssignments: false)
    first.scan()
    if first.open.contains(where: { $0.symbol != .openBrace }) {
      var second = Lexer(source, endsBracketsAtAssignments: true)
      second.scan()
      second.isIncomplete = true
      self = second
    } else {
      self = first
    }
  }

  private init(_ source: Source, endsBracketsAtAssignments: Bool) {
    self.source = source
    self.endsBracketsAtAssignments = endsBracketsAtAssignments
    bytes = Array(source.text.utf8)
  }

  private mutating func scan() {
    cells = [Cell(title: "", isMarkdown: false, range: 0..<bytes.count)]
    if bytes.starts(with: Array("#!".utf8)) { skipLine() }
    while position < bytes.count { scanToken() }
    for bracket in open {
      report("`\(bracket.symbol.rawValue)` is never closed", bracket.range)
      isIncomplete = true
    }
    if let last = tokens.last, case .symbol(let symbol) = last.kind, symbol.continuesLine { isIncomplete = true }
    append(.lineEnd, bytes.count..<bytes.count)
    append(.end, bytes.count..<bytes.count)
  }

  private mutating func scanToken() {
    let byte = bytes[position]
    switch byte {
    case space, tab, carriageReturn:
      position += 1
      isSpaced = true
    case newline: scanLineEnd()
    case UInt8(ascii: ";"):
      append(.lineEnd, position..<position + 1)
      position += 1
    case UInt8(ascii: "#"): scanComment()
    case UInt8(ascii: "\\") where lineEnd(after: position + 1) != nil:
      isIncomplete = position + 1 >= bytes.count || lineEnd(after: position + 1) == bytes.count
      position = min(bytes.count, (lineEnd(after: position + 1) ?? position) + 1)
      isSpaced = true
    case UInt8(ascii: "\""): scanString()
    case UInt8(ascii: "'"): scanRawString()
    case _ where startsPath || startsHiddenPath || startsBarePath: scanPath()
    case _ where isDigit(byte) || (byte == minus && isDigit(peek(1))): scanNumber()
    case _ where isLetter(byte): scanName()
    default: scanSymbol()
    }
  }

  // MARK: lines and comments

  private mutating func scanLineEnd() {
    let start = position
    position += 1
    if let bracket = open.last, bracket.symbol != .openBrace {
      if endsBracketsAtAssignments && startsAssignment {
        while let last = open.last, last.symbol != .openBrace {
          report("`\(last.symbol.rawValue)` is never closed", last.range)
          open.removeLast()
        }
        append(.lineEnd, start..<position)
      }
      isSpaced = true
      return
    }
    if let last = tokens.last, case .symbol(let symbol) = last.kind, symbol.continuesLine {
      isSpaced = true
    } else {
      append(.lineEnd, start..<position)
    }
  }

  /// Whether the text at `position` reads `name =` at the margin, as only a new statement does.
  private var startsAssignment: Bool {
    var index = position
    guard index < bytes.count, isLetter(bytes[index]) else { return false }
    while index < bytes.count, isLetter(bytes[index]) || isDigit(bytes[index]) { index += 1 }
    guard index < bytes.count, bytes[index] == space else { return false }
    while index < bytes.count, bytes[index] == space { index += 1 }
    return index < bytes.count && bytes[index] == UInt8(ascii: "=")
  }

  /// The index of the newline (or the end) when only white space stands before it.
  private func lineEnd(after index: Int) -> Int? {
    var index = index
    while index < bytes.count, bytes[index] != newline {
      guard bytes[index] == space || bytes[index] == tab || bytes[index] == carriageReturn else { return nil }
      index += 1
    }
    return index
  }

  private mutating func skipLine() {
    while position < bytes.count, bytes[position] != newline { position += 1 }
  }

  private mutating func scanComment() {
    let start = position
    skipLine()
    guard start == 0 || bytes[start - 1] == newline else { return }
    var text = Substring(String(decoding: bytes[start..<position], as: UTF8.self))
    guard text.hasPrefix("# %%") || text.hasPrefix("#%%") else { return }
    text = text.drop { $0 == "#" || $0 == "%" || $0 == " " }
    let isMarkdown = text.hasPrefix("[markdown]")
    if isMarkdown { text = text.dropFirst("[markdown]".count) }
    let title = text.trimmed
    cells[cells.count - 1].range = cells[cells.count - 1].range.lowerBound..<start
    cells.append(Cell(title: title, isMarkdown: isMarkdown, range: start..<bytes.count))
  }

  // MARK: literals

  private mutating func scanNumber() {
    let start = position
    position += 1
    while isDigit(peek(0)) { position += 1 }
    var isWhole = true
    if peek(0) == UInt8(ascii: "."), isDigit(peek(1)) {
      isWhole = false
      position += 1
      while isDigit(peek(0)) { position += 1 }
    }
    let exponentDigits = peek(1) == minus || peek(1) == UInt8(ascii: "+") ? 2 : 1
    if peek(0) == UInt8(ascii: "e") || peek(0) == UInt8(ascii: "E"), isDigit(peek(exponentDigits)) {
      isWhole = false
      position += exponentDigits
      while isDigit(peek(0)) { position += 1 }
    }
    let digits = String(decoding: bytes[start..<position], as: UTF8.self)
    let unitStart = position
    if peek(0) == UInt8(ascii: "%") { position += 1 } else { while isLetter(peek(0)) { position += 1 } }
    let unit = String(decoding: bytes[unitStart..<position], as: UTF8.self)
    append(.literal(number(digits, isWhole: isWhole, unit: unit, start..<position)), start..<position)
  }

  private mutating func number(_ digits: String, isWhole: Bool, unit: String, _ range: Range<Int>) -> Literal {
    let value = Double(digits) ?? .nan
    if isWhole && unit.isEmpty {
      if let whole = Int(digits) { return .integer(whole) }
      report("the number \(digits) is too large", range)
      return .integer(0)
    }
    guard value.isFinite else {
      report("the number \(digits) is too large", range)
      return .number(0)
    }
    func scaled(_ factor: Double) -> Literal {
      if let whole = Int(exactly: value * factor) { return .integer(whole) }
      return .number(value * factor)
    }
    func sized(_ factor: Int) -> Literal {
      if let whole = Int(exactly: (value * Double(factor)).rounded()) { return .bytes(whole) }
      report("the size \(digits)\(unit) is too large", range)
      return .bytes(0)
    }
    switch unit {
    case "": return .number(value)
    // Read as one decimal number, so that `20%` and `0.2` are the same bits.
    case "%": return .ratio(Double(digits + (digits.contains("e") || digits.contains("E") ? "" : "e-2")) ?? value / 100)
    case "k": return scaled(1e3)
    case "M": return scaled(1e6)
    case "G": return scaled(1e9)
    case "KiB": return sized(1 << 10)
    case "MiB": return sized(1 << 20)
    case "GiB": return sized(1 << 30)
    case "ms": return .seconds(value / 1000)
    case "s": return .seconds(value)
    case "min": return .seconds(value * 60)
    case "h": return .seconds(value * 3600)
    default:
      report("`\(unit)` is not a unit (%, k, M, G, KiB, MiB, GiB, ms, s, min, h)", range)
      return .number(value)
    }
  }

  private mutating func scanRawString() {
    let start = position
    position += 1
    while position < bytes.count, bytes[position] != UInt8(ascii: "'") { position += 1 }
    finishString(start, String(decoding: bytes[min(start + 1, bytes.count)..<position], as: UTF8.self))
  }

  private mutating func scanString() {
    let start = position
    position += 1
    var text: [UInt8] = []
    while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
      if bytes[position] == UInt8(ascii: "\\") {
        scanEscape(into: &text)
      } else {
        text.append(bytes[position])
        position += 1
      }
    }
    finishString(start, String(decoding: text, as: UTF8.self))
  }

  private mutating func scanEscape(into text: inout [UInt8]) {
    let start = position
    let letter = peek(1)
    position = min(bytes.count, position + 2)
    switch letter {
    case UInt8(ascii: "n"): text.append(newline)
    case UInt8(ascii: "t"): text.append(tab)
    case UInt8(ascii: "\""), UInt8(ascii: "\\"): text.append(letter)
    case UInt8(ascii: "u") where peek(0) == UInt8(ascii: "{"):
      let digits = bytes[(position + 1)...].prefix {
        $0 != UInt8(ascii: "}") && $0 != UInt8(ascii: "\"") && $0 != newline
      }
      position = min(bytes.count, position + 2 + digits.count)
      if let code = UInt32(String(decoding: digits, as: UTF8.self), radix: 16), let scalar = Unicode.Scalar(code) {
        text += Array(String(Character(scalar)).utf8)
      } else {
        report("`\\u{…}` needs the hexadecimal number of a character", start..<position)
      }
    default: report("there is no such escape; use \\n, \\t, \\\", \\\\ or \\u{…}", start..<position)
    }
  }

  private mutating func finishString(_ start: Int, _ text: String) {
    guard position < bytes.count else {
      report("the string is never closed", start..<start + 1)
      isIncomplete = true
      // Go on after the line in which it began, so that later lines are still checked.
      position = start
      skipLine()
      append(.literal(.string("")), start..<position)
      return
    }
    position += 1
    append(.literal(.string(text)), start..<position)
  }

  // MARK: names and symbols

  private mutating func scanName() {
    let start = position
    while isLetter(peek(0)) || isDigit(peek(0)) { position += 1 }
    // A value may say how much of it, as in `scope=window:3`.
    if !isSpaced, tokens.last?.kind == .symbol(.assign), peek(0) == UInt8(ascii: ":"), isDigit(peek(1)) {
      position += 1
      while isDigit(peek(0)) { position += 1 }
    }
    append(.name(String(decoding: bytes[start..<position], as: UTF8.self)), start..<position)
  }

  private mutating func scanSymbol() {
    let rest = bytes[position...]
    guard let symbol = Token.Symbol.allCases.first(where: { rest.starts(with: Array($0.rawValue.utf8)) }) else {
      return scanUnknown()
    }
    let range = position..<position + symbol.rawValue.utf8.count
    append(.symbol(symbol), range)
    position = range.upperBound
    switch symbol {
    case .openParenthesis, .openBracket, .openBrace: open.append((symbol, range))
    case .closeParenthesis: close(.openParenthesis, by: symbol, range)
    case .closeBracket: close(.openBracket, by: symbol, range)
    case .closeBrace: close(.openBrace, by: symbol, range)
    default: break
    }
  }

  private mutating func close(_ wanted: Token.Symbol, by symbol: Token.Symbol, _ range: Range<Int>) {
    if open.last?.symbol == wanted {
      open.removeLast()
    } else if let last = open.last {
      report("`\(last.symbol.rawValue)` is closed by `\(symbol.rawValue)`", range)
      open.removeLast()
    } else {
      report("`\(symbol.rawValue)` closes nothing", range)
    }
  }

  private mutating func scanUnknown() {
    let start = position
    position += 1
    while position < bytes.count, bytes[position] & 0xC0 == 0x80 { position += 1 }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    switch text {
    case "+", "*", "-", "/": report("`\(text)` has no meaning here: the language has no arithmetic", start..<position)
    case "%": report("`%` follows its number without a space", start..<position, hint: "write `20%`")
    case "\\": report("`\\` continues a line and stands at its end", start..<position)
    case _ where bytes[start] < 0x20 || bytes[start] == 0x7F:
      report("a control character (code \(bytes[start])) cannot stand here", start..<position)
    default: report("`\(text)` cannot be read; names use the letters a to z, digits and `_`", start..<position)
    }
    isSpaced = true
  }

  // MARK: pieces

  mutating func append(_ kind: Token.Kind, _ range: Range<Int>) {
    tokens.append(
      Token(kind: kind, range: range, isSpaced: isSpaced || tokens.last?.kind == .lineEnd || tokens.isEmpty))
    isSpaced = false
  }

  private mutating func report(_ sentence: String, _ range: Range<Int>, hint: String? = nil) {
    diagnostics.append(Diagnostic(sentence, hint: hint, kind: .usage, span: Span(source, range)))
  }

  /// The byte `distance` ahead; 0 past the end.
  func peek(_ distance: Int) -> UInt8 {
    position + distance < bytes.count ? bytes[position + distance] : 0
  }

  func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
  func isLetter(_ byte: UInt8) -> Bool {
    (byte >= 0x41 && byte <= 0x5A) || (byte >= 0x61 && byte <= 0x7A) || byte == UInt8(ascii: "_")
  }
}

private let space = UInt8(ascii: " ")
private let tab = UInt8(ascii: "\t")
private let carriageReturn = UInt8(ascii: "\r")
private let newline = UInt8(ascii: "\n")
private let minus = UInt8(ascii: "-")

extension Substring {
  /// Without white space at both ends.
  var trimmed: String {
    var text = self
    while let last = text.last, last.isWhitespace { text.removeLast() }
    return String(text.drop { $0.isWhitespace })
  }
}
