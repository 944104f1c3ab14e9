extension Elaborator {
  /// Checks the arguments of a meta word against its declaration.
  func meta(_ syntax: MetaSyntax, _ range: Range<Int>) throws -> MetaCall {
    guard let word = catalog.metaWord(syntax.word.text) else { throw Reported() }
    var call = MetaCall(word: word, arguments: [], parameters: [:], span: Span(source, range), argumentSpans: [:])
    var failed = false
    for argument in syntax.arguments {
      do {
        if let name = argument.name {
          try parameter(name, argument, of: word, in: &call)
        } else {
          try positional(argument, of: word, in: &call)
        }
      } catch {
        failed = true
      }
    }
    if failed { throw Reported() }
    for declared in word.parameters {
      guard let endings = declared.endings, let path = call.parameters[declared.name]?.text,
        let span = call.argumentSpans[declared.name], call.parameters["as"] == nil,
        !endings.contains(path.lowercased().split(separator: ".").last.map(String.init) ?? "")
      else { continue }
      throw report(.notAnEnding(path, endings: endings), span.range)
    }
    let required = word.arguments.count { $0.isRequired }
    if call.arguments.count < required { throw report(.metaArguments(word, text: nil), syntax.word.range) }
    return call
  }

  private func positional(_ argument: Argument, of word: MetaWord, in call: inout MetaCall) throws {
    let text = source.spanText(argument.range)
    guard call.arguments.count < word.arguments.count else {
      throw report(.metaArguments(word, text: text), argument.range)
    }
    let declared = word.arguments[call.arguments.count]
    call.argumentSpans[declared.name] = Span(source, argument.range)
    switch declared.kind {
    case .value: call.arguments.append(.value(try value(argument.value), text: text))
    case .variable:
      guard case .reference(let reference) = argument.value.kind else {
        throw report(.notAVariable(word, text: text), argument.range)
      }
      call.arguments.append(.value(try resolve(reference, argument.range), text: text))
    case .topic: call.arguments.append(.word(bareWord(argument.value) ?? text))
    case .type:
      let name = bareWord(argument.value) ?? text
      guard catalog.artifactTypes[name] != nil else {
        throw report(
          .notAType(name, suggestion: nearest(to: name, among: catalog.artifactTypes.keys.sorted())), argument.range)
      }
      call.arguments.append(.word(name))
    case .word: call.arguments.append(.word(bareWord(argument.value) ?? text))
    case .literal, .path:
      call.arguments.append(.literal(try literal(argument.value, as: declared.kind, (word.name, declared.name))))
    }
  }

  private func parameter(_ name: Word, _ argument: Argument, of word: MetaWord, in call: inout MetaCall) throws {
    guard let declared = word.parameters.first(where: { $0.name == name.text }) else {
      let suggestion = suggested(for: name.text, among: word.parameters.map(\.name))
      let value = source.spanText(argument.value.range)
      throw report(.notAMetaParameter(word, name: name.text, value: value, suggestion: suggestion), name.range)
    }
    if call.parameters[name.text] != nil { throw report(.repeatedArgument(op: word.name, name: name.text), name.range) }
    let value = try literal(argument.value, as: declared.kind, (word.name, name.text))
    if let choices = declared.choices, !choices.contains(value.text ?? "") {
      throw report(
        .notAChoice(word, name: name.text, found: value.text ?? value.rendered, choices: choices), argument.value.range)
    }
    call.parameters[name.text] = value
    call.argumentSpans[name.text] = Span(source, argument.range)
  }

  /// Words of meta parameters are columns and settings, never variables; paths and other literals may come from a `param`.
  /// - Parameter place: the word and its parameter, for an error.
  private func literal(_ expression: Expression, as kind: MetaWord.Kind, _ place: (word: String, name: String)) throws
    -> Literal
  {
    switch kind {
    case .word:
      if case .list(let items) = expression.kind {
        return .list(try items.map { Literal.Item(try literal($0.value, as: .word, place)) })
      }
      if let word = bareWord(expression) { return .symbol(word) }
      return try literal(expression)
    case .path:
      if let word = try bareFileName(expression) {
        guard word.contains(".") else { throw report(.bareWordAsPath(word), expression.range) }
        return .path(word)
      }
      switch try value(expression, allowsSymbols: true) {
      case .literal(.path("")), .literal(.string("")): throw report(.emptyPath, expression.range)
      case .literal(.path(let path)), .literal(.string(let path)): return .path(expandingHome(path))
      case .literal(let other) where plainName(expression) == nil:
        throw report(
          .mismatch(op: place.word, name: place.name, Mismatch(expected: "a path", found: other)), expression.range)
      default: throw report(.valueAsPath(source.spanText(expression.range)), expression.range)
      }
    default: return try literal(expression)
    }
  }

  /// The word when it was meant as the name of a file: it names no variable, or reads like a field of a value.
  func bareFileName(_ expression: Expression) throws -> String? {
    guard case .reference(let reference) = expression.kind, let word = reference.dotted else { return nil }
    switch try lookUp(reference.name.text) {
    case nil: return word
    case .artifact where !reference.selectors.isEmpty, .family where !reference.selectors.isEmpty: return word
    default: return nil
    }
  }

  /// The text of a bare, possibly dotted word or a string.
  private func bareWord(_ expression: Expression) -> String? {
    switch expression.kind {
    case .reference(let reference): return reference.dotted
    case .literal(.string(let text)): return text
    default: return nil
    }
  }
}
