// Products and sums. Every product is cut into tiles whose shapes depend on the shape of the problem alone, each tile is
// one single-threaded BLAS call, and `Parallel` spreads the tiles: the same bits come out for any number of threads.

/// C ← alpha·A·B + beta·C. C must not overlap A or B. With `beta` 0, C may hold anything, NaN included.
///
/// - Parameters: A m×k, B k×n, C m×n; any of them may be transposed windows.
public func multiply<Element: Scalar>(
  _ A: Matrix<Element>, _ B: Matrix<Element>, into C: Matrix<Element>, alpha: Element = 1, beta: Element = 0
) {
  precondition(
    A.columns == B.rows && C.rows == A.rows && C.columns == B.columns,
    "a product of \(A.shape) and \(B.shape) into \(C.shape)")
  if C.isTransposed { return multiply(B.T, A.T, into: C.T, alpha: alpha, beta: beta) }
  if C.rows == 0 || C.columns == 0 { return }
  BLAS.prepare()
  if C.rows == 1 || C.columns == 1 {
    multiplyVector(A, B, into: C, alpha: alpha, beta: beta)
  } else {
    let cut = Tiling(rows: C.rows, columns: C.columns, depth: A.columns)
    Parallel.forEach(cut.count) { tile in
      let (I, J) = cut[tile]
      multiplyTile(A, B, into: C, rows: I, columns: J, alpha: alpha, beta: beta)
    }
  }
}

/// One BLAS call: `C[I, J] ← alpha·A[I, :]·B[:, J] + beta·C[I, J]`, on the calling thread.
func multiplyTile<Element: Scalar>(
  _ A: Matrix<Element>, _ B: Matrix<Element>, into C: Matrix<Element>, rows I: Range<Int>, columns J: Range<Int>,
  alpha: Element, beta: Element
) {
  withExtendedLifetime((A, B)) {
    C.withUnsafeMutablePointer { target, stride in
      Element.gemm(
        I.count, J.count, A.columns, alpha, A.operand.advanced(rows: I.lowerBound, columns: 0),
        B.operand.advanced(rows: 0, columns: J.lowerBound), beta, target + I.lowerBound * stride + J.lowerBound, stride)
    }
  }
}

/// A product with one row or one column: gemm is several times slower than gemv there.
private func multiplyVector<Element: Scalar>(
  _ A: Matrix<Element>, _ B: Matrix<Element>, into C: Matrix<Element>, alpha: Element, beta: Element
) {
  // Cᵀ = Bᵀ Aᵀ turns a row into a column: `M` is the matrix, `x` the vector as a column.
  let (M, x) = C.columns == 1 ? (A, B) : (B.T, A.T)
  let step = x.isTransposed ? 1 : x.stride
  C.withUnsafeMutablePointer { y, stride in
    nonisolated(unsafe) let y = y
    let yStep = C.columns == 1 ? stride : 1
    let chunks = Parallel.ranges(M.rows, of: max(64, (1 << 18) / max(M.columns, 1)))
    Parallel.forEach(chunks.count) { chunk in
      withExtendedLifetime((M, x)) {
        let I = chunks[chunk]
        let side = M.operand.advanced(rows: I.lowerBound, columns: 0)
        let (rows, columns) = M.isTransposed ? (M.columns, I.count) : (I.count, M.columns)
        if M.columns == 0 {
          for i in I { y[i * yStep] = beta == 0 ? 0 : beta * y[i * yStep] }
        } else {
          Element.gemv(
            rows, columns, alpha, side, x.operand.pointer, max(step, 1), beta, y + I.lowerBound * yStep, max(yStep, 1))
        }
      }
    }
  }
}

/// C ← alpha·XᵀX + beta·C, both triangles. C n×n, symmetric if `beta` is not 0.
public func gram<Element: Scalar>(
  _ X: Matrix<Element>, into C: Matrix<Element>, alpha: Element = 1, beta: Element = 0
) {
  precondition(C.rows == X.columns && C.columns == X.columns, "XᵀX of \(X.shape) into \(C.shape)")
  let C = C.isTransposed ? C.T : C
  BLAS.prepare()
  Triangle(size: C.rows).forEach { I, J in
    multiplyTile(X.T, X, into: C, rows: I, columns: J, alpha: alpha, beta: beta)
    mirror(C, rows: I, columns: J)
  }
}

