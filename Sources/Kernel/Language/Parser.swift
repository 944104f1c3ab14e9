/// Recursive descent over the grammar; one error per statement, then it goes on with the next.
public struct Parser {
  let source: Source
  let tokens: [Token]
  var index = 0
  var diagnostics: [Diagnostic] = []
  /// Statements that cannot be understood.
  private var unreadable = 0
  /// How many `[ ]` lists are open around the present token: there a comma followed by a space ends an item.
  var listDepth = 0
  /// How deep expressions are nested, so that hostile input cannot exhaust the stack.
  var depth = 0
  static let depthLimit = 200

  /// The statement cannot be understood; its error is recorded.
  struct Failure: Error {}

  /// The syntax tree of a source with everything that is wrong with its form.
  static func parse(_ source: Source) -> Script {
    let lexer = Lexer(source)
    var parser = Parser(source: source, tokens: lexer.tokens)
    let statements = parser.statements(inBlock: false)
    // One error for one place: what the lexer could not read would be reported by the parser again.
    let known = lexer.diagnostics.compactMap { $0.span?.range.lowerBound }
    let further = parser.diagnostics.filter { diagnostic in
      guard let start = diagnostic.span?.range.lowerBound else { return true }
      return !known.contains { abs($0 - start) <= 1 }
        && !(lexer.isIncomplete && !lexer.diagnostics.isEmpty && start >= source.text.utf8.count)
    }
    let all = (lexer.diagnostics + further).sorted {
      ($0.span?.range.lowerBound ?? 0) < ($1.span?.range.lowerBound ?? 0)
    }
    return Script(
      source: source, statements: statements, unreadable: parser.unreadable, diagnostics: all,
      isIncomplete: lexer.isIncomplete)
  }

  /// The value that a text is by itself; nil when it is none, or anything follows.
  static func value(of text: String) -> Expression? {
    let source = Source(name: "-", text: text)
    let lexer = Lexer(source)
    var parser = Parser(source: source, tokens: lexer.tokens)
    guard lexer.diagnostics.isEmpty, let expression = try? parser.value(),
      parser.tokens[parser.index...].allSatisfy({ $0.kind == .lineEnd || $0.kind == .end })
    else { return nil }
    return expression
  }

  /// Whether the shell should ask for another line before it runs this.
  public static func isIncomplete(_ text: String) -> Bool { Lexer(Source(name: "", text: text)).isIncomplete }

  /// Whether a text can be run as it stands.
  public enum Completeness: String { case complete, incomplete, invalid }

  public static func completeness(of text: String) -> Completeness {
    if isIncomplete(text) { return .incomplete }
    return parse(Source(name: "", text: text)).diagnostics.isEmpty ? .complete : .invalid
  }

  // MARK: statements

  mutating func statements(inBlock: Bool) -> [Statement] {
    var found: [Statement] = []
    while true {
      while current.kind == .lineEnd { index += 1 }
      if current.kind == .end || (inBlock && current.is(.closeBrace)) { return found }
      let count = found.count
      do {
        let statement = try statement()
        found.append(statement)
        try end(of: statement, inBlock: inBlock)
      } catch {
        if found.count == count { unreadable += 1 }
        recover(inBlock: inBlock)
      }
    }
  }

  private mutating func end(of statement: Statement, inBlock: Bool) throws {
    if current.kind == .lineEnd || current.kind == .end || (inBlock && current.is(.closeBrace)) { return }
    if current.is(.comma) { throw misplacedComma() }
    var hint: String?
    if case .meta(let meta) = statement.kind, meta.word.text == "set" {
      hint = "a setting and its value stand side by side: `set memory.max 2GiB`"
    }
    throw fail("\(described(current)) does not belong here", hint: hint)
  }

  mutating func misplacedComma() -> Failure {
    let isBeforeParameter = tokens[index + 1].name != nil && tokens[index + 2].is(.assign)
    return fail(
      "`,` does not separate \(isBeforeParameter ? "arguments" : "inputs")",
      hint: isBeforeParameter ? "leave it out" : "several inputs are written `[a, b]`")
  }

  /// Skips to the end of the statement, over whole blocks.
  private mutating func recover(inBlock: Bool) {
    var braces = 0
    while current.kind != .end {
      if current.is(.openBrace) { braces += 1 }
      if current.is(.closeBrace) {
        if braces == 0 {
          if inBlock { return }
        } else {
          braces -= 1
        }
      }
      if current.kind == .lineEnd && braces == 0 { return }
      index += 1
    }
  }

