import Numerics

/// Token sequences, end to end. Lengths may differ. A sequence can go on after another one, which several then share.
public struct Sequences: Sendable, Equatable {
  public let tokens: [Int32]
  /// Where each sequence starts in `tokens`, and at the end `tokens.count`.
  public let offsets: [Int]
  /// The sequence, further up, after which each goes on; nil for one that starts by itself.
  public let parents: [Int?]

  public init(_ sequences: [[Int32]]) { self.init(sequences, after: Array(repeating: nil, count: sequences.count)) }

  /// - Parameter parents: for each sequence the number of an earlier one after which it goes on, or nil.
  public init(_ sequences: [[Int32]], after parents: [Int?]) {
    precondition(
      parents.count == sequences.count && parents.enumerated().allSatisfy { $1.map((0..<$0).contains) ?? true },
      "a sequence goes on after one that is not before it")
    tokens = sequences.flatMap { $0 }
    offsets = sequences.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1.count) }
    self.parents = parents
  }

  /// Disjoint windows of `length` tokens; what is left over at the end is dropped.
  public init(windows length: Int, of tokens: [Int32]) {
    let count = length > 0 ? tokens.count / length : 0
    self.tokens = Array(tokens.prefix(count * length))
    offsets = (0...count).map { $0 * length }
    parents = Array(repeating: nil, count: count)
  }

  public var count: Int { offsets.count - 1 }

  /// The tokens of sequence `i`, as positions in `tokens`.
  public subscript(i: Int) -> Range<Int> { offsets[i]..<offsets[i + 1] }

  /// The position of the first token of each: how many stand before it.
  var starts: [Int] {
    parents.indices.reduce(into: []) { starts, i in starts.append(parents[i].map { starts[$0] + self[$0].count } ?? 0) }
  }

  /// Tokens of the longest, with those it goes on after.
  public var longest: Int { zip(starts, 0..<count).map { $0 + self[$1].count }.max() ?? 0 }

  /// The token that follows each token in its sequence; -1 after the last.
  public var targets: [Int32] {
    var targets = Array(tokens.dropFirst()) + [-1]
    for i in 0..<count where !self[i].isEmpty { targets[self[i].upperBound - 1] = -1 }
    return tokens.isEmpty ? [] : targets
  }

  /// Batches of whole sequences, each of at most `tokens` tokens unless a single sequence, with those that go on after
  /// it, is longer.
  /// They depend on the lengths alone, so a run that is taken up again computes the same bits.
  public func batches(tokens limit: Int = 1024) -> [Range<Int>] {
    var batches: [Range<Int>] = []
    var start = 0
    // Where sequences begin that have nothing before them.
    let roots = parents.indices.filter { parents[$0] == nil } + [count]
    for (root, next) in zip(roots, roots.dropFirst()) where offsets[next] - offsets[start] > limit && root > start {
      batches.append(start..<root)
      start = root
    }
    if start < count { batches.append(start..<count) }
    return batches
  }

  /// Some of the sequences, numbered from zero. None goes on after one that is left out.
  public subscript(range: Range<Int>) -> Sequences {
    let base = offsets[range.lowerBound]
    return Sequences(
      tokens: Array(tokens[base..<offsets[range.upperBound]]),
      offsets: offsets[range.lowerBound...range.upperBound].map { $0 - base },
      parents: parents[range].map { $0.map { $0 - range.lowerBound } })
  }

  private init(tokens: [Int32], offsets: [Int], parents: [Int?]) {
    self.tokens = tokens
    self.offsets = offsets
    self.parents = parents
  }

  /// - Parameter past: tokens that stand before every sequence.
  /// - Throws: `ModelError` naming the token or the sequence that the model cannot take.
  func check(_ configuration: Configuration, after past: Int = 0) throws {
    if past + longest > configuration.positions {
      throw ModelError.sequenceTooLong(length: past + longest, limit: configuration.positions)
    }
    let vocabulary = configuration.vocabularySize
    if let bad = tokens.firstIndex(where: { $0 < 0 || Int($0) >= vocabulary }) {
      throw ModelError.tokenOutOfRange(token: Int(tokens[bad]), position: bad, vocabulary: vocabulary)
    }
  }
}
