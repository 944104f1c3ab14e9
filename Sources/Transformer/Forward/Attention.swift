import Numerics

/// Where one sequence's queries, keys and values are.
struct AttentionSpan: Sendable {
  /// Rows of the queries.
  let queries: Range<Int>
  /// Rows of the keys and values in the order of their positions: of the tokens before, then of the queries' own.
  let keys: [Range<Int>]
}

/// Causal self-attention of one batch:  softmax(scale · q kᵀ) v  for every head.
///
/// Each tile of queries sees keys up to its own end, and every row's softmax is exact, so no tokens × tokens matrix is
/// ever made. Query heads of one unit share its keys and values.
struct Attention: Sendable {
  let spans: [AttentionSpan]
  let heads: Int
  let keyValueHeads: Int
  /// Heads of a unit stand side by side: either share a key-value head, or have one each.
  private let configuration: Configuration
  let size: HeadSizes
  /// How many keys a query sees at most, its own included.
  let window: Int?
  /// What the scores are multiplied by.
  let scale: Float
  let pool: ScorePool

  /// Queries per tile. 128 to 256 keep the scores in the cache; fixed, so that results never depend on the machine.
  static let queryTile = 128

  /// One chunk of the work: a tile of one head's queries against the keys they may see.
  struct Tile {
    /// Rows of the queries.
    let queries: Range<Int>
    /// Rows of the keys and values, and the columns that the scores have for each range.
    let keys: [(rows: Range<Int>, columns: Range<Int>)]
    let head: Int

    var visible: Int { keys.last?.columns.upperBound ?? 0 }
  }

  init(_ block: Block, _ spans: [AttentionSpan], _ pool: ScorePool) {
    self.spans = spans
    self.pool = pool
    configuration = block.configuration
    let counts = configuration.heads(units: block[.attention].units.count)
    (heads, keyValueHeads) = (counts.queries, counts.keyValues)
    size = block[.attention].heads.size
    window = block.configuration.window(block.layer)
    scale = block.configuration.attentionScale(block.layer)
  }

  /// - Parameters:
  ///   - queries: tokens × (heads × key size), rotated; further columns do not matter.
  ///   - keysAndValues: the rows that the spans name × keyValueHeads × (key size, then value size).
  ///   - result: tokens × (heads × value size), overwritten.
  func run(_ queries: Matrix<Float>, _ keysAndValues: Matrix<Float>, into result: Matrix<Float>) {
    // Long tiles first, so that threads finish together.
    let tiles = spans.flatMap { span in
      self.tiles(of: span).reversed().flatMap { tile in (0..<heads).map { tile.of(head: $0) } }
    }
    Parallel.forEach(tiles.count) { index in
      let tile = tiles[index]
      let mixed = mixed(result, tile.head).rows(tile.queries)
      pool.withMatrix(tile.queries.count, tile.visible) { scores in
        probabilities(queries, keysAndValues, tile, into: scores)
        for (rows, columns) in tile.keys {
          multiply(
            scores.columns(columns), value(keysAndValues, tile.head).rows(rows), into: mixed,
            beta: columns.lowerBound == 0 ? 0 : 1)
        }
      }
    }
  }

  /// The attention weights of one tile, queries × keys; what a query may not see is 0.
  func probabilities(
    _ queries: Matrix<Float>, _ keysAndValues: Matrix<Float>, _ tile: Tile, into scores: Matrix<Float>
  ) {
    for (rows, columns) in tile.keys {
      multiply(
        query(queries, tile.head).rows(tile.queries), key(keysAndValues, tile.head).rows(rows).T,
        into: scores.columns(columns))
    }
    let own = tile.visible - tile.queries.count
    if let window {
      for i in 0..<tile.queries.count {
        softmax(scores, row: i, over: max(0, own + i - window + 1)..<own + i + 1, scale: scale)
      }
    } else {
      causalSoftmax(scores, visible: own + 1, scale: scale)
    }
  }

  /// The tiles of one sequence, for head 0.
  func tiles(of span: AttentionSpan) -> [Tile] {
    let before = span.keys.reduce(0) { $0 + $1.count } - span.queries.count
    return Parallel.ranges(span.queries.count, of: Self.queryTile).map { tile in
      let first = window.map { max(0, before + tile.lowerBound - $0 + 1) } ?? 0
      let queries = span.queries.lowerBound + tile.lowerBound..<span.queries.lowerBound + tile.upperBound
      return Tile(queries: queries, keys: span.keys(at: first..<before + tile.upperBound), head: 0)
    }
  }

  /// The query of one head.
  func query(_ queries: Matrix<Float>, _ head: Int) -> Matrix<Float> { columns(queries, head, of: size.key) }

  /// What one head makes of the values.
  func mixed(_ result: Matrix<Float>, _ head: Int) -> Matrix<Float> { columns(result, head, of: size.value) }

  private func columns(_ X: Matrix<Float>, _ head: Int, of size: Int) -> Matrix<Float> {
    X.columns(head * size..<(head + 1) * size)
  }

  /// The keys and values of the batch itself, of queries, keys and values side by side.
  func keysAndValues(_ projected: Matrix<Float>) -> Matrix<Float> {
    projected.columns(heads * size.key..<projected.columns)
  }

  func key(_ keysAndValues: Matrix<Float>, _ head: Int) -> Matrix<Float> {
    columns(keysAndValues, configuration.keyValueHead(ofQuery: head), of: size.key)
  }

  func value(_ keysAndValues: Matrix<Float>, _ head: Int) -> Matrix<Float> {
    let values = keysAndValues.columns(keyValueHeads * size.key..<keysAndValues.columns)
    return columns(values, configuration.keyValueHead(ofQuery: head), of: size.value)
  }

  /// The query heads that share a key-value head.
  func queryHeads(of group: Int) -> [Int] { (0..<heads).filter { configuration.keyValueHead(ofQuery: $0) == group } }
}

extension Attention.Tile {
  func of(head: Int) -> Attention.Tile { Attention.Tile(queries: queries, keys: keys, head: head) }
}

extension AttentionSpan {
  /// The rows of the keys at some positions, and their places among these.
  fileprivate func keys(at positions: Range<Int>) -> [(rows: Range<Int>, columns: Range<Int>)] {
    var start = 0
    return keys.compactMap { rows in
      let found = (start..<start + rows.count).clamped(to: positions)
      let shift = rows.lowerBound - start
      start += rows.count
      guard !found.isEmpty else { return nil }
      return (
        found.lowerBound + shift..<found.upperBound + shift,
        found.lowerBound - positions.lowerBound..<found.upperBound - positions.lowerBound
      )
    }
  }
}
