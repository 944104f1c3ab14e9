/// Whole sequences that go through a block together.
struct Batch {
  /// Their tokens, as rows of the states.
  let rows: Range<Int>
  /// Each sequence's rows, counted from the start of the batch.
  let sequences: [Range<Int>]
  /// Each token's place in its sequence.
  let positions: [Int32]

  init(_ sequences: Sequences, _ range: Range<Int>) {
    let base = sequences.offsets[range.lowerBound]
    rows = base..<sequences.offsets[range.upperBound]
    self.sequences = range.map { sequences[$0].lowerBound - base..<sequences[$0].upperBound - base }
    positions = self.sequences.flatMap { 0..<Int32($0.count) }
  }
}

/// Cosines and sines of the rotary angles, for every position that occurs.
struct RotationTables: Sendable {
  let cosines: [Float]
  let sines: [Float]
  let pairs: Int
  let pairing: RotaryPairing

  init?(_ configuration: Configuration, positions: Int) {
    guard let rotary = configuration.rotary else { return nil }
    (cosines, sines) = rotary.tables(count: positions)
    pairs = rotary.inverseFrequencies.count
    pairing = rotary.pairing
  }
}
