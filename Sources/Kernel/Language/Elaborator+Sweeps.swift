extension Elaborator {
  /// Runs `cell` for every combination of the generators, each in a scope of its own. Later generators see earlier ones.
  func unroll(_ loop: Loop, _ index: Int, _ cell: () throws -> Void) throws {
    guard index < loop.generators.count else {
      sweptCells += 1
      let before = errorsMet
      defer { if errorsMet > before { faultyCells += 1 } }
      return try cell()
    }
    let generator = loop.generators[index]
    if catalog.signature(generator.name.text) != nil || reservedWords.contains(generator.name.text) {
      throw report(
        .reservedName(generator.name.text, isOp: catalog.signature(generator.name.text) != nil), generator.name.range)
    }
    let values = try generated(generator.values, named: generator.name.text)
    try requireDistinct(values.map(\.0), generator.values.range)
    if values.isEmpty { throw report(.emptySweep, generator.values.range) }
    if index == 0 { try refuseTooLarge(loop, first: values.count) }
    var failed = false
    for (given, value) in values {
      try requireGoing()
      if faultyCells >= faultyCellLimit { throw Reported() }
      scopes.append(Environment())
      scopes[scopes.count - 1].bind(generator.name.text, value)
      coordinates += given
      defer {
        scopes.removeLast()
        coordinates.removeLast(given.count)
      }
      do { try unroll(loop, index + 1, cell) } catch { failed = true }
      if max(sweptCells, plan.steps.count) > stepLimit {
        throw report(.sweepTooLarge(limit: stepLimit), generator.values.range)
      }
    }
    if failed { throw Reported() }
  }

  /// Refuses a value given twice: its cells could not be told apart.
  private func requireDistinct(_ cells: [[Coordinate]], _ range: Range<Int>) throws {
    var met: Set<String> = []
    for cell in cells where !met.insert(cell.written).inserted { throw report(.repeatedCell(cell.written), range) }
  }

  /// Refuses a loop of too many cells before the first is made. Generators that run over what earlier ones gave are not
  /// known yet and count once; the cells they add are counted as they are made.
  private func refuseTooLarge(_ loop: Loop, first: Int) throws {
    let names = Set(loop.generators.map(\.name.text))
    var cells = first
    for generator in loop.generators.dropFirst() where generator.values.isIndependent(of: names) {
      cells *= max(1, try generated(generator.values, named: generator.name.text).count)
      if cells > stepLimit { throw report(.sweepTooLarge(limit: stepLimit), generator.values.range) }
    }
  }

  /// The values a generator runs over, each with the coordinates it adds.
  private func generated(_ expression: Expression, named name: String) throws -> [([Coordinate], PlanValue)] {
    let value = try self.value(expression, allowsSymbols: true)
    func literals(_ literals: [Literal]) -> [([Coordinate], PlanValue)] {
      literals.map { ([Coordinate(name: name, value: $0)], .literal($0)) }
    }
    switch value {
    case .literal(.list(let items)): return literals(items.map(\.value))
    case .literal(.range(let lower, let upper?, let step)):
      guard lower >= 0, upper >= lower else {
        throw report(.notIterable("a range that has no first and last"), expression.range)
      }
      guard (upper - lower) / step < stepLimit else { throw report(.sweepTooLarge(limit: stepLimit), expression.range) }
      return literals(stride(from: lower, through: upper, by: step).map(Literal.integer))
    case .literal(.range): throw report(.notIterable("a range without an end"), expression.range)
    case .literal(let literal): return literals([literal])
    case .list(let items):
      return items.enumerated().map { position, item in
        let coordinate: Literal
        if let label = item.label {
          coordinate = .symbol(label)
        } else if case .literal(let literal) = item.value {
          coordinate = literal
        } else {
          coordinate = .integer(position)
        }
        return ([Coordinate(name: name, value: coordinate)], item.value)
      }
    case .family(let family): return family.cells.map { ($0.coordinates, .artifact($0.node)) }
    case .artifact, .field: throw report(.notIterable(value.described), expression.range)
    }
  }

  /// A `for` used as a value.
  func family(_ loop: Loop, _ range: Range<Int>) throws -> PlanValue.Family {
    guard let last = loop.body.last, case .expression(let result) = last.kind else {
      throw report(.sweepWithoutValue, loop.body.last?.range ?? range)
    }
    let outer = coordinates.count
    var cells: [(coordinates: [Coordinate], node: PlanNode)] = []
    try unroll(loop, 0) {
      elaborate(loop.body.dropLast())
      let here = Array(coordinates[outer...])
      switch try value(result) {
      case .artifact(let node):
        emit(.cell(node), last.range)
        cells.append((here, node))
      case .family(let inner): cells += inner.cells.map { (here + $0.coordinates, $0.node) }
      case let other: throw report(.cellNotAValue(other.described), result.range)
      }
    }
    var names: [String] = []
    for cell in cells {
      for coordinate in cell.coordinates where !names.contains(coordinate.name) { names.append(coordinate.name) }
    }
    return PlanValue.Family(names: names, cells: cells)
  }

}

extension Expression {
  /// Whether it is written out or named, and by none of `names`.
  fileprivate func isIndependent(of names: Set<String>) -> Bool {
    switch kind {
    case .literal: true
    case .list(let items): items.allSatisfy { $0.value.isIndependent(of: names) }
    case .reference(let reference): reference.selectors.isEmpty && !names.contains(reference.name.text)
    default: false
    }
  }
}
