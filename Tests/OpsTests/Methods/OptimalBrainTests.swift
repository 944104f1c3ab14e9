import Numerics
import Ops
import Testing

@Suite struct OptimalBrainTests {
  /// d×n weight and the Gram matrix of correlated inputs.
  func problem(_ seed: UInt64, d: Int = 5, n: Int = 12, tokens: Int = 60) -> (W: Matrix<Double>, X: Matrix<Double>) {
    var random = SplitMix(seed)
    return (random.matrix(d, n), random.matrix(tokens, n) * random.matrix(n, n))
  }

  /// H = X Xᵀ + λI.
  func damped(_ H: Curvature) -> Matrix<Double> {
    let A = H.gram.copy()
    for i in 0..<A.rows { A[i, i] = (A[i, i] > 0 ? A[i, i] : 1) + H.lambda }
    return A
  }

  /// FANG Algorithm 1, literally: pick argmin e, then update G and W.
  func algorithmOne(_ W: Matrix<Double>, _ G: Matrix<Double>, count: Int) -> (
    W: Matrix<Double>, order: [Int], losses: [Double]
  ) {
    let (W, G) = (W.copy(), G.copy())
    var left = Array(0..<W.columns)
    var (order, losses): ([Int], [Double]) = ([], [])
    for _ in 0..<count {
      let e = left.map { j in W.column(j).reduce(0) { $0 + $1 * $1 } / G[j, j] }
      let best = e.indices.min { (e[$0], $0) < (e[$1], $1) } ?? 0
      let p = left.remove(at: best)
      let row = G.rows(p..<(p + 1)).copy()
      let pivot = G[p, p]
      W.add(W.columns(p..<(p + 1)).copy() * row, scaledBy: -1 / pivot)
      G.add(row.T * row, scaledBy: -1 / pivot)
      order.append(p)
      losses.append(e[best])
    }
    for j in order { W.columns(j..<(j + 1)).scale(by: 0) }
    return (W, order, losses)
  }

  /// FANG Algorithm 2, literally: score once, take the r smallest, update once by eq. 10.
  func algorithmTwo(_ W: Matrix<Double>, _ G: Matrix<Double>, count: Int) throws -> (W: Matrix<Double>, M: [Int]) {
    let e = (0..<W.columns).map { j in W.column(j).reduce(0) { $0 + $1 * $1 } / G[j, j] }
    let M = lowest(count, of: e, among: Array(e.indices))
    let G_M = G.gathering(rows: M)
    let H_MM = try cholesky(G_M.gathering(columns: M)).inverse()
    return (W - W.gathering(columns: M) * H_MM * G_M, M)
  }

  @Test("4.1(a) eq. 10 equals the least-squares refit, whichever system is smaller", arguments: [2, 5, 6, 7, 10])
  func refitEqualsUpdate(count: Int) throws {
    let (W, X) = problem(1)
    let H = try curvature(of: X.gram)
    let M = Array([3, 0, 7, 11, 1, 5, 2, 9, 10, 6].prefix(count))
    let R = (0..<12).filter { !M.contains($0) }
    let A = damped(H)
    let A_R = A.gathering(columns: R)
    let expected = W * A_R * (try cholesky(A_R.gathering(rows: R)).inverse())
    for inverse in [nil, H.inverse] {
      let fitted = try refit(W, removed: M, gram: H.gram, lambda: H.lambda, inverse: inverse)
      #expect(maxDifference(fitted.gathering(columns: R), expected) < 1e-11)
      #expect(fitted.gathering(columns: M).values.allSatisfy { $0 == 0 })
    }
  }

  @Test("4.1(b) the damped loss of the refit is tr(W_M (G_MM)⁻¹ W_Mᵀ)") func lossIsTheTrace() throws {
    let (W, X) = problem(2)
    let H = try curvature(of: X.gram)
    let M = [1, 4, 8]
    let difference = W - (try refit(W, removed: M, H))
    let loss = trace(difference * damped(H) * difference.T)
    let expected = try removalLoss(W, H, removed: M)
    #expect(abs(loss - expected) < 1e-10 * loss)
  }

