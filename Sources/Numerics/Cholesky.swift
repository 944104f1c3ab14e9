/// Why a matrix has no Cholesky factor.
public struct NotPositiveDefinite: Error, Equatable, CustomStringConvertible {
  /// The first row whose pivot is not positive, and the pivot.
  public let index: Int
  public let pivot: Double

  public var description: String { "the matrix is not positive definite: pivot \(index) is \(pivot)" }
}

/// A = L Lᵀ, with L lower triangular.
public struct Cholesky<Element: Scalar>: Sendable {
  /// n×n, on and below the diagonal; what is above it is zero.
  public let L: Matrix<Element>

  /// Columns of a panel, and rows of a tile in the updates.
  private static var block: Int { 256 }
  /// Columns of a tile in the updates.
  private static var width: Int { 1024 }

  /// Factors the lower triangle of `A`, which is not changed.
  ///
  /// - Parameters:
  ///   - A: n×n; only the lower triangle is read.
  ///   - damping: added to the diagonal.
  public init(_ A: Matrix<Element>, damping: Element = 0) throws(NotPositiveDefinite) {
    precondition(A.rows == A.columns, "the Cholesky factor of a \(A.shape) matrix")
    let L = Matrix<Element>(rows: A.rows, columns: A.rows)
    for i in 0..<A.rows { L.rows(i..<(i + 1)).columns(0..<(i + 1)).assign(A.rows(i..<(i + 1)).columns(0..<(i + 1))) }
    if damping != 0 { for i in 0..<A.rows { L[i, i] += damping } }
    try Self.factor(L)
    self.L = L
  }

  /// Right-looking: factor a diagonal block, solve the panel under it, subtract the panel's square from the rest.
  private static func factor(_ L: Matrix<Element>) throws(NotPositiveDefinite) {
    BLAS.prepare()
    let n = L.rows
    for start in Swift.stride(from: 0, to: n, by: block) {
      let end = min(start + block, n)
      try factorDiagonalBlock(L, start..<end)
      let corner = L.rows(start..<end).columns(start..<end)
      let tiles = Parallel.ranges(n - end, of: block).map { ($0.lowerBound + end)..<($0.upperBound + end) }
      Parallel.forEach(tiles.count) { tile in
        let panel = L.rows(tiles[tile]).columns(start..<end)
        panel.withUnsafeMutablePointer { B, stride in
          withExtendedLifetime(corner) {
            Element.trsm(panel.rows, panel.columns, left: false, corner.T.operand, B, stride)
          }
        }
      }
      let updates = tiles.flatMap { I in
        Parallel.ranges(I.upperBound - end, of: width).map { (I, ($0.lowerBound + end)..<($0.upperBound + end)) }
      }
      Parallel.forEach(updates.count) { update in
        let (I, J) = updates[update]
        multiplyTile(
          L.rows(I).columns(start..<end), L.rows(J).columns(start..<end).T, into: L.rows(I).columns(J),
          rows: 0..<I.count, columns: 0..<J.count, alpha: -1, beta: 1)
      }
    }
    L.withUnsafeMutablePointer { pointer, stride in  // The last tile of a row also wrote above the diagonal.
      for i in 0..<n { (pointer + i * (stride + 1) + 1).update(repeating: 0, count: n - i - 1) }
    }
  }

  private static func factorDiagonalBlock(_ L: Matrix<Element>, _ range: Range<Int>) throws(NotPositiveDefinite) {
    let corner = L.rows(range).columns(range)
    let info = corner.withUnsafeMutablePointer { Element.potrf(range.count, $0, $1) }
    // LAPACK stops at a pivot that is not positive and leaves it in place, but lets NaN and infinity through.
    let failed = info > 0 ? info - 1 : corner.diagonal.firstIndex { !$0.isFinite }
    if let failed {
      throw NotPositiveDefinite(index: range.lowerBound + failed, pivot: Double(corner[failed, failed]))
    }
  }

