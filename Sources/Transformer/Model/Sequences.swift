import Numerics

/// Token sequences, end to end. Lengths may differ.
public struct Sequences: Sendable, Equatable {
  public let tokens: [Int32]
  /// Where each sequence starts in `tokens`, and at the end `tokens.count`.
  public let offsets: [Int]

  public init(_ sequences: [[Int32]]) {
    tokens = sequences.flatMap { $0 }
    var offsets = [0]
    for sequence in sequences { offsets.append((offsets.last ?? 0) + sequence.count) }
    self.offsets = offsets
  }

  /// Disjoint windows of `length` tokens; what is left over at the end is dropped.
  public init(windows length: Int, of tokens: [Int32]) {
    let count = length > 0 ? tokens.count / length : 0
    self.tokens = Array(tokens.prefix(count * length))
    offsets = (0...count).map { $0 * length }
  }

  public var count: Int { offsets.count - 1 }

  /// The tokens of sequence `i`, as positions in `tokens`.
  public subscript(i: Int) -> Range<Int> { offsets[i]..<offsets[i + 1] }

  public var longest: Int { (0..<count).map { self[$0].count }.max() ?? 0 }

  /// The token that follows each token in its sequence; -1 after the last.
  public var targets: [Int32] {
    var targets = Array(tokens.dropFirst()) + [-1]
    for i in 0..<count where !self[i].isEmpty { targets[self[i].upperBound - 1] = -1 }
    return tokens.isEmpty ? [] : targets
  }

  /// The place of each token in its sequence.
  var positions: [Int32] { (0..<count).flatMap { (0..<Int32(self[$0].count)) } }

  /// Batches of whole sequences, each of at most `tokens` tokens unless a single sequence is longer.
  /// They depend on the lengths alone, so a run that is taken up again computes the same bits.
  public func batches(tokens limit: Int = 1024) -> [Range<Int>] {
    var batches: [Range<Int>] = []
    var start = 0
    for i in 0..<count where offsets[i + 1] - offsets[start] > limit && i > start {
      batches.append(start..<i)
      start = i
    }
    if start < count { batches.append(start..<count) }
    return batches
  }

  /// Some of the sequences, numbered from zero.
  public subscript(range: Range<Int>) -> Sequences {
    let base = offsets[range.lowerBound]
    return Sequences(
      tokens: Array(tokens[base..<offsets[range.upperBound]]),
      offsets: offsets[range.lowerBound...range.upperBound].map { $0 - base })
  }

  private init(tokens: [Int32], offsets: [Int]) {
    self.tokens = tokens
    self.offsets = offsets
  }

  /// - Throws: `ModelError` naming the token or the sequence that the model cannot take.
  func check(_ configuration: Configuration) throws {
    if longest > configuration.positions {
      throw ModelError.sequenceTooLong(length: longest, limit: configuration.positions)
    }
    let vocabulary = configuration.vocabularySize
    if let bad = tokens.firstIndex(where: { $0 < 0 || Int($0) >= vocabulary }) {
      throw ModelError.tokenOutOfRange(token: Int(tokens[bad]), position: bad, vocabulary: vocabulary)
    }
  }
}