  @Test("4.1(c) greedy ends in the joint refit, and its step losses sum to (b)", arguments: 0..<5)
  func greedyEndsInRefit(seed: Int) throws {
    let (W, X) = problem(UInt64(seed), n: 20)
    let H = try curvature(of: X.gram)
    let literal = algorithmOne(W, H.inverse, count: 9)
    let found = try greedyRemoval(W, overwriting: H.inverse.copy(), dead: [], count: 9)
    #expect(found.order == literal.order)
    #expect(maxDifference(found.losses, literal.losses) < 1e-9 * (literal.losses.last ?? 1))
    #expect(maxDifference(try refit(W, removed: found.order, H), literal.W) < 1e-9)
    let total = try removalLoss(W, H, removed: found.order)
    #expect(abs(found.losses.reduce(0, +) - total) < 1e-9 * total)
  }

  @Test("4.1(d) for one neuron Algorithms 1 and 2 coincide") func oneNeuron() throws {
    let (W, X) = problem(3)
    let H = try curvature(of: X.gram)
    let one = algorithmOne(W, H.inverse, count: 1)
    let two = try algorithmTwo(W, H.inverse, count: 1)
    #expect(one.order == two.M)
    #expect(maxDifference(one.W, two.W) < 1e-12)
    #expect(maxDifference(try refit(W, removed: two.M, H), two.W) < 1e-11)
  }

  @Test("4.1(e) for a diagonal H the score is ‖W_j‖² H_jj and nothing is compensated") func diagonalCurvature() throws {
    let (W, _) = problem(4)
    let H = try curvature(of: .diagonal((1...12).map(Double.init)), damping: 0)
    let e = optimalBrainScores(W, H)
    for j in 0..<12 {
      let expected: Double = W.column(j).reduce(0) { $0 + $1 * $1 } * Double(j + 1)
      #expect(abs(e[j] - expected) < 1e-12 * expected)
    }
    let fitted = try refit(W, removed: [2, 5], H)
    #expect(maxDifference(fitted.gathering(columns: [0, 1, 3]), W.gathering(columns: [0, 1, 3])) < 1e-15)
  }

  @Test("4.2 one-shot scores and refit are Algorithm 2") func oneShot() throws {
    let (W, X) = problem(5)
    let H = try curvature(of: X.gram)
    let literal = try algorithmTwo(W, H.inverse, count: 5)
    let M = lowest(5, of: optimalBrainScores(W, H), among: Array(0..<12))
    #expect(M == literal.M)
    let fitted = try refit(W, removed: M, H)
    #expect(maxDifference(fitted, literal.W) < 1e-10)
  }

