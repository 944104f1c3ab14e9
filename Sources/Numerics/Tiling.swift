/// How an m×n product of depth k is cut: into row blocks × column blocks, from m, n and k alone.
///
/// Measured goals, in order: lose no more than a twentieth against one whole call; leave at least eight tiles for other
/// cores. Every tile packs all the rows and columns it reads, so tall tiles are cheap (the right side, usually the
/// larger, is packed once per row block) and narrow ones dear.
struct Tiling {
  let rowRanges: [Range<Int>]
  let columnRanges: [Range<Int>]

  init(rows: Int, columns: Int, depth: Int) {
    // Below some 8 million multiply-adds a tile costs more in packing and hand-over than another core gains.
    let affordable = max(1, rows * columns * max(depth, 1) / (8 << 20))
    let tallest = columns >= 2048 ? 512 : 256
    let rowParts = min((rows + tallest - 1) / tallest, affordable)
    let wanted = max((8 + rowParts - 1) / rowParts, columns / 2752)
    let columnParts = max(1, min(wanted, columns / 352, affordable / rowParts))
    rowRanges = Tiling.even(rows, parts: rowParts, multiple: 16)
    columnRanges = Tiling.even(columns, parts: columnParts, multiple: 16)
  }

  var count: Int { rowRanges.count * columnRanges.count }

  subscript(tile: Int) -> (rows: Range<Int>, columns: Range<Int>) {
    (rowRanges[tile / columnRanges.count], columnRanges[tile % columnRanges.count])
  }

  /// `count` in about `parts` ranges whose length is the same multiple, but for the last.
  static func even(_ count: Int, parts: Int, multiple: Int) -> [Range<Int>] {
    let size = (count + parts - 1) / parts
    return Parallel.ranges(count, of: max((size + multiple - 1) / multiple * multiple, 1))
  }
}

/// The blocks of a symmetric matrix on and below its diagonal.
struct Triangle {
  let ranges: [Range<Int>]

  init(size: Int) {
    ranges = Tiling.even(size, parts: max(1, min((size + 255) / 256, 16)), multiple: 16)
  }

  var blocks: [(rows: Range<Int>, columns: Range<Int>)] {
    ranges.indices.flatMap { i in (0...i).map { (ranges[i], ranges[$0]) } }
  }

  /// - Parameter share: the blocks of one rank of so many; they have them by turns.
  func forEach(
    share: (rank: Int, size: Int) = (0, 1), _ body: @Sendable (_ rows: Range<Int>, _ columns: Range<Int>) -> Void
  ) {
    let blocks = self.blocks
    let own = Array(stride(from: share.rank, to: blocks.count, by: share.size))
    Parallel.forEach(own.count) { body(blocks[own[$0]].rows, blocks[own[$0]].columns) }
  }
}
