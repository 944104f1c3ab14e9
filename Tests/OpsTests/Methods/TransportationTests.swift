import Glibc
import Numerics
import Ops
import Testing

@Suite struct TransportationTests {
  /// The best total by trying every assignment.
  func bruteForce(_ S: Matrix<Double>, _ capacities: [Int]) -> Double {
    func best(_ j: Int, _ room: [Int]) -> Double {
      if j == S.columns { return 0 }
      var found = -Double.infinity
      for k in room.indices where room[k] > 0 {
        var left = room
        left[k] -= 1
        found = max(found, S[k, j] + best(j + 1, left))
      }
      return found
    }
    return best(0, capacities)
  }

  @Test("5.5 equals brute force on 200 small cases, many with ties", arguments: 0..<200) func bruteForceAgrees(
    seed: Int
  ) throws {
    var random = SplitMix(UInt64(seed))
    let K = 2 + seed % 3
    let n = K + seed % 6
    // Few distinct values make ties.
    let S = Matrix(
      rows: K, columns: n,
      values: (0..<(K * n)).map { _ in
        seed % 2 == 0 ? Double(random.next() % 4) : random.uniform()
      })
    var capacities = [Int](repeating: 0, count: K)
    for _ in 0..<n { capacities[Int(random.next() % UInt64(K))] += 1 }
    let found = try assignExactly(S, capacities: capacities)
    #expect(abs(found.total - bruteForce(S, capacities)) < 1e-12)
    #expect((0..<K).map { k in found.group.count { $0 == k } } == capacities)
    #expect(found.violation < 1e-12)
  }

  @Test("5.5 prices prove the optimum: S of one's own group less its price beats every other") func pricesProve() throws
  {
    var random = SplitMix(5)
    let S = Matrix(rows: 7, columns: 700, values: (0..<4900).map { _ in exp(random.normal()) })
    let found = try assignExactly(S, capacities: [Int](repeating: 100, count: 7))
    for j in 0..<700 {
      let c = found.group[j]
      for q in 0..<7 {
        #expect(S[c, j] - found.prices[c] >= S[q, j] - found.prices[q] - 1e-12)
      }
    }
    #expect(found.prices.min() == 0)
  }

  @Test("5.5 a constant added to a cluster's row or to a neuron's column changes nothing") func constantsChangeNothing()
    throws
  {
    var random = SplitMix(6)
    let S = Matrix(rows: 4, columns: 40, values: (0..<160).map { _ in random.uniform() })
    let capacities = [10, 10, 10, 10]
    let plain = try assignExactly(S, capacities: capacities)
    let row = S.copy()
    for j in 0..<40 { row[2, j] += 3 }
    #expect(try assignExactly(row, capacities: capacities).group == plain.group)
    let column = S.copy()
    for k in 0..<4 { column[k, 17] += 5 }
    #expect(try assignExactly(column, capacities: capacities).group == plain.group)
  }

  @Test("5.5 greedy takes 10 where 18 is possible") func greedyIsNotOptimal() throws {
    let S = Matrix<Double>([[10, 9], [9, 0]])
    #expect(try assignGreedily(S, capacities: [1, 1]).total == 10)
    #expect(try assignExactly(S, capacities: [1, 1]).total == 18)
    #expect(try assignGreedily(S, capacities: [1, 1]).violation > 0)
  }

  @Test("5.5 totals equal SciPy's linear_sum_assignment") func scipyAgrees() throws {
    let arrays = try fixture("assignment.txt")
    for index in 0..<4 {
      let S = try #require(arrays["S\(index)"])
      let capacities = try #require(arrays["capacities\(index)"]).values.map { Int($0) }
      let total = try #require(arrays["total\(index)"])[0, 0]
      let found = try assignExactly(S, capacities: capacities, allowNegative: true)
      #expect(abs(found.total - total) < 1e-10 * abs(total))
    }
  }

  @Test("5.5 9632 neurons in 7 groups are optimal by certificate") func fullSize() throws {
    var random = SplitMix(8)
    let n = 9632
    let values: [Double] = (0..<(7 * n)).map { place in
      exp(2 * random.normal() + 0.1 * Double(place / n))
    }
    let S = Matrix(rows: 7, columns: n, values: values)
    let clock = ContinuousClock()
    let start = clock.now
    let found = try assignExactly(S, capacities: [Int](repeating: n / 7, count: 7))
    let elapsed = clock.now - start
    #expect(found.violation < 1e-9)
    #expect(elapsed < .seconds(1))
    #expect(found.total >= (try assignGreedily(S, capacities: [Int](repeating: n / 7, count: 7))).total)
  }

  @Test("bad input is named") func badInput() {
    let S = Matrix<Double>([[1, 2, 3], [4, 5, 6]])
    #expect(throws: AssignmentError.capacitiesDoNotFit(capacity: 4, neurons: 3)) {
      try assignExactly(S, capacities: [2, 2])
    }
    #expect(throws: AssignmentError.tooFewGroups(1)) { try assignExactly(Matrix<Double>([[1, 2]]), capacities: [2]) }
    #expect(throws: AssignmentError.badScore(group: 1, neuron: 0, value: "-1.0")) {
      try assignExactly(Matrix<Double>([[1, 2], [-1, 2]]), capacities: [1, 1])
    }
    #expect(throws: AssignmentError.tooFewNeurons(neurons: 1, groups: 2)) {
      try assignExactly(Matrix<Double>([[1], [2]]), capacities: [1, 0])
    }
  }

  @Test("a cluster without scores is reported and filled by what the others leave") func silentCluster() throws {
    let found = try assignExactly(Matrix<Double>([[1, 2, 3, 4], [0, 0, 0, 0]]), capacities: [2, 2])
    #expect(found.groupsWithoutScores == [1])
    #expect(found.group == [1, 1, 0, 0])
  }
}

