import CKernels
import Glibc
import Numerics
import Testing

struct ConversionTests {
  @Test func everyHalfNumberSurvivesTheRoundTrip() {
    let all = (0...UInt16.max).map { $0 }
    var wide = [Float](repeating: 0, count: all.count)
    prn_f16_to_f32(all, &wide, all.count)
    var back = [UInt16](repeating: 0, count: all.count)
    prn_f32_to_f16(wide, &back, all.count)
    for (i, bits) in all.enumerated() {
      let isNaN = bits & 0x7c00 == 0x7c00 && bits & 0x3ff != 0
      if isNaN {
        if !wide[i].isNaN || back[i] & 0x7e00 != 0x7e00 { Issue.record("NaN \(bits) became \(wide[i]), \(back[i])") }
      } else if back[i] != bits || Double(wide[i]) != halfValue(bits) {
        Issue.record("half \(bits) became \(wide[i]), \(back[i])")
      }
    }
  }

  func halfValue(_ bits: UInt16) -> Double {
    let sign: Double = bits >> 15 == 1 ? -1 : 1
    let (exponent, fraction) = (Int(bits >> 10 & 31), Double(bits & 0x3ff))
    if exponent == 31 { return sign * .infinity }
    return exponent == 0 ? sign * scalbn(fraction, -24) : sign * scalbn(1024 + fraction, exponent - 25)
  }

  @Test func everyBrainFloatSurvivesTheRoundTrip() {
    let all = (0...UInt16.max).map { $0 }
    var wide = [Float](repeating: 0, count: all.count)
    prn_bf16_to_f32(all, &wide, all.count)
    var back = [UInt16](repeating: 0, count: all.count)
    prn_f32_to_bf16(wide, &back, all.count)
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
      (.infinity, 0x7c00), (-0.0, 0x8000), (0x1.16c2p-133, 0),
    ]
    var back = [UInt16](repeating: 0, count: halves.count)
    prn_f32_to_f16(halves.map(\.0), &back, halves.count)
    #expect(back == halves.map(\.1))
    let brains: [(Float, UInt16)] = [
      (1 + 0x1p-8, 0x3f80), (1 + 3 * 0x1p-8, 0x3f82), (1 + 0x1p-8 + 0x1p-20, 0x3f81),
      (.greatestFiniteMagnitude, 0x7f80),
      (-.infinity, 0xff80), (0x1.16c2p-133, 1),
    ]
    back = [UInt16](repeating: 0, count: brains.count)
    prn_f32_to_bf16(brains.map(\.0), &back, brains.count)
    #expect(back == brains.map(\.1))
  }

  @Test func doublesConvertBothWays() {
    let x: [Double] = [0.1, 1e300, -2, .nan]
    var y = [Float](repeating: 0, count: 4)
    prn_f64_to_f32(x, &y, 4)
    #expect(y[0] == 0.1 && y[1] == .infinity && y[2] == -2 && y[3].isNaN)
    var z = [Double](repeating: 0, count: 3)
    prn_f32_to_f64(y, &z, 3)
    #expect(z == [Double(0.1 as Float), .infinity, -2])
  }
}

struct KernelTests {
  /// `count` numbers in -scale...scale.
  func numbers(_ count: Int, scale: Float = 1, seed: UInt64 = 21) -> [Float] {
    var noise = Noise(state: seed)
    return (0..<count).map { _ in scale * Float(noise.next()) }
  }

  /// The largest relative difference, floored at an absolute size of `floor`.
  func error(_ x: [Float], _ expected: [Double], floor: Double = 1e-30) -> Double {
    zip(x, expected).reduce(0) { max($0, abs(Double($1.0) - $1.1) / max(abs($1.1), floor)) }
  }

