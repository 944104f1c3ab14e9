import Numerics

// Which neurons form a group (FANG, "Shared Neuron Group Retention"; the assignment itself is in Transportation.swift).
// S is the cluster-neuron score matrix of eq. 5, K×n.

/// How the shared group is chosen.
package enum SharedRule: String, Sendable, CaseIterable {
  /// FANG: neurons in the top m of most clusters.
  case frequency
  /// LLaMA-MoE: repeatedly only the highest occurring frequency, with lists made anew from what is left.
  case iterative

  package var meaning: String {
    switch self {
    case .frequency: "the neurons that most clusters want"
    case .iterative: "one after the other, with lists made anew (LLaMA-MoE)"
    }
  }
}

/// Sizes of K groups and of the shared one, for n neurons: m = ⌊n/(K+1)⌋ shared, the rest over K, larger groups first.
package func groupSizes(neurons n: Int, groups K: Int, shared: Bool) -> (groups: [Int], shared: Int) {
  let m = shared ? n / (K + 1) : 0
  let rest = n - m
  return ((0..<K).map { rest / K + ($0 < rest % K ? 1 : 0) }, m)
}

/// The m neurons that serve most clusters.
///
/// - Parameters:
///   - S: K×n scores, not negative.
///   - m: how many neurons to share.
/// - Returns: m neurons, ascending.
package func sharedNeurons(_ S: Matrix<Double>, size m: Int, rule: SharedRule = .frequency) -> [Int] {
  precondition(m >= 0 && m <= S.columns, "a shared group of \(m) among \(S.columns)")
  let rows = (0..<S.rows).map(S.row)
  switch rule {
  case .frequency:
    let all = Array(0..<S.columns)
    let frequency = nominations(rows, among: all, top: m)
    // Among equally often nominated neurons, the one with the larger share of all clusters' scores.
    var share = [Double](repeating: 0, count: S.columns)
    for row in rows {
      let sum = row.reduce(0, +)
      if sum > 0 { for j in all { share[j] += row[j] / sum } }
    }
    let order = all.sorted { (-frequency[$0], -share[$0], $0) < (-frequency[$1], -share[$1], $1) }
    return order.prefix(m).sorted()
  case .iterative:
    var taken: [Int] = []
    var left = Array(0..<S.columns)
    while taken.count < m {
      let frequency = nominations(rows, among: left, top: min(m, left.count))
      let most = left.map { frequency[$0] }.max() ?? 0
      let level = left.filter { frequency[$0] == most }.prefix(m - taken.count)
      taken += level
      let gone = Set(level)
      left.removeAll { gone.contains($0) }
    }
    return taken.sorted()
  }
}

/// How many clusters have each neuron in their top m; ties by index.
private func nominations(_ rows: [[Double]], among members: [Int], top m: Int) -> [Int] {
  var count = [Int](repeating: 0, count: rows.first?.count ?? 0)
  for row in rows {
    for j in members.sorted(by: { (-row[$0], $0) < (-row[$1], $1) }).prefix(m) { count[j] += 1 }
  }
  return count
}

/// FANG's groups: the shared ones first, the remaining neurons assigned to K groups.
package struct FunctionalGroups: Sendable, Equatable {
  /// 0..<K, or K for the shared group, for every neuron.
  package var neurons: NeuronGroups
  /// Of the assignment of the neurons that are not shared.
  package var total: Double
  package var prices: [Double]
  package var violation: Double
  package var groupsWithoutScores: [Int]

  /// Neurons of group k, ascending; k = K are the shared ones.
  package func members(_ k: Int) -> [Int] { neurons.group.indices.filter { neurons.group[$0] == k } }
}

/// - Parameters:
///   - S: K×n scores of eq. 5.
///   - shared: the rule for the shared group, nil for none.
///   - isExact: the optimum, or the authors' greedy.
package func functionalGroups(
  _ S: Matrix<Double>, shared rule: SharedRule?, isExact: Bool = true, scale: AffinityScale = .raw
) throws -> FunctionalGroups {
  let (K, n) = (S.rows, S.columns)
  guard K >= 2 else { throw AssignmentError.tooFewGroups(K) }
  guard n >= K + 1 else { throw AssignmentError.tooFewNeurons(neurons: n, groups: K) }
  let sizes = groupSizes(neurons: n, groups: K, shared: rule != nil)
  let common = rule.map { sharedNeurons(S, size: sizes.shared, rule: $0) } ?? []
  var group = [Int](repeating: -1, count: n)
  for j in common { group[j] = K }
  let rest = group.indices.filter { group[$0] < 0 }
  let scores = rescaled(S.gathering(columns: rest), scale)
  let found =
    isExact
    ? try assignExactly(scores, capacities: sizes.groups) : try assignGreedily(scores, capacities: sizes.groups)
  for (place, j) in rest.enumerated() { group[j] = found.group[place] }
  return FunctionalGroups(
    neurons: NeuronGroups(group: group, count: K), total: found.total, prices: found.prices,
    violation: found.violation, groupsWithoutScores: found.groupsWithoutScores)
}

/// The ablation: a random permutation cut into K groups and, if asked for, a shared one.
package func randomGroups(
  neurons n: Int, groups K: Int, shared: Bool, using generator: inout some RandomNumberGenerator
) throws -> NeuronGroups {
  guard K >= 1 else { throw AssignmentError.tooFewGroups(K) }
  guard n >= K + (shared ? 1 : 0) else { throw AssignmentError.tooFewNeurons(neurons: n, groups: K) }
  let sizes = groupSizes(neurons: n, groups: K, shared: shared)
  var order = Array(0..<n)
  // Fisher-Yates with a plain modulus of 64 bits: its bias is below 1e-14, and it never depends on the library.
  for i in stride(from: n - 1, to: 0, by: -1) { order.swapAt(i, Int(generator.next() % UInt64(i + 1))) }
  var group = [Int](repeating: K, count: n)
  var start = 0
  for (k, size) in sizes.groups.enumerated() {
    for j in order[start..<(start + size)] { group[j] = k }
    start += size
  }
  return NeuronGroups(group: group, count: K)
}
