import CKernels
import Testing

@testable import Numerics

/// Products of numbers rounded to bfloat16.
struct RoundedMatrixTests {
  /// To the nearest number with 8 bits of mantissa, ties to even: by arithmetic on the number, not on its bits.
  private func nearest(_ x: Float) -> Float {
    guard x != 0, x.isFinite else { return x }
    let unit = Double(x.ulp) * 65536
    return Float((Double(x) / unit).rounded(.toNearestOrEven) * unit)
  }

  @Test(arguments: [0, 1, -1, 1.00390625, 1.01171875, 3.14159, -2.7e-20, 1e30, 65504.3, 1.5e-5])
  func roundsToNearestEven(_ x: Float) {
    var (source, result) = (x, UInt16(0))
    prn_bfloat_round(&source, &result, 1)
    #expect(Float(bitPattern: UInt32(result) << 16) == nearest(x))
  }

  @Test func keepsWhatIsNoNumber() {
    for x in [Float.infinity, -.infinity, .nan, Float(bitPattern: 0x7f80_0001)] {
      var (source, result) = (x, UInt16(0))
      prn_bfloat_round(&source, &result, 1)
      let back = Float(bitPattern: UInt32(result) << 16)
      #expect(x.isNaN ? back.isNaN : back == x)
    }
  }

  /// Sizes around the edges of tiles and panels, an odd depth, one row, no depth.
  @Test(arguments: [(1, 1, 1), (5, 64, 7), (6, 65, 8), (7, 63, 33), (13, 130, 250), (481, 70, 31), (3, 5, 0)])
  func multipliesRoundedNumbers(m: Int, n: Int, k: Int) {
    var random = RandomStream(seed: 5, name: "rounded")
    let A = random.gaussianMatrix(rows: m, columns: k) as Matrix<Float>
    let W = random.gaussianMatrix(rows: n, columns: k) as Matrix<Float>
    for B in [W.T, W.T.copy()] {
      let start = Matrix<Float>(rows: m, columns: n, values: (0..<m * n).map { Float($0 % 7) })
      let (C, D) = (start.copy(), start.copy())
      multiply(A, RoundedMatrix(B), into: C)
      multiply(A, RoundedMatrix(B), into: D, adding: true)
      for i in 0..<m {
        for j in 0..<n {
          let exact = (0..<k).reduce(0.0) { $0 + Double(nearest(A[i, $1])) * Double(nearest(B[$1, j])) }
          let bound = 2e-6 + 1e-5 * Double(k).squareRoot() + 1e-6 * abs(exact)
          let (found, added) = (Double(C[i, j]), Double(D[i, j]) - Double(start[i, j]))
          #expect(abs(found - exact) < bound)
          #expect(abs(added - exact) < bound)
        }
      }
    }
  }

  /// What processors without the instructions run agrees with what those with them run.
  @Test func portableProductAgrees() {
    var random = RandomStream(seed: 7, name: "rounded")
    let (m, pairs) = (13, 40)
    let A: Matrix<Float> = random.gaussianMatrix(rows: m, columns: 2 * pairs)
    let B: Matrix<Float> = random.gaussianMatrix(rows: 2 * pairs, columns: 64)
    var (a, panel) = ([UInt16](repeating: 0, count: m * 2 * pairs), [UInt32](repeating: 0, count: pairs * 64))
    prn_bfloat_round(A.values, &a, a.count)
    prn_bfloat_pack(B.values, 64, 1, 2 * pairs, 64, &panel)
    let products = [prn_bfloat_product, prn_bfloat_product_portable].map { product in
      var c = [Float](repeating: 1, count: m * 50)
      product(a, 2 * pairs, m, panel, pairs, &c, 50, 50, 1)
      return c
    }
    for (x, y) in zip(products[0], products[1]) { #expect(abs(x - y) < 1e-4) }
  }

  @Test func sameBitsForAnyThreads() {
    var random = RandomStream(seed: 6, name: "rounded")
    let A: Matrix<Float> = random.gaussianMatrix(rows: 500, columns: 91)
    let B = RoundedMatrix(random.gaussianMatrix(rows: 91, columns: 200))
    let results = [1, 2, 3].map { threads in
      let before = Parallel.threads
      Parallel.threads = threads
      defer { Parallel.threads = before }
      let C = Matrix<Float>(rows: 500, columns: 200)
      multiply(A, B, into: C)
      return C.values
    }
    #expect(results[0] == results[1] && results[1] == results[2])
  }
}