  /// A⁻¹ B, new storage. B n×m.
  public func solve(_ B: Matrix<Element>) -> Matrix<Element> {
    solved(B) {
      Self.substitute(L, into: $0)
      Self.substituteBack(L, into: $0)
    }
  }

  /// L⁻ᵀ B, new storage. B n×m.
  public func solveBack(_ B: Matrix<Element>) -> Matrix<Element> { solved(B) { Self.substituteBack(L, into: $0) } }

  /// B after a change of some columns at a time.
  private func solved(_ B: Matrix<Element>, _ change: @Sendable (Matrix<Element>) -> Void) -> Matrix<Element> {
    precondition(B.rows == L.rows, "solving \(L.shape) for \(B.shape)")
    let X = B.copy()
    let tiles = Tiling.even(B.columns, parts: max(1, min(16, B.columns / 64)), multiple: 16)
    Parallel.forEach(tiles.count) { change(X.columns(tiles[$0])) }
    return X
  }

  /// A⁻¹, n×n, exactly symmetric.
  ///
  /// Columns J of the inverse, from row J on, only need the trailing part of L:
  /// `A⁻¹[J…, J] = L[J…, J…]⁻ᵀ L[J…, J…]⁻¹ E` with E the first columns of the identity.
  public func inverse() -> Matrix<Element> {
    let n = L.rows
    let X = Matrix<Element>(rows: n, columns: n)
    let tiles = Parallel.ranges(n, of: 192)
    Parallel.forEach(tiles.count) { tile in
      let J = tiles[tile]
      let columns = X.rows(J.lowerBound..<n).columns(J)
      for j in 0..<J.count { columns[j, j] = 1 }
      let own = L.rows(J.lowerBound..<n).columns(J.lowerBound..<n)
      Self.substitute(own, into: columns)
      Self.substituteBack(own, into: columns)
      mirror(X, rows: J, columns: J)
    }
    Parallel.forEach(tiles.count) { tile in
      let J = tiles[tile]
      if J.upperBound < n { mirror(X, rows: J.upperBound..<n, columns: J) }
    }
    return X
  }

  /// log det A.
  public var logDeterminant: Double { L.diagonal.reduce(0) { $0 + 2 * Double.logarithm(Double($1)) } }

  /// X ← L⁻¹ X on the calling thread, in blocks: products do most of the work.
  private static func substitute(_ L: Matrix<Element>, into X: Matrix<Element>) {
    for I in Parallel.ranges(L.rows, of: block) {
      solveBlock(L.rows(I).columns(I), into: X.rows(I))
      if I.upperBound < L.rows {
        let below = I.upperBound..<L.rows
        multiplyTile(
          L.rows(below).columns(I), X.rows(I), into: X.rows(below), rows: 0..<below.count, columns: 0..<X.columns,
          alpha: -1, beta: 1)
      }
    }
  }

  /// X ← L⁻ᵀ X, as `substitute`.
  private static func substituteBack(_ L: Matrix<Element>, into X: Matrix<Element>) {
    for I in Parallel.ranges(L.rows, of: block).reversed() {
      if I.upperBound < L.rows {
        let below = I.upperBound..<L.rows
        multiplyTile(
          L.rows(below).columns(I).T, X.rows(below), into: X.rows(I), rows: 0..<I.count, columns: 0..<X.columns,
          alpha: -1, beta: 1)
      }
      solveBlock(L.rows(I).columns(I).T, into: X.rows(I))
    }
  }

  /// X ← C⁻¹ X of one triangle, lower or transposed.
  private static func solveBlock(_ corner: Matrix<Element>, into X: Matrix<Element>) {
    X.withUnsafeMutablePointer { B, stride in
      withExtendedLifetime(corner) { Element.trsm(X.rows, X.columns, left: true, corner.operand, B, stride) }
    }
  }
}

/// Factors `A` + damping·I; see `Cholesky`.
public func cholesky<Element: Scalar>(
  _ A: Matrix<Element>, damping: Element = 0
) throws(NotPositiveDefinite) -> Cholesky<Element> {
  try Cholesky(A, damping: damping)
}
