/// One run of one plan.
final class Execution {
  let session: Session
  let plan: Plan
  private var diagnostics: [Diagnostic] = []
  private var executed = 0
  /// The statement under `time` that is being carried out, and when it began.
  private var timing: (span: Span, start: ContinuousClock.Instant)?
  private let names: [ObjectIdentifier: String]
  private var indices: [ObjectIdentifier: Int] = [:]
  /// The statement being carried out, for the journal.
  private var statement: PlanStatement?

  init(session: Session, plan: Plan) {
    self.session = session
    self.plan = plan
    names = plan.names
    for (index, node) in plan.steps.enumerated() { indices[ObjectIdentifier(node)] = index + 1 }
  }

  /// Carries the statements out in order, up to the first failure; past it only in other cells of a sweep.
  func run() -> Outcome {
    if let wanted = session.options.steps { return run(steps: wanted) }
    for parameter in plan.parameters { session.environment.bind(parameter.name, .literal(parameter.value)) }
    let statements = selected
    for (index, statement) in statements.enumerated() {
      if timing == nil, let span = statement.timed { timing = (span, .now) }
      defer { endTiming(before: index + 1 < statements.count ? statements[index + 1] : nil) }
      do {
        try carryOut(statement)
        executed += 1
      } catch {
        var diagnostic = explained(error, op: "the statement")
        if diagnostic.span == nil { diagnostic.span = statement.span }
        // A usage error promises that nothing was run.
        if diagnostic.kind == .usage, executed > 0 { diagnostic.kind = .failure }
        record(diagnostic)
        let goesOn = session.options.keepsGoing && diagnostic.kind == .failure && !statement.coordinates.isEmpty
        if !goesOn { break }
      }
    }
    return Outcome(diagnostics: diagnostics, executed: executed, checked: plan.checkedStatements, isRefused: false)
  }

  /// Makes some steps, up to the first that fails, and carries no statement out.
  private func run(steps wanted: Set<Int>) -> Outcome {
    for number in wanted.sorted() {
      do {
        try make(plan.steps[number - 1])
        executed += 1
      } catch {
        record(explained(error, op: "the step"))
        break
      }
    }
    return Outcome(diagnostics: diagnostics, executed: executed, checked: plan.checkedStatements, isRefused: false)
  }

  /// A failed step makes all that need it fail; it is reported once.
  private func record(_ diagnostic: Diagnostic) {
    if !diagnostics.contains(diagnostic) { diagnostics.append(diagnostic) }
  }

  private var selected: [PlanStatement] {
    guard let wanted = session.options.cells else { return plan.statements }
    let notebook = Notebook(plan.source)
    let lines = wanted.compactMap { notebook.cell(named: $0)?.lines }
    return plan.statements.filter { statement in
      guard statement.span.source == plan.source else { return false }
      let line = plan.source.position(of: statement.span.range.lowerBound).line
      return lines.contains { $0.contains(line) }
    }
  }

  private func carryOut(_ statement: PlanStatement) throws {
    self.statement = statement
    session.observer.handle(.statement(statement.span))
    try act(statement)
  }

  /// Reports the time of a statement under `time` once the last of what it unrolled into is done.
  private func endTiming(before next: PlanStatement?) {
    guard let (span, start) = timing, next?.timed != span else { return }
    session.observer.handle(.timed(span, seconds: (ContinuousClock.now - start).seconds))
    timing = nil
  }

  private func act(_ statement: PlanStatement) throws {
    switch statement.action {
    case .bind(let name, let value, let isLocal):
      try make(value)
      if !isLocal { try bind(name, value) }
    case .value(let value):
      try make(value)
      session.environment.last = value
      session.observer.handle(.value(value, statement.span))
    case .cell(let node): try make(node)
    case .meta(let call): try perform(call)
    case .assertion(let assertion): try verify(assertion, statement.span)
    }
  }

  private func bind(_ name: String, _ value: PlanValue) throws {
    if case .family(let family) = value {
      family.stored.handle = try session.publish(family, place: statement?.span.place)
    }
    if let key = value.handle?.reference.key { session.binds(name, to: key) }
    session.environment.bind(name, value)
    session.environment.last = value
    if let handle = value.handle { try session.store.bind(name, to: handle.reference) }
    session.observer.handle(.bound(name: name, value))
  }

