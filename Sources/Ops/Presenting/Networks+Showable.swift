import Kernel
import Numerics

extension Networks: Showable {
  public static var tableParameters: Set<String> { ["layers"] }
  public static var figureParameters: Set<String> { ["y", "layers"] }

  public func table(_ request: ShowRequest) throws -> TableData? {
    let chosen = try request.layers?.resolved(count: structure.layers) ?? layers
    let rows = partLayers.indices.filter { !partLayers[$0].allSatisfy { !chosen.contains($0) } }.map {
      part -> [TableData.Cell] in
      let row = partLayers[part].compactMap { layers.firstIndex(of: $0) }.flatMap { maxAbsZ[$0].map(Double.init) }
      let together = partLayers[part]
      return [
        together.count == 1 ? .integer(together[0]) : .text("\(together[0])-\(together[together.count - 1])"),
        .integer(settings.runs), .integer(settings.components), .ratio(converged[part]),
        .known(stability[part]), .number(mean(keyShare[part].map { mean($0) })),
        .ratio(withoutKey[part]),
        .number(row.min() ?? .nan), .number(quantile(row, 0.5)), .number(row.max() ?? .nan),
      ] + (codes[part].map(cells) ?? [])
    }
    return TableData(
      columns: [
        "layer", "runs", "networks", "converged", "stability", "key_share", "without_key", "min_max_abs_z",
        "median_max_abs_z",
        "max_abs_z",
      ] + (codes.contains { $0 != nil } ? ["fvu", "fvu_held", "pca_active_held", "pca_held"] : []), rows: rows)
  }

  private func cells(_ fit: CodeFit) -> [TableData.Cell] {
    [fit.fvu, fit.fvuHeld, fit.pcaActive, fit.pcaK].map(TableData.Cell.known)
  }

  /// Share of key neurons in each network of each layer; for one layer of `layers=`, its networks by neuron. Of layers
  /// analysed together it tells over which layers a network spreads. `y=` chooses
  /// `time` (how the networks come and go over tokens), `membership` (in how many networks neurons are key) or `gain` (how
  /// much a code explains).
  public func figure(_ request: PlotRequest) throws -> Figure {
    let chosen = try request.layers?.resolved(count: structure.layers).filter(layers.contains) ?? layers
    guard let layer = chosen.first else {
      throw Diagnostic("there are no networks of these layers", argument: "layers", kind: .usage)
    }
    let title: String
    let content: Figure.Content
    let units = "\(settings.module.axis)s"
    switch request.y {
    case nil where request.layers != nil && chosen.count == 1:
      title = "The networks of layer \(layer) by \(settings.module.axis)"
      content = .heatMap(try map(layer))
    case nil:
      title = "Share of key \(units) in each network"
      content = .heatMap(shares(chosen))
    case "time":
      title = "How networks of layer \(layer) come and go"
      content = .heatMap(try courses(layer))
    case "membership":
      title = "In how many networks \(units) are key"
      content = .lines(membership(chosen))
    case "gain":
      title = "What a code holds beyond as many principal components"
      content = .lines(try unexplained())
    case .some(let y):
      throw Diagnostic(
        "networks have no plot of \(y); there are y=time, y=membership and y=gain", argument: "y", kind: .usage)
    }
    return Figure(title: title, key: request.key, content)
  }

  private func shares(_ chosen: [Int]) -> HeatMap {
    let rows = partLayers.indices.flatMap { part in
      partLayers[part].indices.map { (name: rowName(part, $0), layer: partLayers[part][$0], share: keyShare[part][$0]) }
    }.filter { chosen.contains($0.layer) }
    return HeatMap(
      rows: PlotAxis("layer"), columns: PlotAxis("network"),
      value: PlotAxis("key \(settings.module.axis)s", isRatio: true),
      rowCount: rows.count, columnCount: settings.components, values: rows.flatMap(\.share), rowNames: rows.map(\.name))
  }

  /// The layer, and with windows the first layer of its window.
  private func rowName(_ part: Int, _ position: Int) -> String {
    let layer = String(partLayers[part][position])
    return partLayers[part].count > 1 && partLayers.count > 1 ? "\(layer) from \(partLayers[part][0])" : layer
  }

  /// The first run's networks in one layer: the largest |z| in each of at most 256 stretches of neurons.
  private func map(_ layer: Int) throws -> HeatMap {
    let part = try part(layer: layer)
    let z = try part.maps(run: 0)
    let places = part.places(of: layer)
    let width = min(256, places.count)
    let values = (0..<z.rows).flatMap { component -> [Double] in
      let row = z.row(component)
      return (0..<width).map { place in
        let stretch = (place * places.count / width)..<((place + 1) * places.count / width)
        return part.signals.indices.reduce(0) { largest, signal in
          stretch.reduce(largest) { max($0, abs(Double(row[signal * part.units + places.lowerBound + $1]))) }
        }
      }
    }
    return HeatMap(
      rows: PlotAxis("network of layer \(layer)"), columns: PlotAxis(settings.module.axis),
      value: PlotAxis("largest |z|"),
      rowCount: z.rows, columnCount: width, values: values,
      columnNames: (0..<width).map { String($0 * places.count / width) })
  }

  /// The networks of one layer over the first 128 tokens.
  private func courses(_ layer: Int) throws -> HeatMap {
    let courses = try part(layer: layer).courses(run: 0)
    let tokens = min(128, courses.columns)
    return HeatMap(
      rows: PlotAxis("network of layer \(layer)"), columns: PlotAxis("token"),
      value: PlotAxis("activity", unit: "standard deviations"), scale: .diverging, rowCount: courses.rows,
      columnCount: tokens, values: (0..<courses.rows).flatMap { courses.row($0).prefix(tokens).map(Double.init) })
  }

  /// The share of the variance that a code leaves unexplained on held-out tokens, by layer, beside principal components.
  private func unexplained() throws -> LinePlot {
    let fits = codes.compactMap { $0 }
    guard !fits.isEmpty else {
      throw Diagnostic("y=gain is for networks of autoencode", argument: "y", kind: .usage)
    }
    let x = partLayers.map { Double($0[0]) }
    let active = fits.map(\.pcaActive)
    let lines: [(String, [Double])] = [
      ("code", fits.map(\.fvuHeld)), ("\(settings.components) principal components", fits.map(\.pcaK)),
      ("as many as are active", active),
    ]
    return LinePlot(
      x: PlotAxis("layer", isWhole: true), y: PlotAxis("variance not explained, held out", isRatio: true),
      series: lines.filter { $0.1.contains(where: \.isFinite) }.map { .init($0.0, x: x, y: $0.1) })
  }

  /// Share of the neurons that are key in so many networks of all runs, one curve per layer.
  private func membership(_ chosen: [Int]) -> LinePlot {
    let counts = chosen.compactMap { layers.firstIndex(of: $0) }.map { memberships[$0].map { Int($0) } }
    let most = counts.joined().max() ?? 0
    let series = zip(chosen, counts).map { layer, counts in
      LinePlot.Series(
        "layer \(layer)", x: (0...most).map(Double.init),
        y: (0...most).map { level in
          Double(counts.count { $0 == level }) / Double(max(1, counts.count))
        })
    }
    return LinePlot(
      x: PlotAxis("networks in which a \(settings.module.axis) is key", isWhole: true),
      y: PlotAxis("\(settings.module.axis)s", isRatio: true), series: series)
  }
}