  mutating func statement() throws -> Statement {
    depth += 1
    defer { depth -= 1 }
    guard depth < Parser.depthLimit else { throw fail("the statement is nested too deeply") }
    let start = current.range.lowerBound
    let kind = try statementKind()
    return Statement(kind: kind, range: start..<max(start, previousEnd))
  }

  private mutating func statementKind() throws -> Statement.Kind {
    guard let word = current.name else { return .expression(try expression()) }
    // `show = 3` is an assignment with a bad name, which the checker explains.
    if tokens[index + 1].is(.assign) {
      let name = advanceWord(word)
      index += 1
      try expectValue(after: "=")
      return .assign(name, try valueOrLoop())
    }
    switch word {
    case "param": return try parameter()
    case "include": return try include()
    case "assert": return try assertion()
    case "time":
      index += 1
      guard current.kind != .lineEnd, current.kind != .end else { throw fail("`time` needs a statement to time") }
      return .time(try statement())
    case "for": return .expression(try loop())
    default: break
    }
    if MetaWord.named(word) != nil { return try meta() }
    return .expression(try expression())
  }

  private mutating func parameter() throws -> Statement.Kind {
    index += 1
    let name = try word("a name after `param`")
    guard take(.assign) else { throw fail("`param \(name.text)` needs `=` and a default") }
    try expectValue(after: "=")
    let value = try self.value()
    var meaning: String?
    if case .literal(.string(let text)) = current.kind {
      meaning = text
      index += 1
    }
    return .parameter(name, value, meaning: meaning)
  }

  private mutating func include() throws -> Statement.Kind {
    index += 1
    let range = current.range
    switch current.kind {
    case .literal(.string(let path)), .literal(.path(let path)):
      index += 1
      return .include(path: path, range: range)
    default: throw fail("`include` needs a file name in quotes")
    }
  }

  private mutating func assertion() throws -> Statement.Kind {
    index += 1
    let left = try atom()
    guard case .symbol(let symbol) = current.kind, let comparison = Comparison(rawValue: symbol.rawValue) else {
      if current.is(.assign) { throw fail("`=` does not compare", hint: "did you mean `==`?") }
      throw fail("`assert` needs a comparison: <, <=, ==, !=, >= or >")
    }
    index += 1
    return .assertion(left, comparison, try atom())
  }

  private mutating func meta() throws -> Statement.Kind {
    let word = try self.word("a word")
    return .meta(MetaSyntax(word: word, arguments: try arguments()))
  }

  /// The right side of an assignment.
  private mutating func valueOrLoop() throws -> Expression {
    if current.is("for") { return try loop() }
    return try expression()
  }

  mutating func loop() throws -> Expression {
    let start = current.range.lowerBound
    index += 1
    var generators: [(name: Word, values: Expression)] = []
    repeat {
      let name = try word("a name after `for`")
      guard current.is("in") else { throw fail("`for \(name.text)` needs `in` and the values") }
      index += 1
      generators.append((name, try value()))
      guard generators.count < Parser.depthLimit else { throw fail("the sweep has too many generators") }
    } while take(.comma)
    while current.kind == .lineEnd, nextAfterLineEnds.is(.openBrace) { index += 1 }
    guard take(.openBrace) else { throw fail("the body of `for` stands in `{ }`") }
    let lists = listDepth
    listDepth = 0
    let body = statements(inBlock: true)
    listDepth = lists
    guard take(.closeBrace) else { throw fail("`{` of `for` is never closed") }
    return Expression(kind: .loop(Loop(generators: generators, body: body)), range: start..<previousEnd)
  }

  private var nextAfterLineEnds: Token {
    var ahead = index
    while tokens[ahead].kind == .lineEnd { ahead += 1 }
    return tokens[ahead]
  }
}

extension Script {
  /// How many statements it has, those of `for` blocks counted once.
  var statementCount: Int { Script.count(statements) + unreadable }

  private static func count(_ statements: [Statement]) -> Int {
    statements.reduce(0) { sum, statement in
      switch statement.kind {
      case .assign(_, let value), .expression(let value):
        if case .loop(let loop) = value.kind { return sum + 1 + count(loop.body) }
        return sum + 1
      default: return sum + 1
      }
    }
  }
}
