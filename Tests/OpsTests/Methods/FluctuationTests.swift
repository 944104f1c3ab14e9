import Numerics
import Testing

@testable import Ops

@Suite struct FluctuationTests {
  /// Tokens × n with correlated columns and means away from zero; W 5×n.
  func layer(_ seed: UInt64) -> (X: Matrix<Double>, W: Matrix<Double>) {
    var random = SplitMix(seed)
    let X = random.matrix(60, 8) * random.matrix(8, 8)
    X.addToRows(random.normals(8))
    return (X, random.matrix(5, 8))
  }

  /// Tokens × d error of replacing the columns M by the bias.
  func errors(_ X: Matrix<Double>, _ W: Matrix<Double>, _ M: [Int]) -> Matrix<Double> {
    let E = X.gathering(columns: M) * W.gathering(columns: M).T
    E.addToRows(compensation(W: W, removed: M, mean: twoPassMoments(X).mean), scaledBy: -1)
    return E
  }

  @Test("3.1 the bias makes the mean error zero on the calibration set") func biasMakesMeanErrorZero() {
    let (X, W) = layer(1)
    let E = errors(X, W, [0, 3, 4, 7])
    #expect(twoPassMoments(E).mean.allSatisfy { abs($0) < 1e-12 })
  }

  @Test("3.1 the expected squared error is tr(W_M Cov_M W_Mᵀ)") func errorIsTheTrace() {
    let (X, W) = layer(2)
    let M = [1, 2, 6]
    let E = errors(X, W, M)
    let squared = E.values.reduce(0) { $0 + $1 * $1 } / Double(X.rows)
    let C = X.gathering(columns: M)
    C.addToRows(twoPassMoments(C).mean, scaledBy: -1)
    let W_M = W.gathering(columns: M)
    let expected = trace(W_M * C.gram * W_M.T) / Double(X.rows)
    #expect(abs(squared - expected) < 1e-12 * expected)
  }

  @Test("3.1 with uncorrelated columns the error is the sum of WIFV scores") func uncorrelatedErrorIsSumOfScores() {
    // Columns of a Hadamard matrix are orthogonal and, but for the first, of mean zero.
    let H = Matrix<Double>(rows: 8, columns: 8)
    for i in 0..<8 { for j in 0..<8 { H[i, j] = (i & j).nonzeroBitCount % 2 == 0 ? 1 : -1 } }
    let X = H.columns(1..<8).copy()
    X.scaleColumns(by: [1, 2, 0.5, 3, 1, 0.1, 4])
    X.addToRows([3, -1, 0, 2, 5, 1, 1])
    var random = SplitMix(3)
    let W = random.matrix(5, 7)
    let M = [0, 2, 3, 5]
    let (mean, variance) = twoPassMoments(X)
    let S = fluctuation(.wifv, W: W, mean: mean, variance: variance)
    let squared = errors(X, W, M).values.reduce(0) { $0 + $1 * $1 } / 8
    #expect(abs(squared - M.reduce(0) { $0 + S[$1] }) < 1e-12)
  }

  @Test("WIFV, IFV and WIFN by hand") func metricsByHand() {
    let W = Matrix<Float>([[3, -1], [-4, 2]])
    #expect(maxDifference(fluctuation(.wifv, W: W, mean: [1, 0], variance: [2, 3]), [50, 15]) < 1e-12)
    #expect(fluctuation(.ifv, W: W, mean: [1, 0], variance: [2, 3]) == [2, 3])
    let wifn = fluctuation(.wifn, W: W, mean: [1, 0], variance: [3, 4])
    #expect(maxDifference(wifn, [3.5 * 2, 1.5 * 2]) < 1e-12)
  }

  @Test("a weight stored transposed scores the same") func transposedWeightScoresTheSame() {
    let (_, W) = layer(4)
    let stored = W.T.copy()
    #expect(maxDifference(columnNorms(W), columnNorms(stored.T)) < 1e-14)
    #expect(
      maxDifference(
        wanda(W, meanSquare: [Double](repeating: 2, count: 8)),
        wanda(stored.T, meanSquare: [Double](repeating: 2, count: 8))) < 1e-14)
    let mean = (0..<8).map(Double.init)
    #expect(
      maxDifference(
        compensation(W: W, removed: [1, 5], mean: mean),
        compensation(W: stored.T, removed: [1, 5], mean: mean)) < 1e-14)
  }

  @Test("3.2 the closed form equals the authors' aliased running update") func referenceClosedForm() throws {
    var random = SplitMix(5)
    let samples = (0..<7).map { _ in random.matrix(9, 3) }
    var closed = ReferenceFluctuation(columns: 3)
    // The reference's loop, its baseline overwritten in place before both deviations are taken.
    var baseline = [0.0, 0, 0]
    var running = [0.0, 0, 0]
    for (count, X) in samples.enumerated() {
      let (mean, variance) = twoPassMoments(X)
      closed.add(mean: mean, squares: variance.map { $0 * 9 }, tokens: 9)
      for i in 0..<3 {
        let N = Double(count)
        baseline[i] = baseline[i] * N / (N + 1) + mean[i] / (N + 1)
        if count > 0 {
          let S = X.column(i).reduce(0) { $0 + ($1 - baseline[i]) * ($1 - baseline[i]) }
          running[i] = running[i] * (N - 1) / N + S / (N + 1)
        }
      }
    }
    #expect(maxDifference(try closed.values(), running) < 1e-12)
  }

  @Test("3.2 the closed form needs two samples") func referenceNeedsTwoSamples() {
    var closed = ReferenceFluctuation(columns: 1)
    closed.add(mean: [1], squares: [1], tokens: 4)
    #expect(throws: FluctuationError.tooFewSamples(found: 1)) { try closed.values() }
  }

  @Test("3.3 models standardise the columns of a layer, then average them per unit") func comparableScores() {
    let columns = [1.0, 3, 2, 2, 0, 4]
    // mean 2, variance (1+1+0+0+4+4)/5 = 2
    let scale = Scores.Spread(columns)
    #expect(scale.mean == 2 && abs(scale.deviation - 2.0.squareRoot()) < 1e-15)
    #expect(Scores.Spread([0.1, 0.1, 0.1]).deviation == 0)
    #expect(summed(columns, by: 2) == [4, 4, 4])
  }
}

@Suite struct BaselineTests {
  @Test("5.8 block influence is one minus the mean cosine; rows without direction are skipped") func blockInfluence() {
    var influence = BlockInfluence()
    influence.add(Matrix<Float>([[1, 0], [1, 1]]), Matrix<Float>([[0, 2], [3, 3]]))
    influence.add(Matrix<Float>([[0, 0], [1, 0]]), Matrix<Float>([[1, 1], [-1, 0]]))
    #expect(influence.tokens == 3 && influence.skipped == 1)
    #expect(abs((influence.value ?? 0) - 1) < 1e-7)
    #expect(BlockInfluence().value == nil)
  }

  @Test("random scores repeat with their seed") func randomScoresRepeat() {
    var (a, b, c) = (SplitMix(1), SplitMix(1), SplitMix(2))
    let scores = randomScores(100, using: &a)
    #expect(scores == randomScores(100, using: &b))
    #expect(scores != randomScores(100, using: &c))
    #expect(scores.allSatisfy { $0 >= 0 && $0 < 1 })
  }
}
