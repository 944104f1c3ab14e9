import Foundation

/// Turns a syntax tree into a plan: looks every name up, unrolls loops, binds parameters, connects inputs.
/// The language has no arithmetic and no conditions, so all of this can be done before anything runs.
final class Elaborator {
  let checker: Checker
  var catalog: Catalog { checker.catalog }
  /// The file being read; includes change it for their statements.
  var source: Source
  var plan: Plan
  /// Scopes, innermost last: the session's names, then one per `for` cell.
  var scopes: [Environment]
  /// The sweep cell being unrolled.
  var coordinates: [Coordinate] = []
  var diagnostics: [Diagnostic] = []
  var reported: Set<String> = []
  /// Steps by identity: the same call twice is one step.
  var known: [String: PlanNode] = [:]
  private var including: [String] = []
  var usedOverrides: Set<String> = []
  var declaredParameters: Set<String> = []
  /// The most steps one script may unroll to.
  let stepLimit = 100_000
  /// Cells unrolled so far.
  var sweptCells = 0
  /// Cells of sweeps with an error, and after how many a sweep is given up: most cells have the same.
  var faultyCells = 0
  let faultyCellLimit = 100
  /// Errors met so far, also those that were met before.
  private(set) var errorsMet = 0
  private var isStopped = false
  /// Where the text of the script could not be read: what stands there has been reported, and no more is said of it.
  var unreadable: [Int] = []
  /// Names dropped so far: the workspace has them until the script runs.
  private(set) var dropped: Set<String> = []

  /// An error was recorded; whoever depends on the value says nothing more.
  struct Reported: Error {}

  init(checker: Checker, source: Source, environment: Environment) {
    self.checker = checker
    self.source = source
    plan = Plan(source: source)
    scopes = [environment]
  }

  func run() -> Checker.Result {
    including = [source.name]
    plan.add(script: source.name)
    let script = Parser.parse(source)
    elaborate(script)
    let unused = checker.overrides.filter { !usedOverrides.contains($0.name) }
    for override in unused {
      let suggestion = suggested(for: override.name, among: declaredParameters.sorted())
      report(CheckError.unknownOverride(override.name, suggestion: suggestion).diagnostic)
    }
    return Checker.Result(plan: plan, diagnostics: diagnostics)
  }

  // MARK: errors

  /// Records an error once; a loop meets the same one in every cell.
  func report(_ diagnostic: Diagnostic) {
    errorsMet += 1
    let place = diagnostic.span.map { "\($0.source.name):\($0.range)" } ?? ""
    if reported.insert(place + diagnostic.summary).inserted { diagnostics.append(diagnostic) }
  }

  @discardableResult
  func report(_ error: CheckError, _ range: Range<Int>) -> Reported {
    var diagnostic = error.diagnostic
    diagnostic.span = Span(source, range)
    report(diagnostic)
    return Reported()
  }

  /// Reports once that somebody wants the check to end, and refuses all that would follow.
  func requireGoing() throws {
    if isStopped { throw Reported() }
    guard checker.isCancelled() else { return }
    isStopped = true
    report(Diagnostic("stopped", kind: .cancelled))
    throw Reported()
  }

  // MARK: statements

  private func elaborate(_ script: Script) {
    plan.checkedStatements += script.statementCount
    for diagnostic in script.diagnostics { report(diagnostic) }
    let outer = unreadable
    unreadable = script.diagnostics.compactMap { $0.span?.range.lowerBound }
    elaborate(script.statements)
    unreadable = outer
  }

  /// Statements that stand below each other.
  func elaborate(_ statements: some Sequence<Statement>) {
    var above: Statement?
    for statement in statements {
      if !isStray(statement, below: above) { elaborate(statement) }
      above = statement
    }
  }

  /// Refuses `key=value` on a line of its own where the call above could have taken it: read as an assignment, the call
  /// would lose a parameter without a word.
  private func isStray(_ statement: Statement, below above: Statement?) -> Bool {
    guard case .assign(let name, _) = statement.kind, let above, let word = above.opening(name.text, in: catalog) else {
      return false
    }
    func margin(_ statement: Statement) -> Int {
      let start = statement.range.lowerBound
      let line = source.lineStarts[source.position(of: start).line - 1]
      return source.bytes(line..<start).reversed().prefix { $0 == " " || $0 == "\t" }.count
    }
    let isGlued = source.bytes(name.range.upperBound..<name.range.upperBound + 1) == "="
    guard isGlued || margin(statement) > margin(above) else { return false }
    report(.strayParameter(name.text, of: word), name.range)
    return true
  }

  /// Errors are recorded, and the names the statement would bind are marked, so that the rest can be checked.
  func elaborate(_ statement: Statement) {
    do {
      try requireGoing()
      try elaborated(statement)
    } catch {
      if case .assign(let name, _) = statement.kind { scopes[scopes.count - 1].bindFaulty(name.text) }
      if case .parameter(let name, _, _) = statement.kind { scopes[scopes.count - 1].bindFaulty(name.text) }
    }
  }

