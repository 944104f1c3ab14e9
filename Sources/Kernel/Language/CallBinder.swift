/// A value on its way into an input.
struct GivenInput {
  var value: PlanValue
  var label: String?
  var range: Range<Int>
}

/// Connects the arguments of one call with the declaration of its op.
struct CallBinder {
  let elaborator: Elaborator
  let bound: BoundOp
  let op: Word
  private(set) var sources: [PlanStep.InputSources]
  private(set) var deferred: [PlanStep.Deferred] = []
  /// Where each input or parameter was given.
  private(set) var spans: [String: Range<Int>] = [:]
  /// Labels of list items in this call: `baseline=dense` may name one.
  private var labelled: [String: PlanValue] = [:]
  private var keywords: Set<String> = []

  private var signature: Signature { bound.signature }

  init(elaborator: Elaborator, bound: BoundOp, op: Word) {
    self.elaborator = elaborator
    self.bound = bound
    self.op = op
    sources = bound.signature.inputs.map { PlanStep.InputSources(declaration: $0) }
  }

  mutating func bind(_ arguments: [Argument], piped: GivenInput?) throws {
    var failed = false
    do { try positional(arguments.filter { $0.name == nil }, piped: piped) } catch { failed = true }
    for argument in arguments {
      guard let name = argument.name else { continue }
      do { try keyword(name, argument) } catch { failed = true }
    }
    if failed { throw Elaborator.Reported() }
    try requireAll()
  }

  private func requireAll() throws {
    var failed = false
    for source in sources where source.declaration.isRequired && source.nodes.isEmpty && source.paths.isEmpty {
      elaborator.report(.missingInput(op: op.text, source.declaration), op.range)
      failed = true
    }
    for parameter in signature.parameters where parameter.isRequired && !keywords.contains(parameter.name) {
      elaborator.report(.missingParameter(op: op.text, parameter), op.range)
      failed = true
    }
    if failed { throw Elaborator.Reported() }
  }

  // MARK: inputs

  private mutating func positional(_ arguments: [Argument], piped: GivenInput?) throws {
    let slots = signature.positional
    var slot = 0
    var failed = false
    func nextSlot(_ accepts: (InputDeclaration) -> Bool) -> InputDeclaration? {
      // An optional input is passed over when the value fits only the next one.
      while slot + 1 < slots.count, slots[slot].arity == .optional, !accepts(slots[slot]), accepts(slots[slot + 1]) {
        slot += 1
      }
      guard slot < slots.count else { return nil }
      defer { if slots[slot].arity != .many { slot += 1 } }
      return slots[slot]
    }
    if let piped {
      guard let first = nextSlot({ accepts(piped.value, $0) }) else {
        throw elaborator.report(
          .tooManyInputs(op: op.text, text: elaborator.source.spanText(piped.range), takes: 0), piped.range)
      }
      do { try give(piped, to: first) } catch { failed = true }
    }
    for argument in arguments {
      do {
        if slot + 1 < slots.count, slots[slot].arity == .optional, slots[slot + 1].isExternal,
          elaborator.isPath(argument.value)
        {
          slot += 1
        }
        if slot < slots.count, slots[slot].isExternal, let external = nextSlot({ _ in true }) {
          try givePaths(argument.value, to: external)
          continue
        }
        if slot == slots.count, let parameter = signature.parameters.first(where: isOpen) {
          keywords.insert(parameter.name)
          try set(parameter, argument)
          continue
        }
        let value: PlanValue
        do { value = try elaborator.value(argument.value) } catch {
          // Its place is taken, so that the next argument is not judged as if it stood here.
          failed = true
          _ = nextSlot { _ in true }
          continue
        }
        let given = GivenInput(value: value, label: elaborator.plainName(argument.value), range: argument.value.range)
        guard let input = nextSlot({ accepts(value, $0) }) else {
          let text = elaborator.source.spanText(argument.range)
          throw elaborator.report(.tooManyInputs(op: op.text, text: text, takes: slots.count), argument.range)
        }
        try give(given, to: input)
      } catch {
        failed = true
      }
    }
    if failed { throw Elaborator.Reported() }
  }

  /// Whether a parameter can be given without its name, and has not been.
  private func isOpen(_ parameter: ParameterDeclaration) -> Bool {
    parameter.isPositional && !keywords.contains(parameter.name)
  }

