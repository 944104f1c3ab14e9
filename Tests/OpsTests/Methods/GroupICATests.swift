import Numerics
import Ops
import Testing

@Suite struct GroupICATests {
  /// T×N signals of k block-sparse networks with a little noise, and the networks.
  func signals(_ seed: UInt64, T: Int = 120, N: Int = 1200, k: Int = 6, noise: Double = 0.05, disjoint: Bool = false)
    -> (X: Matrix<Float>, S: Matrix<Double>)
  {
    var random = SplitMix(seed)
    let S = Matrix<Double>(rows: k, columns: N)
    for j in 0..<N {
      if disjoint {
        S[j % k, j] = (random.next() % 2 == 0 ? 1 : -1) * (0.5 + random.uniform())
      } else {
        for i in 0..<k where random.uniform() < 0.15 { S[i, j] = random.laplace() }
      }
    }
    let X = random.matrix(T, k) * S + noise * random.matrix(T, N)
    return (Matrix<Float>(X), S)
  }

  func halves(_ X: Matrix<Float>) -> [Matrix<Float>] {
    [X.columns(0..<(X.columns / 2)), X.columns((X.columns / 2)..<X.columns)]
  }

  func networks(_ Z: ScaledSignals, _ B: Matrix<Double>, seed: Int = 0) throws -> FunctionalNetworks {
    let Y1 = try whitened(B)
    let W = try unmixing(Y1, seed: seed, name: "test", tolerance: 1e-8).W
    return functionalNetworks(Y1, W: W, signals: Z)
  }