  private func elaborated(_ statement: Statement) throws {
    switch statement.kind {
    case .parameter(let name, let value, let meaning): try parameter(name, value, meaning)
    case .assign(let name, let expression):
      try checkName(name)
      let value = try statementValue(expression)
      scopes[scopes.count - 1].bind(name.text, value)
      scopes[scopes.count - 1].last = value
      emit(.bind(name: name.text, value, isLocal: scopes.count > 1), statement.range)
    case .expression(let expression):
      if case .loop(let loop) = expression.kind { return try unroll(loop, 0) { elaborate(loop.body) } }
      let value = try statementValue(expression)
      scopes[scopes.count - 1].last = value
      emit(.value(value), statement.range)
    case .include(let path, let range): try include(path, range)
    case .assertion(let left, let comparison, let right):
      let assertion = Assertion(left: try operand(left), comparison: comparison, right: try operand(right))
      if case .literal(let a) = assertion.left, case .literal(let b) = assertion.right, comparison.holds(a, b) == nil {
        throw report(.incomparable(a.rendered, b.rendered), statement.range)
      }
      emit(.assertion(assertion), statement.range)
    case .meta(let meta):
      let call = try self.meta(meta, statement.range)
      try check(call)
      emit(.meta(call), statement.range)
      if call.word.name == "drop", case .value(_, let name)? = call.arguments.first { drop(name) }
    case .time(let inner):
      let first = plan.statements.count
      elaborate(inner)
      for index in first..<plan.statements.count { plan.statements[index].timed = Span(source, inner.range) }
    }
  }

  /// From here on a name of the session stands for nothing.
  private func drop(_ name: String) {
    scopes[0].drop(name)
    dropped.insert(name)
  }

  /// Asks whoever carries the word out whether it could.
  private func check(_ call: MetaCall) throws {
    do { try checker.checkMeta(call, plan.reads) } catch {
      var diagnostic = explained(error, op: call.word.name)
      if diagnostic.span == nil {
        diagnostic.span = diagnostic.argument.flatMap { call.argumentSpans[$0] } ?? call.span
      }
      report(diagnostic)
      throw Reported()
    }
  }

  func emit(_ action: PlanStatement.Action, _ range: Range<Int>) {
    plan.add(PlanStatement(action: action, span: Span(source, range), coordinates: coordinates))
  }

  func checkName(_ name: Word) throws {
    // The name becomes that of a file.
    if name.text.utf8.count > 200 { throw report(.longName(limit: 200), name.range) }
    if catalog.signature(name.text) != nil { throw report(.reservedName(name.text, isOp: true), name.range) }
    if reservedWords.contains(name.text) || name.text == "_" {
      throw report(.reservedName(name.text, isOp: false), name.range)
    }
  }

  /// Files a script may include, each as often as it is named; two lines a file would make a thousand of ten.
  private static let includeLimit = 200

  private func include(_ path: String, _ range: Range<Int>) throws {
    let full = path.hasPrefix("/") || path.hasPrefix("~/") ? expandingHome(path) : source.folder + "/" + path
    let standard = URL(fileURLWithPath: full).standardizedFileURL.path
    let here = including.map { URL(fileURLWithPath: $0).standardizedFileURL.path }
    if here.contains(standard) { throw report(.includeCycle(including + [full]), range) }
    guard plan.scripts.count <= Elaborator.includeLimit else {
      throw report(.tooManyIncludes(Elaborator.includeLimit), range)
    }
    guard let text = checker.readFile(full) else { throw report(.unreadableFile(path), range) }
    let outer = source
    including.append(full)
    plan.add(script: full)
    source = Source(name: full, text: text, folder: URL(fileURLWithPath: full).deletingLastPathComponent().path)
    elaborate(Parser.parse(source))
    source = outer
    including.removeLast()
  }

  // MARK: values

  /// The value of a whole statement, where an op's name alone is a call.
  private func statementValue(_ expression: Expression) throws -> PlanValue {
    if let name = plainName(expression), catalog.signature(name) != nil {
      let word = Word(text: name, range: expression.range)
      return .artifact(try step(Call(op: word, arguments: []), expression.range, piped: nil))
    }
    if case .literal(.path(let path)) = expression.kind,
      let word = path.split(whereSeparator: { "/-.".contains($0) }).first.map(String.init), path.hasPrefix(word),
      visibleNames.contains(word)
    {
      throw report(.arithmetic(path, variable: word), expression.range)
    }
    return try value(expression)
  }