  private func accepts(_ value: PlanValue, _ input: InputDeclaration) -> Bool {
    value.nodes.allSatisfy { node in input.accepts.contains { $0.name == node.type.name } }
  }

  /// Adds a value to an input, lists and sweeps one by one.
  mutating func give(_ given: GivenInput, to input: InputDeclaration) throws {
    spans[input.name] = given.range
    switch given.value {
    case .artifact(let node): try add(node, label: given.label, coordinates: [], given, to: input)
    case .list(let items):
      guard input.arity == .many else { throw notOne(given, input) }
      if input.isLabelled { try elaborator.requireDistinctLabels(items.map { ($0, given.range) }) }
      for item in items {
        if let label = item.label { labelled[label] = item.value }
        switch item.value {
        case .artifact(let node): try add(node, label: item.label, coordinates: [], given, to: input)
        case .family(let family): try add(family, label: item.label, given, to: input)
        default: throw wrong(item.value.described, nil, given, input)
        }
      }
    case .family(let family):
      guard input.arity == .many else { throw notOne(given, input) }
      try add(family, label: nil, given, to: input)
    case .literal, .field: throw wrong(given.value.described, given.label, given, input)
    }
  }

  private mutating func add(
    _ family: PlanValue.Family, label: String?, _ given: GivenInput, to input: InputDeclaration
  ) throws {
    for cell in family.cells { try add(cell.node, label: label, coordinates: cell.coordinates, given, to: input) }
  }

  private mutating func add(
    _ node: PlanNode, label: String?, coordinates: [Coordinate], _ given: GivenInput, to input: InputDeclaration
  ) throws {
    guard input.accepts.contains(where: { $0.name == node.type.name }) else {
      throw wrong(node.type.name, given.label, given, input)
    }
    guard let index = sources.firstIndex(where: { $0.declaration.name == input.name }) else { return }
    sources[index].nodes.append(PlanStep.Source(node: node, label: label, coordinates: coordinates))
  }

  private func notOne(_ given: GivenInput, _ input: InputDeclaration) -> Elaborator.Reported {
    elaborator.report(.notOneValue(op: op.text, input, found: given.value.described), given.range)
  }

  private func wrong(_ found: String, _ name: String?, _ given: GivenInput, _ input: InputDeclaration)
    -> Elaborator.Reported
  {
    let keyword = signature.named.first { candidate in
      candidate.name != input.name && !keywords.contains(candidate.name)
        && candidate.accepts.contains { $0.name == found }
    }
    return elaborator.report(
      .wrongInput(op: op.text, input, found: found, name: name, keyword: keyword?.name), given.range)
  }

  /// Paths are literals, or variables holding one.
  private mutating func givePaths(_ expression: Expression, to input: InputDeclaration) throws {
    spans[input.name] = expression.range
    guard let index = sources.firstIndex(where: { $0.declaration.name == input.name }) else { return }
    for (path, range) in try paths(expression, input) {
      guard path == "-" || elaborator.checker.fileExists(path) || elaborator.plan.writes(path) else {
        throw elaborator.report(.missingFile(path, advice: input.advice(path)), range)
      }
      sources[index].paths.append(path)
    }
  }

  private func paths(_ expression: Expression, _ input: InputDeclaration) throws -> [(String, Range<Int>)] {
    if case .list(let items) = expression.kind {
      guard input.arity == .many || items.count == 1 else {
        throw elaborator.report(
          .notOneValue(op: op.text, input, found: "a list of \(items.count)"), expression.range)
      }
      return try items.flatMap { try paths($0.value, input) }
    }
    if let word = try elaborator.bareFileName(expression) {
      guard word.contains(".") || elaborator.checker.fileExists(word) else {
        throw elaborator.report(.bareWordAsPath(word), expression.range)
      }
      return [(word, expression.range)]
    }
    let value = try elaborator.value(expression)
    guard case .literal(let literal) = value else {
      throw elaborator.report(
        .wrongInput(op: op.text, input, found: value.described, name: elaborator.plainName(expression), keyword: nil),
        expression.range)
    }
    let literals: [Literal]
    if case .list(let items) = literal { literals = items.map(\.value) } else { literals = [literal] }
    return try literals.map { literal in
      switch literal {
      case .path(let path), .string(let path): return (expandingHome(path), expression.range)
      default:
        throw elaborator.report(
          .wrongInput(op: op.text, input, found: literal.kind, name: nil, keyword: nil), expression.range)
      }
    }
  }

