// Factorisations by LAPACK, on one thread. What LAPACK reports as a failure to converge is thrown; shapes are checked.

/// LAPACK's iteration did not settle, which in practice means NaN or infinity in the matrix.
public struct DecompositionFailure: Error, Equatable, CustomStringConvertible {
  public let what: String
  public let shape: String

  public var description: String { "the \(what) of a \(shape) matrix did not converge; it may hold NaN or infinity" }
}

/// A = E diag(values) Eᵀ.
///
/// - Parameter A: n×n, symmetric; only the lower triangle is read.
/// - Returns: `values` ascending, and `vectors` n×n with one eigenvector per *column*.
public func symmetricEigen<Element: Scalar>(
  _ A: Matrix<Element>
) throws(DecompositionFailure) -> (values: [Element], vectors: Matrix<Element>) {
  precondition(A.rows == A.columns, "the eigenvectors of a \(A.shape) matrix")
  BLAS.prepare()
  let n = A.rows
  if n == 0 { return ([], A.copy()) }
  let V = A.copy()  // LAPACK leaves eigenvector j in its column j, which is row j here
  var values = [Element](repeating: 0, count: n)
  let info = V.withUnsafeMutablePointer { Element.syevd(n, vectors: true, $0, $1, &values) }
  guard info == 0 else { throw DecompositionFailure(what: "eigendecomposition", shape: A.shape) }
  return (values, V.T)
}

/// The eigenvalues of A alone, ascending: a third of the work.
///
/// - Parameter A: n×n, symmetric; only the lower triangle is read.
public func symmetricEigenvalues<Element: Scalar>(_ A: Matrix<Element>) throws(DecompositionFailure) -> [Element] {
  precondition(A.rows == A.columns, "the eigenvalues of a \(A.shape) matrix")
  BLAS.prepare()
  let work = A.copy()
  var values = [Element](repeating: 0, count: A.rows)
  if values.isEmpty { return [] }
  let info = work.withUnsafeMutablePointer { Element.syevd(A.rows, vectors: false, $0, $1, &values) }
  guard info == 0 else { throw DecompositionFailure(what: "eigenvalues", shape: A.shape) }
  return values
}

/// The `k` largest eigenvalues of A, and their eigenvectors.
///
/// - Parameter A: n×n, symmetric; only the lower triangle is read.
/// - Returns: `values` descending, and `vectors` n×k with one eigenvector per *column*.
public func topEigen<Element: Scalar>(
  _ A: Matrix<Element>, _ k: Int
) throws(DecompositionFailure) -> (values: [Element], vectors: Matrix<Element>) {
  precondition(A.rows == A.columns && k >= 0 && k <= A.rows, "\(k) eigenvectors of a \(A.shape) matrix")
  BLAS.prepare()
  let n = A.rows
  if k == 0 { return ([], Matrix(rows: n, columns: 0)) }
  let work = A.copy()
  let V = Matrix<Element>(rows: k, columns: n)
  var values = [Element](repeating: 0, count: n)
  let info = work.withUnsafeMutablePointer { A, lda in
    V.withUnsafeMutablePointer { Z, ldz in Element.syevr(n, A, lda, (n - k)...(n - 1), &values, Z, ldz) }
  }
  guard info == 0 else { throw DecompositionFailure(what: "eigendecomposition", shape: A.shape) }
  return (values.prefix(k).reversed(), V.gathering(rows: (0..<k).reversed()).T)
}

/// A = U diag(s) Vᵀ, thin.
///
/// - Parameter A: m×n; r = min(m, n).
/// - Returns: `U` m×r, `s` descending, `VT` r×n.
public func svd<Element: Scalar>(
  _ A: Matrix<Element>
) throws(DecompositionFailure) -> (U: Matrix<Element>, s: [Element], VT: Matrix<Element>) {
  BLAS.prepare()
  let (m, n) = (A.rows, A.columns)
  let r = min(m, n)
  let U = Matrix<Element>(rows: m, columns: r)
  let VT = Matrix<Element>(rows: r, columns: n)
  if r == 0 { return (U, [], VT) }
  let work = A.copy()
  var s = [Element](repeating: 0, count: r)
  // Row-major A is column-major Aᵀ = V diag(s) Uᵀ: LAPACK's left vectors are the rows of VT, its right ones those of U.
  let info = work.withUnsafeMutablePointer { A, lda in
    VT.withUnsafeMutablePointer { left, leftStride in
      U.withUnsafeMutablePointer { right, rightStride in
        Element.gesdd(n, m, A, lda, &s, left, leftStride, right, rightStride)
      }
    }
  }
  guard info == 0 else { throw DecompositionFailure(what: "singular value decomposition", shape: A.shape) }
  return (U, s, VT)
}

/// Q of A = Q R with a positive diagonal of R, which makes Q unique: an orthonormal basis of the columns of A.
///
/// - Parameter A: m×n, m ≥ n, full column rank.
/// - Returns: m×n, with QᵀQ = I.
public func orthonormalised<Element: Scalar>(_ A: Matrix<Element>) -> Matrix<Element> {
  precondition(A.rows >= A.columns, "orthonormal columns for a \(A.shape) matrix")
  BLAS.prepare()
  let (m, n) = (A.rows, A.columns)
  if n == 0 { return A.copy() }
  let Q = A.T.copy()  // n×m, which LAPACK sees as column-major m×n
  var tau = [Element](repeating: 0, count: n)
  Q.withUnsafeMutablePointer { pointer, lda in
    var info = Element.geqrf(m, n, pointer, lda, &tau)
    let signs = (0..<n).map { pointer[$0 * lda + $0] < 0 ? -1 : 1 as Element }
    if info == 0 { info = Element.orgqr(m, n, pointer, lda, tau) }
    precondition(info == 0, "LAPACK refused argument \(-info) of a QR factorisation")
    Q.scaleRows(by: signs)
  }
  return Q.T
}

/// A^(-½), symmetric: E diag(λ^(-½)) Eᵀ.
///
/// - Parameters:
///   - A: n×n, symmetric, positive semi-definite.
///   - floor: eigenvalues at or below `floor` times the largest count as zero, and so do their inverses.
public func inverseSquareRoot<Element: Scalar>(
  _ A: Matrix<Element>, floor: Element = 0
) throws(DecompositionFailure) -> Matrix<Element> {
  let (values, E) = try symmetricEigen(A)
  let limit = max(floor * (values.last ?? 0), 0)
  let scaled = E.copy()
  scaled.scaleColumns(by: values.map { $0 > limit ? 1 / $0.squareRoot() : 0 })
  let root = scaled * E.T
  Triangle(size: root.rows).forEach { I, J in mirror(root, rows: I, columns: J) }
  return root
}
