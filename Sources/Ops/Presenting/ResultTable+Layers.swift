import Kernel

extension ResultTable {
  /// What varies from layer to layer, as lines over the layers: every column when the layer alone says which row it is, else
  /// the last column, one line for each of the other keys. nil for a table without layers.
  func layerFigure(_ request: PlotRequest) -> Figure? {
    guard case .numbers(let layers)? = self["layer"], keys.contains("layer") else { return nil }
    let varying = names.filter { name in
      guard !keys.contains(name), case .numbers(let values)? = self[name] else { return false }
      return Set(values.filter(\.isFinite)).count > 1
    }
    let kinds = (0..<rows).map { row in
      keys.filter { $0 != "layer" }.compactMap { self[$0]?.text(row) }.joined(separator: ", ")
    }
    let order = kinds.uniqued
    guard let last = varying.last, let first = order.first else { return nil }
    func line(_ name: String, _ column: String, _ kind: String) -> LinePlot.Series {
      guard case .numbers(let values)? = self[column] else { return .init(name, x: [], y: []) }
      let members = (0..<rows).filter { kinds[$0] == kind && layers[$0].isFinite }
      return .init(name, x: members.map { layers[$0] }, y: members.map { values[$0] })
    }
    let series =
      order.count == 1 ? varying.map { line(Self.spoken($0), $0, first) } : order.map { line($0, last, $0) }
    let drawn = order.count == 1 ? varying : [last]
    let quantity = Agreement.quantity(of: drawn) ?? drawn.map(Self.spoken).joined(separator: ", ")
    let subject = order.count == 1 ? first : Self.spoken(last)
    let title = Self.sentence("\(quantity) by layer") + (subject.isEmpty || subject == quantity ? "" : ", \(subject)")
    if order.count > 8, let known = grid(last, layers, kinds, order) {
      return Figure(
        title: title, key: request.key,
        .heatMap(
          HeatMap(
            rows: PlotAxis("layer"),
            columns: PlotAxis(keys.filter { $0 != "layer" }.map(Self.spoken).joined(separator: ", ")),
            value: PlotAxis(quantity), rowCount: known.layers.count, columnCount: order.count, values: known.values,
            rowNames: known.layers.map(formatted), columnNames: order)))
    }
    return Figure(
      title: title, key: request.key,
      .lines(
        LinePlot(
          x: PlotAxis("layer", isWhole: true),
          y: PlotAxis(drawn.count == 1 || Agreement.quantity(of: drawn) != nil ? quantity : "value"), series: series)))
  }
}

extension ResultTable {
  /// A column as layers by the other keys.
  private func grid(_ column: String, _ layers: [Double], _ kinds: [String], _ order: [String])
    -> (layers: [Double], values: [Double])?
  {
    guard case .numbers(let values)? = self[column] else { return nil }
    let known = layers.filter(\.isFinite).uniqued
    let place = Dictionary(zip(zip(layers, kinds).map { Place(layer: $0, kind: $1) }, values)) { first, _ in first }
    return (known, known.flatMap { layer in order.map { place[Place(layer: layer, kind: $0)] ?? .nan } })
  }

  private struct Place: Hashable {
    let layer: Double
    let kind: String
  }
}

extension ResultTable.Column {
  fileprivate func text(_ row: Int) -> String {
    switch self {
    case .words(let values): values[row]
    case .numbers(let values): values[row].isNaN ? "" : formatted(values[row])
    }
  }
}
