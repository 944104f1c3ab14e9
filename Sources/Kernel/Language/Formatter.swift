/// `prn fmt`: one way to write a script. Only what no reader misses is changed: spaces at the ends of lines, tabs,
/// indentation by blocks, spaces around `=`, blank lines. Columns that somebody lined up stay.
public enum Formatter {
  /// The formatted text; nil when the script cannot be read.
  public static func formatted(_ text: String) -> String? {
    let source = Source(name: "", text: text)
    let script = Parser.parse(source)
    guard script.diagnostics.isEmpty else { return nil }
    let spaced = withSpaces(text, script)
    let out = indented(spaced)
    // What was written must mean what it meant.
    return meaning(of: out) == meaning(of: text) ? out : nil
  }

  /// The tokens, with one line end for any number.
  private static func meaning(of text: String) -> [Token.Kind] {
    Lexer(Source(name: "", text: text)).tokens.map(\.kind).reduce(into: []) { kinds, kind in
      if kind != .lineEnd || (kinds.last != .lineEnd && !kinds.isEmpty) { kinds.append(kind) }
    }
  }

  /// `name = value` of a statement has spaces around its `=`, `key=value` of a call has none.
  private static func withSpaces(_ text: String, _ script: Script) -> String {
    var bytes = Array(text.utf8)
    let tokens = Lexer(script.source).tokens
    // From the end, so that places stay what they are.
    for index in tokens.indices.reversed() where index > 0 && tokens[index].is(.assign) {
      let (before, after) = (tokens[index - 1], index + 1 < tokens.count ? tokens[index + 1] : tokens[index])
      let isStatement = isBinding(index, tokens)
      func between(_ left: Token, _ right: Token) -> Range<Int> { left.range.upperBound..<right.range.lowerBound }
      func isBlank(_ range: Range<Int>) -> Bool { bytes[range].allSatisfy { $0 == 0x20 || $0 == 0x09 } }
      let (left, right) = (between(before, tokens[index]), between(tokens[index], after))
      guard left.lowerBound <= left.upperBound, right.lowerBound <= right.upperBound, isBlank(left), isBlank(right),
        after.kind != .lineEnd
      else { continue }
      if isStatement {
        // More spaces than one line up with other lines.
        if right.isEmpty { bytes.insert(0x20, at: right.lowerBound) }
        if left.isEmpty { bytes.insert(0x20, at: left.lowerBound) }
      } else {
        bytes.removeSubrange(right)
        bytes.removeSubrange(left)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Whether the `=` binds a name or a `param`, rather than giving an argument.
  private static func isBinding(_ index: Int, _ tokens: [Token]) -> Bool {
    var start = index - 1
    func begins(_ place: Int) -> Bool {
      place == 0 || tokens[place - 1].kind == .lineEnd || tokens[place - 1].is(.openBrace)
    }
    if start > 0, tokens[start - 1].is("param") || tokens[start - 1].is("time"), begins(start - 1) { start -= 1 }
    return begins(start)
  }

  /// Two spaces for each open block; lines that go on keep their distance from the line they belong to.
  private static func indented(_ text: String) -> String {
    let source = Source(name: "", text: text)
    let tokens = Lexer(source).tokens
    let lines = text.separatedLines
    var starts: [Int: (depth: Int, isStatement: Bool)] = [:]
    var (depth, line) = (0, 0)
    var isNew = true
    for token in tokens where token.kind != .end {
      let here = source.position(of: token.range.lowerBound).line
      if token.kind == .lineEnd {
        isNew = true
        continue
      }
      if here != line {
        starts[here] = (token.is(.closeBrace) ? depth - 1 : depth, isNew || token.is(.closeBrace))
        line = here
      }
      isNew = token.is(.openBrace)
      if token.is(.openBrace) { depth += 1 }
      if token.is(.closeBrace) { depth -= 1 }
    }
    var out: [String] = []
    var (shift, depthNow) = (0, 0)
    let inside = insides(tokens, source)
    var upcoming = starts.keys.sorted()[...]
    for (index, line) in lines.enumerated() {
      let start = starts[index + 1]
      upcoming = upcoming.drop { $0 <= index + 1 }
      if start == nil, inside.contains(index + 1) {
        out.append(String(line))
        continue
      }
      let body = trimmed(line)
      if body.isEmpty {
        if out.last != "" { out.append("") }
        continue
      }
      let old = width(ofIndentation: line)
      if let start {
        if start.isStatement { (shift, depthNow) = (2 * start.depth - old, start.depth) }
        out.append(String(repeating: " ", count: max(0, old + shift)) + body)
      } else {
        // A comment of its own.
        let next = upcoming.first.flatMap { starts[$0]?.depth } ?? depthNow
        out.append(String(repeating: " ", count: 2 * next) + comment(body))
      }
    }
    while out.last == "" { out.removeLast() }
    while out.first == "" { out.removeFirst() }
    return out.joined(separator: "\n") + "\n"
  }

  /// `#text` as `# text`; marks of cells and programs stay.
  private static func comment(_ text: String) -> String {
    guard text.hasPrefix("#"), let second = text.dropFirst().first, !" #!".contains(second) else { return text }
    return "# " + text.dropFirst()
  }

  /// The lines that begin inside a token that spans lines: a string.
  private static func insides(_ tokens: [Token], _ source: Source) -> Set<Int> {
    Set(
      tokens.flatMap { token -> Range<Int> in
        guard case .literal(.string) = token.kind else { return 0..<0 }
        let first = source.position(of: token.range.lowerBound).line
        return first + 1..<source.position(of: token.range.upperBound).line + 1
      })
  }

  private static func width(ofIndentation line: Substring) -> Int {
    line.prefix { $0 == " " || $0 == "\t" }.reduce(0) { $0 + ($1 == "\t" ? 2 : 1) }
  }

  private static func trimmed(_ line: Substring) -> String {
    var text = line.drop { $0 == " " || $0 == "\t" || $0 == "\r" }
    while let last = text.last, last == " " || last == "\t" || last == "\r" { text.removeLast() }
    return String(text)
  }
}
