import Glibc
import Numerics
import Ops
import Testing

@Suite struct ContextWeightsTests {
  let centers = Matrix<Double>([[0, 0], [3, 4], [0, 1], [-6, 8]])

  @Test("eq. 6 by hand") func byHand() throws {
    let found = try contextWeights(centers: centers, .context, temperature: .absolute(2))
    #expect(abs(found.distances[0, 1] - 5) < 1e-15 && abs(found.distances[0, 3] - 10) < 1e-15)
    let e = [1, exp(-2.5), exp(-0.5), exp(-5.0)]
    #expect(maxDifference(found.alpha.row(0), e.map { $0 / e.reduce(0, +) }) < 1e-15)
    let reverse = try contextWeights(centers: centers, .reverse, temperature: .absolute(2))
    let r = [1, exp(2.5), exp(0.5), exp(5.0)]
    #expect(maxDifference(reverse.alpha.row(0), r.map { $0 / r.reduce(0, +) }) < 1e-14)
  }

  @Test("5.6 rows sum to one and a group's own cluster weighs most") func rowsSumToOne() throws {
    for mode in ContextWeighting.allCases {
      let alpha = try contextWeights(centers: centers, mode, temperature: .relative(0.3)).alpha
      for k in 0..<4 { #expect(abs(alpha.row(k).reduce(0, +) - 1) < 1e-14) }
      if mode == .context || mode == .matched { for k in 0..<4 { #expect(alpha.row(k).max() == alpha[k, k]) } }
    }
  }

  @Test("5.6 a large temperature is uniform, a small one matched, also when exp overflows") func limits() throws {
    let hot = try contextWeights(centers: centers, .context, temperature: .absolute(1e12))
    let uniform = try contextWeights(centers: centers, .uniform, temperature: .absolute(1))
    #expect(maxDifference(hot.alpha, uniform.alpha) < 1e-10)
    #expect(hot.entropies.allSatisfy { abs($0 - 1) < 1e-10 })
    let cold = try contextWeights(centers: centers, .context, temperature: .absolute(1e-9))
    let matched = try contextWeights(centers: centers, .matched, temperature: .absolute(1))
    #expect(maxDifference(cold.alpha, matched.alpha) == 0)
    #expect(cold.entropies == [0, 0, 0, 0])
    #expect(
      try contextWeights(centers: centers, .reverse, temperature: .absolute(1e-9)).alpha.values.allSatisfy(\.isFinite))
  }

  @Test("00.9 a relative temperature does not depend on the scale of the model") func relativeTemperature() throws {
    let small = try contextWeights(centers: centers, .context, temperature: .relative(0.3))
    let large = try contextWeights(centers: 100 * centers, .context, temperature: .relative(0.3))
    #expect(maxDifference(small.alpha, large.alpha) < 1e-14)
    #expect(throws: ContextWeightError.temperatureNotPositive(0)) {
      try contextWeights(centers: centers, .context, temperature: .absolute(0))
    }
  }

  /// 40 tokens × 6 neurons in three clusters.
  func tokens() -> (X: Matrix<Double>, label: [Int], clusters: [Moments]) {
    var random = SplitMix(9)
    let X = random.matrix(40, 6)
    X.addToRows([1, 0, -1, 2, 0, 0.5])
    let label = (0..<40).map { _ in Int(random.next() % 3) }
    let clusters = (0..<3).map { c in
      X.gathering(rows: label.indices.filter { label[$0] == c }).columnMoments
    }
    return (X, label, clusters)
  }

  @Test("5.7 F-FANG from cluster moments equals eq. 15 over tokens") func equationFifteen() {
    let (X, label, clusters) = tokens()
    let alpha = Matrix<Double>([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
    let norms = [1.0, 2, 3, 0.5, 1, 4]
    let group = [0, 1, 2, 0, 1, 3]
    let S = reweightedFluctuation(columnNorms: norms, clusters: clusters, group: group, alpha: alpha)
    let mean = twoPassMoments(X).mean
    #expect(maxDifference(globalMean(clusters), mean) < 1e-14)
    for i in 0..<6 {
      var sum = 0.0
      for t in 0..<40 {
        let weight = group[i] < 3 ? alpha[group[i], label[t]] : 1
        sum += weight * (X[t, i] - mean[i]) * (X[t, i] - mean[i])
      }
      #expect(abs(S[i] - norms[i] * norms[i] * sum) < 1e-11)
    }
  }

  @Test("5.7 grouped Grams combine to the weighted Hessian; uniform weights give the plain one over K")
  func combination() {
    let (X, label, _) = tokens()
    let parts = (0..<3).map { c in X.gathering(rows: label.indices.filter { label[$0] == c }) }
    let H = combined(parts.map(\.gram), alpha: [0.5, 0.2, 0.3])
    let expected = 0.5 * parts[0].gram + 0.2 * parts[1].gram + 0.3 * parts[2].gram
    #expect(maxDifference(H, expected) < 1e-12)
    let third = [Double](repeating: 1 / 3.0, count: 3)
    #expect(maxDifference(3 * combined(parts.map(\.gram), alpha: third), X.gram) < 1e-11)
  }
}
