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
    // Site and width of each.
    let list = try ranks.share(
      isOwn ? kept.flatMap { [Site.allCases.firstIndex(of: $0.site) ?? 0, $0.values.columns] } : [], from: owner)
    for (place, start) in stride(from: 0, to: list.count, by: 2).enumerated() {
      let site = Site.allCases[list[start]]
      let values = isOwn ? kept[place].values : scratch.matrix(.received, rows.count, list[start + 1])
      try ranks.broadcast(values, from: owner)
      try tap(Tap(layer: layer, site: site, rows: rows, values: values))
    }
  }
}
