import Kernel
import Transformer

extension Mask: Showable {
  public static var tableParameters: Set<String> { ["layers"] }
  public static var quantity: String? { "rate" }

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
    let shares = keep.modules().map { module in
      (module, (keep[module] ?? []).map { row in Double(row.count { $0 }) / Double(max(1, row.count)) })
    }
    return Figure(
      title: "What each layer keeps, \(percent(blockRate)) of the blocks removed", key: request.key,
      .lines(.kept(shares, reference: .init("mean over parameters", y: 1 - unprunedRate))))
  }
}

extension Scores: Showable {
  public static var tableParameters: Set<String> { ["layers"] }
  public static var figureParameters: Set<String> { ["layers", "y"] }

  public func table(_ request: ShowRequest) throws -> TableData? {
    let chosen = try request.layers?.resolved(count: structure.layers) ?? Array(0..<structure.layers)
    let rows = chosen.flatMap { layer in
      (block.map { [blockRow(layer, $0[layer])] } ?? [])
        + score.modules().map { module -> [TableData.Cell] in
          let row = sorted(module, layer: layer)
          let known: [TableData.Cell] =
            row.isEmpty
            ? [.missing, .missing, .missing]
            : [.number(row[0]), .number(row[row.count / 2]), .number(row[row.count - 1])]
          return [.integer(layer), .text(module.rawValue), .integer(structure.left(module, layer: layer).count)] + known
        }
    }
    return TableData(columns: ["layer", "module", "units", "min", "median", "max"], rows: rows)
  }

  private func blockRow(_ layer: Int, _ score: Double) -> [TableData.Cell] {
    let cell = TableData.Cell.known(score)
    return [.integer(layer), .text(half?.rawValue ?? "block"), .integer(score.isNaN ? 0 : 1), cell, cell, cell]
  }

  /// The scores there are, rising.
  private func sorted(_ module: Module, layer: Int) -> [Double] {
    (score[module]?[layer] ?? []).filter { !$0.isNaN }.map(Double.init).sorted()
  }

  /// Sorted scores, one curve per layer; the scores of blocks, when only blocks are judged. `y=` chooses the module, by
  /// default the last that has scores.
  public func figure(_ request: PlotRequest) throws -> Figure {
    let modules = score.modules()
    if let y = request.y, !modules.contains(where: { $0.rawValue == y }) {
      throw Diagnostic(
        "there are no scores of `\(y)`", hint: "y= takes \(modules.map(\.rawValue).joined(separator: " or "))",
        argument: "y", kind: .usage)
    }
    guard let module = request.y.map({ word in modules.first { $0.rawValue == word } }) ?? modules.last else {
      return try blockFigure(request)
    }
    let chosen = try request.layers?.resolved(count: structure.layers) ?? Array(0..<structure.layers)
    let series = chosen.compactMap { layer -> LinePlot.Series? in
      let sorted = sorted(module, layer: layer)
      if sorted.isEmpty { return nil }
      let step = max(1, sorted.count / 200)
      let shown = stride(from: 0, to: sorted.count, by: step).map { $0 }
      return LinePlot.Series(
        "layer \(layer)", x: shown.map { Double($0) / Double(max(1, sorted.count - 1)) }, y: shown.map { sorted[$0] })
    }
    return Figure(
      title: "Scores of the \(module.unitName)s in each layer", key: request.key,
      .lines(
        LinePlot(
          x: PlotAxis("\(module.unitName)s from least to most important", isRatio: true),
          y: PlotAxis("score (\(method))", spreadOf: series), series: series)))
  }

  private func blockFigure(_ request: PlotRequest) throws -> Figure {
    let known = try (request.layers?.resolved(count: structure.layers) ?? Array(0..<structure.layers))
      .filter { block?[$0].isFinite == true }
    let series = [LinePlot.Series("", x: known.map(Double.init), y: known.compactMap { block?[$0] })]
    return Figure(
      title: "Score of \(half.map { "the \($0.rawValue) of " } ?? "")each block", key: request.key,
      .lines(
        LinePlot(
          x: PlotAxis("block", isWhole: true), y: PlotAxis("score (\(method))", spreadOf: series), series: series)))
  }
}
