import Kernel
import Numerics

extension Activations: Showable {
  public static var tableParameters: Set<String> { ["layers"] }

  public func table(_ request: ShowRequest) throws -> TableData? {
    let chosen = try request.layers?.resolved(count: structure.layers).filter(layers.contains) ?? layers
    let rows = try chosen.flatMap { layer in
      try sites.filter { parts[$0] != nil }.map { site -> [TableData.Cell] in
        let part = try part(site, layer: layer)
        guard let moments = part.moments else {
          return [.integer(layer), .text(site.rawValue), .missing, .missing, .missing]
        }
        let size =
          (zip(moments.mean, moments.variance(ddof: 0)).reduce(0) { $0 + $1.0 * $1.0 + $1.1 }
          / Double(max(1, moments.mean.count))).squareRoot()
        return [
          .integer(layer), .text(site.rawValue), .integer(moments.mean.count), .number(size),
          .number(mean(moments.variance(ddof: 0)).squareRoot()),
        ]
      }
    }
    return TableData(columns: ["layer", "site", "features", "rms", "std"], rows: rows)
  }

  /// Standard deviation of each feature by layer, features sorted.
  public func figure(_ request: PlotRequest) throws -> Figure {
    guard let site = sites.last(where: { parts[$0] != nil }), keep.contains(.moments) else {
      throw Diagnostic("only a capture with keep=moments has a plot", kind: .usage)
    }
    let rows = try layers.map { layer in
      try (part(site, layer: layer).moments?.variance(ddof: 0) ?? []).map { $0.squareRoot() }.sorted(by: >)
    }
    let width = min(256, rows.map(\.count).min() ?? 0)
    let values = rows.flatMap { row in (0..<width).map { row[$0 * row.count / width] } }
    return Figure(
      title: request.title, key: request.key,
      .heatMap(
        HeatMap(
          rows: PlotAxis("layer"), columns: PlotAxis("features of \(site.rawValue), most active first", isRatio: false),
          value: PlotAxis("standard deviation"), rowCount: rows.count, columnCount: width, values: values,
          rowNames: layers.map(String.init))))
  }
}

extension Rates: Showable {
  public func table(_ request: ShowRequest) throws -> TableData? {
    TableData(
      columns: ["layer", "rate", "complexity"],
      rows: rate.indices.map { [.integer($0), .ratio(rate[$0]), .number(complexity[$0])] })
  }

  /// Block sparsity against functional complexity.
  public func figure(_ request: PlotRequest) throws -> Figure {
    let order = rate.indices.sorted { complexity[$0] < complexity[$1] }
    return Figure(
      title: request.title, key: request.key,
      .lines(
        LinePlot(
          x: PlotAxis("functional complexity of the block"), y: PlotAxis("rate", isRatio: true),
          series: [.init("blocks", x: order.map { complexity[$0] }, y: order.map { rate[$0] })],
          reference: .init("target", y: target))))
  }
}

extension Clusters: Showable {
  public func table(_ request: ShowRequest) throws -> TableData? {
    if let kinds { return table(of: kinds) }
    return TableData(
      columns: ["layer", "inertia"] + (0..<count).map { "size_\($0)" },
      rows: layers.indices.map { index in
        [.integer(layers[index]), .number(inertia[index])] + size[index].map { .integer(Int($0)) }
      })
  }

  /// The same for every layer: how much of the text is of each kind.
  private func table(of kinds: Kinds) -> TableData {
    var passages = kinds.names.map { _ in Set<Int32>() }
    for (kind, passage) in zip(label.first ?? [], kinds.passage) where kind >= 0 { passages[Int(kind)].insert(passage) }
    return TableData(
      columns: ["kind", "tokens", "passages"],
      rows: kinds.names.enumerated().map { index, name in
        [.text(name), .integer(Int(size[0][index])), .integer(passages[index].count)]
      })
  }

  /// Share of the tokens in each cluster of each layer.
  public func figure(_ request: PlotRequest) throws -> Figure {
    Figure(
      title: request.title, key: request.key,
      .heatMap(
        HeatMap(
          rows: PlotAxis("layer"), columns: PlotAxis("cluster"), value: PlotAxis("share of tokens", isRatio: true),
          rowCount: layers.count, columnCount: count, values: size.joined().map { Double($0) / Double(max(1, tokens)) },
          rowNames: layers.map(String.init), columnNames: kinds?.names ?? [])))
  }
}

extension Affinity: Showable {
  public func table(_ request: ShowRequest) throws -> TableData? {
    TableData(
      columns: ["layer"] + (0..<count).map { "mean_\($0)" },
      rows: score.indices.map { layer in
        [.integer(layer)] + (0..<count).map { .number(mean(score[layer].row($0))) }
      })
  }

  /// Mean affinity of the neurons of each layer to each cluster.
  public func figure(_ request: PlotRequest) throws -> Figure {
    Figure(
      title: request.title, key: request.key,
      .heatMap(
        HeatMap(
          rows: PlotAxis("layer"), columns: PlotAxis("cluster"), value: PlotAxis("mean |h dL/dh|"),
          rowCount: score.count, columnCount: count,
          values: score.flatMap { S in (0..<count).map { mean(S.row($0)) } })))
  }
}

extension Groups: Showable {
  public static var figureParameters: Set<String> { ["layers"] }

  public func table(_ request: ShowRequest) throws -> TableData? {
    TableData(
      columns: ["layer", "objective", "shared"] + (0..<count).map { "size_\($0)" },
      rows: group.indices.map { layer in
        let shared = group[layer].count { $0 < 0 }
        return [.integer(layer), .number(objective[layer]), .integer(shared)]
          + members(layer: layer).map { .integer($0.count) }
      })
  }

  /// Mean affinity of each group to each cluster, over the layers asked for; the diagonal shows what grouping found.
  public func figure(_ request: PlotRequest) throws -> Figure {
    let chosen = try request.layers?.resolved(count: affinity.count) ?? Array(affinity.indices)
    let columns = affinity.first?.columns ?? 0
    // Each layer counts alike, whatever the size of its gradients.
    let sum = Matrix<Double>(rows: count + 1, columns: columns)
    for layer in chosen {
      let scale = mean(affinity[layer].values)
      if scale > 0 { sum.add(affinity[layer], scaledBy: 1 / (scale * Double(chosen.count))) }
    }
    return Figure(
      title: request.title, key: request.key,
      .heatMap(
        HeatMap(
          rows: PlotAxis("group"), columns: PlotAxis("cluster"), value: PlotAxis("affinity over its layer's mean"),
          rowCount: count + 1, columnCount: columns, values: sum.values,
          rowNames: (0..<count).map(String.init) + ["shared"])))
  }
}
