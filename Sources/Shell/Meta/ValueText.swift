import Kernel

/// `rows=`: the first so many, or positions.
enum RowChoice {
  case first(Int)
  case positions(Positions)

  func rows<T>(of rows: [T]) throws -> [T] {
    switch self {
    case .first(let count): return Array(rows.prefix(count))
    case .positions(let positions):
      // A range may reach past the end, as the first so many may.
      let clipped = positions.ranges.map { range -> Literal in
        guard case .range(let lower, let upper?, let step) = range, lower < rows.count, upper >= rows.count else {
          return range
        }
        return .range(lower: lower, upper: rows.count - 1, step: step)
      }
      return try Positions(clipped).resolved(count: rows.count).map { rows[$0] }
    }
  }
}

/// How values of the language look when a statement shows them.
struct ValuePresenter {
  let session: Session
  let store: Store
  let console: Console

  /// Prints a value: a table when it has one, else its type and shape.
  func show(_ value: PlanValue, _ request: ShowRequest, rows: RowChoice? = nil) throws {
    switch value {
    case .literal(let literal): console.show(PlainText.of(literal), name: request.name)
    case .field:
      guard let literal = try session.literal(value) else { return }
      // A person wants 19.99%, a program all digits.
      if case .ratio(let ratio) = literal, console.showsFigures {
        return console.show(NumberText.percent(ratio), name: request.name)
      }
      console.show(PlainText.of(literal), name: request.name)
    case .artifact(let node):
      guard let handle = node.handle else { throw Diagnostic("`\(request.name)` was not computed") }
      let artifact = try handle.load()
      if let by = request.by {
        try require(by, among: (type(of: artifact) as? any Showable.Type)?.groupings ?? [], handle)
      }
      if let showable = artifact as? any Showable, let table = try showable.table(request) {
        try show(table, request, rows)
      } else {
        console.show("\(handle.type.name)  \(artifact.summary)", name: request.name)
      }
    case .list(let items):
      try show(
        TableData(
          columns: ["label", "type", "value"],
          rows: try items.enumerated().map { index, item in
            [.text(item.label ?? "\(index)")] + (try cells(item.value))
          }), request, rows)
    case .family(let family):
      let table = try SweepTable(family).data
      if table.columns.count > family.names.count { return try show(table, request, rows) }
      try show(
        TableData(
          columns: family.names + ["type", "value"],
          rows: try family.cells.map { cell in
            cell.coordinates.map { TableData.Cell($0.value) } + (try cells(.artifact(cell.node)))
          }), request, rows)
    }
  }

  private func show(_ table: TableData, _ request: ShowRequest, _ rows: RowChoice?) throws {
    var table = table
    if let rows { table.rows = try rows.rows(of: table.rows) }
    console.show(table, name: request.name, showsAll: rows != nil)
  }

  /// - Throws: when the value cannot be shown by that.
  private func require(_ by: String, among groupings: [String], _ handle: ArtifactHandle) throws {
    guard !groupings.contains(by) else { return }
    let hint = groupings.isEmpty ? nil : "by= takes \(groupings.joined(separator: " or "))"
    throw Diagnostic(
      "a value of type \(handle.type.name) cannot be shown by `\(by)`", hint: hint, argument: "by", kind: .usage)
  }

  private func cells(_ value: PlanValue) throws -> [TableData.Cell] {
    switch value {
    case .artifact(let node):
      guard let handle = node.handle else {
        return [.text(node.type.name), .text(node.failure.map { "failed: \($0.summary)" } ?? "not computed")]
      }
      return [.text(handle.type.name), .text(try store.find(handle.reference.key)?.summary ?? "")]
    case .literal(let literal): return [.text(literal.kind), TableData.Cell(literal)]
    case .field: return [.text("number"), try session.literal(value).map { TableData.Cell($0) } ?? .missing]
    case .list, .family: return [.text(value.described), .missing]
    }
  }
}

/// A literal without quotes, for a person or a pipe.
enum PlainText {
  static func of(_ literal: Literal) -> String {
    switch literal {
    case .string(let text), .path(let text), .symbol(let text): return text
    default: return literal.rendered
    }
  }
}

extension TableData.Cell {
  init(_ literal: Literal) {
    switch literal {
    case .none: self = .missing
    case .bool(let value): self = .bool(value)
    case .integer(let value): self = .integer(value)
    case .number(let value): self = .number(value)
    case .ratio(let value): self = .ratio(value)
    case .bytes(let value): self = .bytes(value)
    case .seconds(let value): self = .seconds(value)
    default: self = .text(PlainText.of(literal))
    }
  }
}
