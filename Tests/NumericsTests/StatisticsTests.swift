import Numerics
import Testing

struct StatisticsTests {
  @Test func quantilesInterpolateBetweenNeighbours() {
    #expect(quantile([3, 1, 2, 4], 0) == 1)
    #expect(quantile([3, 1, 2, 4], 1) == 4)
    #expect(quantile([3, 1, 2, 4], 0.5) == 2.5)
    #expect(quantile([10, 20, 30], 0.25) == 15)
    #expect(median([5]) == 5)
    #expect(median([]).isNaN)
  }

  @Test func argsortBreaksTiesByIndexAndPutsNaNLast() {
    #expect(argsort([2.0, 1, 2, 1]) == [1, 3, 0, 2])
    #expect(argsort([2.0, 1, 2, 1], descending: true) == [0, 2, 1, 3])
    #expect(argsort([.nan, 1, .nan, 0]) == [3, 1, 0, 2])
    #expect(argsort([.nan, 1, .nan, 0], descending: true) == [1, 3, 0, 2])
    #expect(argsort([Float(0), -0.0]) == [0, 1])
  }

  @Test func standardisedValuesHaveMeanZeroAndVarianceOne() {
    let z = standardised([1, 2, 3, 6], ddof: 1)
    #expect(abs(mean(z)) < 1e-15)
    #expect(abs(variance(z, ddof: 1) - 1) < 1e-15)
    #expect(standardised([5, 5]) == [0, 0])
    #expect(variance([1], ddof: 1).isNaN)
    #expect(abs(standardDeviation([1, 3]) - 1) < 1e-15)
  }
}

@Suite(.serialized)
struct MomentsTests {
  /// 1500×70, far from zero compared with its spread.
  static let X: Matrix<Float> = {
    var noise = Noise(state: 11)
    return noise.matrix(1500, 70, as: Float.self).map { 1000 + $0 }
  }()

  func reference(_ X: Matrix<Float>) -> (mean: [Double], m2: [Double]) {
    let columns = (0..<X.columns).map { X.column($0).map(Double.init) }
    return (columns.map { mean($0) }, columns.map { variance($0) * Double(X.rows) })
  }

  @Test func momentsEqualTwoPasses() {
    let (expectedMean, expectedM2) = reference(Self.X)
    var moments = Moments(columns: 70)
    moments.add(Self.X)
    #expect(moments.count == 1500)
    #expect(zip(moments.mean, expectedMean).allSatisfy { abs($0 - $1) < 1e-10 })
    #expect(zip(moments.m2, expectedM2).allSatisfy { abs($0 - $1) < 1e-7 * $1 })
    #expect(Self.X.T.copy().T.columnMoments == moments)
    let wide = Matrix<Double>(Self.X).columnMoments
    #expect(zip(wide.m2, expectedM2).allSatisfy { abs($0 - $1) < 1e-9 * $1 })
    let direct = Self.X.column(3).reduce(0) { $0 + Double($1) * Double($1) }
    #expect(abs(moments.sumOfSquares[3] - direct) < 1e-9 * direct)
  }

  @Test func mergingInAnyGroupingGivesTheSameMoments() {
    func part(_ range: Range<Int>) -> Moments { Self.X.rows(range).columnMoments }
    var left = part(0..<100)
    left.merge(part(100..<800))
    left.merge(part(800..<1500))
    var right = part(100..<800)
    right.merge(part(800..<1500))
    var whole = part(0..<100)
    whole.merge(right)
    let (expectedMean, expectedM2) = reference(Self.X)
    for moments in [left, whole] {
      #expect(zip(moments.mean, expectedMean).allSatisfy { abs($0 - $1) < 1e-10 })
      #expect(zip(moments.m2, expectedM2).allSatisfy { abs($0 - $1) < 1e-7 * $1 })
    }
    var empty = Moments(columns: 70)
    empty.merge(left)
    #expect(empty == left)
    left.merge(Moments(columns: 70))
    #expect(empty == left)
  }

  @Test func momentsDoNotDependOnTheNumberOfThreads() {
    var noise = Noise(state: 12)
    let X: Matrix<Float> = noise.matrix(700, 1300)
    let one = withThreads(1) { X.columnMoments }
    let two = withThreads(2) { X.columnMoments }
    #expect(one == two)
  }

  @Test func momentsOfNothingAreNaNVariances() {
    #expect(Moments(columns: 2).variance().allSatisfy { $0.isNaN })
    var one = Moments(columns: 1)
    one.add(Matrix<Float>([[3]]))
    #expect(one.variance() == [0])
    #expect(one.variance(ddof: 1)[0].isNaN)
  }

  @Test func equalValuesShareTheMeanOfTheirRanks() {
    #expect(ranks([10, 20, 10, 5]) == [2.5, 4, 2.5, 1])
    #expect(abs(rankCorrelation([1, 2, 3, 4], [1, 8, 27, 64]) - 1) < 1e-15)
    #expect(abs(rankCorrelation([1, 2, 3], [3, 2, 1]) + 1) < 1e-15)
    #expect(abs(correlation([1, 2, 4], [2, 1, 5]) - 0.8386278693775346) < 1e-12)  // numpy.corrcoef
    #expect(correlation([1, 1], [1, 2]).isNaN)
  }

  /// Twice Σ_k≤min C(n, k) / 2ⁿ, in whole numbers.
  @Test func theSignTestIsExact() {
    #expect(signTest(0, 0) == 1)
    #expect(abs(signTest(1, 9) - 0.021484375) < 1e-14)
    #expect(signTest(5, 5) == 1)
    #expect(abs(signTest(130, 90) - 0.008405451752681956) < 1e-12)
    #expect(signTest(3, 8) == signTest(8, 3))
  }
}
