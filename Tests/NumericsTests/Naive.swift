import Numerics

/// Numbers that repeat: a linear congruential generator, values in -1...1.
struct Noise {
  var state: UInt64

  mutating func next() -> Double {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Double(Int64(bitPattern: state) >> 11) / Double(1 << 52)
  }

  mutating func matrix<Element: Scalar>(_ rows: Int, _ columns: Int, as: Element.Type = Element.self) -> Matrix<Element>
  {
    Matrix(rows: rows, columns: columns, values: (0..<(rows * columns)).map { _ in Element(next()) })
  }
}

/// A·B by the definition, in double precision.
func naiveProduct<Element: Scalar>(_ A: Matrix<Element>, _ B: Matrix<Element>) -> Matrix<Double> {
  let (left, right) = (wide(A).values, wide(B).values)
  var product = [Double](repeating: 0, count: A.rows * B.columns)
  for i in 0..<A.rows {
    for k in 0..<A.columns {
      for j in 0..<B.columns { product[i * B.columns + j] += left[i * A.columns + k] * right[k * B.columns + j] }
    }
  }
  return Matrix(rows: A.rows, columns: B.columns, values: product)
}

/// In double precision.
func wide<Element: Scalar>(_ A: Matrix<Element>) -> Matrix<Double> {
  Matrix(rows: A.rows, columns: A.columns, values: A.values.map { Double($0) })
}

/// The largest absolute difference.
func distance<Element: Scalar>(_ A: Matrix<Element>, _ B: Matrix<Double>) -> Double {
  precondition(A.rows == B.rows && A.columns == B.columns)
  return zip(A.values, B.values).reduce(0) { max($0, abs(Double($1.0) - Double($1.1))) }
}

/// Runs `body` with that many threads, then restores the number.
func withThreads<Result>(_ count: Int, _ body: () throws -> Result) rethrows -> Result {
  let before = Parallel.threads
  defer { Parallel.threads = before }
  Parallel.threads = count
  return try body()
}
