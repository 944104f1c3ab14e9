import Kernel

extension Texts: Showable {
  public func table(_ request: ShowRequest) throws -> TableData? {
    TableData(
      columns: ["prompt", "text", "tokens"],
      rows: texts.map { [.text($0.prompt), .text($0.text), .integer($0.tokens.count)] })
  }

  /// How likely the model found each token that it added, one line per text.
  public func figure(_ request: PlotRequest) throws -> Figure {
    let series = texts.map { text in
      LinePlot.Series(
        text.prompt.count > 24 ? "\(text.prompt.prefix(24))\u{2026}" : text.prompt,
        x: text.logLikelihoods.indices.map { Double($0 + 1) }, y: text.logLikelihoods.map(Double.init))
    }
    return Figure(
      title: "How likely the model found each token it added", key: request.key,
      .lines(
        LinePlot(
          x: PlotAxis("token", isWhole: true), y: PlotAxis("log-likelihood", unit: "nat"), series: series)))
  }
}