  // MARK: keywords

  private mutating func keyword(_ name: Word, _ argument: Argument) throws {
    if !keywords.insert(name.text).inserted {
      throw elaborator.report(.repeatedArgument(op: op.text, name: name.text), name.range)
    }
    if let parameter = signature.parameter(name.text) { return try set(parameter, argument) }
    guard let input = signature.input(name.text), input.isNamed else {
      let isPositional = signature.input(name.text) != nil
      let parameters = signature.parameters.map(\.name)
      let near = suggested(for: name.text, among: parameters).flatMap(signature.parameter)
      throw elaborator.report(
        .unknownParameter(
          op: op.text, name: name.text, suggestion: near, isPositional: isPositional,
          takesLabels: signature.positional.contains { $0.isLabelled }), name.range)
    }
    if input.isExternal { return try givePaths(argument.value, to: input) }
    let label = elaborator.plainName(argument.value)
    // A label of this very call is nearer than a variable.
    let value = try label.flatMap { labelled[$0] } ?? elaborator.value(argument.value)
    try give(GivenInput(value: value, label: label, range: argument.value.range), to: input)
    if input.arity != .many { spans[input.name] = argument.range }
  }

  private mutating func set(_ parameter: ParameterDeclaration, _ argument: Argument) throws {
    spans[parameter.name] = argument.range
    switch try literal(argument.value, for: parameter) {
    case .field(let node, let field):
      deferred.append(
        PlanStep.Deferred(
          parameter: parameter.name, node: node, field: field, span: Span(elaborator.source, argument.value.range)))
    case .literal(let literal):
      do {
        try bound.parameters[parameter.name]?.bind(literal)
      } catch {
        throw elaborator.report(CheckError(binding: parameter.name, of: op.text, error), argument.value.range)
      }
    case let other: throw notALiteral(other, parameter, argument.value)
    }
  }

  private func notALiteral(_ value: PlanValue, _ parameter: ParameterDeclaration, _ expression: Expression)
    -> Elaborator.Reported
  {
    elaborator.report(
      .valueAsParameter(op: op.text, name: parameter.name, kind: parameter.kind, found: value.described),
      expression.range)
  }

  /// The value of a parameter: a literal, or a field of a value that is known later.
  private func literal(_ expression: Expression, for parameter: ParameterDeclaration) throws -> PlanValue {
    switch expression.kind {
    case .list(let items):
      let values = try items.map { item -> Literal.Item in
        switch try literal(item.value, for: parameter) {
        case .literal(let literal): return Literal.Item(label: item.label?.text, literal)
        case let other: throw notALiteral(other, parameter, item.value)
        }
      }
      return .literal(.list(values))
    case .reference(let reference): return try word(reference, expression, for: parameter)
    default: return try elaborator.value(expression)
    }
  }

  /// A bare word: a case of the enumeration, a variable, or text, as the parameter's type says.
  private func word(_ reference: NameReference, _ expression: Expression, for parameter: ParameterDeclaration) throws
    -> PlanValue
  {
    func variable() throws -> PlanValue? {
      try elaborator.lookUp(reference.name.text, back: reference.back) == nil
        ? nil : elaborator.resolve(reference, expression.range)
    }
    switch parameter.words {
    case .choice:
      if let word = reference.dotted, parameter.choices?.contains(word) == true { return .literal(.symbol(word)) }
      if let value = try variable() { return value }
      if let word = reference.dotted { return .literal(.symbol(word)) }
      return try elaborator.resolve(reference, expression.range)
    case .text:
      if let plain = reference.dotted {
        if case .literal(let literal)? = (try? variable()) ?? nil, literal.text != nil { return .literal(literal) }
        if reference.selectors.isEmpty { return .literal(.symbol(plain)) }
      }
      if let value = try variable() { return value }
      if let word = reference.dotted { return .literal(.symbol(word)) }
      return try elaborator.resolve(reference, expression.range)
    case .path:
      if let value = try variable() { return value }
      if let word = reference.dotted, word.contains(".") { return .literal(.path(word)) }
      throw elaborator.report(.bareWordAsPath(reference.dotted ?? reference.name.text), expression.range)
    case .variable: return try elaborator.resolve(reference, expression.range)
    }
  }
}
