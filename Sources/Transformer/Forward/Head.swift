import CKernels
import Glibc
import Numerics
import Ranks

/// The end of a model: final norm and output head. The head's weights are read a tile of the vocabulary at a time, so
/// that neither they nor all logits are in memory at once, unless the weights are to stay.
struct Head {
  let model: LanguageModel
  let norm: Norm
  let scratch = Scratch()
  /// All weights, when they stay, a tile of the vocabulary each.
  private var kept: [LinearMap]?

  /// Words per tile.
  static var vocabularyTile: Int { 8192 }
  /// Tokens per tile.
  static var tokenTile: Int { 512 }
  /// Tokens for which one reading of the head's weights serves.
  static var tokensPerReading: Int { 4096 }

  /// - Parameter keepsWeights: whether the weights stay in memory, for a head that is used again and again.
  init(_ model: LanguageModel, keepsWeights: Bool = false) throws {
    self.model = model
    norm = try model.norm(model.layout.finalNorm)
    try model.checkpoint.requireFinite(ByteString(model.layout.head))
    try model.checkpoint.release(ByteString(model.layout.head))
    if keepsWeights { kept = try tiles.map { map(of: try weights($0).copy()) } }
  }

  var vocabulary: Int { model.configuration.vocabularySize }

  /// Tokens in stretches for which the weights are read once: whole tiles, and a share for every rank.
  static func readings(_ tokens: Int, _ ranks: any Communicator) -> [Range<Int>] {
    let tiles = (tokens + tokenTile - 1) / tokenTile
    let share = (tiles + ranks.size - 1) / ranks.size * tokenTile
    return Parallel.ranges(tokens, of: max(tokenTile, min(tokensPerReading, share)))
  }

  /// The vocabulary in tiles.
  var tiles: [Range<Int>] { Parallel.ranges(vocabulary, of: Self.vocabularyTile) }

  /// From normalised states to the logits of a tile's words, valid until the next call.
  func map(tile: Int) throws -> LinearMap { try kept?[tile] ?? map(of: weights(tiles[tile])) }

  private func map(of weights: Matrix<Float>) -> LinearMap {
    LinearMap(weights, bias: nil, precision: model.precision)
  }

  /// Some rows of the head's weights: words × d, valid until the next call.
  private func weights(_ words: Range<Int>) throws -> Matrix<Float> {
    let d = model.configuration.hiddenSize
    let weights = scratch.matrix(.headWeights, words.count, d)
    try weights.withUnsafeMutablePointer { start, _ in
      try model.readRows(
        ByteString(model.layout.head), words, columns: d,
        into: UnsafeMutableBufferPointer(start: start, count: words.count * d))
    }
    try model.checkpoint.release(ByteString(model.layout.head))
    return weights
  }

  /// The stream in the basis of the unpruned model.
  func unsliced(_ states: Matrix<Float>) -> Matrix<Float> {
    guard let basis = model.pruning.slicing?.last else { return states }
    let result = scratch.matrix(.unsliced, states.rows, states.columns)
    multiply(states.columns(0..<basis.columns), basis.T, into: result)
    return result
  }

  func normalized(_ states: Matrix<Float>) -> Matrix<Float> {
    let result = scratch.matrix(.normalized, states.rows, states.columns)
    normalize(unsliced(states), norm, model.configuration, into: result)
    return result
  }

  /// `-log p(target)` for every row; 0 where the target is negative.
  func losses(_ states: Matrix<Float>, targets: ArraySlice<Int32>, pulse: () throws -> Void) throws -> [Double] {
    let targets = Array(targets)
    var maxima = [Float](repeating: -.infinity, count: states.rows)
    var sums = [Double](repeating: 0, count: states.rows)
    var chosen = [Float](repeating: 0, count: states.rows)
    let normalized = normalized(states)
    for (tile, words) in tiles.enumerated() {
      let map = try map(tile: tile)
      for rows in Parallel.ranges(states.rows, of: Self.tokenTile) {
        let logits = scratch.matrix(.logits, rows.count, words.count)
        try map.apply(normalized.rows(rows), into: logits, pulse: pulse)
        maxima.withUnsafeMutableBufferPointer { maxima in
          sums.withUnsafeMutableBufferPointer { sums in
            nonisolated(unsafe) let (maxima, sums) = (maxima, sums)
            Parallel.forEach(rows.count) { i in
              let row = rows.lowerBound + i
              guard targets[row] >= 0 else { return }
              logits.withUnsafePointer { start, stride in
                prn_log_sum_exp(start + i * stride, words.count, &maxima[row], &sums[row])
              }
            }
          }
        }
        for row in rows where words.contains(Int(targets[row])) {
          chosen[row] = logits[row - rows.lowerBound, Int(targets[row]) - words.lowerBound]
        }
      }
    }
    return states.rows == 0
      ? [] : (0..<states.rows).map { targets[$0] < 0 ? 0 : log(sums[$0]) + Double(maxima[$0] - chosen[$0]) }
  }

  /// All logits of some states: rows × vocabulary.
  func logits(_ states: Matrix<Float>) throws -> Matrix<Float> { try logits(normalized: normalized(states)) }

  /// All logits of states that the final norm has passed: rows × vocabulary.
  func logits(normalized: Matrix<Float>) throws -> Matrix<Float> {
    let result = Matrix<Float>(rows: normalized.rows, columns: vocabulary)
    for (tile, words) in tiles.enumerated() {
      try map(tile: tile).apply(normalized, into: result.columns(words), pulse: {})
    }
    return result
  }
}

extension LanguageModel {
  /// The negative log-likelihood of the next token for every token, in nats; 0 after the last token of a sequence.
  ///
  /// - Parameters:
  ///   - states: the residual stream that leaves the last block, tokens × d.
  ///   - ranks: those that divide the tokens among them.
  ///   - pulse: called between chunks of work; throw from it to stop.
  public func losses(
    states: Matrix<Float>, _ sequences: Sequences, ranks: any Communicator = OneRank(), pulse: () throws -> Void = {}
  ) throws -> [Double] {
    let head = try Head(self)
    let targets = sequences.targets
    let readings = Head.readings(states.rows, ranks)
    return try ranks.map(readings.count) {
      try head.losses(states.rows(readings[$0]), targets: targets[readings[$0]], pulse: pulse)
    }.flatMap { $0 }
  }

  /// The negative log-likelihood of the next token for every token, from the tokens on.
  public func losses(_ sequences: Sequences, pulse: () throws -> Void = {}) throws -> [Double] {
    try losses(states: finalStates(sequences, pulse: pulse), sequences, pulse: pulse)
  }

  /// Logits for every token: tokens × vocabulary. For a few tokens only.
  public func logits(_ sequences: Sequences) throws -> Matrix<Float> {
    try Head(self).logits(finalStates(sequences))
  }

  /// The residual stream that leaves the last block.
  public func finalStates(_ sequences: Sequences, pulse: () throws -> Void = {}) throws -> Matrix<Float> {
    let walk = try Walk(self, sequences)
    try walk.embed()
    while walk.layer < layers { try walk.step(pulse: { _ in try pulse() }) }
    return walk.states
  }
}
