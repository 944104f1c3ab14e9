import Numerics
import Testing

@Suite(.serialized)
struct DecompositionTests {
  /// Symmetric positive definite, n×n, condition about 10.
  func positive<Element: Scalar>(_ n: Int, seed: UInt64 = 5) -> Matrix<Element> {
    var noise = Noise(state: seed)
    let X: Matrix<Element> = noise.matrix(2 * n, n)
    let A = (1 / Element(n)) * X.gram
    A.add(.identity(n), scaledBy: 0.1)
    return A
  }

  @Test func eigenvectorsRebuildTheMatrix() throws {
    let A: Matrix<Double> = positive(60)
    let (values, E) = try symmetricEigen(A)
    #expect(distance(E * .diagonal(values) * E.T, A) < 1e-12)
    #expect(distance(E.T * E, .identity(60)) < 1e-12)
    #expect(values == values.sorted())
    let narrow = Matrix<Float>(A)
    let (few, F) = try symmetricEigen(narrow)
    #expect(distance(F * .diagonal(few) * F.T, A) < 1e-5)
  }

  @Test func theTopEigenvectorsAreTheLastOfAll() throws {
    let A: Matrix<Double> = positive(40)
    let (values, V) = try topEigen(A, 3)
    let all = try symmetricEigen(A).values
    #expect(zip(try symmetricEigenvalues(A), all).allSatisfy { abs($0 - $1) < 1e-12 })
    #expect(zip(values, all.reversed()).allSatisfy { abs($0 - $1) < 1e-12 })
    #expect(distance(A * V, V * .diagonal(values)) < 1e-12)
    #expect(distance(V.T * V, .identity(3)) < 1e-12)
  }

  @Test(arguments: [(30, 12), (12, 30), (9, 9)])
  func singularVectorsRebuildTheMatrix(shape: (Int, Int)) throws {
    var noise = Noise(state: 6)
    let A: Matrix<Double> = noise.matrix(shape.0, shape.1)
    let (U, s, VT) = try svd(A)
    let r = min(shape.0, shape.1)
    #expect(U.columns == r && VT.rows == r && s == s.sorted(by: >))
    #expect(distance(U * .diagonal(s) * VT, A) < 1e-12)
    #expect(distance(U.T * U, .identity(r)) < 1e-12)
    #expect(distance(VT * VT.T, .identity(r)) < 1e-12)
    let (_, t, _) = try svd(Matrix<Float>(A).T)
    #expect(zip(s, t).allSatisfy { abs($0 - Double($1)) < 1e-5 })
  }

  @Test(arguments: [1, 7, 192, 193, 500])
  func choleskyFactorsSolvesAndInverts(n: Int) throws {
    let A: Matrix<Double> = positive(n)
    let factor = try cholesky(A)
    #expect(distance(factor.L * factor.L.T, A) < 1e-12)
    #expect(n == 1 || factor.L[0, n - 1] == 0)
    var noise = Noise(state: 7)
    let X: Matrix<Double> = noise.matrix(n, 5)
    #expect(distance(factor.solve(A * X), X) < 1e-11)
    #expect(distance(factor.solve((A * X).T.copy().T), X) < 1e-11)
    #expect(distance(factor.L.T * factor.solveBack(X), X) < 1e-11)
    let inverse = factor.inverse()
    #expect(distance(inverse * A, .identity(n)) < 1e-11)
    #expect(distance(inverse, inverse.T) == 0)
    let single = try cholesky(Matrix<Float>(A))
    #expect(distance(single.inverse(), inverse) < 1e-3)
  }

  @Test func choleskyDoesNotDependOnTheNumberOfThreads() throws {
    let A: Matrix<Double> = positive(700)
    let one = try withThreads(1) { try cholesky(A).inverse().values }
    let two = try withThreads(2) { try cholesky(A).inverse().values }
    #expect(one == two)
  }

  @Test func logDeterminantIsTheSumOverThePivots() throws {
    let A = Matrix<Double>([[4, 2], [2, 3]])
    let logDeterminant = try cholesky(A).logDeterminant
    #expect(abs(logDeterminant - 2.0794415416798357) < 1e-14)
    let damped = try cholesky(A, damping: 1)
    #expect(distance(damped.L * damped.L.T, A + .identity(2)) < 1e-14)
  }

  @Test(arguments: [0, 3, 250, 499])
  func aMatrixThatIsNotPositiveDefiniteNamesItsPivot(index: Int) throws {
    let A = Matrix<Double>.identity(500)
    A[index, index] = -2
    #expect(throws: NotPositiveDefinite.self) { try cholesky(A) }
    do { _ = try cholesky(A) } catch {
      #expect(error.index == index)
      #expect(error.pivot == -2)
    }
    A[index, index] = .nan
    do { _ = try cholesky(A) } catch { #expect(error.index == index && error.pivot.isNaN) }
    #expect(throws: NotPositiveDefinite.self) { try cholesky(A) }
  }

  @Test func orthonormalColumnsSpanTheSameSpace() {
    var noise = Noise(state: 8)
    let A: Matrix<Double> = noise.matrix(50, 8)
    let Q = orthonormalised(A)
    #expect(distance(Q.T * Q, .identity(8)) < 1e-13)
    let R = Q.T * A
    #expect(distance(Q * R, A) < 1e-13)
    #expect(R.diagonal.allSatisfy { $0 > 0 })
    #expect(abs(R[5, 2]) < 1e-13)
  }

  @Test func theInverseSquareRootWhitens() throws {
    let A: Matrix<Double> = positive(30)
    let root = try inverseSquareRoot(A)
    #expect(distance(root * A * root, .identity(30)) < 1e-11)
    #expect(distance(root, root.T) == 0)
    let singular = Matrix<Double>.diagonal([4, 0, 1])
    let singularRoot = try inverseSquareRoot(singular, floor: 1e-12)
    #expect(distance(singularRoot, .diagonal([0.5, 0, 1])) < 1e-15)
  }
}
