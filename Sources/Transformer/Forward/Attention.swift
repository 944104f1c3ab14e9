import Numerics

/// Causal self-attention of one batch:  softmax(scale · q kᵀ) v  for every head.
///
/// Each tile of queries sees keys up to its own end, and every row's softmax is exact, so no tokens × tokens matrix is
/// ever made. Query heads of one unit share its keys and values.
struct Attention: Sendable {
  /// Each sequence's rows of the batch.
  let sequences: [Range<Int>]
  let heads: Int
  let keyValueHeads: Int
  let headSize: Int
  /// How many keys a query sees at most, its own included.
  let window: Int?
  /// What the scores are multiplied by.
  let scale: Float
  let pool: ScorePool

  /// Queries per tile. 128 to 256 keep the scores in the cache; fixed, so that results never depend on the machine.
  static let queryTile = 128

  /// One chunk of the work: a tile of one head's queries against the keys they may see, as rows of the batch.
  struct Tile {
    let queries: Range<Int>
    let keys: Range<Int>
    let head: Int
  }

  init(_ block: Block, _ sequences: [Range<Int>], _ pool: ScorePool) {
    self.sequences = sequences
    self.pool = pool
    keyValueHeads = block[.attention].units.count
    heads = keyValueHeads * block.configuration.queriesPerUnit
    headSize = block.configuration.headSize
    window = block.configuration.window(block.layer)
    scale = block.configuration.attentionScale(block.layer)
  }

  /// - Parameters:
  ///   - queryKeyValue: tokens × (heads + 2 keyValueHeads) headSize, rotated.
  ///   - result: tokens × heads headSize, overwritten.
  func run(_ queryKeyValue: Matrix<Float>, into result: Matrix<Float>) {
    // Long tiles first, so that threads finish together.
    let tiles = sequences.flatMap { sequence in
      self.tiles(of: sequence).reversed().flatMap { tile in (0..<heads).map { tile.of(head: $0) } }
    }
    Parallel.forEach(tiles.count) { index in
      let tile = tiles[index]
      pool.withMatrix(tile.queries.count, tile.keys.count) { scores in
        probabilities(queryKeyValue, tile, into: scores)
        multiply(
          scores, value(queryKeyValue, tile.head).rows(tile.keys), into: head(result, tile.head).rows(tile.queries))
      }
    }
  }

  /// The attention weights of one tile, queries × keys; what a query may not see is 0.
  func probabilities(_ queryKeyValue: Matrix<Float>, _ tile: Tile, into scores: Matrix<Float>) {
    multiply(
      head(queryKeyValue, tile.head).rows(tile.queries), key(queryKeyValue, tile.head).rows(tile.keys).T, into: scores)
    let own = tile.queries.lowerBound - tile.keys.lowerBound
    if let window {
      for i in 0..<tile.queries.count {
        softmax(scores, row: i, over: max(0, own + i - window + 1)..<own + i + 1, scale: scale)
      }
    } else {
      causalSoftmax(scores, visible: own + 1, scale: scale)
    }
  }

  /// The tiles of one sequence, for head 0.
  func tiles(of sequence: Range<Int>) -> [Tile] {
    Parallel.ranges(sequence.count, of: Self.queryTile).map { tile in
      let queries = sequence.lowerBound + tile.lowerBound..<sequence.lowerBound + tile.upperBound
      let first = window.map { max(sequence.lowerBound, queries.lowerBound - $0 + 1) } ?? sequence.lowerBound
      return Tile(queries: queries, keys: first..<queries.upperBound, head: 0)
    }
  }

  /// The columns of one query head: of the queries, or of anything laid out like them.
  func head(_ X: Matrix<Float>, _ head: Int) -> Matrix<Float> { X.columns(head * headSize..<(head + 1) * headSize) }

  func key(_ queryKeyValue: Matrix<Float>, _ head: Int) -> Matrix<Float> {
    self.head(queryKeyValue, heads + head * keyValueHeads / heads)
  }

  func value(_ queryKeyValue: Matrix<Float>, _ head: Int) -> Matrix<Float> {
    self.head(queryKeyValue, heads + keyValueHeads + head * keyValueHeads / heads)
  }
}

extension Attention.Tile {
  func of(head: Int) -> Attention.Tile { Attention.Tile(queries: queries, keys: keys, head: head) }
}