  @Test("4.3 blocks and compaction change nothing: 300 columns, 220 removed") func blockedGreedy() throws {
    let (W, X) = problem(6, d: 7, n: 300, tokens: 500)
    let H = try curvature(of: X.gram)
    let literal = algorithmOne(W, H.inverse, count: 220)
    var reports: [Int] = []
    let found = try greedyRemoval(W, overwriting: H.inverse.copy(), dead: [], count: 220) { done, _ in
      reports.append(done)
    }
    #expect(found.order == literal.order)
    for (a, b) in zip(found.losses, literal.losses) { #expect(abs(a - b) < 1e-6 * b) }
    #expect(reports == [64, 128, 192])
    let ranks = found.ranks(columns: 300)
    #expect(lowest(220, of: ranks, among: Array(0..<300)) == found.order)
    let marginal = found.marginalLosses(columns: 300)
    #expect(Set(lowest(220, of: marginal, among: Array(0..<300))) == Set(found.order))
  }

  @Test("greedy gives the same bits for one thread and for many") func threadCount() throws {
    let (W, X) = problem(7, n: 200, tokens: 300)
    let H = try curvature(of: X.gram)
    let before = Parallel.threads
    defer { Parallel.threads = before }
    Parallel.threads = 1
    let one = try greedyRemoval(W, overwriting: H.inverse.copy(), dead: [], count: 120)
    Parallel.threads = 4
    let many = try greedyRemoval(W, overwriting: H.inverse.copy(), dead: [], count: 120)
    #expect(one == many)
  }

  @Test("4.4 a unit's score is the true loss increase of removing it alone") func unitLosses() throws {
    let (W, X) = problem(8)
    let H = try curvature(of: X.gram)
    let e = try unitRemovalLosses(W, H, width: 3)
    for u in 0..<4 {
      let difference = W - (try refit(W, removed: Array((3 * u)..<(3 * u + 3)), H))
      let loss = trace(difference * damped(H) * difference.T)
      #expect(abs(e[u] - loss) < 1e-10 * loss)
    }
  }

  @Test("4.4 greedy over units ends in the joint refit as well") func greedyUnits() throws {
    let (W, X) = problem(9)
    let H = try curvature(of: X.gram)
    let found = try greedyUnitRemoval(W, H, width: 2, count: 3)
    let columns = found.order.flatMap { [2 * $0, 2 * $0 + 1] }
    let total = try removalLoss(W, H, removed: columns)
    #expect(abs(found.losses.reduce(0, +) - total) < 1e-9 * total)
    let first = try unitRemovalLosses(W, H, width: 2)
    #expect(abs(found.losses[0] - (first.min() ?? 0)) < 1e-10 * found.losses[0])
  }

  @Test("4.5 damping is relative: the scale of H changes neither scores' order nor the refit") func scaleInvariance()
    throws
  {
    let (W, X) = problem(10)
    let small = try curvature(of: X.gram)
    let large = try curvature(of: 1000 * X.gram)
    #expect(argsort(optimalBrainScores(W, small)) == argsort(optimalBrainScores(W, large)))
    #expect(maxDifference(try refit(W, removed: [1, 2, 3], small), try refit(W, removed: [1, 2, 3], large)) < 1e-11)
  }

  @Test("4.5 dead inputs go first, cost nothing and do not disturb the rest") func deadInputs() throws {
    let (W, X) = problem(11)
    for t in 0..<X.rows { X[t, 4] = 0 }
    let H = try curvature(of: X.gram)
    #expect(H.dead == [4])
    // The mean of the diagonal is over the eleven live inputs.
    let expected: Double = 0.01 * X.gram.diagonal.reduce(0, +) / 11
    #expect(abs(H.lambda - expected) < 1e-12 * expected)
    #expect(optimalBrainScores(W, H)[4] == 0)
    let live = (0..<12).filter { $0 != 4 }
    let alone = try curvature(of: X.gathering(columns: live).gram)
    let greedy = try greedyRemoval(W, overwriting: H.inverse.copy(), dead: H.dead, count: 5)
    let without = try greedyRemoval(
      W.gathering(columns: live), overwriting: alone.inverse.copy(), dead: [], count: 4)
    #expect(greedy.order == [4] + without.order.map { live[$0] })
    let fitted = try refit(W, removed: greedy.order, H)
    let other = try refit(W.gathering(columns: live), removed: without.order, alone)
    #expect(maxDifference(fitted.gathering(columns: live), other) < 1e-11)
  }

  @Test("4.5 damping climbs a ladder when there are fewer tokens than inputs, and without damping it is an error")
  func ladder() throws {
    let (W, X) = problem(12, n: 12, tokens: 6)
    let damped = try curvature(of: X.gram, damping: 0.01)
    #expect(damped.retries == 0)
    #expect(try refit(W, removed: [0, 1], damped).values.allSatisfy(\.isFinite))
    #expect(throws: OptimalBrainError.self) { try curvature(of: X.gram, damping: 0) }
    // A matrix that is a little indefinite needs more damping than asked for.
    let A = Matrix<Double>.diagonal([1, 1, 1, 1])
    A[0, 1] = 1.0005
    A[1, 0] = 1.0005
    let climbed = try curvature(of: A, damping: 1e-4)
    #expect(climbed.retries == 1 && abs(climbed.damping - 1e-3) < 1e-18)
    A[0, 1] = 3
    A[1, 0] = 3
    #expect(throws: OptimalBrainError.self) { try curvature(of: A, damping: 1e-4) }
  }

  @Test("bad curvature is named") func badCurvature() throws {
    #expect(throws: OptimalBrainError.noSignal) { try curvature(of: Matrix<Double>(rows: 3, columns: 3)) }
    let A = Matrix<Double>.identity(3)
    A[2, 0] = 0.5
    #expect(throws: OptimalBrainError.notSymmetric(row: 2, column: 0)) { try curvature(of: A) }
    A[2, 0] = .nan
    #expect(throws: OptimalBrainError.notFinite(row: 2)) { try curvature(of: A) }
    let (W, X) = problem(13)
    #expect(throws: OptimalBrainError.tooManyRemoved(12, of: 12)) {
      try refit(W, removed: Array(0..<12), try curvature(of: X.gram))
    }
  }

