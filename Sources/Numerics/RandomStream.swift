import Glibc

/// An independent stream of random numbers for each purpose: xoshiro256++ (Blackman and Vigna 2019), seeded by SplitMix64
/// from the seed and the stream's name. Drawing from one stream never moves another, so work done in parallel or
/// left out does not change the rest.
public struct RandomStream: RandomNumberGenerator, Sendable {
  private var state: (UInt64, UInt64, UInt64, UInt64)
  private var spare: Double?

  /// - Parameter name: what the numbers are for, such as `canica/layer 3/restart 0`.
  public init(seed: Int, name: String) {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325  // FNV-1a of the name's bytes, then mixed with the seed
    for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    var mixer = SplitMix64(state: hash)
    mixer = SplitMix64(state: mixer.next() ^ UInt64(bitPattern: Int64(seed)))
    state = (mixer.next(), mixer.next(), mixer.next(), mixer.next())
  }

  /// 64 random bits.
  public mutating func next() -> UInt64 {
    func rotated(_ x: UInt64, _ k: UInt64) -> UInt64 { (x << k) | (x >> (64 - k)) }
    let result = rotated(state.0 &+ state.3, 23) &+ state.0
    let t = state.1 << 17
    state.2 ^= state.0
    state.3 ^= state.1
    state.1 ^= state.2
    state.0 ^= state.3
    state.2 ^= t
    state.3 = rotated(state.3, 45)
    return result
  }

  /// Uniform in 0..<1, 53 bits.
  public mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// A whole number in 0..<n, n ≥ 1, without bias.
  public mutating func below(_ n: Int) -> Int {
    precondition(n > 0, "a random number below \(n)")
    let bits = UInt64(n - 1).leadingZeroBitCount
    while true {
      let value = bits == 64 ? 0 : next() >> UInt64(bits)
      if value < UInt64(n) { return Int(value) }
    }
  }

  /// Normal with mean 0 and variance 1, by the polar method of Marsaglia: pairs, the second kept for the next call.
  public mutating func gaussian() -> Double {
    if let value = spare {
      spare = nil
      return value
    }
    while true {
      let (u, v) = (2 * uniform() - 1, 2 * uniform() - 1)
      let square = u * u + v * v
      if square > 0 && square < 1 {
        let factor = (-2 * log(square) / square).squareRoot()
        spare = v * factor
        return u * factor
      }
    }
  }

  /// Independent normal numbers, drawn in row-major order.
  public mutating func gaussianMatrix<Element: Scalar>(rows: Int, columns: Int) -> Matrix<Element> {
    var values: [Element] = []
    values.reserveCapacity(rows * columns)
    for _ in 0..<(rows * columns) { values.append(Element(gaussian())) }
    return Matrix(rows: rows, columns: columns, values: values)
  }

  /// Fisher and Yates's shuffle.
  public mutating func shuffle<Value>(_ x: inout [Value]) {
    for i in stride(from: x.count - 1, to: 0, by: -1) { x.swapAt(i, below(i + 1)) }
  }

  /// `count` different numbers from 0..<n, in random order.
  public mutating func sample(_ count: Int, from n: Int) -> [Int] {
    precondition(count >= 0 && count <= n, "\(count) different numbers out of \(n)")
    var pool = Array(0..<n)
    for i in 0..<count { pool.swapAt(i, i + below(n - i)) }
    return Array(pool.prefix(count))
  }
}

/// Steele, Lea and Flood (2014): turns any number into well-mixed ones.
private struct SplitMix64 {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
