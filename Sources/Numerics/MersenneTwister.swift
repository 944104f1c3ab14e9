/// The generator behind Python's `random`, bit for bit: MT19937 seeded with `init_by_array`, after Matsumoto and
/// Nishimura (1998). For what must draw the same samples as the papers' programs; use `RandomStream` elsewhere.
public struct MersenneTwister: Sendable {
  private var state = [UInt32](repeating: 0, count: 624)
  private var index = 624

  /// As `random.seed(seed)`: the absolute value, in 32-bit words, least first.
  public init(seed: Int) {
    let magnitude = seed.magnitude
    var key = [UInt32(truncatingIfNeeded: magnitude)]
    if magnitude >> 32 != 0 { key.append(UInt32(truncatingIfNeeded: magnitude >> 32)) }
    fill(19_650_218)
    var i = 1
    var j = 0
    for _ in 0..<max(624, key.count) {
      state[i] = (state[i] ^ ((state[i - 1] ^ (state[i - 1] >> 30)) &* 1_664_525)) &+ key[j] &+ UInt32(j)
      i += 1
      j = (j + 1) % key.count
      if i == 624 { state[0] = state[623]; i = 1 }
    }
    for _ in 0..<623 {
      state[i] = (state[i] ^ ((state[i - 1] ^ (state[i - 1] >> 30)) &* 1_566_083_941)) &- UInt32(i)
      i += 1
      if i == 624 { state[0] = state[623]; i = 1 }
    }
    state[0] = 0x8000_0000
  }

  private mutating func fill(_ seed: UInt32) {
    state[0] = seed
    for i in 1..<624 { state[i] = 1_812_433_253 &* (state[i - 1] ^ (state[i - 1] >> 30)) &+ UInt32(i) }
  }

  /// 32 random bits.
  public mutating func next32() -> UInt32 {
    if index == 624 { twist() }
    var y = state[index]
    index += 1
    y ^= y >> 11
    y ^= (y << 7) & 0x9d2c_5680
    y ^= (y << 15) & 0xefc6_0000
    return y ^ (y >> 18)
  }

  private mutating func twist() {
    for k in 0..<624 {
      let y = (state[k] & 0x8000_0000) | (state[(k + 1) % 624] & 0x7fff_ffff)
      state[k] = state[(k + 397) % 624] ^ (y >> 1) ^ (y & 1 == 0 ? 0 : 0x9908_b0df)
    }
    index = 0
  }

  /// `random.random()`: 53 bits in 0..<1.
  public mutating func random() -> Double {
    let high = Double(next32() >> 5)
    let low = Double(next32() >> 6)
    return (high * 67_108_864 + low) / 9_007_199_254_740_992
  }

  /// `random.getrandbits(count)` for 1 to 64 bits.
  mutating func bits(_ count: Int) -> UInt64 {
    if count <= 32 { return UInt64(next32() >> UInt32(32 - count)) }
    let low = UInt64(next32())
    return low | UInt64(next32() >> UInt32(64 - count)) << 32
  }

  /// `random._randbelow(n)`, n ≥ 1.
  mutating func below(_ n: Int) -> Int {
    precondition(n > 0, "a random number below \(n)")
    let count = Int.bitWidth - n.leadingZeroBitCount
    while true {
      let value = bits(count)
      if value < UInt64(n) { return Int(value) }
    }
  }

  /// `random.randint(a, b)`: a whole number from `a` to `b`, both included.
  public mutating func randint(_ a: Int, _ b: Int) -> Int {
    precondition(a <= b, "a random number from \(a) to \(b)")
    return a + below(b - a + 1)
  }

  /// `random.shuffle(x)`.
  public mutating func shuffle<Value>(_ x: inout [Value]) {
    for i in stride(from: x.count - 1, to: 0, by: -1) { x.swapAt(i, below(i + 1)) }
  }
}