/// A·B where that is symmetric, both triangles: half the work of the product.
///
/// - Parameters: A n×k, B k×n.
public func symmetricProduct<Element: Scalar>(_ A: Matrix<Element>, _ B: Matrix<Element>) -> Matrix<Element> {
  precondition(A.columns == B.rows && A.rows == B.columns, "a symmetric product of \(A.shape) and \(B.shape)")
  let C = Matrix<Element>(rows: A.rows, columns: A.rows)
  BLAS.prepare()
  Triangle(size: C.rows).forEach { I, J in
    multiplyTile(A, B, into: C, rows: I, columns: J, alpha: 1, beta: 0)
    mirror(C, rows: I, columns: J)
  }
  return C
}

/// H ← H + XᵀX, both triangles: the product of each call in single precision, the running sum in double.
///
/// - Parameters: X t×n with t small enough for single precision (2048 tokens, say); H n×n, symmetric.
public func accumulateGram(_ X: Matrix<Float>, into H: Matrix<Double>) {
  accumulateGram(X, into: H, share: (0, 1))
}

/// The same of the blocks that are one rank's.
func accumulateGram(_ X: Matrix<Float>, into H: Matrix<Double>, share: (rank: Int, size: Int)) {
  precondition(H.rows == X.columns && H.columns == X.columns, "XᵀX of \(X.shape) into \(H.shape)")
  let H = H.isTransposed ? H.T : H
  BLAS.prepare()
  Triangle(size: H.rows).forEach(share: share) { I, J in
    let product = Matrix<Float>(unwritten: I.count, J.count)
    multiplyTile(
      X.T.rows(I), X.columns(J), into: product, rows: 0..<I.count, columns: 0..<J.count, alpha: 1, beta: 0)
    product.withUnsafePointer { source, width in
      H.withUnsafeMutablePointer { target, stride in
        for i in 0..<I.count {
          let row = target + (I.lowerBound + i) * stride + J.lowerBound
          for j in 0..<J.count { row[j] += Double(source[i &* width &+ j]) }
        }
      }
    }
    mirror(H, rows: I, columns: J)
  }
}

/// H ← H + XᵀY: the product of each call in single precision, the running sum in double.
///
/// - Parameters: X t×m and Y t×n with t small enough for single precision; H m×n.
public func accumulateProduct(_ X: Matrix<Float>, _ Y: Matrix<Float>, into H: Matrix<Double>) {
  precondition(
    X.rows == Y.rows && H.rows == X.columns && H.columns == Y.columns, "XᵀY of \(X.shape), \(Y.shape) into \(H.shape)")
  let product = Matrix<Float>(rows: X.columns, columns: Y.columns)
  multiply(X.T, Y, into: product)
  H.add(Matrix<Double>(product))
}

/// Copies `C[I, J]`, below or on the diagonal, to its place above it.
func mirror<Element: Scalar>(_ C: Matrix<Element>, rows I: Range<Int>, columns J: Range<Int>) {
  if I == J {
    C.withUnsafeMutablePointer { pointer, stride in mirrorSquare(pointer + I.lowerBound * (stride + 1), stride, I.count)
    }
  } else {
    C.rows(J).columns(I).assign(C.rows(I).columns(J).T)
  }
}

@specialized(where Element == Float)
@specialized(where Element == Double)
private func mirrorSquare<Element: Scalar>(_ C: UnsafeMutablePointer<Element>, _ stride: Int, _ n: Int) {
  for i in 0..<n { for j in 0..<i { C[j &* stride &+ i] = C[i &* stride &+ j] } }
}

// MARK: Operators

extension Matrix {
  /// A·B, new storage.
  public static func * (A: Matrix, B: Matrix) -> Matrix {
    let C = Matrix(unwritten: A.rows, B.columns)
    multiply(A, B, into: C)
    return C
  }

