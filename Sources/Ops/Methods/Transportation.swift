import Numerics

// Neurons to groups: a transportation problem with few sinks (FANG's assignment).
//
//     max Σ_j S_{c(j), j}    such that group k gets exactly cap_k neurons
//
// A linear assignment solver would need an n×n table. With K groups it is enough to look at the exchange graph on K
// nodes, whose edge p→q weighs the best gain of moving one neuron of p to q:
//
//     w(p, q) = max over j in group p of (S_qj − S_pj)
//
// Start from c(j) = argmax_k S_kj, which is optimal for the loads it happens to have. Then, while a group is over its
// capacity, move one neuron along every edge of the longest path from an over-full group to an under-full one. A longest
// path leaves no positive cycle behind, so every step is optimal for its loads. O(n (K³ + K² log n)).

/// Who serves where, and the proof that nothing better exists.
package struct Assignment: Sendable, Equatable {
  /// Group of every neuron.
  package var group: [Int]
  /// Σ_j S_{c(j), j}.
  package var total: Double
  /// p_k with S_{c(j),j} − p_{c(j)} ≥ S_qj − p_q for all j and q: no exchange can gain. The smallest is 0.
  package var prices: [Double]
  /// How far the prices miss that inequality, at most; 0 up to rounding for an optimum.
  package var violation: Double
  /// Groups whose scores are all zero: which neurons they get is decided by the needs of the others and by index.
  package var groupsWithoutScores: [Int]
}

/// Why no assignment was made.
package enum AssignmentError: Error, Equatable, CustomStringConvertible {
  case tooFewGroups(Int)
  case tooFewNeurons(neurons: Int, groups: Int)
  case capacitiesDoNotFit(capacity: Int, neurons: Int)
  case badScore(group: Int, neuron: Int, value: String)

  package var description: String {
    switch self {
    case .tooFewGroups(let K): "neurons can be assigned to two groups or more, not to \(K)"
    case .tooFewNeurons(let n, let K): "\(n) neurons are too few for \(K) groups"
    case .capacitiesDoNotFit(let capacity, let n): "the groups have room for \(capacity) neurons, and there are \(n)"
    case .badScore(let k, let j, let value):
      "the score of neuron \(j) for group \(k) is \(value); scores are finite and not negative"
    }
  }
}

/// The best assignment. Ties go by index, so equal scores give equal groups.
///
/// - Parameters:
///   - S: K×n scores, finite.
///   - capacities: K sizes that sum to n.
///   - allowNegative: matching by correlation may have negative scores; affinities may not.
package func assignExactly(_ S: Matrix<Double>, capacities: [Int], allowNegative: Bool = false) throws -> Assignment {
  try validate(S, capacities, allowNegative: allowNegative)
  let (K, n) = (S.rows, S.columns)
  let s = S.T.values  // n×K: the K scores of a neuron side by side
  var exchange = ExchangeGraph(scores: s, groups: K, neurons: n)
  var excess = zip(exchange.loads, capacities).map { $0 - $1 }
  while excess.contains(where: { $0 > 0 }) {
    let path = longestPath(exchange.weights(), from: excess.map { $0 > 0 }, to: excess.map { $0 < 0 })
    // Choose all movers first: each edge was weighed with the groups as they stand.
    let movers = zip(path, path.dropFirst()).map { p, q in (exchange.best(p, q), q) }
    for (j, q) in movers { exchange.move(j, to: q) }
    excess[path[0]] -= 1
    excess[path[path.count - 1]] += 1
  }
  return certified(exchange.group, S)
}

/// The authors' greedy (LLaMA-MoE): the largest remaining score whose group has room is taken first.
/// Not optimal: [[10, 9], [9, 0]] gives 10 where 18 is possible. Ties go to the lower group, then the lower index.
package func assignGreedily(_ S: Matrix<Double>, capacities: [Int]) throws -> Assignment {
  try validate(S, capacities, allowNegative: false)
  let n = S.columns
  let s = S.values
  let order = s.indices.sorted { s[$0] != s[$1] ? s[$0] > s[$1] : $0 < $1 }
  var group = [Int](repeating: -1, count: n)
  var room = capacities
  for place in order {
    let (k, j) = (place / n, place % n)
    if group[j] < 0 && room[k] > 0 {
      group[j] = k
      room[k] -= 1
    }
  }
  return certified(group, S)
}

