import Kernel
import Numerics

extension Lesions: Showable {
  public static var tableParameters: Set<String> { ["layers"] }
  public static var figureParameters: Set<String> { ["layers", "y"] }
  public static var groupings: [String] { ["class", "pair"] }

  /// One row per lesion; `by=class` one per lesion and class, `by=pair` the double dissociations.
  public func table(_ request: ShowRequest) throws -> TableData? {
    let chosen = try chosen(request.layers)
    switch request.by {
    case "class": return try classTable(chosen)
    case "pair": return try pairTable(Set(chosen))
    default: break
    }
    if isGrown {
      return TableData(
        columns: ["layer", noun, "share", "units", "change", "random"],
        rows: chosen.map { i in
          let row = rows[i]
          return [
            layerCell(row), .text(row.name), .ratio(row.share), .integer(row.units), .known(row.change),
            .known(mean(row.null)),
          ]
        })
    }
    return TableData(
      columns: ["layer", noun, "units", "change", "random", "z", "z_adjusted", "holm", "most_hurt", "q"],
      rows: chosen.map { i in
        let row = rows[i]
        let most = argsort(row.byKind, descending: true).first { !row.byKind[$0].isNaN }
        return [
          layerCell(row), .text(row.name), .integer(row.units), .known(row.change), .known(mean(row.null)),
          .known(row.z), .known(row.adjusted), .known(row.holm), most.map { .text(kinds[$0]) } ?? .missing,
          most.flatMap { row.kindQ.indices.contains($0) ? TableData.Cell.known(row.kindQ[$0]) : nil } ?? .missing,
        ]
      })
  }

  private func layerCell(_ row: Row) -> TableData.Cell {
    guard let first = row.layers.first, let last = row.layers.last, first != last else {
      return row.layers.first.map { .integer($0) } ?? .missing
    }
    return .text("\(first)-\(last)")
  }

  private func chosen(_ layers: Positions?) throws -> [Int] {
    guard let layers else { return Array(rows.indices) }
    let wanted = Set(try layers.resolved(count: (rows.flatMap(\.layers).max() ?? -1) + 1))
    return rows.indices.filter { !wanted.isDisjoint(with: rows[$0].layers) }
  }

  private func classTable(_ chosen: [Int]) throws -> TableData {
    guard !kinds.isEmpty, !isGrown else {
      throw Diagnostic("the lesions know no classes", hint: "lesion with labels= or by=", argument: "by")
    }
    return TableData(
      columns: ["layer", noun, "class", "change", "specificity", "z", "p", "q"],
      rows: chosen.flatMap { i in
        kinds.indices.map { c in
          let row = rows[i]
          func tested(_ values: [Double]) -> TableData.Cell {
            values.indices.contains(c) ? .known(values[c]) : .missing
          }
          return [
            layerCell(row), .text(row.name), .text(kinds[c]), tested(row.byKind), tested(row.specificity),
            tested(row.kindZ), tested(row.kindP), tested(row.kindQ),
          ]
        }
      })
  }

  private func pairTable(_ chosen: Set<Int>) throws -> TableData {
    guard !pairs.isEmpty else {
      throw Diagnostic(
        "no pairs were tested", hint: "lesion with labels=, and 16 passages of every class", argument: "by")
    }
    let random = Dictionary(randomPairs.map { ([$0.first, $0.second], $0) }, uniquingKeysWith: { first, _ in first })
    return TableData(
      columns: ["layer", "first", "second", "hurts", "spares", "effect", "effect_back", "p", "q", "random_p"],
      rows: pairs.filter { chosen.contains($0.first) }.map { pair in
        [
          layerCell(rows[pair.first]), .text(rows[pair.first].name), .text(rows[pair.second].name),
          .text(kinds[pair.found.first]), .text(kinds[pair.found.second]), .number(pair.found.effects.0),
          .number(pair.found.effects.1), .number(pair.found.p), .number(pair.q),
          random[[pair.first, pair.second]].map { .number($0.found.p) } ?? .missing,
        ]
      })
  }

  /// Lesions by class of target, what deviates at q < 5% marked in its name; without classes, or with `y=total`, the
  /// change of each beside random sets; of `mode=grow` curves.
  public func figure(_ request: PlotRequest) throws -> Figure {
    let chosen = try chosen(request.layers)
    let title: String
    let content: Figure.Content
    switch request.y {
    case nil where isGrown:
      title = "What breaks while a layer loses its units"
      content = .lines(curves(chosen))
    case nil where !kinds.isEmpty, "class":
      title = "What breaks without each \(noun)"
      content = .heatMap(try heatMap(chosen))
    case nil, "total":
      title = "What the loss of each \(noun) costs"
      content = .bars(
        BarPlot(
          x: PlotAxis(noun), y: PlotAxis("change of the loss", unit: "nat/token"), names: chosen.map(label),
          groups: [
            .init("without it", values: chosen.map { rows[$0].change }),
            .init("without random sets", values: chosen.map { mean(rows[$0].null) }),
          ]))
    case .some(let y):
      throw Diagnostic("lesions have no plot of \(y); there are y=class and y=total", argument: "y", kind: .usage)
    }
    return Figure(title: title, key: request.key, content)
  }

  private func label(_ index: Int) -> String {
    "\(rows[index].layers.first.map { "\($0):" } ?? "")\(rows[index].name)"
  }

  private func heatMap(_ chosen: [Int]) throws -> HeatMap {
    guard !kinds.isEmpty, !isGrown else {
      throw Diagnostic("the lesions know no classes", hint: "lesion with labels= or by=", argument: "y")
    }
    return HeatMap(
      rows: PlotAxis("\(noun), • where some class has q < 5%"), columns: PlotAxis("kind of text"),
      value: PlotAxis("change of the loss", unit: "nat/token"), scale: .diverging, rowCount: chosen.count,
      columnCount: kinds.count, values: chosen.flatMap { rows[$0].byKind },
      rowNames: chosen.map { label($0) + (rows[$0].kindQ.contains { $0 < 0.05 } ? " •" : "") }, columnNames: kinds)
  }

  private func curves(_ chosen: [Int]) -> LinePlot {
    let names = chosen.map(label).uniqued
    let series = names.prefix(8).flatMap { name -> [LinePlot.Series] in
      let own = chosen.filter { label($0) == name }
      let x = own.map { rows[$0].share }
      return [
        LinePlot.Series(name, x: x, y: own.map { rows[$0].change }),
        LinePlot.Series("\(name), random order", x: x, y: own.map { mean(rows[$0].null) }),
      ]
    }
    return LinePlot(
      x: PlotAxis("units of the layer taken out", isRatio: true), y: PlotAxis("change of the loss", unit: "nat/token"),
      series: Array(series))
  }
}
