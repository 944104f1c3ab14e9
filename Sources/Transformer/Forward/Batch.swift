/// Whole sequences that go through a block together.
struct Batch {
  /// Their tokens, as rows of the states.
  let rows: Range<Int>
  /// Where each sequence's queries, keys and values are.
  let spans: [AttentionSpan]
  /// Each token's place in its text.
  let positions: [Int32]

  /// - Parameter cache: keys and values of tokens that stand before the one sequence there is.
  init(_ sequences: Sequences, _ range: Range<Int>, after cache: KeyValueCache? = nil) {
    let base = sequences.offsets[range.lowerBound]
    let past = cache?.count ?? 0
    let starts = sequences.starts
    var spans: [AttentionSpan] = []
    for i in range {
      let own = sequences[i].lowerBound - base..<sequences[i].upperBound - base
      let before = sequences.parents[i].map { spans[$0 - range.lowerBound].keys } ?? []
      spans.append(AttentionSpan(queries: own, keys: cache == nil ? before + [own] : [0..<past + own.upperBound]))
    }
    rows = base..<sequences.offsets[range.upperBound]
    self.spans = spans
    positions = range.flatMap { i in (0..<sequences[i].count).map { Int32(past + starts[i] + $0) } }
  }
}

/// Cosines and sines of the rotary angles, for every position that occurs.
struct RotationTables: Sendable {
  let positions: Range<Int>
  let cosines: [Float]
  let sines: [Float]
  let pairs: Int
  let pairing: RotaryPairing

  init?(_ configuration: Configuration, positions: Range<Int>) {
    guard let rotary = configuration.rotary else { return nil }
    self.positions = positions
    (cosines, sines) = rotary.tables(of: positions)
    pairs = rotary.inverseFrequencies.count
    pairing = rotary.pairing
  }
}
