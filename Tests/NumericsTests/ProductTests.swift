import Numerics
import Testing

/// Everything that sets the number of threads runs one test at a time.
@Suite(.serialized)
struct ProductTests {
  static let shapes = [(1, 7, 5), (5, 1, 3), (3, 4, 1), (17, 33, 9), (1, 300, 700), (65, 40, 1), (70, 30, 150)]

  @Test(arguments: shapes)
  func productsEqualTheDefinitionInEveryTransposition(shape: (Int, Int, Int)) {
    checkTranspositions(shape, Float.self, tolerance: 2e-5)
    checkTranspositions(shape, Double.self, tolerance: 1e-12)
  }

  func checkTranspositions<Element: Scalar>(_ shape: (m: Int, k: Int, n: Int), _: Element.Type, tolerance: Double) {
    var noise = Noise(state: 1)
    let (m, k, n) = shape
    for transposeA in [false, true] {
      for transposeB in [false, true] {
        for transposeC in [false, true] {
          // Windows inside larger storage, so that strides and offsets take part.
          func window(_ rows: Int, _ columns: Int, _ transposed: Bool) -> Matrix<Element> {
            let (r, c) = transposed ? (columns, rows) : (rows, columns)
            let whole: Matrix<Element> = noise.matrix(r + 3, c + 5)
            let part = whole.rows(1..<(r + 1)).columns(2..<(c + 2))
            return transposed ? part.T : part
          }
          let A = window(m, k, transposeA)
          let B = window(k, n, transposeB)
          let C = window(m, n, transposeC)
          let expected = naiveProduct(A, B)
          #expect(distance(A * B, expected) < tolerance)
          let before = C.copy()
          multiply(A, B, into: C, alpha: 2, beta: 0.5)
          #expect(distance(wide(C), 2 * expected + 0.5 * wide(before)) < 3 * tolerance)
        }
      }
    }
  }

  @Test func theNumberOfThreadsChangesNoBit() {
    var noise = Noise(state: 2)
    let A: Matrix<Float> = noise.matrix(517, 256)
    let B: Matrix<Float> = noise.matrix(256, 1311)
    let row = A.rows(3..<4)
    func everything() -> [[Float]] {
      [(A * B).values, A.gram.values, (row * B).values, (B.T * A.T).values, (B.T * row.T).values]
    }
    let one = withThreads(1) { everything() }
    let two = withThreads(2) { everything() }
    let five = withThreads(5) { everything() }
    #expect(one == two)
    #expect(one == five)
  }

  @Test(arguments: [1, 5, 130, 600])
  func gramIsSymmetricAndEqualsTheProduct(size: Int) {
    var noise = Noise(state: 3)
    let X: Matrix<Double> = noise.matrix(40, size)
    let G = X.gram
    #expect(distance(G, X.T * X) < 1e-12)
    #expect(distance(G, G.T) == 0)
    let wide = X.T.gram
    let product = symmetricProduct(X.T, X.copy())
    #expect(distance(product, G) < 1e-11 && distance(product, product.T) == 0)
    #expect(distance(wide, X * X.T) < 1e-11)
    let H = Matrix<Double>(rows: size, columns: size)
    let rounded = Matrix<Float>(X)
    accumulateGram(rounded.rows(0..<20), into: H)
    accumulateGram(rounded.rows(20..<40), into: H)
    #expect(distance(H, G) < 1e-5)
    #expect(distance(H, H.T) == 0)
  }

  @Test func betaZeroForgetsWhatWasThere() {
    let A = Matrix<Float>([[1, 2], [3, 4]])
    let C = Matrix<Float>([[.nan, .infinity], [.nan, 1]])
    multiply(A, A, into: C)
    #expect(C.values == [7, 10, 15, 22])
    let c = Matrix<Float>([[.nan], [.nan]])
    multiply(A, Matrix([[1], [1]]), into: c)
    #expect(c.values == [3, 7])
    multiply(Matrix<Float>(rows: 2, columns: 0), Matrix<Float>(rows: 0, columns: 2), into: C)
    #expect(C.values == [0, 0, 0, 0])
  }
}
