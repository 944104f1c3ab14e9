import Numerics
import Ranks

/// What the ranks of a walk show each other: each keeps what its own batch shows until it is that batch's turn.
final class SharedTaps {
  private let scratch: Scratch
  private let layer: Int
  private var kept: [(site: Site, values: Matrix<Float>)] = []

  init(_ scratch: Scratch, layer: Int) {
    self.scratch = scratch
    self.layer = layer
  }

  func keep(_ tap: Tap) {
    let values = scratch.matrix(.kept(tap.site), tap.values.rows, tap.values.columns)
    values.assign(tap.values)
    kept.append((tap.site, values))
  }

  /// Shows on every rank what the batch of one of them has shown there.
  func share(
    _ rows: Range<Int>, from owner: Int, _ ranks: any Communicator, _ tap: (Tap) throws -> Void
  ) throws {
    let isOwn = owner == ranks.rank
    // The width of every site; 0 for one that was not looked at.
    var widths = Site.allCases.map { _ in 0 }
    for (site, values) in kept where isOwn { widths[Site.allCases.firstIndex(of: site) ?? 0] = values.columns }
    try widths.withUnsafeMutableBytes { try ranks.broadcast($0, from: owner) }
    for (site, width) in zip(Site.allCases, widths) where width > 0 {
      let own = isOwn ? kept.first { $0.site == site }?.values : nil
      let values = own ?? scratch.matrix(.received, rows.count, width)
      try ranks.broadcast(values, from: owner)
      try tap(Tap(layer: layer, site: site, rows: rows, values: values))
    }
  }
}
