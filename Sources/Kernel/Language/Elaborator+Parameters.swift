extension Elaborator {
  /// Declares a `param`, with its default or what the command line says.
  func parameter(_ name: Word, _ value: Expression, _ meaning: String?) throws {
    usedOverrides.insert(name.text)
    try checkName(name)
    if !declaredParameters.insert(name.text).inserted { throw report(.repeatedParam(name.text), name.range) }
    let standard = try literal(value)
    var literal = standard
    if let override = checker.overrides.first(where: { $0.name == name.text }) {
      guard let given = overriding(standard, with: override.text) else {
        throw report(.badOverride(name.text, text: override.text), name.range)
      }
      literal = given
    }
    scopes[scopes.count - 1].bind(name.text, .literal(literal))
    plan.parameters.append(PlanParameter(name: name.text, value: literal, defaultValue: standard, meaning: meaning))
  }

  /// The literal a command-line override stands for. Where the default is text, the raw text is taken: a path needs no `./`.
  private func overriding(_ standard: Literal, with text: String) -> Literal? {
    switch standard {
    case .string: return .string(text)
    case .path: return paths(text)
    case .list(let items)
    where !items.isEmpty && items.allSatisfy({ if case .path = $0.value { true } else { false } }):
      return paths(text)
    default: return parsed(text)
    }
  }

  /// What a text says by itself.
  private func parsed(_ text: String) -> Literal? {
    guard let expression = Parser.value(of: text) else { return nil }
    let before = (diagnostics, reported, unreadable)
    unreadable = []
    defer { (diagnostics, reported, unreadable) = before }
    return try? literal(expression)
  }

  /// A path, in quotes or as it stands, or a list of such.
  private func paths(_ text: String) -> Literal? {
    let isList = text.hasPrefix("[") && text.hasSuffix("]")
    let isQuoted = text.hasPrefix("\"") || text.hasPrefix("'")
    if isList || isQuoted, let found = parsed(text).flatMap(paths) { return found }
    guard isList else { return isQuoted || text.isEmpty ? nil : .path(text) }
    let items = text.dropFirst().dropLast().split(separator: ",").compactMap {
      paths($0.trimmingCharacters(in: .whitespaces))
    }
    return items.isEmpty ? nil : .list(items.map { Literal.Item($0) })
  }

  /// The literal as a path or a list of paths; nil when it is something else.
  private func paths(_ literal: Literal) -> Literal? {
    switch literal {
    case .path: return literal
    case .string(let path): return .path(path)
    case .list(let items):
      let found = items.compactMap { item in paths(item.value).map { Literal.Item(label: item.label, $0) } }
      return items.isEmpty || found.count < items.count ? nil : .list(found)
    default: return nil
    }
  }
}
