import Numerics
import Transformer

/// The signals of one run, put together from the batches of a walk.
final class RunCutter {
  private let sites: [Site]
  private let runs: [Range<Int>]
  private let complete: (Int, [Matrix<Float>]) throws -> Void
  /// What the sites before the last showed of the current batch.
  private var batch: [Matrix<Float>] = []
  private var run = 0
  private var signals: [Matrix<Float>] = []

  /// - Parameters:
  ///   - sites: in the order in which a block reaches them.
  ///   - runs: rows of each run, rising.
  ///   - complete: gets each run when its last row has come; tokens × features for each site.
  init(sites: [Site], runs: [Range<Int>], complete: @escaping (Int, [Matrix<Float>]) throws -> Void) {
    self.sites = sites
    self.runs = runs
    self.complete = complete
  }

  func add(_ tap: Tap) throws {
    guard tap.site == sites.last else { return batch.append(tap.values.copy()) }
    let shown = batch + [tap.values]
    batch = []
    while run < runs.count, runs[run].lowerBound < tap.rows.upperBound {
      let wanted = runs[run]
      if signals.isEmpty { signals = shown.map { Matrix(rows: wanted.count, columns: $0.columns) } }
      let rows = wanted.clamped(to: tap.rows)
      let (from, to) = (tap.rows.lowerBound, wanted.lowerBound)
      for (target, source) in zip(signals, shown) {
        target.rows((rows.lowerBound - to)..<(rows.upperBound - to))
          .assign(source.rows((rows.lowerBound - from)..<(rows.upperBound - from)))
      }
      guard wanted.upperBound <= tap.rows.upperBound else { return }
      let finished = signals
      signals = []
      try complete(run, finished)
      run += 1
    }
  }
}
