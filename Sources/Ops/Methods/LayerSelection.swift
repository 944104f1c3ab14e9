import Transformer

// Selection inside layers and inside groups of neurons: every layer loses a given share of its own parameters.

/// How many units a layer loses.
package typealias LayerCounts = PerModule<Int>

/// FANG's groups as selection sees them: neuron j may only compete with neurons of its own group.
package struct NeuronGroups: Sendable, Equatable {
  /// Group of every neuron: 0..<count, or `count` for the shared group, which is exempt.
  package var group: [Int]
  /// K, without the shared group.
  package var count: Int

  package init(group: [Int], count: Int) {
    self.group = group
    self.count = count
  }

  /// Neurons per group 0..<K, without the shared ones.
  package var sizes: [Int] {
    var sizes = [Int](repeating: 0, count: count)
    for k in group where k < count { sizes[k] += 1 }
    return sizes
  }
}

/// Prunes each layer at its own rate (FLAP's UL; FANG; every method with `rates=`).
///
/// A rate becomes counts as follows: attention units first, a = round(s·units) with halves up, then neurons so that the
/// block meets its parameter target, p = round((s·P − removed attention parameters) / parameters of a neuron). With
/// `couple` off the neurons are rounded by themselves, p = round(s·n). Ties in scores go by index.
///
/// - Parameters:
///   - rates: s_l, share of the block's linear parameters to remove, one per layer.
///   - groups: one per layer, or empty. Group k loses floor(p·m_k/Σm), and the largest remainders one more.
package func selectPerLayer(
  _ layers: [ScoredLayer], model: Int, rates: [Double], groups: [NeuronGroups] = [], couple: Bool = true
) throws -> Selection {
  guard rates.count == layers.count else {
    throw SelectionError.ratesDoNotMatch(rates: rates.count, layers: layers.count)
  }
  precondition(groups.isEmpty || groups.count == layers.count, "\(groups.count) groupings for \(layers.count) layers")
  let counts = try layers.enumerated().map { l, layer in
    try layerCounts(layer, rate: rates[l], groups: groups.isEmpty ? nil : groups[l], couple: couple, layer: l)
  }
  return try selectLowest(counts, of: layers, model: model, groups: groups)
}

/// Prunes as many units of each layer and module as `counts` says.
package func selectLowest(
  _ counts: [LayerCounts], of layers: [ScoredLayer], model: Int, groups: [NeuronGroups] = []
) throws -> Selection {
  let keep = try layers.enumerated().map { l, layer in
    try pruneLowest(layer, counts[l], groups: groups.isEmpty ? nil : groups[l], layer: l)
  }
  return Selection(keep, of: layers, model: model)
}

/// The same rate s for every layer that has anything to prune, such that rate · base parameters go in all.
///
/// - Returns: one rate per layer; 0 for a layer that is protected whole.
package func uniformRates(
  _ layers: [ScoredLayer], model: Int, rate: Double, base: RateBase, groups: [NeuronGroups] = []
) throws -> [Double] {
  guard rate >= 0, rate < 1 else { throw SelectionError.rateOutOfRange(rate) }
  let open = layers.map { $0.prunableParameters > 0 }
  let blocks = layers.reduce(0) { $0 + $1.parameters }
  let whole = Double(base == .total ? model : blocks)
  let carrying = Double(zip(layers, open).reduce(0) { $0 + ($1.1 ? $1.0.parameters : 0) })
  let s = carrying > 0 ? rate * whole / carrying : 0
  let limits = zip(layers.indices, open).compactMap { l, isOpen in
    isOpen ? (rate: largestRate(layers[l], groups: groups.isEmpty ? nil : groups[l]), layer: l) : nil
  }
  let tightest = limits.min { $0.rate < $1.rate }
  let largest = tightest?.rate ?? 0
  guard s <= largest || rate == 0 else {
    throw SelectionError.rateTooHigh(
      rate, largest: largest * carrying / max(whole, 1), base: base, layer: tightest?.layer)
  }
  return open.map { $0 ? s : 0 }
}

/// Rate to counts, 5.8's last paragraph.
package func layerCounts(
  _ layer: ScoredLayer, rate s: Double, groups: NeuronGroups? = nil, couple: Bool = true, layer l: Int
) throws -> LayerCounts {
  guard s >= 0, s < 1 else { throw SelectionError.rateOutOfRange(s) }
  let counts = roundedCounts(layer, rate: s, couple: couple)
  guard counts.ffn <= neuronLimit(layer, groups: groups) else {
    throw SelectionError.layerRateTooHigh(s, largest: largestRate(layer, groups: groups), layer: l)
  }
  return counts
}

/// The largest rate such that it and every smaller one leave a unit in each module and in each group.
package func largestRate(_ layer: ScoredLayer, groups: NeuronGroups? = nil) -> Double {
  largestRate(layer, neurons: neuronLimit(layer, groups: groups))
}