/// How the rows of S are put on one scale before assignment.
package enum AffinityScale: String, Sendable, CaseIterable {
  case raw, rowsum, rank

  package var meaning: String {
    switch self {
    case .raw: "scores as they are"
    case .rowsum: "each cluster's scores of the neurons outside the shared group sum to 1"
    case .rank: "each cluster's scores as ranks among the neurons outside the shared group, ties by index"
    }
  }
}

/// - Parameter S: K×n.
package func rescaled(_ S: Matrix<Double>, _ scale: AffinityScale) -> Matrix<Double> {
  switch scale {
  case .raw: return S
  case .rowsum:
    return Matrix(
      (0..<S.rows).map { k in
        let row = S.row(k)
        let sum = row.reduce(0, +)
        return sum > 0 ? row.map { $0 / sum } : row
      })
  case .rank:
    return Matrix(
      (0..<S.rows).map { k in
        let row = S.row(k)
        var ranks = row
        for (rank, j) in row.indices.sorted(by: { (row[$0], $1) < (row[$1], $0) }).enumerated() {
          ranks[j] = Double(rank + 1) / Double(row.count)
        }
        return ranks
      })
  }
}

private func validate(_ S: Matrix<Double>, _ capacities: [Int], allowNegative: Bool) throws {
  let (K, n) = (S.rows, S.columns)
  precondition(
    capacities.count == K && capacities.allSatisfy { $0 >= 0 }, "\(capacities.count) capacities for \(K) groups")
  guard K >= 2 || allowNegative else { throw AssignmentError.tooFewGroups(K) }
  guard n >= K else { throw AssignmentError.tooFewNeurons(neurons: n, groups: K) }
  let room = capacities.reduce(0, +)
  guard room == n else { throw AssignmentError.capacitiesDoNotFit(capacity: room, neurons: n) }
  for (place, value) in S.values.enumerated() where !value.isFinite || (value < 0 && !allowNegative) {
    throw AssignmentError.badScore(group: place / n, neuron: place % n, value: "\(value)")
  }
}

// MARK: The exchange graph

/// Groups as nodes; for every ordered pair a heap of the neurons that could move, best gain first.
private struct ExchangeGraph {
  let scores: [Double]  // n×K
  let K: Int
  var group: [Int]
  var loads: [Int]
  private var heaps: [MoverHeap]  // K×K

  init(scores: [Double], groups K: Int, neurons n: Int) {
    self.scores = scores
    self.K = K
    group = (0..<n).map { j in
      var best = 0
      for k in 1..<max(K, 1) where scores[j * K + k] > scores[j * K + best] { best = k }
      return best
    }
    loads = [Int](repeating: 0, count: K)
    var entries = [[MoverHeap.Entry]](repeating: [], count: K * K)
    for j in 0..<n {
      let p = group[j]
      loads[p] += 1
      for q in 0..<K where q != p {
        entries[p * K + q].append(MoverHeap.Entry(gain: scores[j * K + q] - scores[j * K + p], j: j))
      }
    }
    heaps = entries.map { MoverHeap($0) }
  }

  /// K×K, w(p, q); −∞ where p is empty.
  mutating func weights() -> [Double] {
    var w = [Double](repeating: -.infinity, count: K * K)
    for p in 0..<K {
      for q in 0..<K where q != p {
        clean(p, q)
        if let top = heaps[p * K + q].top { w[p * K + q] = top.gain }
      }
    }
    return w
  }

  /// The neuron of p that gains most, or loses least, by moving to q.
  func best(_ p: Int, _ q: Int) -> Int { heaps[p * K + q].top?.j ?? 0 }

  mutating func move(_ j: Int, to q: Int) {
    loads[group[j]] -= 1
    loads[q] += 1
    group[j] = q
    for r in 0..<K where r != q {
      heaps[q * K + r].push(MoverHeap.Entry(gain: scores[j * K + r] - scores[j * K + q], j: j))
    }
  }

