extension Elaborator {
  /// Checks a call and adds its step, unless the plan has the same step already.
  func step(_ call: Call, _ range: Range<Int>, piped: GivenInput?) throws -> PlanNode {
    guard let bound = catalog.make(call.op.text) else { throw unknownOp(call.op) }
    var binder = CallBinder(elaborator: self, bound: bound, op: call.op)
    try binder.bind(call.arguments, piped: piped)
    return try finish(binder, range)
  }

  /// Whether an expression is a path, or a name of one.
  func isPath(_ expression: Expression) -> Bool {
    let literal: Literal?
    switch expression.kind {
    case .literal(let written): literal = written
    case .reference(let reference):
      guard case .literal(let named)? = (try? lookUp(reference.name.text, back: reference.back)) ?? nil else {
        return false
      }
      literal = named
    default: return false
    }
    switch literal {
    case .path, .string: return true
    default: return false
    }
  }

  private func unknownOp(_ op: Word) -> Reported {
    let isVariable = (try? lookUp(op.text)) ?? nil
    // A variable with an error of its own was reported already.
    if isVariable == nil, scopes.contains(where: { $0.binding(op.text) != nil }) { return Reported() }
    if isVariable != nil || reservedWords.contains(op.text) {
      return report(.notAnOp(op.text, isVariable: isVariable != nil), op.range)
    }
    return report(.unknownOp(op.text, suggestion: catalog.opening(for: op.text)), op.range)
  }

  /// `|`, `&`, `^` and `!` are calls of the catalog's op for them.
  func combined(_ operands: [Expression], how: String, _ range: Range<Int>) throws -> PlanNode {
    let op = Word(text: catalog.algebra ?? "", range: range)
    guard let bound = catalog.make(op.text), let slot = bound.signature.positional.first,
      (try? bound.parameters["how"]?.bind(.symbol(how))) != nil
    else { throw report(.noAlgebra, range) }
    var binder = CallBinder(elaborator: self, bound: bound, op: op)
    var failed = false
    for operand in operands {
      do {
        let value = try self.value(operand)
        guard case .artifact(let node) = value, slot.accepts.contains(where: { $0.name == node.type.name }) else {
          throw report(.notAnOperand(value.described, wanted: slot.accepts.map(\.name)), operand.range)
        }
        try binder.give(GivenInput(value: value, label: plainName(operand), range: operand.range), to: slot)
      } catch {
        failed = true
      }
    }
    if failed { throw Reported() }
    return try finish(binder, range)
  }

  /// Asks the op itself, and adds the step.
  private func finish(_ binder: CallBinder, _ range: Range<Int>) throws -> PlanNode {
    let step = PlanStep(
      bound: binder.bound, sources: binder.sources, deferred: binder.deferred, span: Span(source, range),
      argumentSpans: binder.spans.mapValues { Span(source, $0) }, coordinates: coordinates)
    let identity = step.identity
    if let node = known[identity] { return node }
    step.fillInputs()
    for source in step.sources where source.declaration.isExternal {
      step.bound.externals[source.declaration.name]?.bound = source.paths.map { ExternalFile(path: $0, content: "") }
    }
    // A value that is known only later is stood in for, so that everything else is still checked.
    for late in step.deferred {
      guard let parameter = step.bound.parameters[late.parameter], let value = parameter.standIn else { continue }
      try? parameter.bind(value)
    }
    var facts: RecordedFacts = [:]
    do {
      facts = try step.bound.check()
    } catch {
      var diagnostic = explained(error, op: binder.op.text)
      let isLate = step.deferred.contains { $0.parameter == diagnostic.argument }
      if !isLate {
        diagnostic.kind = .usage
        diagnostic.span = diagnostic.argument.flatMap { step.argumentSpans[$0] } ?? step.span
        report(diagnostic)
        throw Reported()
      }
    }
    let node = PlanNode(step: step, facts: facts)
    known[identity] = node
    plan.steps.append(node)
    return node
  }
}

/// What an error of an op says, whatever kind of error it is.
func explained(_ error: any Error, op: String) -> Diagnostic {
  if let explained = error as? any Explained { return explained.diagnostic }
  return Diagnostic("`\(op)` failed: \(error)")
}
