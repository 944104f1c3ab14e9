import Kernel

extension ResultTable: Showable {
  public static var figureParameters: Set<String> { ["x", "y", "by"] }
  public static var isTable: Bool { true }

  public func table(_ request: ShowRequest) throws -> TableData? {
    TableData(
      columns: names,
      rows: (0..<rows).map { row in
        zip(names, columns).map { name, column in
          switch column {
          case .words(let values): return .text(values[row])
          case .numbers(let values) where values[row].isNaN: return .missing
          case .numbers(let values): return isRatio(name) ? .ratio(values[row]) : .number(values[row])
          }
        }
      }, keys: keys)
  }

  /// Lines of one measured column over another column, one line per value of `by`; without x bars, or lines over the layers.
  public func figure(_ request: PlotRequest) throws -> Figure {
    if request.x == nil, request.y == nil, request.by == nil, let figure = layerFigure(request) { return figure }
    let y = request.y ?? names.first { !keys.contains($0) } ?? ""
    let values = try numbers(y, "y")
    let errors = (try? numbers(y + "_stderr", "y")) ?? []
    // A 95% interval: 1.96 standard errors to either side. Of a value that is not there nothing is known.
    func interval(_ row: Int) -> ClosedRange<Double> {
      guard values[row].isFinite else { return -.infinity ... .infinity }
      let half = errors.indices.contains(row) && errors[row].isFinite ? 1.96 * errors[row] : 0
      return (values[row] - half)...(values[row] + half)
    }
    let quantity = Self.spoken(y)
    let axis = PlotAxis(errors.isEmpty ? quantity : "\(quantity), with 95% interval", isRatio: isRatio(y))
    guard let x = request.x else {
      if request.by != nil {
        throw Diagnostic("by= tells lines apart, and without x= there are bars", argument: "by", kind: .usage)
      }
      return Figure(
        title: Self.sentence(quantity), key: request.key,
        .bars(
          BarPlot(
            x: PlotAxis(names.first.map(Self.spoken) ?? "row"), y: axis, names: (0..<rows).map(label),
            groups: [.init(quantity, values: values, interval: errors.isEmpty ? nil : (0..<rows).map(interval))])))
    }
    let positions = try numbers(x, "x")
    let kinds = try request.by.map { try words($0) } ?? (0..<rows).map { _ in "" }
    var order: [String] = []
    for kind in kinds where !order.contains(kind) { order.append(kind) }
    // One row that has no place on the axis, such as the unpruned model, is a line to compare with.
    let others = (0..<rows).filter { positions[$0].isNaN && values[$0].isFinite }
    let reference = others.count == 1 ? others.first : nil
    let series = order.compactMap { kind -> LinePlot.Series? in
      let members = (0..<rows).filter { kinds[$0] == kind && positions[$0].isFinite }
        .sorted { positions[$0] < positions[$1] }
      guard !members.isEmpty else { return nil }
      return LinePlot.Series(
        kind, x: members.map { positions[$0] }, y: members.map { values[$0] },
        interval: errors.isEmpty ? nil : members.map(interval))
    }
    let by = request.by.map { ", by \(Self.spoken($0))" } ?? ""
    return Figure(
      title: Self.sentence("\(quantity) over \(Self.spoken(x))\(by)"), key: request.key,
      .lines(
        LinePlot(
          x: PlotAxis(Self.spoken(x), isRatio: isRatio(x), isWhole: x == "layer"), y: axis, series: series,
          reference: reference.map { .init(x == "layer" ? "all layers" : label($0), y: values[$0]) })))
  }

  /// `token_perplexity` as people say it.
  static func spoken(_ name: String) -> String { name.replacing("_", with: " ") }

  static func sentence(_ text: String) -> String { text.prefix(1).uppercased() + text.dropFirst() }

  /// Whether a column holds shares, which people read in percent.
  private func isRatio(_ name: String) -> Bool {
    name == "rate" || name == "kept" || name.hasSuffix("_rate") || name.hasPrefix("removed_of_")
      || name.hasPrefix("above_")
  }

  private func label(_ row: Int) -> String {
    if case .words(let labels)? = columns.first { return labels[row] }
    return "\(row)"
  }

  private func column(_ name: String, _ argument: String) throws -> Column {
    guard let column = self[name] else {
      throw Diagnostic(
        "the table has no column \(name); it has \(names.joined(separator: ", "))",
        hint: nearest(to: name, among: names).map { "did you mean `\($0)`?" }, argument: argument, kind: .usage)
    }
    return column
  }

  private func numbers(_ name: String, _ argument: String) throws -> [Double] {
    guard case .numbers(let values) = try column(name, argument) else {
      throw Diagnostic("the column \(name) holds words, not numbers", argument: argument, kind: .usage)
    }
    return values
  }

  private func words(_ name: String) throws -> [String] {
    switch try column(name, "by") {
    case .words(let values): return values
    case .numbers(let values): return values.map { $0.isNaN ? "" : formatted($0) }
    }
  }
}
