import CKernels
import Glibc
import Numerics
import Testing

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
    prn_exponential(&y, y.count, 0, 1)
    #expect(error(y, x.map { exp(Double($0)) }) < 1.5e-7)
    var special: [Float] = [0, -.infinity, .nan]
    prn_exponential(&special, 3, 0, 1)
    #expect(special[0] == 1 && special[1] < 1e-37 && special[2].isNaN)
    var shifted: [Float] = [2, 3]
    prn_exponential(&shifted, 2, 2, 0.5)
    #expect(error(shifted, [0.5, 0.5 * exp(1)]) < 2e-7)
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
    prn_silu_times_gradient(gate, up, dy, &dGate, &dUp, 203)
    let silu = { (x: Double) in x * self.sigmoid(x) }
    let expected = (0..<203).map { i in
      let g = Double(gate[i])
      return Double(dy[i]) * Double(up[i]) * (silu(g + 1e-5) - silu(g - 1e-5)) / 2e-5
    }
    #expect(error(dGate, expected, floor: 1e-2) < 1e-5)
    #expect(error(dUp, (0..<203).map { Double(dy[$0]) * silu(Double(gate[$0])) }) < 5e-7)
  }

  @Test func normsEqualTheirFormulas() {
    let n = 1001
    let x = numbers(n, scale: 3)
    let (w, b) = (numbers(n, seed: 25), numbers(n, seed: 26))
    let row = x.map(Double.init)
    var y = x
    prn_rms_norm(x, w, &y, n, 1e-5)
    let r = 1 / (row.reduce(0) { $0 + $1 * $1 } / Double(n) + 1e-5).squareRoot()
    #expect(error(y, zip(row, w).map { $0 * r * Double($1) }) < 1e-6)
    prn_layer_norm(x, w, b, &y, n, 1e-5)
    let (center, spread) = (mean(row), (variance(row) + 1e-5).squareRoot())
    let normed = (0..<n).map { Double(w[$0]) * (row[$0] - center) / spread + Double(b[$0]) }
    #expect(error(y, normed, floor: 1) < 1e-6)
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
    prn_softmax_rows_gradient(p, n, &dx, n, 1, n, 0.7)
    let expected = (0..<n).map { j in
      var (up, down) = (x.map(Double.init), x.map(Double.init))
      up[j] += 1e-5
      down[j] -= 1e-5
      return (loss(up) - loss(down)) / 2e-5
    }
    #expect(error(dx, expected, floor: 1) < 1e-6)
  }

  @Test(arguments: [1, 17, 32_000])
  func theRunningSumOfExponentialsIsAccurate(columns: Int) {
    let x = numbers(columns, scale: 30)
    let row = x.map(Double.init)
    let top = row.max() ?? 0
    let expected = top + log(row.reduce(0) { $0 + exp($1 - top) })
    // At once, in two parts, and with nothing before or after.
    for cut in Set([0, columns / 3, columns]) {
      var (maximum, sum) = (-Float.infinity, 0.0)
      prn_log_sum_exp(Array(x[..<cut]), cut, &maximum, &sum)
      prn_log_sum_exp(Array(x[cut...]), columns - cut, &maximum, &sum)
      #expect(abs(Double(maximum) + log(sum) - expected) < 1e-6)
    }
  }

  @Test func rotationTurnsPairsAndTurnsBack() {
    let pairs = 13
    // Two numbers behind the pairs stay as they are.
    let x = numbers(2 * pairs + 2)
    let angles = numbers(pairs, scale: 3, seed: 30)
    let (cosine, sine) = (angles.map { cosf($0) }, angles.map { sinf($0) })
    for areHalves in [true, false] {
      let rotate = areHalves ? prn_rotate_halves : prn_rotate_neighbours
      var y = x
      rotate(&y, pairs, cosine, sine, 1)
      for j in 0..<pairs {
        let (first, second) = areHalves ? (j, j + pairs) : (2 * j, 2 * j + 1)
        #expect(abs(y[first] - (x[first] * cosine[j] - x[second] * sine[j])) < 1e-6)
        #expect(abs(y[second] - (x[second] * cosine[j] + x[first] * sine[j])) < 1e-6)
      }
      #expect(y.suffix(2) == x.suffix(2))
      rotate(&y, pairs, cosine, sine, -1)
      #expect(error(y, x.map(Double.init), floor: 1) < 1e-6)
    }
  }
}
