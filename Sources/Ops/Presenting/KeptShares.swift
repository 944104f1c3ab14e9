import Kernel
import Transformer

extension LinePlot {
  /// What each layer keeps of its modules, attention first. Modules that keep the same are one line: one of two would hide
  /// the other. Of a sliced model also what is left of the stream between them.
  static func kept(
    _ shares: [(module: Module, share: [Double])], stream: Double? = nil, reference: Reference? = nil
  ) -> LinePlot {
    func series(_ name: String, _ share: [Double]) -> Series {
      Series(name, x: share.indices.map(Double.init), y: share)
    }
    let names = shares.map { "\($0.module.unitName)s" }
    let areAlike = shares.count > 1 && shares.allSatisfy { $0.share == shares[0].share }
    let modules =
      areAlike
      ? [series(names.joined(separator: " and "), shares[0].share)] : zip(names, shares).map { series($0, $1.share) }
    let directions = stream.map { share in shares[0].share.map { _ in share } }
    return LinePlot(
      x: PlotAxis("layer", isWhole: true), y: PlotAxis("share kept", isRatio: true),
      series: modules + (directions.map { [series("directions", $0)] } ?? []), reference: reference)
  }
}

extension PlotAxis {
  /// An axis for values that spread over more than one power of ten is divided by powers.
  init(_ label: String, spreadOf series: [LinePlot.Series]) {
    let values = series.flatMap(\.y).filter(\.isFinite)
    let isWide = values.min().map { low in low > 0 && (values.max() ?? 0) / low > 10 } ?? false
    self.init(label, spacing: isWide ? .logarithmic : .linear)
  }
}
