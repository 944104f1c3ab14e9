extension Elaborator {
  /// Every variable that can be named here.
  var visibleNames: [String] {
    Set(scopes.flatMap(\.names)).union(Set(checker.storedNames?.names() ?? []).subtracting(dropped)).sorted()
  }

  /// What a name stands for, from the innermost scope outwards, then in the store; nil when it stands for nothing.
  /// - Throws: `Reported` when the statement that binds it has an error.
  func lookUp(_ name: String, back: Int = 0) throws -> PlanValue? {
    var back = back
    for scope in scopes.reversed() {
      if let binding = scope.binding(name, back: back) {
        guard case .value(let value) = binding else { throw Reported() }
        return value
      }
      back -= scope.depth(name)
    }
    // A binding made by this session is in the store too, so former ones count from the newest there.
    if dropped.contains(name) { return nil }
    guard let handle = checker.storedNames?.value(named: name, back: max(0, back)) else { return nil }
    if let family = checker.storedNames?.family(handle) { return .family(family) }
    let key = "stored:" + handle.reference.key
    let node = known[key] ?? PlanNode(handle: handle)
    known[key] = node
    return .artifact(node)
  }

  /// The value of a reference with its fields and selections.
  func resolve(_ reference: NameReference, _ range: Range<Int>, allowsSymbols: Bool = false) throws -> PlanValue {
    let name = reference.name
    guard
      var value = try name.text == "_"
        ? scopes.reversed().lazy.compactMap(\.last).first : lookUp(name.text, back: reference.back)
    else {
      if allowsSymbols, let dotted = reference.dotted { return .literal(.symbol(dotted)) }
      throw unknown(reference)
    }
    var rest = reference.selectors[...]
    while let selector = rest.first {
      switch selector {
      case .field:
        let fields = rest.prefix { if case .field = $0 { return true } else { return false } }
        let words = fields.compactMap { if case .field(let word) = $0 { return word } else { return nil } }
        let taken: Int
        (value, taken) = try field(words, of: value)
        rest = rest.dropFirst(taken)
      case .position(let position, let range):
        value = try element(position, of: value, range)
        rest = rest.dropFirst()
      case .slice(let slice, let range):
        value = try part(slice, of: value, range)
        rest = rest.dropFirst()
      case .coordinates(let pairs, let range):
        value = try cell(pairs, of: value, range)
        rest = rest.dropFirst()
      }
    }
    return value
  }

  private func unknown(_ reference: NameReference) -> Reported {
    let name = reference.name
    if reference.back > 0, (try? lookUp(name.text)) != nil {
      return report(.noFormerBinding(name.text, back: reference.back), name.range)
    }
    if name.text == "_" { return report(.noResult, name.range) }
    if catalog.signature(name.text) != nil { return report(.opAsVariable(name.text), name.range) }
    if !dropped.contains(name.text), var problem = checker.storedNames?.problem(named: name.text) {
      problem.span = Span(source, name.range)
      report(problem)
      return Reported()
    }
    let opening = catalog.opening(for: name.text)
    let op = opening.flatMap { catalog.signature($0) == nil ? nil : $0 }
    let word = nearest(to: name.text, among: visibleNames) ?? (op == nil ? opening : nil)
    return report(.unknownVariable(name.text, suggestion: word, op: op), name.range)
  }

  /// `x.name` of an artifact is one field, dots included; of a list it is the item with that label. With it, how many of
  /// the words were used.
  private func field(_ words: [Word], of value: PlanValue) throws -> (PlanValue, Int) {
    let name = words.map(\.text).joined(separator: ".")
    let range = (words.first?.range.lowerBound ?? 0)..<(words.last?.range.upperBound ?? 0)
    switch value {
    case .artifact(let node):
      guard catalog.hasField(name, of: node.type) else {
        let fields = Array(catalog.fields(of: node.type).keys)
        throw report(
          .noField(name, type: node.type.name, fields: fields, suggestion: suggested(for: name, among: fields)), range)
      }
      return (.field(node, name), words.count)
    case .list(let items):
      if let first = words.first, let item = items.first(where: { $0.label == first.text }) { return (item.value, 1) }
      throw report(.noField(name, type: value.described, fields: items.compactMap(\.label), suggestion: nil), range)
    default: throw report(.noField(name, type: value.described, fields: [], suggestion: nil), range)
    }
  }

  // MARK: parts of lists and sweeps

  private func element(_ position: Int, of value: PlanValue, _ range: Range<Int>) throws -> PlanValue {
    func checked(_ count: Int) throws -> Int {
      let index = position < 0 ? count + position : position
      guard (0..<count).contains(index) else { throw report(.noSuchPosition(position, count: count), range) }
      return index
    }
    switch value {
    case .list(let items): return items[try checked(items.count)].value
    case .family(let family): return .artifact(family.cells[try checked(family.cells.count)].node)
    case .literal(.list(let items)): return .literal(items[try checked(items.count)].value)
    default: throw report(.notSelectable(value.described), range)
    }
  }

  private func part(_ slice: Literal, of value: PlanValue, _ range: Range<Int>) throws -> PlanValue {
    func positions(_ count: Int) throws -> [Int] {
      do { return try Positions([slice]).resolved(count: count) } catch {
        var diagnostic = (error as? any Explained)?.diagnostic ?? Diagnostic("the range is empty", kind: .usage)
        diagnostic.span = Span(source, range)
        report(diagnostic)
        throw Reported()
      }
    }
    switch value {
    case .list(let items): return .list(try positions(items.count).map { items[$0] })
    case .family(let family):
      return .family(.init(names: family.names, cells: try positions(family.cells.count).map { family.cells[$0] }))
    case .literal(.list(let items)): return .literal(.list(try positions(items.count).map { items[$0] }))
    default: throw report(.notSelectable(value.described), range)
    }
  }

  /// `runs[s=flap,rate=20%]`: the cell, or the smaller sweep when several fit.
  private func cell(_ pairs: [SelectedCoordinate], of value: PlanValue, _ range: Range<Int>) throws
    -> PlanValue
  {
    guard case .family(let whole) = value else { throw report(.notSelectable(value.described), range) }
    // A part of a sweep is another value than the sweep.
    var family = PlanValue.Family(names: whole.names, cells: whole.cells)
    for pair in pairs {
      let (name, expression) = (pair.name, pair.value)
      guard family.names.contains(name.text) else {
        throw report(.noCoordinate(name.text, legal: family.names), name.range)
      }
      func coordinate(_ cell: (coordinates: [Coordinate], node: PlanNode)) -> Literal? {
        cell.coordinates.first { $0.name == name.text }?.value
      }
      let legal = family.cells.compactMap(coordinate)
      // A label wins over a variable of that name; a `param` holding the coordinate is looked up otherwise.
      var wanted: Literal
      if case .reference(let reference) = expression.kind, let word = reference.dotted,
        legal.contains(.symbol(word))
      {
        wanted = .symbol(word)
      } else {
        wanted = try literal(expression)
      }
      if case .string(let text) = wanted { wanted = .symbol(text) }
      let kept = family.cells.filter { coordinate($0)?.canonical == wanted.canonical }
      if kept.isEmpty {
        var names: [String] = []
        for text in legal.map(\.rendered) where !names.contains(text) { names.append(text) }
        throw report(.noSuchCell("\(name.text)=\(wanted.rendered)", legal: names), expression.range)
      }
      family.cells = kept
    }
    if family.cells.count == 1, Set(pairs.map(\.name.text)) == Set(family.names) {
      return .artifact(family.cells[0].node)
    }
    return .family(family)
  }
}
