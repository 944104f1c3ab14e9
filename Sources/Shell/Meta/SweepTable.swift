import Kernel

/// A sweep as a table and a picture: a row for each cell, with its coordinates and the numbers that its value shows of
/// itself; of tables every row.
struct SweepTable {
  let names: [String]
  let data: TableData
  /// The column that a figure draws when it is not told.
  private let quantity: String?
  /// What fields of the values mean, by their columns.
  private let meanings: [String: String]

  init(_ family: PlanValue.Family) throws {
    let names = family.names
    var columns: [String] = []
    var keys: [String] = []
    var meanings: [String: String] = [:]
    var quantities: [String] = []
    var found: [(coordinates: [Coordinate], values: [String: TableData.Cell])] = []
    for cell in family.cells {
      // What varies and what is measured may have one name: the rate asked for and the rate reached.
      func column(_ name: String) -> String { names.contains(name) ? "\(cell.node.type.name).\(name)" : name }
      let said = try cell.node.handle.map { try Said(by: $0.load()) } ?? Said()
      keys += said.keys.map(column).filter { !keys.contains($0) }
      quantities += said.quantity.map { [column($0)] } ?? []
      meanings.merge(said.meanings.map { (column($0.key), $0.value) }) { first, _ in first }
      for row in said.rows {
        let known = row.map { name, value in (column(name), value) }
        for (name, _) in known where !columns.contains(name) { columns.append(name) }
        found.append((cell.coordinates, Dictionary(known, uniquingKeysWith: { first, _ in first })))
      }
    }
    let rows = found.map { row in
      names.map { name in TableData.Cell(row.coordinates.first { $0.name == name }?.value ?? .none) }
        + columns.map { row.values[$0] ?? .missing }
    }
    self.names = names
    self.meanings = meanings
    data = TableData(columns: names + columns, rows: rows, keys: names + keys)
    let numbers = data.columns.indices.filter { [data] in
      !data.keys.contains(data.columns[$0]) && data.isNumeric(column: $0)
    }
    let varying = numbers.first { [data] number in data.rows.contains { $0[number] != data.rows[0][number] } }
    quantity = quantities.first ?? (varying ?? numbers.first).map { [data] in data.columns[$0] }
  }

  /// What a value says of itself in names and values: the rows of a table; else one row, of the table it shows when that
  /// is of names and values, or of its fields.
  private struct Said {
    var rows: [[(String, TableData.Cell)]] = [[]]
    /// The columns that say which row it is.
    var keys: [String] = []
    var quantity: String?
    var meanings: [String: String] = [:]

    init() {}

    init(by value: any Artifact) throws {
      let shown = value as? any Showable
      if let shown, let table = try shown.table(ShowRequest(name: "")) {
        if type(of: shown).isTable {
          rows = table.rows.map { Array(zip(table.columns, $0)) }
          keys = table.keys
          return
        }
        if table.isRecord {
          rows = [table.rows.map { ($0[0].machineText, $0[1]) }]
          return
        }
      }
      meanings = type(of: value).fields
      rows = [meanings.keys.sorted().compactMap { name in value.field(name).map { (name, TableData.Cell($0)) } }]
      quantity = shown.flatMap { type(of: $0).quantity }
    }
  }

  /// A number over a coordinate, with intervals where the number has an error; one line for each value of the others.
  func figure(_ request: PlotRequest) throws -> Figure {
    func column(_ name: String, _ argument: String) throws -> Int {
      guard let index = data.columns.firstIndex(of: name) else {
        throw Diagnostic(
          "the sweep has no `\(name)`; it has \(data.columns.joined(separator: ", "))",
          hint: nearest(to: name, among: data.columns).map { "did you mean `\($0)`?" }, argument: argument, kind: .usage
        )
      }
      return index
    }
    func isNumeric(_ index: Int) -> Bool { data.isNumeric(column: index) }
    let y: Int
    if let name = request.y {
      y = try column(name, "y")
    } else if let index = quantity.flatMap(data.columns.firstIndex(of:)) {
      y = index
    } else {
      throw Diagnostic(
        "the values of the sweep have no number to draw", hint: "try `show \(request.name)`", kind: .usage)
    }
    guard isNumeric(y) else {
      throw Diagnostic("`\(data.columns[y])` holds words, not numbers", argument: "y", kind: .usage)
    }
    let x = try request.x.map { try column($0, "x") } ?? names.indices.first(where: isNumeric)
    let quantity = spoken(data.columns[y])
    let isMeasured = data.rows.contains { if case .measured = $0[y] { true } else { false } }
    let axis = PlotAxis(isMeasured ? "\(quantity), with 95% interval" : quantity, isRatio: isRatio(y))
    guard let x else {
      let labels = data.rows.map { row in names.indices.map { row[$0].humanText(decimals: nil) }.joined(separator: ", ")
      }
      return Figure(
        title: sentence(quantity), key: request.key,
        .bars(
          BarPlot(
            x: PlotAxis(names.joined(separator: ", ")), y: axis, names: labels,
            groups: [.init("", values: data.rows.map { $0[y].value }, interval: data.rows.map { $0[y].interval })])))
    }
    guard isNumeric(x) else {
      throw Diagnostic("`\(data.columns[x])` holds words, not numbers", argument: "x", kind: .usage)
    }
    let others = try request.by.map { [try column($0, "by")] } ?? names.indices.filter { $0 != x }
    var order: [String] = []
    let kinds = data.rows.map { row in others.map { row[$0].humanText(decimals: nil) }.joined(separator: ", ") }
    for kind in kinds where !order.contains(kind) { order.append(kind) }
    let series = order.map { kind in
      let members = data.rows.indices.filter { kinds[$0] == kind }.map { data.rows[$0] }
        .sorted { $0[x].value < $1[x].value }
      return LinePlot.Series(
        kind, x: members.map { $0[x].value }, y: members.map { $0[y].value }, interval: members.map { $0[y].interval })
    }
    let by = others.isEmpty ? "" : ", by " + others.map { spoken(data.columns[$0]) }.joined(separator: " and ")
    return Figure(
      title: sentence("\(quantity) over \(spoken(data.columns[x]))\(by)"), key: request.key,
      .lines(LinePlot(x: PlotAxis(spoken(data.columns[x]), isRatio: isRatio(x)), y: axis, series: series)))
  }

  private func isRatio(_ column: Int) -> Bool {
    data.rows.allSatisfy { if case .ratio = $0[column] { true } else { false } }
  }

  private func spoken(_ name: String) -> String { meanings[name] ?? name.replacing("_", with: " ") }
  private func sentence(_ text: String) -> String { text.prefix(1).uppercased() + text.dropFirst() }
}

extension TableData.Cell {
  /// As a number; not finite for what is none.
  fileprivate var value: Double {
    switch self {
    case .number(let value), .measured(let value, _), .ratio(let value), .seconds(let value): value
    case .integer(let value), .bytes(let value): Double(value)
    case .missing, .text, .bool: .nan
    }
  }

  /// A 95% interval: 1.96 standard errors to either side.
  fileprivate var interval: ClosedRange<Double> {
    guard case .measured(let value, let error) = self, value.isFinite, error.isFinite else {
      return value.isFinite ? value...value : 0...0
    }
    return (value - 1.96 * error)...(value + 1.96 * error)
  }
}
