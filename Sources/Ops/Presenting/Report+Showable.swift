import Kernel
import Transformer

extension Report: Showable {
  public func table(_ request: ShowRequest) throws -> TableData? {
    TableData(record: metrics.map { ($0.name, .number($0.value)) })
  }

  public func figure(_ request: PlotRequest) throws -> Figure {
    Figure(
      title: request.title, key: request.key,
      .lines(
        LinePlot(
          x: PlotAxis("window", isWhole: true), y: PlotAxis("mean negative log-likelihood", unit: "nat/token"),
          series: [.init("windows", x: windowLoss.indices.map(Double.init), y: windowLoss)])))
  }
}

extension Corpus: Showable {
  public func table(_ request: ShowRequest) throws -> TableData? {
    TableData(record: [
      ("tokens", .integer(tokens.count)), ("windows", .integer(windows)), ("text_sha256", .text(textHash)),
      ("tokenizer_sha256", .text(tokenizerHash)),
    ])
  }
}

extension Model: Showable {
  public func table(_ request: ShowRequest) throws -> TableData? {
    let removed = pruning.removedParameters(configuration)
    return TableData(record: [
      ("architecture", .text(configuration.family.name)), ("layers", .integer(configuration.layers)),
      ("d_model", .integer(configuration.hiddenSize)), ("vocabulary", .integer(configuration.vocabularySize)),
      ("parameters", .integer(configuration.totalParameters - removed)),
      ("block_parameters", .integer(configuration.blockParameters - removed)),
      ("removed_of_blocks", .ratio(Double(removed) / Double(configuration.blockParameters))),
      ("removed_of_total", .ratio(Double(removed) / Double(configuration.totalParameters))),
      ("compensation", .text(compensation)),
    ])
  }

  public func figure(_ request: PlotRequest) throws -> Figure {
    let whole = Pruning.keepingAll(configuration)
    let blocks = pruning.blocks.isEmpty ? whole.blocks : pruning.blocks
    let layers = blocks.indices.map(Double.init)
    return Figure(
      title: request.title, key: request.key,
      .lines(
        LinePlot(
          x: PlotAxis("layer", isWhole: true), y: PlotAxis("kept", isRatio: true),
          series: Module.allCases.reversed().map { module in
            .init("\(module.unitName)s", x: layers, y: blocks.map { $0[module].keptShare })
          })))
  }
}
