/// The tokens of a tokenizer by text and by number.
struct Vocabulary: Sendable {
  /// Ids beyond this are taken for damage; they would ask for tables of that length.
  static let idLimit = 1 << 24

  private var table: ByteTable
  /// The id of each entry of the table.
  private var ids: [Int32] = []
  /// The entry of each id, -1 where an id has no token.
  private var entries: [Int32] = []
  /// The ids of the characters below U+0800, -1 where there is none: they are asked for most.
  private var shortIDs = [Int32](repeating: -1, count: 0x800)

  init(capacity: Int) { table = ByteTable(capacity: capacity) }

  /// One more than the highest id.
  var size: Int { entries.count }

  mutating func insert(_ token: [UInt8], id: Int32) {
    let (entry, isNew) = table.insert(token)
    if isNew { ids.append(id) } else { ids[entry] = id }
    if Int(id) >= entries.count {
      entries.append(contentsOf: repeatElement(-1, count: Int(id) + 1 - entries.count))
    }
    if entries[Int(id)] < 0 { entries[Int(id)] = Int32(entry) }
    token.withUnsafeBufferPointer { bytes in
      guard let base = bytes.baseAddress, bytes.count <= 2, bytes.count == scalarLength(base[0]) else { return }
      shortIDs[Int(decodeScalar(base, 0).scalar)] = id
    }
  }

  func id(of token: UnsafeBufferPointer<UInt8>) -> Int32? { table.find(token).map { ids[$0] } }

  func id(of token: [UInt8]) -> Int32? { table.find(token).map { ids[$0] } }

  /// The id of one character, -1 when there is none.
  @inline(__always)
  func id(ofCharacter bytes: UnsafePointer<UInt8>, length: Int) -> Int32 {
    if length <= 2 { return shortIDs[Int(decodeScalar(bytes, 0).scalar)] }
    return id(of: UnsafeBufferPointer(start: bytes, count: length)) ?? -1
  }

  /// The text of a token, `nil` for an id without one.
  func token(_ id: Int32) -> ArraySlice<UInt8>? {
    guard id >= 0, Int(id) < entries.count, entries[Int(id)] >= 0 else { return nil }
    return table[Int(entries[Int(id)])]
  }
}

/// U+2581, which stands for a space in SentencePiece vocabularies.
let spaceMark: [UInt8] = [0xE2, 0x96, 0x81]

/// The text of the token that stands for one byte: `<0x0A>`.
func byteToken(_ byte: UInt8) -> [UInt8] {
  let digits = Array("0123456789ABCDEF".utf8)
  return Array("<0x".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)], UInt8(ascii: ">")]
}

/// The byte that a token such as `<0x0A>` stands for.
func byteOfToken(_ token: ArraySlice<UInt8>) -> UInt8? {
  guard token.count == 6, token.starts(with: "<0x".utf8), token.last == UInt8(ascii: ">") else { return nil }
  return UInt8(String(decoding: token.dropFirst(3).prefix(2), as: UTF8.self), radix: 16)
}

extension UnsafeBufferPointer<UInt8> {
  /// Whether `mark` stands somewhere in here right after a character other than `mark`.
  func hasInnerMark(_ mark: [UInt8]) -> Bool {
    var at = 0
    var isAfterMark = true
    while at < count {
      let isMark = at + mark.count <= count && self[at..<(at + mark.count)].elementsEqual(mark)
      if isMark, !isAfterMark { return true }
      isAfterMark = isMark
      at += isMark ? mark.count : scalarLength(self[at])
    }
    return false
  }
}
