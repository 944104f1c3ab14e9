import Kernel
import Numerics

extension Activations: Showable {
  public static var tableParameters: Set<String> { ["layers"] }
  public static var figureParameters: Set<String> { ["y"] }

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

  /// Standard deviation of each feature by layer, features sorted. `y=` chooses the site, by default the last.
  public func figure(_ request: PlotRequest) throws -> Figure {
    let drawn = sites(keeping: [.moments])
    guard !drawn.isEmpty else {
      throw Diagnostic(
        "a picture of a capture shows its moments, and this one keeps \(keep.map(\.rawValue).joined(separator: ", "))",
        hint: "capture with keep=moments", argument: "value", kind: .usage)
    }
    guard let site = request.y.map({ word in drawn.first { $0.rawValue == word } }) ?? drawn.last else {
      throw Diagnostic(
        "the capture has no site `\(request.y ?? "")`",
        hint: "y= takes \(drawn.map(\.rawValue).joined(separator: ", "))",
        argument: "y", kind: .usage)
    }
    let rows = try layers.map { layer in
      try (part(site, layer: layer).moments?.variance(ddof: 0) ?? []).map { $0.squareRoot() }.sorted(by: >)
    }
    let width = rows.map(\.count).max() ?? 0
    // Layers differ in width where they were pruned.
    let values = rows.flatMap { $0 + Array(repeating: .nan, count: width - $0.count) }
    return Figure(
      title: "How much the features of \(site.rawValue) vary", key: request.key,
      .heatMap(
        HeatMap(
          rows: PlotAxis("layer"), columns: PlotAxis("features of \(site.rawValue), most active first"),
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

  public static var figureParameters: Set<String> { ["x"] }

  /// The rate of each block; with `x=complexity` against the block's functional complexity.
  public func figure(_ request: PlotRequest) throws -> Figure {
    switch request.x {
    case nil:
      return Figure(
        title: "Rate of each block, \(percent(target)) asked for", key: request.key,
        .bars(
          BarPlot(
            x: PlotAxis("block"), y: PlotAxis("share of the block's parameters removed", isRatio: true),
            names: rate.indices.map(String.init), groups: [.init("", values: rate)])))
    case "complexity":
      return Figure(
        title: "Rate of each block by its complexity, \(percent(target)) asked for", key: request.key,
        .lines(
          LinePlot(
            x: PlotAxis("functional complexity of the block"),
            y: PlotAxis("share of the block's parameters removed", isRatio: true),
            series: rate.indices.map { .init("block \($0)", x: [complexity[$0]], y: [rate[$0]]) },
            reference: .init("asked for", y: target))))
    case .some(let x):
      throw Diagnostic("rates have no plot over \(x); there is x=complexity", argument: "x", kind: .usage)
    }
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
    if let kinds {
      // The same for every layer.
      return Figure(
        title: "Share of the tokens in each kind of text", key: request.key,
        .bars(
          BarPlot(
            x: PlotAxis("kind of text"), y: PlotAxis("share of tokens", isRatio: true), names: kinds.names,
            groups: [.init("", values: (size.first ?? []).map { Double($0) / Double(max(1, tokens)) })])))
    }
    return Figure(
      title: "Share of the tokens in each kind of context", key: request.key,
      .heatMap(
        HeatMap(
          rows: PlotAxis("layer"), columns: PlotAxis("cluster"), value: PlotAxis("share of tokens", isRatio: true),
          rowCount: layers.count, columnCount: count, values: size.joined().map { Double($0) / Double(max(1, tokens)) },
          rowNames: layers.map(String.init))))
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
      title: "How much the neurons of each layer matter to each cluster", key: request.key,
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
      title: "How much each group serves each cluster", key: request.key,
      .heatMap(
        HeatMap(
          rows: PlotAxis("group"), columns: PlotAxis("cluster"), value: PlotAxis("affinity over its layer's mean"),
          rowCount: count + 1, columnCount: columns, values: sum.values,
          rowNames: (0..<count).map(String.init) + ["shared"])))
  }
}
