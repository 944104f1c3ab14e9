import Glibc
import Kernel
import Transformer

extension Report: Showable {
  public static var groupings: [String] { ["label", "task"] }

  public func table(_ request: ShowRequest) throws -> TableData? {
    switch request.by {
    case "label": try labelTable()
    case "task": try taskTable()
    default: TableData(record: measurements.map { ($0.name, .measured($0.value, error: $0.standardError)) })
    }
  }

  /// A row for each kind of text: its targets, their mean loss with its standard error, and the perplexity.
  private func labelTable() throws -> TableData {
    guard let kinds = evidence.windows?.kinds else {
      throw Diagnostic("the report knows no labels", hint: "evaluate with labels=", argument: "by")
    }
    return TableData(
      columns: ["label", "tokens", "nll", "nll_stderr", "token_perplexity"],
      rows: kinds.names.indices.map { index in
        let samples = Samples(kinds.loss[index], weights: kinds.targets[index])
        return [
          .text(kinds.names[index]), .integer(Int(kinds.targets[index].reduce(0, +))),
        ] + [samples.ratio, samples.standardError, exp(samples.ratio)].map(TableData.Cell.known)
      })
  }

  /// A row for each task and subject: its items, and each accuracy with its standard error.
  private func taskTable() throws -> TableData {
    guard let items = evidence.items else {
      throw Diagnostic("the report is not of tasks", hint: "evaluate with tasks=", argument: "by")
    }
    let metrics = Metric.all.filter { $0.scope == "TASK" }
    return TableData(
      columns: ["task", "items"] + metrics.flatMap { [$0.name, $0.name + "_stderr"] },
      rows: items.subtasks.enumerated().map { place, subtask in
        let figures = metrics.flatMap { metric -> [TableData.Cell] in
          let found = measurements.first { $0.name == "\(subtask.name).\(metric.name)" }
          return [found?.value, found?.standardError].map { .known($0 ?? .nan) }
        }
        return [.text(subtask.name), .integer(items.items.count { $0.subtask == place })] + figures
      })
  }

  public static var figureParameters: Set<String> { ["by"] }

  /// The loss of every window or page, the speed of every run, or accuracies; with `by=label` the loss of each kind.
  public func figure(_ request: PlotRequest) throws -> Figure {
    if request.by == "label" { return Figure(title: "Loss by kind of text", key: request.key, try kinds()) }
    if let by = request.by {
      throw Diagnostic("a report is not drawn by `\(by)`", hint: "by= takes label", argument: "by", kind: .usage)
    }
    switch evidence {
    case .windows(let windows):
      return Figure(
        title: "Loss of each window", key: request.key,
        line("window", "mean negative log-likelihood", unit: "nat/token", windows.loss))
    case .pages(let pages):
      return Figure(
        title: "Loss of each page", key: request.key,
        line("page", "negative log-likelihood", unit: "nat/word", zip(pages.loss, pages.words).map(/)))
    case .costs(let costs):
      return Figure(
        title: "Speed of each run", key: request.key,
        .bars(
          BarPlot(
            x: PlotAxis("run"), y: PlotAxis("speed", unit: "token/s"), names: costs.decode.indices.map { "\($0 + 1)" },
            groups: [.init("prefill", values: costs.prefill), .init("decode", values: costs.decode)])))
    case .items:
      let intervals = measurements.map { interval($0.value, $0.standardError) }
      return Figure(
        title: "Accuracy by task", key: request.key,
        .bars(
          BarPlot(
            x: PlotAxis("task"), y: PlotAxis("accuracy, with 95% interval"), names: measurements.map(\.name),
            groups: [.init("accuracy", values: measurements.map(\.value), interval: intervals)])))
    }
  }

  /// A 95% interval: 1.96 standard errors to either side.
  private func interval(_ value: Double, _ error: Double) -> ClosedRange<Double> {
    let half = error.isFinite ? 1.96 * error : 0
    return value.isFinite ? (value - half)...(value + half) : 0...0
  }

  private func kinds() throws -> Figure.Content {
    guard let kinds = evidence.windows?.kinds else {
      throw Diagnostic("the report knows no labels", hint: "evaluate with labels=", argument: "by")
    }
    let samples = kinds.names.indices.map { Samples(kinds.loss[$0], weights: kinds.targets[$0]) }
    return .bars(
      BarPlot(
        x: PlotAxis("kind of text"), y: PlotAxis("negative log-likelihood, with 95% interval", unit: "nat/token"),
        names: kinds.names,
        groups: [
          .init("", values: samples.map(\.ratio), interval: samples.map { interval($0.ratio, $0.standardError) })
        ]))
  }

  private func line(_ axis: String, _ quantity: String, unit: String, _ values: [Double]) -> Figure.Content {
    .lines(
      LinePlot(
        x: PlotAxis(axis, isWhole: true), y: PlotAxis(quantity, unit: unit),
        series: [.init("", x: values.indices.map(Double.init), y: values)]))
  }
}

extension Corpus: Showable {
  /// How often each token occurs, the most frequent first (Zipf 1935).
  public func figure(_ request: PlotRequest) throws -> Figure {
    var counts: [Int32: Int] = [:]
    for token in tokens { counts[token, default: 0] += 1 }
    let falling = counts.values.sorted(by: >)
    // On a scale of powers, ranks that lie close together say the same.
    let ranks = falling.indices.filter { $0 < 20 || $0 % max(1, falling.count / 400) == 0 || $0 == falling.count - 1 }
    return Figure(
      title: "How often each of \(falling.count) tokens occurs in a text of \(tokens.count)", key: request.key,
      .lines(
        LinePlot(
          x: PlotAxis("rank of the token", spacing: .logarithmic),
          y: PlotAxis("occurrences", spacing: .logarithmic),
          series: [.init("", x: ranks.map { Double($0 + 1) }, y: ranks.map { Double(falling[$0]) })])))
  }

  public func table(_ request: ShowRequest) throws -> TableData? {
    TableData(record: [
      ("tokens", .integer(tokens.count)), ("windows", .integer(windows)), ("text_sha256", .text(textHash)),
      ("tokenizer_sha256", .text(tokenizerHash)),
    ])
  }
}

extension Model: Showable {
  public func table(_ request: ShowRequest) throws -> TableData? {
    let removed = configuration.totalParameters - network.totalParameters
    return TableData(record: [
      ("architecture", .text(configuration.family.name)), ("layers", .integer(configuration.layers)),
      ("d_model", .integer(configuration.hiddenSize)), ("vocabulary", .integer(configuration.vocabularySize)),
      ("parameters", .integer(network.totalParameters)),
      ("block_parameters", .integer(network.blockParameters)),
      ("removed_of_blocks", .ratio(removedShare)),
      ("removed_of_total", .ratio(Double(removed) / Double(configuration.totalParameters))),
      ("removed_as", .text(removedInOwnTerms)),
      ("compensation", .text(compensation)),
    ])
  }

  public func figure(_ request: PlotRequest) throws -> Figure {
    let whole = Pruning.keepingAll(configuration)
    let blocks = pruning.blocks.isEmpty ? whole.blocks : pruning.blocks
    return Figure(
      title: removedShare > 0
        ? "What each layer keeps, \(percent(removedShare)) of the blocks removed" : "What each layer keeps",
      key: request.key,
      .lines(
        .kept(
          Module.allCases.map { module in (module, blocks.map { $0[module].keptShare }) },
          stream: pruning.slicing.map { Double($0.width) / Double(configuration.hiddenSize) })))
  }
}