  @Test(
    "2.2 the shared subspace is that of the singular vectors of Z, whichever side is smaller",
    arguments: [(T: 120, N: 1200), (T: 1500, N: 240)])
  func subspaceIsThatOfSVD(_ T: Int, _ N: Int) throws {
    let (X, _) = signals(1, T: T, N: N)
    let Z = try ScaledSignals(halves(X))
    let found = try sharedSubspace(Z, components: 5)
    let standard = Matrix<Double>(X)
    let moments = standard.columnMoments
    standard.addToRows(moments.mean, scaledBy: -1)
    standard.scaleColumns(by: moments.standardDeviation(ddof: 1).map { 1 / $0 })
    let (_, s, VT) = try svd(standard)
    for i in 0..<5 { #expect(abs(found.values[i] - s[i] * s[i]) < 1e-4 * found.values[0]) }
    let cosines = (found.B * VT.rows(0..<5).T).diagonal.map { abs($0) }
    #expect(cosines.allSatisfy { abs($0 - 1) < 1e-4 })
    #expect(maxDifference(found.B * found.B.T, .identity(5)) < 1e-4)
    for i in 0..<5 { #expect((found.B.row(i).max() ?? 0) >= -(found.B.row(i).min() ?? 0)) }
    let total = s.reduce(0) { $0 + $1 * $1 }
    #expect(abs(found.explained[0] - s[0] * s[0] / total) < 1e-5)
  }

  @Test("2.2 planted networks come back from centred signals") func plantedNetworks() throws {
    let (X, S) = signals(2)
    let Z = try ScaledSignals(halves(X), scale: .center)
    let found = try networks(Z, sharedSubspace(Z, components: 6).B)
    #expect((matchNetworks(found.z, S).similarity.min() ?? 0) > 0.98)
  }

  @Test("0.5 disjoint networks come back through the z-score as well") func disjointNetworks() throws {
    let (X, S) = signals(3, k: 12, disjoint: true)
    let signs = S.map { $0 > 0 ? 1 : $0 < 0 ? -1 : 0 }
    let Z = try ScaledSignals(halves(X))
    let found = try networks(Z, sharedSubspace(Z, components: 12).B)
    #expect((matchNetworks(found.z, signs).similarity.min() ?? 0) > 0.9)
  }

  @Test("2.3 networks have mean 0, variance 1, no correlation, a positive peak, and fall in explained variance")
  func canonicalForm() throws {
    let (X, _) = signals(4)
    let Z = try ScaledSignals(halves(X))
    let subspace = try sharedSubspace(Z, components: 6)
    let found = try networks(Z, subspace.B)
    let N = found.z.columns
    #expect(maxDifference(1 / Double(N - 1) * (found.z * found.z.T), .identity(6)) < 1e-9)
    #expect(found.z.T.columnMeans.allSatisfy { abs($0) < 1e-10 })
    for i in 0..<6 { #expect((found.z.row(i).max() ?? 0) >= -(found.z.row(i).min() ?? 0)) }
    #expect(found.explained == found.explained.sorted(by: >))
    // Together the networks explain what the subspace does, but for its row means.
    let (whole, parts) = (subspace.explained.reduce(0, +), found.explained.reduce(0, +))
    #expect(abs(whole - parts) < 0.02 * whole)
    #expect(found.kurtosis.allSatisfy { $0 > 0 })
  }

  @Test("2.3 the sum of squares over networks is what ica=none gives: N times the leverage") func rotationInvariance()
    throws
  {
    let (X, _) = signals(5)
    let Z = try ScaledSignals(halves(X))
    let Y1 = try whitened(sharedSubspace(Z, components: 6).B)
    let W = try unmixing(Y1, seed: 0, name: "test").W
    let rotated = functionalNetworks(Y1, W: W, signals: Z)
    let plain = functionalNetworks(Y1, W: .identity(6), signals: Z)
    let a = keyNeuronScores(rotated.z, halves: 1, .sumOfSquares)
    let b = keyNeuronScores(plain.z, halves: 1, .sumOfSquares)
    #expect(maxDifference(a, b) < 1e-9 * (a.max() ?? 1))
    let N = Double(Y1.columns)
    let leverage = (0..<Y1.columns).map { j in Y1.column(j).reduce(0) { $0 + $1 * $1 } * (N - 1) / N }
    #expect(maxDifference(a, leverage) < 1e-9 * (a.max() ?? 1))
  }

  @Test("2.3 the OR of thresholded maps is the maximum rule, for every threshold", arguments: [0.5, 1.5, 3, 6])
  func maximumRule(threshold: Double) {
    var random = SplitMix(6)
    let runs = (0..<3).map { _ in random.matrix(5, 40) }
    var scores = [Double](repeating: 0, count: 20)
    var mask = [Bool](repeating: false, count: 20)
    for z in runs {
      scores = zip(scores, keyNeuronScores(z, halves: 2)).map(max)
      for i in 0..<5 { for j in 0..<40 where abs(z[i, j]) > threshold { mask[j % 20] = true } }
    }
    #expect(scores.map { $0 > threshold } == mask)
    let counts = runs.map { keyNeuronScores($0, halves: 2, .count(above: threshold)) }
      .reduce([Double](repeating: 0, count: 20)) { zip($0, $1).map(+) }
    #expect(counts.map { $0 > 0 } == mask)
  }

  @Test("2.5 a subject's amplitude does not matter to the canonical step, and does to the stacked one")
  func subjectAmplitude() throws {
    let (X, _) = signals(7)
    let subjects = Parallel.ranges(120, of: 30)
    let loud = X.copy()
    loud.rows(subjects[1]).scale(by: 20)
    func canonical(_ X: Matrix<Float>) throws -> Matrix<Double> {
      let Z = try ScaledSignals(halves(X), scale: .zscorePerSubject, subjects: subjects)
      return try canonicalSubspace(Z, subjects: subjects, subjectComponents: 6, components: 6).B
    }
    func stacked(_ X: Matrix<Float>) throws -> Matrix<Double> {
      try sharedSubspace(ScaledSignals(halves(X), scale: .center), components: 6).B
    }
    // Subspaces agree when all cosines between them are 1.
    func smallestCosine(_ a: Matrix<Double>, _ b: Matrix<Double>) throws -> Double { try svd(a * b.T).s.last ?? 0 }
    #expect(try smallestCosine(canonical(X), canonical(loud)) > 1 - 1e-5)
    #expect(try smallestCosine(stacked(X), stacked(loud)) < 1 - 1e-4)
  }

  @Test("2.5 with one subject and p = k the canonical space is the stacked one") func oneSubject() throws {
    let (X, _) = signals(8)
    let Z = try ScaledSignals(halves(X))
    let a = try canonicalSubspace(Z, subjects: [0..<120], subjectComponents: 6, components: 6).B
    let b = try sharedSubspace(Z, components: 6).B
    #expect((try svd(a * b.T).s.last ?? 0) > 1 - 1e-5)
  }

  @Test("00.3 constant signals are zero and counted; too many of them are an error") func deadSignals() throws {
    let (X, _) = signals(9, N: 200)
    for t in 0..<120 { X[t, 17] = 3 }
    let Z = try ScaledSignals(halves(X))
    #expect(Z.dead == [17])
    let found = try networks(Z, sharedSubspace(Z, components: 4).B)
    // Its map value is the shared shift of the row, the same as for a column of zeros.
    #expect(found.z.column(17).allSatisfy { abs($0) < 0.3 })
    for t in 0..<120 { for j in 0..<120 { X[t, j] = 1 } }
    #expect(throws: NetworkError.mostlyConstant(constant: 120, columns: 200)) { try ScaledSignals(halves(X)) }
  }

  @Test("bad input is named") func badInput() throws {
    let (X, _) = signals(10, T: 10, N: 60, k: 3, noise: 0, disjoint: true)
    #expect(throws: NetworkError.tooFewTokens(1)) { try ScaledSignals([X.rows(0..<1)]) }
    let Z = try ScaledSignals([X], scale: .center)
    #expect(throws: NetworkError.tooManyComponents(asked: 10, largest: 9)) { try sharedSubspace(Z, components: 10) }
    #expect(throws: NetworkError.rankTooLow(rank: 3, asked: 5)) { try sharedSubspace(Z, components: 5) }
    X[3, 40] = .infinity
    #expect(throws: NetworkError.notFinite(column: 40)) { try ScaledSignals([X]) }
  }

  @Test("a set of networks matches its own permutation with similarity 1") func matching() throws {
    var random = SplitMix(11)
    let z = random.matrix(7, 90)
    let order = [3, 0, 6, 1, 5, 2, 4]
    let shuffled = z.gathering(rows: order)
    shuffled.scaleRows(by: [1, -2, 3, -1, 1, 1, -5])
    let match = matchNetworks(z, shuffled)
    for i in 0..<7 { #expect(order[match.partner[i]] == i) }
    #expect(match.similarity.allSatisfy { abs($0 - 1) < 1e-12 })
    #expect(matchNetworks(z.rows(0..<3), shuffled).partner == Array(match.partner.prefix(3)))
  }
}
