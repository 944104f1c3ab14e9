/// Byte-pair encoding with ranked merges, as `tokenizer.json` describes it.
struct BytePairModel: Sendable {
  let vocabulary: Vocabulary
  let merges: MergeTable
  /// The tokens that each merge joins, in order of rank.
  let pairs: [(left: Int32, right: Int32)]
  /// Unknown characters become the tokens of their bytes.
  let fallsBackToBytes: Bool
  /// A piece that is a token as a whole is not taken apart.
  let ignoresMerges: Bool
  let unknown: Int32?
  /// Neighbouring unknown characters become one token.
  let fusesUnknown: Bool
  /// The tokens of the 256 bytes, -1 where there is none.
  let byteIDs: [Int32]
  /// No token reaches from one word into the next, so that a long text may be taken word by word.
  let staysInWords: Bool

  /// Appends the tokens of one piece.
  func encode(_ piece: UnsafeBufferPointer<UInt8>, using queue: inout MergeQueue, into ids: inout [Int32]) {
    guard let base = piece.baseAddress, piece.count > 0 else { return }
    if ignoresMerges, let id = vocabulary.id(of: piece) {
      ids.append(id)
      return
    }
    queue.removeAll()
    var pending: (id: Int32, length: Int)?
    func flush() {
      if let unknown = pending { queue.append(unknown.id, length: unknown.length) }
      pending = nil
    }
    var at = 0
    while at < piece.count {
      let length = scalarLength(base[at])
      let id = vocabulary.id(ofCharacter: base + at, length: length)
      if id >= 0 {
        flush()
        queue.append(id, length: length)
      } else if fallsBackToBytes, (at..<(at + length)).allSatisfy({ byteIDs[Int(base[$0])] >= 0 }) {
        // The reference puts these before an unknown character that is still being fused; so does this.
        for index in at..<(at + length) { queue.append(byteIDs[Int(base[index])], length: 1) }
      } else if let unknown {
        if let before = pending, fusesUnknown {
          pending = (unknown, before.length + length)
        } else {
          flush()
          pending = (unknown, length)
        }
      }
      at += length
    }
    flush()
    queue.mergeAll(merges)
    for symbol in queue.symbols where symbol.length > 0 { ids.append(symbol.id) }
  }
}

/// The merges of a byte-pair model by the two tokens they join.
struct MergeTable: MergeRule, Sendable {
  private var keys: [UInt64]
  private var values: [(rank: UInt32, id: Int32)]
  private let shift: UInt64
  private static let empty = UInt64.max

  init(capacity: Int) {
    var bits: UInt64 = 5
    while 1 << bits < 2 * capacity { bits += 1 }
    keys = Array(repeating: Self.empty, count: 1 << bits)
    values = Array(repeating: (0, 0), count: 1 << bits)
    shift = 64 - bits
  }

  /// Adds a merge; at most `capacity` of them. A pair given twice keeps the later rank, as in the reference.
  mutating func insert(_ left: Int32, _ right: Int32, rank: UInt32, id: Int32) {
    let slot = slot(left, right)
    keys[slot] = Self.key(left, right)
    values[slot] = (rank, id)
  }

  @inline(__always)
  func merge(_ left: MergeSymbol, _ right: MergeSymbol) -> (rank: UInt32, id: Int32)? {
    let slot = slot(left.id, right.id)
    return keys[slot] == Self.empty ? nil : values[slot]
  }

  @inline(__always)
  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  @inline(__always)
  private func slot(_ left: Int32, _ right: Int32) -> Int {
    let key = Self.key(left, right)
    var slot = Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> shift)
    while keys[slot] != key, keys[slot] != Self.empty { slot = (slot + 1) & (keys.count - 1) }
    return slot
  }
}
