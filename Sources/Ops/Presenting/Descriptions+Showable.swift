import Glibc
import Kernel
import Numerics

extension Descriptions: Showable {
  public static var tableParameters: Set<String> { ["layers", "network"] }
  public static var figureParameters: Set<String> { ["y", "layers"] }
  public static var groupings: [String] { ["writes"] }

  /// One row per network, with `by=writes` of the words it makes likelier; with `network=LAYER:NAME` all that is known of
  /// one.
  public func table(_ request: ShowRequest) throws -> TableData? {
    if let name = request.network { return try card(name) }
    let shown = try chosen(request.layers)
    if request.by == "writes" { return try writesTable(shown) }
    return TableData(
      columns: [
        "layer", noun, "active_at", "auroc", "random", "better", "r2", "random_r2", "again", "other_text", "keys",
      ],
      rows: shown.map { line in
        [
          layerCell(line), .text(line.name), .text(line.rules), .known(line.auroc), .known(line.random),
          .bool(line.isBetter), .known(line.r2), .known(line.randomR2), .known(line.again), .known(line.otherText),
          .integer(line.keys),
        ]
      })
  }

  private func writesTable(_ shown: [Line]) throws -> TableData {
    guard !written.isEmpty else { throw Diagnostic("\(noun)s write nothing: they are sets of tokens", argument: "by") }
    return TableData(
      columns: ["layer", noun, "likelier", "largest", "random", "larger", "fidelity"],
      rows: shown.map { line in
        [
          layerCell(line), .text(line.name), .text(line.writes), .known(line.largest), .known(line.randomLargest),
          .bool(line.isLarger), .known(line.fidelity),
        ]
      })
  }

  func layerCell(_ line: Line) -> TableData.Cell {
    line.layers.count == 1 ? .integer(line.layers[0]) : .text("\(line.layers[0])-\(line.layers[line.layers.count - 1])")
  }

  func chosen(_ layers: Positions?) throws -> [Line] {
    guard let layers else { return lines }
    let count = (lines.flatMap(\.layers).max() ?? -1) + 1
    let wanted = Set(try layers.resolved(count: count))
    return lines.filter { !wanted.isDisjoint(with: $0.layers) }
  }

  /// The set that `LAYER:NAME` means, and its place in the table.
  func found(_ name: String) throws -> (line: Line, part: LayerDescription, set: SetDescription) {
    let halves = name.split(separator: ":", maxSplits: 1).map(String.init)
    guard halves.count == 2, let layer = Int(halves[0]) else {
      throw Diagnostic(
        "network= takes a layer and a \(noun), such as 0:3, not `\(name)`", argument: "network", kind: .usage)
    }
    guard let line = lines.first(where: { $0.layers.contains(layer) && $0.name == halves[1] }) else {
      throw Diagnostic("there is no \(noun) \(halves[1]) of layer \(layer)", argument: "network", kind: .usage)
    }
    let part = try part(line.part)
    let set = part.sets.first { $0.name == line.name }
    return (line, part, set ?? part.sets[0])
  }

  private func card(_ name: String) throws -> TableData {
    let (line, part, set) = try found(name)
    let writes = try writes(line.part).map { $0.sets[part.sets.firstIndex { $0.name == set.name } ?? 0] }
    func text(_ value: Double) -> String { value.isNaN ? "unknown" : formatted((value * 1000).rounded() / 1000) }
    var rows: [(name: String, value: TableData.Cell)] = [
      ("\(noun)", .text("\(LayerNetworks.title(part.layers)), \(noun) \(line.name), \(line.keys) key units")),
      ("found again", .text("other seed \(text(set.again)), other text \(text(set.otherText))")),
      ("active at", .text(set.words)),
      (
        "rules",
        .text(
          "AUROC \(text(set.auroc)), random sets \(text(line.random)) (95% below \(text(line.randomLimit))), turned text \(text(set.turned))"
        )
      ),
      (
        "all facts",
        .text("AUROC \(text(set.ceilingAUROC)), R² \(text(set.r2)), random sets \(text(line.randomR2))")
      ),
    ]
    let order = argsort(set.factShares, descending: true)
    for index in order.prefix(4) {
      let random = median(set.nullFactShares.map { $0[index] })
      rows.append(("by \(part.facts[index])", .text("R² \(text(set.factShares[index])), random sets \(text(random))")))
    }
    let places = set.contexts.filter { $0.quarter == 0 }.prefix(6) + set.contexts.filter { $0.quarter > 0 }.prefix(4)
    for place in places {
      rows.append(
        (
          place.quarter == 0 ? "strongest" : "quarter \(place.quarter)",
          .text("\(place.before)[\(place.text)]\(place.after)")
        ))
    }
    if let writes, !writes.words.isEmpty {
      rows.append(("makes likelier", .text(writes.spelled(likelier: true))))
      rows.append(("makes less likely", .text(writes.spelled(likelier: false))))
      rows.append(
        (
          "through the head",
          .text("up to \(text(writes.largest)) nats, random sets \(text(writes.randomLargest)); \(writes.verdict)")
        ))
    }
    if part.layers.count > 1 {
      let shares = zip(part.layers, set.spread).map { "\($0): \(percent($1))" }
      let entropy = set.spread.reduce(0) { $0 - ($1 > 0 ? $1 * log($1) : 0) }
      rows.append(("layers", .text("\(shares.joined(separator: ", ")); \(formatted(exp(entropy))) effective")))
    }
    return TableData(record: rows)
  }