  @Test("center: weight and bias are the joint optimum") func jointOptimum() throws {
    let (W, X) = problem(14)
    X.addToRows([5, -3, 0, 1, 2, 2, 0, 0, -4, 1, 0, 7])
    let mean = X.columnMeans
    let C = centered(X.gram, mean: mean, tokens: X.rows)
    let centeredX = X.copy()
    centeredX.addToRows(mean, scaledBy: -1)
    #expect(maxDifference(C, centeredX.gram) < 1e-9)
    let M = [0, 5, 9]
    let fitted = try refit(W, removed: M, gram: C, lambda: 0)
    let b = centeringBias(W, fitted, mean: mean)
    func loss(_ V: Matrix<Double>, _ bias: [Double]) -> Double {
      let E = X * (W - V).T
      E.addToRows(bias, scaledBy: -1)
      return norm(E)
    }
    let best = loss(fitted, b)
    var random = SplitMix(1)
    for _ in 0..<20 {
      let nudge = random.matrix(5, 12)
      for j in M { nudge.columns(j..<(j + 1)).scale(by: 0) }
      let bias = zip(b, random.normals(5)).map { $0 + 1e-3 * $1 }
      #expect(loss(fitted + 1e-3 * nudge, bias) > best)
    }
  }
}

@Suite struct GroupedBrainTests {
  @Test("5.7 kept columns of other groups keep their bits; each group is refitted by itself") func groupsStayApart()
    throws
  {
    var random = SplitMix(1)
    let W = random.matrix(4, 10)
    let X = random.matrix(50, 10)
    let groups = [[0, 3, 6], [1, 4, 7]]
    let removed = [3, 1]
    let fitted = try refitWithinGroups(
      W, groups: groups, removed: removed, gram: { X.gathering(columns: groups[$0]).gram }, damping: 0.01)
    for j in [2, 5, 8, 9] { #expect(fitted.column(j) == W.column(j)) }
    for (k, members) in groups.enumerated() {
      let H = try curvature(of: X.gathering(columns: members).gram)
      let alone = try refit(W.gathering(columns: members), removed: [k == 0 ? 1 : 0], H)
      #expect(maxDifference(fitted.gathering(columns: members), alone) < 1e-12)
    }
    #expect(fitted.column(3) == [0, 0, 0, 0] && fitted.column(1) == [0, 0, 0, 0])
  }

  @Test("5.7 one group without a shared one is plain OBC") func oneGroupIsPlain() throws {
    var random = SplitMix(2)
    let W = random.matrix(4, 10)
    let X = random.matrix(50, 10)
    let plain = try refit(W, removed: [2, 7, 8], curvature(of: X.gram))
    let grouped = try refitWithinGroups(
      W, groups: [Array(0..<10)], removed: [2, 7, 8], gram: { _ in X.gram }, damping: 0.01)
    #expect(maxDifference(plain, grouped) < 1e-12)
  }

  @Test("5.7 scaling alpha leaves mask and refit unchanged; uniform alpha is unweighted grouped OBC")
  func scalingAlpha() throws {
    var random = SplitMix(3)
    let W = random.matrix(4, 6)
    let grams = (0..<3).map { _ in random.matrix(20, 6).gram }
    let alpha = [0.6, 0.3, 0.1]
    let a = try curvature(of: combined(grams, alpha: alpha))
    let b = try curvature(of: combined(grams, alpha: alpha.map { 17 * $0 }))
    #expect(argsort(optimalBrainScores(W, a)) == argsort(optimalBrainScores(W, b)))
    #expect(maxDifference(try refit(W, removed: [0, 1], a), try refit(W, removed: [0, 1], b)) < 1e-12)
    let uniform = try curvature(of: combined(grams, alpha: [1 / 3.0, 1 / 3.0, 1 / 3.0]))
    let all = try curvature(of: grams[0] + grams[1] + grams[2])
    #expect(maxDifference(try refit(W, removed: [2], uniform), try refit(W, removed: [2], all)) < 1e-12)
  }
}
