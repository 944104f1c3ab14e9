/// One unit of a piece while merges go on.
struct MergeSymbol {
  var id: Int32
  /// Bytes from the start of the piece.
  var start: Int32
  /// Bytes; 0 once the symbol was merged into the one before it.
  var length: Int32
  var previous: Int32
  var next: Int32
}

/// Which neighbours may merge, and what becomes of them.
protocol MergeRule {
  /// - Returns: the rank (the lowest goes first) and the token that replaces both, `nil` when they stay apart.
  func merge(_ left: MergeSymbol, _ right: MergeSymbol) -> (rank: UInt32, id: Int32)?
}

/// Merges neighbours of lowest rank first, the leftmost of equals, until none may merge: O(n log n) for n symbols.
struct MergeQueue {
  private(set) var symbols: [MergeSymbol] = []
  private var heap: [Candidate] = []

  private struct Candidate {
    /// Rank in the high half, position of the left symbol in the low one.
    let key: UInt64
    /// Bytes of both symbols; when they no longer add up to it, one of them has changed.
    let length: Int32
    let id: Int32
  }

  mutating func removeAll() {
    symbols.removeAll(keepingCapacity: true)
    heap.removeAll(keepingCapacity: true)
  }

  mutating func append(_ id: Int32, length: Int) {
    let last = symbols.last
    let position = Int32(symbols.count)
    if position > 0 { symbols[Int(position) - 1].next = position }
    symbols.append(
      MergeSymbol(
        id: id, start: last.map { $0.start + $0.length } ?? 0, length: Int32(length), previous: position - 1, next: -1))
  }

  mutating func mergeAll(_ rule: some MergeRule) {
    for left in 0..<max(0, symbols.count - 1) { propose(left, rule) }
    while let best = heap.first {
      removeFirst()
      let left = Int(best.key & 0xFFFF_FFFF)
      let right = Int(symbols[left].next)
      if symbols[left].length == 0 || right < 0 || symbols[left].length + symbols[right].length != best.length {
        continue
      }
      symbols[left].id = best.id
      symbols[left].length = best.length
      let next = symbols[right].next
      symbols[left].next = next
      symbols[right].length = 0
      if next >= 0 { symbols[Int(next)].previous = Int32(left) }
      propose(left, rule)
      if symbols[left].previous >= 0 { propose(Int(symbols[left].previous), rule) }
    }
  }

  @inline(__always)
  private mutating func propose(_ left: Int, _ rule: some MergeRule) {
    let right = Int(symbols[left].next)
    guard right >= 0, let (rank, id) = rule.merge(symbols[left], symbols[right]) else { return }
    insert(
      Candidate(
        key: UInt64(rank) << 32 | UInt64(left), length: symbols[left].length + symbols[right].length, id: id))
  }

  private mutating func insert(_ candidate: Candidate) {
    var at = heap.count
    heap.append(candidate)
    heap.withUnsafeMutableBufferPointer { heap in
      while at > 0, heap[(at - 1) / 2].key > candidate.key {
        heap[at] = heap[(at - 1) / 2]
        at = (at - 1) / 2
      }
      heap[at] = candidate
    }
  }

  private mutating func removeFirst() {
    let last = heap.removeLast()
    heap.withUnsafeMutableBufferPointer { heap in
      if heap.isEmpty { return }
      var at = 0
      while 2 * at + 1 < heap.count {
        var child = 2 * at + 1
        if child + 1 < heap.count, heap[child + 1].key < heap[child].key { child += 1 }
        if heap[child].key >= last.key { break }
        heap[at] = heap[child]
        at = child
      }
      heap[at] = last
    }
  }
}