  /// AUROC of the rules of each network, what it is for random sets of the layer beside it. `y=facts`: what each fact
  /// explains of each network; `y=position`: how active networks are along a window.
  public func figure(_ request: PlotRequest) throws -> Figure {
    let shown = try chosen(request.layers)
    let title: String
    let content: Figure.Content
    switch request.y {
    case nil, "auroc":
      title = "How well rules find the events of each \(noun) in another text"
      content = shown.count > 24 ? .lines(ranked(shown)) : .bars(bars(shown))
    case "facts":
      title = "What each fact tells of each \(noun) in another text"
      var rows: [[Double]] = []
      var facts: [String] = []
      for part in Set(shown.map(\.part)).sorted() {
        let found = try self.part(part)
        facts = found.facts
        rows += found.sets.map(\.factShares)
      }
      content = .heatMap(
        HeatMap(
          rows: PlotAxis(noun), columns: PlotAxis("fact"), value: PlotAxis("R² on the other text"),
          rowCount: rows.count, columnCount: facts.count, values: rows.joined().map { max(0, $0) },
          rowNames: shown.map(label), columnNames: facts))
    case "position":
      title = "How active \(noun)s are along a window"
      content = .heatMap(try positions(shown))
    case .some(let y):
      throw Diagnostic(
        "descriptions have no plot of \(y); there are y=auroc, y=facts and y=position", argument: "y", kind: .usage)
    }
    return Figure(title: title, key: request.key, content)
  }

  /// What is held against each other: the rules, and those of random sets.
  private func judged(_ shown: [Line]) -> [(name: String, values: [Double])] {
    [
      ("\(noun)s", shown.map(\.auroc)), ("random sets, median", shown.map(\.random)),
      ("random sets, 95%", shown.map(\.randomLimit)),
    ]
  }

  private func bars(_ shown: [Line]) -> BarPlot {
    BarPlot(
      x: PlotAxis(noun), y: PlotAxis("AUROC of the rules"), names: shown.map(label),
      groups: judged(shown).map { .init($0.name, values: $0.values) })
  }

  /// Where bars would be too many: from the one that is described best to the one that is described worst.
  private func ranked(_ shown: [Line]) -> LinePlot {
    let order = argsort(shown.map(\.auroc), descending: true)
    return LinePlot(
      x: PlotAxis("\(noun)s from best to worst described", isWhole: true), y: PlotAxis("AUROC of the rules"),
      series: judged(order.map { shown[$0] }).map { name, values in
        .init(name, x: values.indices.map { Double($0 + 1) }, y: values)
      })
  }

  /// The median over windows of each course at each place, in deviations of the course.
  private func positions(_ shown: [Line]) throws -> HeatMap {
    let rows = try shown.map { line -> [Double] in
      let part = try part(line.part)
      return CourseProfile(part, part.sets.firstIndex { $0.name == line.name } ?? 0).medianByPlace
    }
    let width = rows.map(\.count).max() ?? 0
    return HeatMap(
      rows: PlotAxis(noun), columns: PlotAxis("token of the window"),
      value: PlotAxis("median activity", unit: "standard deviations"), scale: .diverging, rowCount: rows.count,
      columnCount: width, values: rows.flatMap { $0 + Array(repeating: .nan, count: width - $0.count) },
      rowNames: shown.map(label))
  }

  func label(_ line: Line) -> String { "\(line.layers[0]):\(line.name)" }
}
