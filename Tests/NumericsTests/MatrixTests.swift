import Numerics
import Testing

struct MatrixTests {
  let X = Matrix<Double>([[1, 2, 3], [4, 5, 6]])

  @Test func windowsShareStorage() {
    let Y = X.copy()
    Y.T[2, 0] = 30
    #expect(Y[0, 2] == 30)
    Y.rows(1..<2).columns(1..<3)[0, 1] = 60
    #expect(Y.values == [1, 2, 30, 4, 5, 60])
    #expect(X.values == [1, 2, 3, 4, 5, 6])
  }

  @Test func windowsOfTransposedWindowsAreRight() {
    #expect(X.T.values == [1, 4, 2, 5, 3, 6])
    #expect(X.T.rows(1..<3).values == [2, 5, 3, 6])
    #expect(X.T.columns(1..<2).values == [4, 5, 6])
    #expect(X.T.row(1) == [2, 5])
    #expect(X.column(1) == [2, 5])
    #expect(X.T.copy().isTransposed == false)
    #expect(X.T.T.values == X.values)
  }

  @Test func gatheringCopies() {
    #expect(X.gathering(rows: [1, 0, 1]).values == [4, 5, 6, 1, 2, 3, 4, 5, 6])
    #expect(X.gathering(columns: [2, 0]).values == [3, 1, 6, 4])
    #expect(X.T.gathering(rows: [2, 0]).values == [3, 6, 1, 4])
    #expect(X.gathering(columns: []).columns == 0)
  }

  @Test func conversionsRound() {
    let narrow = Matrix<Float>(Matrix<Double>([[0.1, 1e300]]).T)
    #expect(narrow.rows == 2)
    #expect(narrow[0, 0] == 0.1 as Float)
    #expect(narrow[1, 0] == .infinity)
    #expect(Matrix<Double>(narrow)[0, 0] == Double(0.1 as Float))
  }

  @Test func sumsAndScalingsHoldForTransposedWindows() {
    #expect((X + X).values == [2, 4, 6, 8, 10, 12])
    #expect((X.T - 0.5 * X.T).values == [0.5, 2, 1, 2.5, 1.5, 3])
    let Y = X.copy()
    Y.T.scaleRows(by: [1, 10, 100])
    #expect(Y.values == [1, 20, 300, 4, 50, 600])
    Y.scaleRows(by: [2, 0])
    #expect(Y.values == [2, 40, 600, 0, 0, 0])
    Y.T.addToRows([1, 2])
    #expect(Y.values == [3, 41, 601, 2, 2, 2])
    #expect(X.map { -$0 }.values == [-1, -2, -3, -4, -5, -6])
  }

  @Test func identityAndDiagonal() {
    #expect((X * Matrix.identity(3)).values == X.values)
    #expect(Matrix<Double>.diagonal([2, 3]).diagonal == [2, 3])
  }
}

struct ParallelTests {
  struct Refusal: Error, Equatable { let index: Int }

  @Test func everyIndexRunsOnce() {
    let hits = Matrix<Double>(rows: 1, columns: 1000)
    Parallel.forEach(1000) { i in
      Parallel.forEach(3) { _ in hits[0, i] += 1 }
    }
    #expect(hits.values.allSatisfy { $0 == 3 })
  }

  @Test func theErrorOfTheLowestIndexWins() {
    #expect(throws: Refusal(index: 7)) {
      try Parallel.forEach(500) { i in if i % 10 == 7 { throw Refusal(index: i) } }
    }
  }

  @Test func mapKeepsOrder() throws {
    #expect(try Parallel.map(100) { $0 * $0 } == (0..<100).map { $0 * $0 })
  }
}
