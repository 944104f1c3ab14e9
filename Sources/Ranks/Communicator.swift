/// The processes that share a run, each with a number, its rank. All of them do the same in the same order; what one of
/// them does for all is a matter of whose turn it is, and all get what it found. So results depend on the order of the work
/// alone, and not on how many ranks there are.
public protocol Communicator: AnyObject, Sendable {
  /// From 0.
  var rank: Int { get }
  var size: Int { get }
  /// Gives every rank the bytes that `root` has. All ranks call it with as many bytes, in the same order.
  /// - Throws: `RankError` when another rank has failed or the work is to stop.
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws
}

/// A process by itself.
public final class OneRank: Communicator {
  public init() {}
  public let rank = 0
  public let size = 1
  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) {}
}

extension Communicator {
  public var isFirst: Bool { rank == 0 }

  /// `0..<count` in rounds of as many items as there are ranks, the last one shorter. In each round every rank does the
  /// item at its own place.
  public func rounds(_ count: Int) -> [Range<Int>] {
    stride(from: 0, to: count, by: size).map { $0..<min($0 + size, count) }
  }

  /// The item of a round that is this rank's, if it has one.
  public func own(_ round: Range<Int>) -> Int? {
    round.contains(round.lowerBound + rank) ? round.lowerBound + rank : nil
  }

  /// What `root` has, on every rank.
  public func share<Number: BitwiseCopyable>(_ numbers: [Number], from root: Int) throws -> [Number] {
    if size == 1 { return numbers }
    var count = numbers.count
    try withUnsafeMutableBytes(of: &count) { try broadcast($0, from: root) }
    if rank == root {
      var numbers = numbers
      try numbers.withUnsafeMutableBytes { try broadcast($0, from: root) }
      return numbers
    }
    return try [Number](unsafeUninitializedCapacity: count) { buffer, filled in
      try broadcast(
        UnsafeMutableRawBufferPointer(
          rebasing: UnsafeMutableRawBufferPointer(buffer)[..<(count * MemoryLayout<Number>.stride)]), from: root)
      filled = count
    }
  }

  /// The text that `root` has, on every rank.
  public func share(_ text: String, from root: Int) throws -> String {
    String(decoding: try share(Array(text.utf8), from: root), as: UTF8.self)
  }

  /// What every rank says, by rank.
  public func all(_ text: String) throws -> [String] { try (0..<size).map { try share(text, from: $0) } }

  /// Returns when every rank is here.
  public func wait() throws { _ = try all("") }

  /// Each of `count` items is made by one rank, and taken in by all of them in order.
  public func forEach<Number: BitwiseCopyable>(
    _ count: Int, make: (Int) throws -> [Number], take: (Int, [Number]) throws -> Void
  ) throws {
    for round in rounds(count) {
      let made = try own(round).map(make) ?? []
      for item in round { try take(item, share(made, from: item - round.lowerBound)) }
    }
  }

  /// The results of `make(0)` … `make(count - 1)`, each made by one rank, on every rank.
  public func map<Number: BitwiseCopyable>(_ count: Int, _ make: (Int) throws -> [Number]) throws -> [[Number]] {
    var results: [[Number]] = []
    try forEach(count, make: make) { results.append($1) }
    return results
  }
}

/// Why ranks cannot work together, or no longer.
public enum RankError: Error, Equatable {
  /// There is no MPI to load.
  case noLibrary(reason: String)
  /// The MPI that was found lacks a name that Open MPI has.
  case otherLibrary(name: String, lacks: String)
  /// Another rank has said why it gave up.
  case failed(rank: Int, reason: String)
  /// MPI itself reports an error.
  case broken(reason: String)
  /// This process was told to stop while it waited for others.
  case stopped
}
