import Kernel

extension Mask: Showable {
  public static var tableParameters: Set<String> { ["layers"] }

  public func table(_ request: ShowRequest) throws -> TableData? {
    let chosen = try request.layers?.resolved(count: structure.layers) ?? Array(0..<structure.layers)
    var columns = ["layer"]
    for module in keep.modules() { columns += ["\(module.axis)s_kept", "\(module.axis)s"] }
    let rows = chosen.map { layer -> [TableData.Cell] in
      var row: [TableData.Cell] = [.integer(layer)]
      for module in keep.modules() {
        let flags = keep[module]?[layer] ?? []
        row += [.integer(flags.count { $0 }), .integer(flags.count)]
      }
      return row
    }
    return TableData(columns: columns, rows: rows)
  }

  /// Share kept of each module in each layer.
  public func figure(_ request: PlotRequest) throws -> Figure {
    let layers = (0..<structure.layers).map(Double.init)
    let series = keep.modules().map { module in
      LinePlot.Series(
        "\(module.unitName)s", x: layers,
        y: (keep[module] ?? []).map { row in Double(row.count { $0 }) / Double(max(1, row.count)) })
    }
    return Figure(
      title: request.title, key: request.key,
      .lines(
        LinePlot(
          x: PlotAxis("layer", isWhole: true), y: PlotAxis("kept", isRatio: true), series: series,
          reference: .init("mean over parameters", y: 1 - blockRate))))
  }
}

extension Scores: Showable {
  public static var tableParameters: Set<String> { ["layers"] }
  public static var figureParameters: Set<String> { ["layers"] }

  public func table(_ request: ShowRequest) throws -> TableData? {
    let chosen = try request.layers?.resolved(count: structure.layers) ?? Array(0..<structure.layers)
    let rows = chosen.flatMap { layer in
      score.modules().map { module -> [TableData.Cell] in
        let row = (score[module]?[layer] ?? []).map(Double.init).sorted()
        guard let low = row.first, let high = row.last, !row.contains(where: \.isNaN) else {
          return [.integer(layer), .text(module.rawValue), .integer(row.count), .missing, .missing, .missing]
        }
        return [
          .integer(layer), .text(module.rawValue), .integer(row.count), .number(low), .number(row[row.count / 2]),
          .number(high),
        ]
      }
    }
    return TableData(columns: ["layer", "module", "units", "min", "median", "max"], rows: rows)
  }

  /// Sorted scores, one curve per layer.
  public func figure(_ request: PlotRequest) throws -> Figure {
    let module = score.modules().last ?? .ffn
    let chosen = try request.layers?.resolved(count: structure.layers) ?? Array(0..<structure.layers)
    let series = chosen.compactMap { layer -> LinePlot.Series? in
      guard let row = score[module]?[layer], !row.isEmpty, !row.contains(where: \.isNaN) else { return nil }
      let sorted = row.map(Double.init).sorted()
      let step = max(1, sorted.count / 200)
      let shown = stride(from: 0, to: sorted.count, by: step).map { $0 }
      return LinePlot.Series(
        "layer \(layer)", x: shown.map { Double($0) / Double(max(1, sorted.count - 1)) }, y: shown.map { sorted[$0] })
    }
    let isPositive = series.allSatisfy { $0.y.allSatisfy { $0 > 0 } }
    return Figure(
      title: request.title, key: request.key,
      .lines(
        LinePlot(
          x: PlotAxis("\(module.axis)s from least to most important", isRatio: true),
          y: PlotAxis("score", spacing: isPositive ? .logarithmic : .linear), series: series)))
  }
}