@Suite struct FunctionalGroupsTests {
  @Test("5.4 frequency first, then the larger share of the clusters' scores, then index") func sharedByFrequency() {
    // Top 2 of each cluster: {0, 1}, {0, 2}, {3, 0}: neuron 0 three times, the rest once.
    let S = Matrix<Double>([[9, 8, 1, 0], [5, 0, 4, 1], [3, 1, 0, 6]])
    // Shares: 1: 8/18+0+1/10, 2: 1/18+4/10, 3: 1/10+6/10
    #expect(sharedNeurons(S, size: 2) == [0, 3])
    #expect(sharedNeurons(S, size: 4) == [0, 1, 2, 3])
  }

  @Test("5.4 iterative takes the highest level, then nominates anew") func sharedIteratively() {
    let S = Matrix<Double>([[9, 8, 7, 1], [9, 1, 7, 8], [9, 1, 7, 2]])
    // Round 1 (top 2): 0 by three. Round 2 among 1,2,3: {1,2}, {3,2}, {2,3}: 2 by three.
    #expect(sharedNeurons(S, size: 2, rule: .iterative) == [0, 2])
    // Round 1 truncates by lowest index when a level is too large.
    let flat = Matrix<Double>([[2, 2, 2, 2], [2, 2, 2, 2]])
    #expect(sharedNeurons(flat, size: 3, rule: .iterative) == [0, 1, 2])
  }

  @Test("5.5 sizes: m shared, larger groups first") func sizes() {
    #expect(groupSizes(neurons: 11_008, groups: 7, shared: true) == ([Int](repeating: 1376, count: 7), 1376))
    #expect(groupSizes(neurons: 11_008, groups: 7, shared: false).groups == [1573, 1573, 1573, 1573, 1572, 1572, 1572])
    let odd = groupSizes(neurons: 10, groups: 3, shared: true)
    #expect(odd.groups == [3, 3, 2] && odd.shared == 2)
  }

  @Test("5.5 shared first, the rest assigned to groups of their sizes") func grouping() throws {
    var random = SplitMix(4)
    let S = Matrix(rows: 3, columns: 22, values: (0..<66).map { _ in random.uniform() })
    let found = try functionalGroups(S, shared: .frequency)
    #expect(found.neurons.sizes == [6, 6, 5])
    #expect(found.members(3) == sharedNeurons(S, size: 5))
    #expect(try functionalGroups(S, shared: nil).neurons.sizes == [8, 7, 7])
    #expect(found.violation < 1e-12)
  }

  @Test("row sums and ranks put clusters on one scale") func scales() {
    let S = Matrix<Double>([[1, 3], [20, 10], [0, 0]])
    #expect(rescaled(S, .rowsum).values == [0.25, 0.75, 2 / 3.0, 1 / 3.0, 0, 0])
    #expect(rescaled(S, .rank).values == [0.5, 1, 1, 0.5, 1, 0.5])
  }

  @Test("5.5 random groups have the sizes and repeat with their seed") func random() throws {
    var (a, b) = (SplitMix(3), SplitMix(3))
    let groups = try randomGroups(neurons: 30, groups: 3, shared: true, using: &a)
    #expect(groups.sizes == [8, 8, 7] && groups.group.count { $0 == 3 } == 7)
    #expect(try randomGroups(neurons: 30, groups: 3, shared: true, using: &b) == groups)
  }
}

@Suite struct TaylorAffinityTests {
  @Test("5.3 clusters together make up the unclustered total, and unlabelled tokens count nowhere") func totals() {
    var random = SplitMix(1)
    let (h, g) = (Matrix<Float>(random.matrix(30, 700)), Matrix<Float>(random.matrix(30, 700)))
    let labels = (0..<30).map { $0 % 10 == 9 ? Int32(-1) : Int32($0 % 3) }
    var clustered = TaylorAffinity(clusters: 3, neurons: 700)
    clustered.add(h: h.rows(0..<12), gradient: g.rows(0..<12), labels: Array(labels.prefix(12)))
    clustered.add(h: h.rows(12..<30), gradient: g.rows(12..<30), labels: Array(labels.dropFirst(12)))
    var whole = TaylorAffinity(clusters: 1, neurons: 700)
    whole.add(h: h, gradient: g, labels: labels.map { min($0, 0) })
    #expect(clustered.counts.reduce(0, +) == 27 && whole.counts == [27])
    for j in 0..<700 {
      let sum = (0..<3).reduce(0.0) { $0 + Double(clustered.counts[$1]) * clustered.scores[$1, j] }
      #expect(abs(sum - 27 * whole.scores[0, j]) < 1e-9)
    }
    #expect(abs(clustered.blockScore - whole.blockScore) < 1e-9 * whole.blockScore)
    #expect(abs(whole.blockScore - whole.scores.values.reduce(0, +)) < 1e-9 * whole.blockScore)
  }
}
