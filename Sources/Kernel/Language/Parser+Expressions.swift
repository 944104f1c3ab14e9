extension Parser {
  // MARK: expressions

  mutating func expression() throws -> Expression {
    depth += 1
    defer { depth -= 1 }
    guard depth < Parser.depthLimit else { throw fail("the expression is nested too deeply") }
    if current.is("for") { return try loop() }
    var left = try or()
    // Each step of a chain lies one deeper in the tree.
    let outer = depth
    defer { depth = outer }
    while take(.pipe) {
      depth += 1
      guard depth < Parser.depthLimit else { throw fail("the chain of `|>` is too long") }
      let right = try unary()
      left = Expression(kind: .pipe(left, right), range: left.range.lowerBound..<right.range.upperBound)
    }
    return left
  }

  private mutating func or() throws -> Expression { try combination(.or, "or") { try $0.xor() } }
  private mutating func xor() throws -> Expression { try combination(.xor, "xor") { try $0.and() } }
  private mutating func and() throws -> Expression { try combination(.and, "and") { try $0.unary() } }

  private mutating func combination(
    _ symbol: Token.Symbol, _ how: String, _ operand: (inout Parser) throws -> Expression
  ) throws -> Expression {
    var operands = [try operand(&self)]
    while take(symbol) { operands.append(try operand(&self)) }
    guard operands.count > 1, let first = operands.first, let last = operands.last else { return operands[0] }
    return Expression(
      kind: .combine(how: how, operands), range: first.range.lowerBound..<last.range.upperBound)
  }

  private mutating func unary() throws -> Expression {
    depth += 1
    defer { depth -= 1 }
    guard depth < Parser.depthLimit else { throw fail("the expression is nested too deeply") }
    let start = current.range.lowerBound
    if take(.not) {
      let operand = try unary()
      return Expression(kind: .not(operand), range: start..<operand.range.upperBound)
    }
    return try callOrPrimary()
  }

  /// `op args`, or a value by itself.
  private mutating func callOrPrimary() throws -> Expression {
    guard current.name != nil, literalWord == nil else { return try primary() }
    let reference = try self.reference()
    if current.is(.not) { throw misplacedNot() }
    guard case .reference(let target) = reference.kind, target.back == 0, target.selectors.isEmpty, startsArgument
    else {
      return reference
    }
    let arguments = try self.arguments()
    return Expression(
      kind: .call(Call(op: target.name, arguments: arguments)), range: reference.range.lowerBound..<previousEnd)
  }

  private var startsArgument: Bool {
    switch current.kind {
    case .name, .literal: return true
    case .symbol(let symbol): return symbol == .openParenthesis || symbol == .openBracket
    default: return false
    }
  }

  mutating func arguments() throws -> [Argument] {
    var found: [Argument] = []
    while startsArgument {
      let start = current.range.lowerBound
      var name: Word?
      if let text = current.name, tokens[index + 1].is(.assign) {
        name = advanceWord(text)
        index += 1
        try expectValue(after: "\(text)=")
      }
      let value = name == nil ? try primary() : try self.value()
      found.append(Argument(name: name, value: value, range: start..<previousEnd))
    }
    if current.is(.not) { throw misplacedNot() }
    return found
  }

  private mutating func misplacedNot() -> Failure {
    fail("a mask expression as an argument stands in parentheses", hint: "write `(!mask)`")
  }

  private mutating func primary() throws -> Expression {
    let start = current.range.lowerBound
    if current.is(.openBracket) { return try list() }
    if take(.openParenthesis) {
      let lists = listDepth
      listDepth = 0
      defer { listDepth = lists }
      let inner = try expression()
      guard take(.closeParenthesis) else {
        if current.is(.comma) { throw misplacedComma() }
        throw fail("expected `)`, found \(described(current))")
      }
      return Expression(kind: inner.kind, range: start..<previousEnd)
    }
    return try atom()
  }

  private mutating func list() throws -> Expression {
    let start = current.range.lowerBound
    index += 1
    listDepth += 1
    defer { listDepth -= 1 }
    var items: [Expression.Item] = []
    while !current.is(.closeBracket) {
      var label: Word?
      if let text = current.name, tokens[index + 1].is(.colon) {
        label = advanceWord(text)
        index += 1
      }
      items.append(Expression.Item(label: label, value: try expression()))
      if !take(.comma) { break }
    }
    guard take(.closeBracket) else {
      throw fail("expected `,` or `]` in the list, found \(described(current))")
    }
    return Expression(kind: .list(items), range: start..<previousEnd)
  }

  // MARK: values

  /// The value of `name=`: an atom, a bare list `a,b`, a list in brackets, or an expression in parentheses.
  mutating func value() throws -> Expression {
    let start = current.range.lowerBound
    if current.is(.openBracket) || current.is(.openParenthesis) { return try primary() }
    var items = [Expression.Item(label: nil, value: try atom())]
    while current.is(.comma), commaContinuesList {
      index += 1
      items.append(Expression.Item(label: nil, value: try atom()))
    }
    if items.count == 1 { return items[0].value }
    return Expression(kind: .list(items), range: start..<previousEnd)
  }

  /// Whether the comma at hand joins a bare list. It does not when the next generator of a `for` or the next labelled item
  /// follows; inside `[ ]` it does not when white space follows either.
  private var commaContinuesList: Bool {
    let next = tokens[index + 1]
    if next.name != nil, tokens[index + 2].is("in") || (tokens[index + 2].is(.colon) && listDepth > 0) { return false }
    if next.is(.closeBracket) || next.is(.closeParenthesis) { return false }
    return listDepth == 0 || !next.isSpaced
  }

  /// A range, a reference or a literal.
  mutating func atom() throws -> Expression {
    let start = current.range
    if let literal = literalWord {
      index += 1
      return Expression(kind: .literal(literal), range: start)
    }
    switch current.kind {
    case .name: return try qualified(reference())
    case .literal(.integer(let lower)) where tokens[index + 1].is(.range) && !tokens[index + 1].isSpaced:
      return try range(from: lower)
    case .literal(.integer(let layer)) where tokens[index + 1].is(.colon) && !tokens[index + 1].isSpaced:
      // A layer and what is in it: `0:3`.
      guard case .literal(.integer(let number)) = tokens[index + 2].kind, !tokens[index + 2].isSpaced else {
        throw fail("`\(layer):` needs a number behind it")
      }
      index += 3
      return Expression(kind: .literal(.string("\(layer):\(number)")), range: start.lowerBound..<previousEnd)
    case .literal(let literal):
      index += 1
      return Expression(kind: .literal(literal), range: start)
    default: throw fail("expected a value, found \(described(current))")
    }
  }

  /// The word itself, or two words joined by a colon, such as `ffn.in:stream`. In brackets a colon ends a label.
  private mutating func qualified(_ word: Expression) throws -> Expression {
    guard listDepth == 0, current.is(.colon), !current.isSpaced, case .reference(let place) = word.kind,
      let text = place.dotted, let what = tokens[index + 1].name, !tokens[index + 1].isSpaced
    else { return word }
    index += 2
    return Expression(kind: .literal(.symbol("\(text):\(what)")), range: word.range.lowerBound..<previousEnd)
  }

  private mutating func range(from lower: Int) throws -> Expression {
    let start = current.range.lowerBound
    index += 2
    let upper = takeAdjacentInteger()
    var step = 1
    if current.is(.colon), !current.isSpaced, case .literal(.integer(let given)) = tokens[index + 1].kind,
      !tokens[index + 1].isSpaced
    {
      index += 2
      guard given > 0 else { throw fail("the step of a range is at least 1", at: tokens[index - 1].range) }
      step = given
    }
    return Expression(kind: .literal(.range(lower: lower, upper: upper, step: step)), range: start..<previousEnd)
  }

  private mutating func takeAdjacentInteger() -> Int? {
    guard case .literal(.integer(let value)) = current.kind, !current.isSpaced else { return nil }
    index += 1
    return value
  }

  mutating func reference() throws -> Expression {
    let name = try word("a name")
    var reference = NameReference(name: name, back: 0, selectors: [])
    if current.is(.at), !current.isSpaced {
      index += 1
      guard case .literal(.integer(let offset)) = current.kind, offset <= 0 else {
        throw fail("`@` is followed by 0 or a negative number: `\(name.text)@-1` is the former binding")
      }
      guard offset > -1_000_000 else { throw fail("no name has that many former bindings") }
      index += 1
      reference.back = Int(Int32(clamping: offset.magnitude))
    }
    while true {
      if current.is(.dot), !current.isSpaced, let text = tokens[index + 1].name, !tokens[index + 1].isSpaced {
        index += 1
        reference.selectors.append(.field(advanceWord(text)))
      } else if current.is(.openBracket), !current.isSpaced {
        reference.selectors.append(try selector())
      } else {
        break
      }
    }
    return Expression(kind: .reference(reference), range: name.range.lowerBound..<previousEnd)
  }

  private mutating func selector() throws -> Selector {
    let start = current.range.lowerBound
    index += 1
    let selector: Selector
    if case .literal(.integer) = current.kind {
      let value = try atom()
      switch value.kind {
      case .literal(.integer(let position)): selector = .position(position, value.range)
      case .literal(let range): selector = .slice(range, value.range)
      default: throw fail("expected a position or a range")
      }
    } else if current.name != nil, tokens[index + 1].is(.assign) {
      var pairs: [SelectedCoordinate] = []
      repeat {
        let name = try word("a name of the sweep")
        guard take(.assign) else { throw fail("expected `\(name.text)=value` inside `[ ]`") }
        pairs.append(SelectedCoordinate(name: name, value: try atom()))
      } while take(.comma) || (current.name != nil && tokens[index + 1].is(.assign))
      selector = .coordinates(pairs, start..<current.range.upperBound)
    } else {
      throw fail(
        "expected a position, a range or `name=value` inside `[ ]`", hint: "a list is written with a space before `[`")
    }
    guard take(.closeBracket) else { throw fail("expected `]`, found \(described(current))") }
    return selector
  }

  // MARK: tokens

  var current: Token { tokens[index] }

  var previousEnd: Int { index > 0 ? tokens[index - 1].range.upperBound : 0 }

  /// `true`, `false` or `none` at hand.
  private var literalWord: Literal? {
    switch current.name {
    case "true": return .bool(true)
    case "false": return .bool(false)
    case "none": return Literal.none
    default: return nil
    }
  }

  mutating func take(_ symbol: Token.Symbol) -> Bool {
    guard current.is(symbol) else { return false }
    index += 1
    return true
  }

  mutating func advanceWord(_ text: String) -> Word {
    defer { index += 1 }
    return Word(text: text, range: current.range)
  }

  mutating func word(_ wanted: String) throws -> Word {
    guard let text = current.name else { throw fail("expected \(wanted), found \(described(current))") }
    return advanceWord(text)
  }

  mutating func expectValue(after text: String) throws {
    if current.kind == .lineEnd || current.kind == .end { throw fail("a value is missing after `\(text)`") }
  }

  mutating func fail(_ sentence: String, hint: String? = nil, at range: Range<Int>? = nil) -> Failure {
    var range = range ?? current.range
    // At the end of a line the caret stands right after the last token.
    if current.kind == .lineEnd || current.kind == .end { range = previousEnd..<previousEnd }
    diagnostics.append(Diagnostic(sentence, hint: hint, kind: .usage, span: Span(source, range)))
    return Failure()
  }

  func described(_ token: Token) -> String {
    switch token.kind {
    case .name(let text): return "`\(text)`"
    case .literal(let literal): return "`\(literal.rendered)`"
    case .symbol(let symbol): return "`\(symbol.rawValue)`"
    case .lineEnd: return "the end of the line"
    case .end: return "the end of the text"
    }
  }
}