/// The largest rate such that it and every smaller one take `limit` neurons at most, and leave a unit of attention.
package func largestRate(_ layer: ScoredLayer, neurons limit: Int) -> Double {
  let P = Double(max(layer.parameters, 1))
  let w = Double(layer.ffn.parameters)
  if layer.ffn.scores.isEmpty { return Double(layer.attention.prunable * layer.attention.parameters) / P }
  let units = layer.attention.scores.count
  // Between two jumps of the attention count the neurons grow with s; look for the first stretch that overflows.
  for a in 0...layer.attention.prunable {
    let removed = Double(a * layer.attention.parameters)
    let bound = (removed + (Double(limit) + 0.49) * w) / P
    let end = a < layer.attention.prunable ? (Double(a) + 0.5) / Double(units) : .infinity
    if bound < end { return min(max(bound, 0), 1 - 1e-9) }
  }
  return 1 - 1e-9
}

private func roundedCounts(_ layer: ScoredLayer, rate s: Double, couple: Bool) -> LayerCounts {
  let P = Double(layer.parameters)
  if layer.ffn.scores.isEmpty {
    guard layer.attention.parameters > 0 else { return LayerCounts(attention: 0, ffn: 0) }
    let a = halfUp(s * P / Double(layer.attention.parameters))
    return LayerCounts(attention: min(a, layer.attention.prunable), ffn: 0)
  }
  let a = min(halfUp(s * Double(layer.attention.scores.count)), layer.attention.prunable)
  if !couple { return LayerCounts(attention: a, ffn: halfUp(s * Double(layer.ffn.scores.count))) }
  let rest = s * P - Double(a * layer.attention.parameters)
  return LayerCounts(attention: a, ffn: max(halfUp(rest / Double(layer.ffn.parameters)), 0))
}

/// Rounding with halves up. Sums like 0.3·10 miss the half by an ulp, hence the small allowance.
private func halfUp(_ x: Double) -> Int { Int((x + 0.5 + 1e-9).rounded(.down)) }

/// How many neurons a layer can lose: each group keeps at least one.
private func neuronLimit(_ layer: ScoredLayer, groups: NeuronGroups?) -> Int {
  guard let groups else { return layer.ffn.prunable }
  let sizes = prunableSizes(layer, groups)
  // The most p such that every group's part of p stays below its size.
  var (low, high) = (0, sizes.free.reduce(0, +))
  while low < high {
    let middle = (low + high + 1) / 2
    let parts = partition(middle, sizes: sizes.whole)
    if zip(parts, sizes.free).allSatisfy({ $0 <= $1 }) { low = middle } else { high = middle - 1 }
  }
  return low
}

/// Sizes of the groups, and how many of each may go: all but protected ones, and never the last.
private func prunableSizes(_ layer: ScoredLayer, _ groups: NeuronGroups) -> (whole: [Int], free: [Int]) {
  let whole = groups.sizes
  var free = [Int](repeating: 0, count: groups.count)
  for j in layer.ffn.free where groups.group[j] < groups.count { free[groups.group[j]] += 1 }
  for k in free.indices where free[k] == whole[k] { free[k] = max(free[k] - 1, 0) }
  return (whole, free)
}

/// `total` cut in proportion to `sizes`: the floor to each, the rest by largest remainder, ties to the first.
/// With equal sizes the first `total mod K` get one more (5.7).
package func partition(_ total: Int, sizes: [Int]) -> [Int] {
  let whole = sizes.reduce(0, +)
  guard whole > 0 else { return sizes.map { _ in 0 } }
  var parts = sizes.map { total * $0 / whole }
  let remainders = sizes.map { total * $0 % whole }
  let order = sizes.indices.sorted { (remainders[$0], $1) > (remainders[$1], $0) }
  for k in order.prefix(total - parts.reduce(0, +)) { parts[k] += 1 }
  return parts
}

private func pruneLowest(
  _ layer: ScoredLayer, _ counts: LayerCounts, groups: NeuronGroups?, layer l: Int
) throws -> LayerKeep {
  try requireNumbers([layer], first: l)
  var keep = layer.everything
  for u in lowest(counts.attention, of: layer.attention.scores, among: layer.attention.free) {
    keep.attention[u] = false
  }
  let (scores, free) = (layer.ffn.scores, layer.ffn.free)
  guard let groups else {
    for j in lowest(counts.ffn, of: scores, among: free) { keep.ffn[j] = false }
    return keep
  }
  precondition(groups.group.count == scores.count, "\(groups.group.count) groups of \(scores.count) neurons")
  let sizes = groups.sizes
  for (k, r) in partition(counts.ffn, sizes: sizes).enumerated() {
    let members = free.filter { groups.group[$0] == k }
    guard r < sizes[k] || r == 0, r <= members.count else {
      throw SelectionError.groupEmptied(group: k, layer: l, prune: r, size: sizes[k])
    }
    for j in lowest(r, of: scores, among: members) { keep.ffn[j] = false }
  }
  return keep
}

/// The `count` members of lowest score, ties by index.
package func lowest(_ count: Int, of scores: [Double], among members: [Int]) -> [Int] {
  Array(members.sorted { (scores[$0], $0) < (scores[$1], $1) }.prefix(max(count, 0)))
}
