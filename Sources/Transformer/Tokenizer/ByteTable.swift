import Glibc

/// Numbers distinct byte strings in the order of their arrival and finds them again.
///
/// All keys lie in one array behind an open-addressing table, which is several times faster to fill and to ask than a
/// dictionary of arrays.
struct ByteTable: Sendable {
  private var keys: [UInt8] = []
  private var ends: [Int] = [0]
  private var hashes: [UInt64] = []
  private var slots: [Int32]

  init(capacity: Int = 16) {
    var size = 32
    while size < 2 * capacity { size *= 2 }
    slots = Array(repeating: -1, count: size)
    ends.reserveCapacity(capacity + 1)
    hashes.reserveCapacity(capacity)
  }

  var count: Int { hashes.count }

  /// The key with a number.
  subscript(_ number: Int) -> ArraySlice<UInt8> { keys[ends[number]..<ends[number + 1]] }

  /// The number of a key, `nil` when it is not there.
  func find(_ key: UnsafeBufferPointer<UInt8>) -> Int? {
    let number = slots[slot(of: key, hash(key))]
    return number < 0 ? nil : Int(number)
  }

  func find(_ key: [UInt8]) -> Int? { key.withUnsafeBufferPointer { find($0) } }

  /// The number of a key, which is added when it is new.
  @discardableResult
  mutating func insert(_ key: UnsafeBufferPointer<UInt8>) -> (number: Int, isNew: Bool) {
    let hash = hash(key)
    let slot = slot(of: key, hash)
    if slots[slot] >= 0 { return (Int(slots[slot]), false) }
    let number = count
    slots[slot] = Int32(number)
    keys.append(contentsOf: key)
    ends.append(keys.count)
    hashes.append(hash)
    if 2 * count > slots.count { grow() }
    return (number, true)
  }

  @discardableResult
  mutating func insert(_ key: [UInt8]) -> (number: Int, isNew: Bool) { key.withUnsafeBufferPointer { insert($0) } }

  private mutating func grow() {
    let mask = 2 * slots.count - 1
    slots = Array(repeating: -1, count: mask + 1)
    for number in 0..<count {
      var slot = Int(truncatingIfNeeded: hashes[number]) & mask
      while slots[slot] >= 0 { slot = (slot + 1) & mask }
      slots[slot] = Int32(number)
    }
  }

  /// Where a key stands, or the empty place where it belongs.
  private func slot(of key: UnsafeBufferPointer<UInt8>, _ hash: UInt64) -> Int {
    let mask = slots.count - 1
    var slot = Int(truncatingIfNeeded: hash) & mask
    while true {
      let number = Int(slots[slot])
      if number < 0 || hashes[number] == hash && isKey(number, key) { return slot }
      slot = (slot + 1) & mask
    }
  }

  private func isKey(_ number: Int, _ key: UnsafeBufferPointer<UInt8>) -> Bool {
    let start = ends[number]
    if ends[number + 1] - start != key.count { return false }
    guard let wanted = key.baseAddress else { return true }
    return keys.withUnsafeBufferPointer { keys in
      keys.baseAddress.map { memcmp($0 + start, wanted, key.count) == 0 } ?? true
    }
  }

  /// FNV-1a with a final mix, since the table uses the low bits only.
  private func hash(_ key: UnsafeBufferPointer<UInt8>) -> UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in key { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    return hash ^ (hash >> 29)
  }
}