  private func perform(_ call: MetaCall) throws {
    for value in call.values { try make(value) }
    do {
      try inCell(statement?.coordinates ?? [], op: call.word.name) { try session.meta.perform(call, in: session) }
    } catch {
      var diagnostic = explained(error, op: call.word.name)
      if diagnostic.span == nil {
        diagnostic.span = diagnostic.argument.flatMap { call.argumentSpans[$0] } ?? call.span
      }
      throw diagnostic
    }
  }

  private func verify(_ assertion: Assertion, _ span: Span) throws {
    try make(assertion.left)
    try make(assertion.right)
    guard let left = try session.literal(assertion.left), let right = try session.literal(assertion.right) else {
      return
    }
    try inCell(statement?.coordinates ?? [], op: "assert") {
      guard let holds = assertion.comparison.holds(left, right) else {
        throw Diagnostic("\(left.rendered) and \(right.rendered) cannot be compared so", span: span)
      }
      guard holds else {
        throw Diagnostic(
          "the assertion does not hold: \(left.rendered) \(assertion.comparison.rawValue) \(right.rendered) is false",
          kind: .assertion, span: span)
      }
    }
    session.observer.handle(.asserted(span))
  }

  // MARK: making values

  /// Makes every artifact of a value. A sweep goes on past failed cells when asked to.
  private func make(_ value: PlanValue) throws {
    switch value {
    case .literal: return
    case .artifact(let node), .field(let node, _): try make(node)
    case .list(let items): for item in items { try make(item.value) }
    case .family(let family):
      for cell in family.cells {
        do { try make(cell.node) } catch let failure as Diagnostic
          where session.options.keepsGoing && failure.kind == .failure
        {
          record(failure)
        }
      }
    }
  }

  /// Makes an artifact and, first, what it needs.
  private func make(_ node: PlanNode) throws {
    if node.handle != nil { return }
    if let failure = node.failure { throw failure }
    guard let step = node.step else { throw Diagnostic("a value of the workspace is gone", kind: .store) }
    do {
      for source in step.sources {
        for input in source.nodes {
          do { try make(input.node) } catch let failure as Diagnostic
            where session.options.keepsGoing && failure.kind == .failure && source.toleratesFailure(of: input)
          {
            record(failure)
          }
        }
      }
      for late in step.deferred { try make(late.node) }
      try inCell(step.coordinates, op: step.bound.signature.name) { try runner(node, step).run() }
    } catch {
      let diagnostic = explained(error, op: step.bound.signature.name)
      if diagnostic.kind == .failure { node.failure = diagnostic }
      throw diagnostic
    }
  }

  /// Errors of `body` say in which cell of a sweep they happened: many cells fail with the same words.
  private func inCell(_ coordinates: [Coordinate], op: String, _ body: () throws -> Void) throws {
    do { try body() } catch {
      var diagnostic = explained(error, op: op)
      if diagnostic.kind != .cancelled, diagnostic.coordinates.isEmpty { diagnostic.coordinates = coordinates }
      throw diagnostic
    }
  }

  private func runner(_ node: PlanNode, _ step: PlanStep) -> StepRunner {
    let info = StepInfo(
      name: names[ObjectIdentifier(node)], op: step.bound.signature.name, type: node.type, key: nil,
      coordinates: step.coordinates, index: indices[ObjectIdentifier(node)] ?? 0, total: plan.steps.count,
      span: step.span, with: node.servedBy.map { [$0] } ?? [])
    return StepRunner(session: session, node: node, step: step, info: info, place: (statement?.span ?? step.span).place)
    {
      [self] in
      // Calls of the same op, made only as far as they are looked at.
      (ahead[info.op] ?? []).lazy.filter { $0.handle == nil && $0 !== node }.compactMap { [self] other in
        other.step.map { runner(other, $0) }
      }
    }
  }

  /// The steps that this run is to make, in order, by their op.
  private lazy var ahead = Dictionary(grouping: wanted, by: \.op)

  var wanted: [PlanNode] {
    if let wanted = session.options.steps { return wanted.sorted().map { plan.steps[$0 - 1] } }
    if session.options.cells == nil { return plan.steps }
    var needed: Set<ObjectIdentifier> = []
    func need(_ node: PlanNode) { if needed.insert(ObjectIdentifier(node)).inserted { node.needs.forEach(need) } }
    for statement in selected { statement.values.flatMap(\.nodes).forEach(need) }
    return plan.steps.filter { needed.contains(ObjectIdentifier($0)) }
  }
}

extension Duration {
  /// As a number.
  var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