  /// The value of an expression.
  func value(_ expression: Expression, allowsSymbols: Bool = false) throws -> PlanValue {
    switch expression.kind {
    case .literal(let literal):
      if unreadable.contains(where: expression.range.contains) { throw Reported() }
      return .literal(literal)
    case .reference(let reference): return try resolve(reference, expression.range, allowsSymbols: allowsSymbols)
    case .call(let call): return .artifact(try step(call, expression.range, piped: nil))
    case .list(let items): return try list(items, allowsSymbols: allowsSymbols)
    case .combine(let how, let operands): return .artifact(try combined(operands, how: how, expression.range))
    case .not(let operand): return .artifact(try combined([operand], how: "not", expression.range))
    case .pipe(let left, let right): return try pipe(left, right, expression.range)
    case .loop(let loop): return .family(try family(loop, expression.range))
    }
  }

  /// A literal where no parameter says what is wanted: bare words that are no variables are symbols.
  func literal(_ expression: Expression) throws -> Literal {
    switch try value(expression, allowsSymbols: true) {
    case .literal(let literal): return literal
    case let other:
      throw report(.notALiteral(source.spanText(expression.range), found: other.described), expression.range)
    }
  }

  private func list(_ items: [Expression.Item], allowsSymbols: Bool) throws -> PlanValue {
    var found: [PlanValue.Item] = []
    var failed = false
    for item in items {
      do {
        let value = try self.value(item.value, allowsSymbols: allowsSymbols)
        found.append(PlanValue.Item(label: item.label?.text ?? plainName(item.value), value: value))
      } catch {
        failed = true
      }
    }
    if failed { throw Reported() }
    let isPlain = zip(items, found).allSatisfy { item, value in
      if item.label == nil, case .literal = value.value { return true } else { return false }
    }
    guard isPlain else {
      try requireDistinctLabels(
        zip(items, found).map { (PlanValue.Item(label: $0.label?.text, value: $1.value), $0.value.range) })
      return .list(found)
    }
    return .literal(
      .list(
        found.compactMap {
          if case .literal(let literal) = $0.value { return Literal.Item(literal) } else { return nil }
        }))
  }

  /// Refuses two items of one label: their rows, and the items by their labels, could not be told apart. The cells of sweeps
  /// are, by their coordinates.
  func requireDistinctLabels(_ items: [(item: PlanValue.Item, range: Range<Int>)]) throws {
    var labels: Set<String> = []
    for (item, range) in items {
      if case .family = item.value { continue }
      if let label = item.label, !labels.insert(label).inserted { throw report(.repeatedLabel(label), range) }
    }
  }

  /// The variable's name when the expression is nothing else: it serves as label. `_` is no name.
  func plainName(_ expression: Expression) -> String? {
    guard case .reference(let reference) = expression.kind, reference.selectors.isEmpty, reference.name.text != "_"
    else { return nil }
    return reference.name.text
  }

  private func pipe(_ left: Expression, _ right: Expression, _ range: Range<Int>) throws -> PlanValue {
    let input = try value(left)
    let given = GivenInput(value: input, label: plainName(left), range: left.range)
    switch right.kind {
    case .call(let call): return .artifact(try step(call, range, piped: given))
    case .reference(let reference) where reference.selectors.isEmpty && reference.back == 0:
      return .artifact(try step(Call(op: reference.name, arguments: []), range, piped: given))
    default: throw report(.pipeIntoNothing, right.range)
    }
  }

  /// A side of an assertion.
  private func operand(_ expression: Expression) throws -> PlanValue {
    let value = try self.value(expression)
    switch value {
    case .literal, .field: return value
    default:
      throw report(.incomparable(article(value.described), "a number"), expression.range)
    }
  }
}

extension Statement {
  /// The op or meta word of its outermost call, when that takes a parameter `name` and was not given it.
  fileprivate func opening(_ name: String, in catalog: Catalog) -> String? {
    func takes(_ call: Call) -> String? {
      let isDeclared = catalog.signature(call.op.text).map {
        $0.parameter(name) != nil || $0.input(name)?.isNamed == true
      }
      return isDeclared == true && !call.arguments.contains { $0.name?.text == name } ? call.op.text : nil
    }
    switch kind {
    case .assign(_, let value), .expression(let value):
      switch value.kind {
      case .call(let call): return takes(call)
      case .pipe(_, let right):
        if case .call(let call) = right.kind { return takes(call) }
        return nil
      default: return nil
      }
    case .meta(let meta):
      let declared = catalog.metaWord(meta.word.text)?.parameters.contains { $0.name == name } == true
      return declared && !meta.arguments.contains { $0.name?.text == name } ? meta.word.text : nil
    case .time(let inner): return inner.opening(name, in: catalog)
    default: return nil
    }
  }
}

extension Source {
  func spanText(_ range: Range<Int>) -> String { Span(self, range).text }
}

/// `~/x` with the home folder in place.
func expandingHome(_ path: String) -> String {
  path.hasPrefix("~/") ? NSHomeDirectory() + path.dropFirst() : path
}