  func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }

  @Test func exponentialsAreAccurate() {
    let x = numbers(10_001, scale: 86)
    var y = x
    prn_exp(x, &y, x.count)
    #expect(error(y, x.map { exp(Double($0)) }) < 1.5e-7)
    var special: [Float] = [0, -.infinity, .nan]
    prn_exp(special, &special, 3)
    #expect(special[0] == 1 && special[1] < 1e-37 && special[2].isNaN)
  }

  @Test func activationsEqualTheirFormulas() {
    let x = numbers(1003, scale: 20)
    let u = numbers(1003, seed: 22)
    var y = x
    prn_silu(x, &y, x.count)
    #expect(error(y, x.map { Double($0) * sigmoid(Double($0)) }) < 4e-7)
    prn_silu_times(x, u, &y, x.count)
    #expect(error(y, zip(x, u).map { Double($0) * sigmoid(Double($0)) * Double($1) }) < 5e-7)
    prn_gelu_tanh(x, &y, x.count)
    let gelu = x.map { value in
      let v = Double(value)
      return v * sigmoid(2 * (2 / Double.pi).squareRoot() * (v + 0.044715 * v * v * v))
    }
    #expect(error(y, gelu, floor: 1e-4) < 5e-6)
  }

  @Test func theGradientOfTheGateIsItsDifferenceQuotient() {
    let (gate, up, dy) = (numbers(203, scale: 5), numbers(203, seed: 23), numbers(203, seed: 24))
    var dGate = gate
    var dUp = gate
    prn_silu_times_backward(gate, up, dy, &dGate, &dUp, 203)
    let silu = { (x: Double) in x * self.sigmoid(x) }
    let expected = (0..<203).map { i in
      let g = Double(gate[i])
      return Double(dy[i]) * Double(up[i]) * (silu(g + 1e-5) - silu(g - 1e-5)) / 2e-5
    }
    #expect(error(dGate, expected, floor: 1e-2) < 1e-5)
    #expect(error(dUp, (0..<203).map { Double(dy[$0]) * silu(Double(gate[$0])) }) < 5e-7)
  }

  @Test func normsEqualTheirFormulas() {
    let (rows, columns) = (3, 1001)
    let x = numbers(rows * columns, scale: 3)
    let (w, b) = (numbers(columns, seed: 25), numbers(columns, seed: 26))
    var (y, scale) = (x, [Float](repeating: 0, count: rows))
    prn_rms_norm(x, columns, w, &y, columns, rows, columns, 1e-5, &scale)
    var z = x
    prn_layer_norm(x, columns, w, b, &z, columns, rows, columns, 1e-5)
    for i in 0..<rows {
      let row = x[(i * columns)..<((i + 1) * columns)].map(Double.init)
      let r = 1 / (row.reduce(0) { $0 + $1 * $1 } / Double(columns) + 1e-5).squareRoot()
      let part = i * columns..<(i + 1) * columns
      #expect(error(Array(y[part]), zip(row, w).map { $0 * r * Double($1) }) < 1e-6)
      #expect(abs(Double(scale[i]) / r - 1) < 1e-6)
      let (center, spread) = (mean(row), (variance(row) + 1e-5).squareRoot())
      let normed = (0..<columns).map { Double(w[$0]) * (row[$0] - center) / spread + Double(b[$0]) }
      #expect(error(Array(z[part]), normed, floor: 1) < 1e-6)
    }
  }

  @Test func theGradientOfTheNormIsItsDifferenceQuotient() {
    let n = 37
    let (x, w, dy) = (numbers(n), numbers(n, seed: 27), numbers(n, seed: 28))
    func loss(_ x: [Double]) -> Double {
      let r = 1 / (x.reduce(0) { $0 + $1 * $1 } / Double(n) + 1e-5).squareRoot()
      return (0..<n).reduce(0) { $0 + Double(dy[$1]) * Double(w[$1]) * x[$1] * r }
    }
    var dx = [Float](repeating: 1, count: n)
    prn_rms_norm_gradient(x, w, dy, n, 1e-5, &dx)
    let expected = (0..<n).map { j in
      var (up, down) = (x.map(Double.init), x.map(Double.init))
      up[j] += 1e-5
      down[j] -= 1e-5
      return 1 + (loss(up) - loss(down)) / 2e-5
    }
    #expect(error(dx, expected, floor: 1) < 1e-6)
  }

  @Test func softmaxHidesTheFutureAndSumsToOne() {
    let (rows, columns, visible) = (5, 40, 30)
    let x = numbers(rows * columns, scale: 50)
    var y = x
    prn_softmax_rows(&y, columns, rows, columns, visible, 0.3)
    for i in 0..<rows {
      let row = x[(i * columns)..<((i + 1) * columns)].prefix(visible + i).map { exp(0.3 * Double($0)) }
      let sum = row.reduce(0, +)
      let expected = row.map { $0 / sum } + [Double](repeating: 0, count: columns - visible - i)
      #expect(error(Array(y[(i * columns)..<((i + 1) * columns)]), expected, floor: 1e-7) < 4e-6)
    }
  }

  @Test func theGradientOfSoftmaxIsItsDifferenceQuotient() {
    let n = 19
    let (x, g) = (numbers(n, scale: 2), numbers(n, seed: 29))
    func loss(_ x: [Double]) -> Double {
      let e = x.map { exp(0.7 * $0) }
      let sum = e.reduce(0, +)
      return (0..<n).reduce(0) { $0 + Double(g[$1]) * e[$1] / sum }
    }
    var (p, dx) = (x, g)
    prn_softmax_rows(&p, n, 1, n, n, 0.7)
    prn_softmax_rows_backward(p, n, &dx, n, 1, n, 0.7)
    let expected = (0..<n).map { j in
      var (up, down) = (x.map(Double.init), x.map(Double.init))
      up[j] += 1e-5
      down[j] -= 1e-5
      return (loss(up) - loss(down)) / 2e-5
    }
    #expect(error(dx, expected, floor: 1) < 1e-6)
  }

  @Test(arguments: [1, 17, 32_000])
  func crossEntropyIsAccurate(columns: Int) {
    let x = numbers(2 * columns, scale: 30)
    let target = [Int32(columns - 1), 0]
    var loss = [0.0, 0.0]
    prn_cross_entropy_rows(x, columns, 2, columns, target, &loss)
    for i in 0..<2 {
      let row = x[(i * columns)..<((i + 1) * columns)].map(Double.init)
      let top = row.max() ?? 0
      let expected = top + log(row.reduce(0) { $0 + exp($1 - top) }) - row[Int(target[i])]
      #expect(abs(loss[i] - expected) < 1e-6)
    }
  }

  @Test func rotationTurnsPairsAndTurnsBack() {
    let (rows, heads, size, rotary) = (3, 2, 12, 8)
    let x = numbers(rows * heads * size)
    let angles = numbers(rows * rotary / 2, scale: 3, seed: 30)
    let (cosine, sine) = (angles.map { cosf($0) }, angles.map { sinf($0) })
    var y = x
    prn_rope_half(&y, heads * size, rows, heads, size, rotary, cosine, sine, 1)
    for i in 0..<rows {
      for h in 0..<heads {
        let start = i * heads * size + h * size
        for j in 0..<4 {
          let (c, s) = (cosine[i * 4 + j], sine[i * 4 + j])
          #expect(abs(y[start + j] - (x[start + j] * c - x[start + j + 4] * s)) < 1e-6)
          #expect(abs(y[start + j + 4] - (x[start + j + 4] * c + x[start + j] * s)) < 1e-6)
        }
        #expect(y[(start + 8)..<(start + size)] == x[(start + 8)..<(start + size)])
      }
    }
    prn_rope_half(&y, heads * size, rows, heads, size, rotary, cosine, sine, -1)
    #expect(error(y, x.map(Double.init), floor: 1) < 1e-6)
  }

  @Test func biasesResidualsAndColumnSumsAddUp() {
    var x: [Float] = [1, 2, 3, 4, 5, 6]
    prn_add_bias(&x, 3, 2, 2, [10, 20])
    #expect(x == [11, 22, 3, 14, 25, 6])
    prn_add([1, 1], &x, 2)
    #expect(x == [12, 23, 3, 14, 25, 6])
    var (sum, squares) = ([1.0, 0], [0.0, 1])
    prn_column_sums(x, 3, 2, 2, &sum, &squares)
    #expect(sum == [27, 48] && squares == [340, 1155])
  }
}