  /// XᵀX, new storage, exactly symmetric.
  public var gram: Matrix {
    let C = Matrix(unwritten: columns, columns)
    Numerics.gram(self, into: C)
    return C
  }

  public static func + (A: Matrix, B: Matrix) -> Matrix {
    let C = A.copy()
    C.add(B)
    return C
  }

  public static func - (A: Matrix, B: Matrix) -> Matrix {
    let C = A.copy()
    C.add(B, scaledBy: -1)
    return C
  }

  public static func * (factor: Element, A: Matrix) -> Matrix {
    let C = A.copy()
    C.scale(by: factor)
    return C
  }

  /// This window += factor·other, in place.
  public func add(_ other: Matrix, scaledBy factor: Element = 1) {
    precondition(rows == other.rows && columns == other.columns, "adding \(other.shape) to \(shape)")
    if isTransposed { return T.add(other.T, scaledBy: factor) }
    let other = other.isTransposed ? other.copy() : other
    other.withUnsafePointer { source, sourceStride in
      withUnsafeMutablePointer { target, stride in
        for i in 0..<rows { axpy(columns, factor, source + i * sourceStride, target + i * stride) }
      }
    }
  }

  /// This window *= factor, in place.
  public func scale(by factor: Element) {
    if isTransposed { return T.scale(by: factor) }
    withUnsafeMutablePointer { target, stride in
      for i in 0..<rows { scaleRow(columns, factor, target + i * stride) }
    }
  }

  /// Row i of this window *= factors[i], in place: diag(factors)·X.
  public func scaleRows(by factors: [Element]) {
    precondition(factors.count == rows, "\(factors.count) factors for the rows of \(shape)")
    if isTransposed { return T.scaleColumns(by: factors) }
    withUnsafeMutablePointer { target, stride in
      for i in 0..<rows { scaleRow(columns, factors[i], target + i * stride) }
    }
  }

  /// Column j of this window *= factors[j], in place: X·diag(factors).
  public func scaleColumns(by factors: [Element]) {
    precondition(factors.count == columns, "\(factors.count) factors for the columns of \(shape)")
    if isTransposed { return T.scaleRows(by: factors) }
    factors.withUnsafeBufferPointer { factors in
      guard let start = factors.baseAddress else { return }
      withUnsafeMutablePointer { target, stride in
        for i in 0..<rows { multiplyRow(columns, start, target + i * stride) }
      }
    }
  }

  /// Every row of this window += vector, in place.
  public func addToRows(_ vector: [Element], scaledBy factor: Element = 1) {
    precondition(vector.count == columns, "a vector of \(vector.count) added to the rows of \(shape)")
    let X = isTransposed ? copy() : self
    vector.withUnsafeBufferPointer { vector in
      guard let start = vector.baseAddress else { return }
      X.withUnsafeMutablePointer { target, stride in
        for i in 0..<rows { axpy(columns, factor, start, target + i * stride) }
      }
    }
    if isTransposed { assign(X) }
  }

  /// Every element replaced by `body` of it, new storage.
  @inlinable
  public func map(_ body: (Element) -> Element) -> Matrix {
    let result = copy()
    result.withUnsafeMutablePointer { pointer, _ in for i in 0..<(rows * columns) { pointer[i] = body(pointer[i]) } }
    return result
  }
}

@specialized(where Element == Float)
@specialized(where Element == Double)
private func axpy<Element: Scalar>(
  _ n: Int, _ a: Element, _ x: UnsafePointer<Element>, _ y: UnsafeMutablePointer<Element>
) {
  for i in 0..<n { y[i] = y[i] + a * x[i] }
}

@specialized(where Element == Float)
@specialized(where Element == Double)
private func scaleRow<Element: Scalar>(_ n: Int, _ a: Element, _ y: UnsafeMutablePointer<Element>) {
  for i in 0..<n { y[i] = a * y[i] }
}

@specialized(where Element == Float)
@specialized(where Element == Double)
private func multiplyRow<Element: Scalar>(_ n: Int, _ x: UnsafePointer<Element>, _ y: UnsafeMutablePointer<Element>) {
  for i in 0..<n { y[i] = x[i] * y[i] }
}
