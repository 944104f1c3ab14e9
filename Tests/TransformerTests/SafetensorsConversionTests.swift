import Glibc
import Testing

@testable import Transformer

@Suite struct SafetensorsConversionTests {
  private func widened<Stored>(_ stored: [Stored], from type: TensorType) -> [Float] {
    var numbers = [Float](repeating: 0, count: stored.count)
    stored.withUnsafeBytes { source in numbers.withUnsafeMutableBufferPointer { widen(source, from: type, into: $0) } }
    return numbers
  }

  private func narrowed<Stored>(_ numbers: [Float], to type: TensorType, _ zero: Stored) -> [Stored] {
    var stored = [Stored](repeating: zero, count: numbers.count)
    stored.withUnsafeMutableBytes { target in
      guard let start = target.baseAddress else { return }
      numbers.withUnsafeBufferPointer { narrow($0, to: type, into: start) }
    }
    return stored
  }

  private func halfValue(_ bits: UInt16) -> Double {
    let sign: Double = bits >> 15 == 1 ? -1 : 1
    let (exponent, fraction) = (Int(bits >> 10 & 31), Double(bits & 0x3ff))
    if exponent == 31 { return sign * .infinity }
    return exponent == 0 ? sign * scalbn(fraction, -24) : sign * scalbn(1024 + fraction, exponent - 25)
  }

  @Test func everyHalfSurvivesTheRoundTrip() {
    let all = Array(UInt16.min...UInt16.max)
    let wide = widened(all, from: .f16)
    let back = narrowed(wide, to: .f16, 0 as UInt16)
    for (i, bits) in all.enumerated() {
      let isNaN = bits & 0x7c00 == 0x7c00 && bits & 0x3ff != 0
      if isNaN {
        if !wide[i].isNaN || back[i] & 0x7e00 != 0x7e00 { Issue.record("NaN \(bits) became \(wide[i]), \(back[i])") }
      } else if back[i] != bits || Double(wide[i]) != halfValue(bits) {
        Issue.record("half \(bits) became \(wide[i]), \(back[i])")
      }
    }
  }

  @Test func everyBrainFloatSurvivesTheRoundTrip() {
    let all = Array(UInt16.min...UInt16.max)
    let wide = widened(all, from: .bf16)
    let back = narrowed(wide, to: .bf16, 0 as UInt16)
    for (i, bits) in all.enumerated() {
      if wide[i].bitPattern != UInt32(bits) << 16 { Issue.record("bf16 \(bits) became \(wide[i])") }
      if back[i] != (wide[i].isNaN ? bits | 0x40 : bits) { Issue.record("bf16 \(bits) came back as \(back[i])") }
    }
  }

  @Test func narrowingRoundsToNearestEven() {
    // Ties and their neighbours, overflow, and the borders of the subnormal range.
    let halves: [(Float, UInt16)] = [
      (1 + 0x1p-11, 0x3c00), (1 + 3 * 0x1p-11, 0x3c02), (1 + 0x1p-11 + 0x1p-20, 0x3c01), (65519.996, 0x7bff),
      (65520, 0x7c00), (-1e30, 0xfc00), (0x1p-25, 0), (0x1.8p-25, 1), (0x1p-24, 1), (0x1.8p-24, 2), (0x1p-14, 0x400),
      (.infinity, 0x7c00), (-0.0, 0x8000), (-1e-9, 0x8000), (0x1.16c2p-133, 0),
    ]
    #expect(narrowed(halves.map(\.0), to: .f16, 0 as UInt16) == halves.map(\.1))
    let brains: [(Float, UInt16)] = [
      (1 + 0x1p-8, 0x3f80), (1 + 3 * 0x1p-8, 0x3f82), (1 + 0x1p-8 + 0x1p-20, 0x3f81),
      (.greatestFiniteMagnitude, 0x7f80), (-.infinity, 0xff80), (0x1.16c2p-133, 1),
    ]
    #expect(narrowed(brains.map(\.0), to: .bf16, 0 as UInt16) == brains.map(\.1))
  }

  @Test func doublesConvertBothWays() {
    let numbers = widened([0.1, 1e300, -2, .nan] as [Double], from: .f64)
    #expect(numbers[0] == 0.1 && numbers[1] == .infinity && numbers[2] == -2 && numbers[3].isNaN)
    #expect(narrowed([0.1, .infinity, -2], to: .f64, 0.0) == [Double(0.1 as Float), .infinity, -2])
  }
}