  /// Entries of neurons that have left p are removed when they come to the top.
  private mutating func clean(_ p: Int, _ q: Int) {
    while let top = heaps[p * K + q].top, group[top.j] != p { heaps[p * K + q].pop() }
  }
}

/// A binary heap of possible moves, the largest gain on top, ties by index.
private struct MoverHeap {
  struct Entry {
    let gain: Double
    let j: Int
    func precedes(_ other: Entry) -> Bool { gain != other.gain ? gain > other.gain : j < other.j }
  }

  private var entries: [Entry]

  init(_ entries: [Entry]) {
    self.entries = entries
    for i in stride(from: entries.count / 2 - 1, through: 0, by: -1) { sink(i) }
  }

  var top: Entry? { entries.first }

  mutating func push(_ entry: Entry) {
    entries.append(entry)
    var i = entries.count - 1
    while i > 0, entries[i].precedes(entries[(i - 1) / 2]) {
      entries.swapAt(i, (i - 1) / 2)
      i = (i - 1) / 2
    }
  }

  mutating func pop() {
    entries.swapAt(0, entries.count - 1)
    entries.removeLast()
    sink(0)
  }

  private mutating func sink(_ start: Int) {
    var i = start
    while true {
      var first = i
      for child in [2 * i + 1, 2 * i + 2] where child < entries.count && entries[child].precedes(entries[first]) {
        first = child
      }
      if first == i { return }
      entries.swapAt(i, first)
      i = first
    }
  }
}

/// The heaviest walk from a source to a sink (Bellman-Ford by number of edges; there are no positive cycles).
private func longestPath(_ w: [Double], from sources: [Bool], to sinks: [Bool]) -> [Int] {
  let K = sources.count
  var length = sources.map { $0 ? 0 : -Double.infinity }
  var parents: [[Int]] = []
  for _ in 1..<max(K, 2) {
    var next = length
    var parent = [Int](repeating: -1, count: K)
    for p in 0..<K where length[p] > -.infinity {
      for q in 0..<K where q != p && length[p] + w[p * K + q] > next[q] {
        next[q] = length[p] + w[p * K + q]
        parent[q] = p
      }
    }
    length = next
    parents.append(parent)
    if parent.allSatisfy({ $0 < 0 }) { break }
  }
  var end = -1
  for q in 0..<K where sinks[q] && (end < 0 || length[q] > length[end]) { end = q }
  var path = [end]
  for parent in parents.reversed() {
    guard let first = path.first, parent[first] >= 0 else { continue }
    // A cycle in the walk gains nothing but rounding; leave it out.
    if let seen = path.firstIndex(of: parent[first]) {
      path.removeFirst(seen)
    } else {
      path.insert(parent[first], at: 0)
    }
  }
  return path
}

/// Prices as longest-path potentials of the exchange graph, and how well they hold.
private func certified(_ group: [Int], _ S: Matrix<Double>) -> Assignment {
  let (K, n) = (S.rows, S.columns)
  let s = S.T.values
  var w = [Double](repeating: -.infinity, count: K * K)
  for j in 0..<n {
    let p = group[j]
    for q in 0..<K where q != p { w[p * K + q] = max(w[p * K + q], s[j * K + q] - s[j * K + p]) }
  }
  var prices = [Double](repeating: 0, count: K)
  for _ in 0..<K {
    for p in 0..<K { for q in 0..<K where q != p { prices[q] = max(prices[q], prices[p] + w[p * K + q]) } }
  }
  let lowest = prices.min() ?? 0
  prices = prices.map { $0 - lowest }
  var violation = 0.0
  for p in 0..<K { for q in 0..<K where q != p { violation = max(violation, w[p * K + q] + prices[p] - prices[q]) } }
  let total = group.indices.reduce(0) { $0 + s[$1 * K + group[$1]] }
  let silent = (0..<K).filter { k in (0..<n).allSatisfy { s[$0 * K + k] == 0 } }
  return Assignment(group: group, total: total, prices: prices, violation: violation, groupsWithoutScores: silent)
}
