import Glibc

// Adaptive sparsity allocation (FANG eq. 8): a block that turns its input much is complex and loses less.

/// How complexity becomes a rate per block.
package enum AllocationRule: String, Sendable, CaseIterable {
  /// Shift and clip into [0.5 sp, 1.5 sp], the mean kept: meets both of the paper's demands.
  case clip
  /// OWL's recipe: width sp, the mean kept, no box.
  case owl
  /// Plain min-max into [0.5 sp, 1.5 sp], read literally; the mean moves.
  case minmax
  /// sp everywhere.
  case uniform
  /// MoDeGPT's: in proportion to softmax(−FC/ε), what exceeds a cap going to the others in the same proportion.
  case softmax
  /// SVD-LLM V2's: in proportion to 1 / ln L, L what a map of the block loses at a uniform rate, and a cap likewise.
  case truncation
  /// As `clip`, with a Taylor score per block in place of functional complexity.
  case taylor

  package var meaning: String {
    switch self {
    case .clip: "complex blocks lose less, between half and one and a half of the rate (FANG)"
    case .owl: "complex blocks lose less, without limits (OWL)"
    case .minmax: "complexity scaled to half and one and a half of the rate; the mean moves"
    case .uniform: "every block the same"
    case .softmax: "in proportion to softmax(-complexity / softness), with a cap (MoDeGPT)"
    case .truncation:
      "each kind of map by itself, in proportion to 1 / ln(what it loses as two factors), with a cap (SVD-LLM V2)"
    case .taylor: "as clip, by the block's output sensitivity"
    }
  }
}

/// Rates per block and how they came out.
package struct Allocation: Sendable, Equatable {
  /// s_l, share of block l's linear parameters to remove.
  package var rates: [Double]
  /// Σ P_l s_l / Σ P_l: what the rates really remove.
  package var mean: Double
  /// All blocks looked equally complex, so the rates are uniform.
  package var isUniformForLackOfContrast: Bool
}

/// Why no rates could be found.
package enum AllocationError: Error, Equatable, CustomStringConvertible {
  case rateOutOfRange(Double)
  case capsTooLow(rate: Double, largest: Double)
  case notFinite(layer: Int)

  package var description: String {
    switch self {
    case .rateOutOfRange(let rate): "a mean rate lies between 0% and 100%, not at \(percent(rate))"
    case .capsTooLow(let rate, let largest):
      "the blocks cannot lose \(percent(rate)) on average; their limits allow \(percent(largest))"
    case .notFinite(let layer): "the complexity of block \(layer) is not a finite number"
    }
  }
}

/// Rates per block with mean `sp`, decreasing in complexity.
///
/// - Parameters:
///   - complexity: FC_l of eq. 8 for `clip`, `owl`, `minmax` and `softmax`; a Taylor score per block for `taylor`;
///     for `truncation` the loss of one kind of map in each block.
///   - parameters: P_l, linear parameters of each block.
///   - sp: the rate to meet on average, weighted by P.
///   - caps: the largest rate each block can bear; empty for none.
///   - temperature: ε of `softmax`.
package func allocate(
  _ rule: AllocationRule, complexity FC: [Double], parameters: [Int], sp: Double, caps: [Double] = [],
  temperature: Double = 0.1
) throws -> Allocation {
  precondition(FC.count == parameters.count && (caps.isEmpty || caps.count == FC.count), "one number per block")
  guard sp >= 0, sp < 1 else { throw AllocationError.rateOutOfRange(sp) }
  if let layer = FC.firstIndex(where: { !$0.isFinite }) { throw AllocationError.notFinite(layer: layer) }
  let P = parameters.map(Double.init)
  let cap = caps.isEmpty ? FC.map { _ in 1.0 } : caps
  let u = unitInterval(FC.map { -$0 })
  let isFlat = u == nil && rule != .uniform
  let s: [Double]
  switch (rule, u) {
  case (.uniform, _), (_, nil):
    s = try waterLevel(FC.map { _ in sp }, from: 0, to: cap, P, mean: sp)
  case (.clip, let u?), (.taylor, let u?):
    s = try waterLevel(u.map { sp * (0.5 + $0) }, from: 0.5 * sp, to: cap.map { min(1.5 * sp, $0) }, P, mean: sp)
  case (.owl, let u?):
    let shift = sp - weightedMean(u.map { sp * $0 }, P)
    let free = u.map { sp * $0 + shift }
    s = zip(free, cap).allSatisfy(<=) ? free : try waterLevel(free, from: 0, to: cap, P, mean: sp)
  case (.softmax, .some):
    // Against the least complex of those that can still lose: else the others' weights vanish where softness is small.
    s = try proportional(upTo: cap, P, mean: sp) { free in
      let least = free.map { FC[$0] }.min() ?? 0
      return free.map { exp((least - FC[$0]) / temperature) }
    }
  case (.truncation, .some):
    s = try proportional(upTo: cap, P, mean: sp) { $0.map { 1 / log(max(FC[$0], exp(1))) } }
  case (.minmax, let u?):
    s = zip(u, cap).map { min(sp * (0.5 + $0), $1) }
  }
  return Allocation(rates: s, mean: weightedMean(s, P), isUniformForLackOfContrast: isFlat)
}

/// clip(x + δ, low, high) with δ such that the weighted mean is `mean`.
///
/// The mean grows with δ from that of the lower bounds to that of the upper ones, so bisection finds δ; the last
/// rounding error goes to the blocks that are not at a bound.
private func waterLevel(
  _ x: [Double], from low: Double, to high: [Double], _ P: [Double], mean: Double
) throws -> [Double] {
  let floor = high.map { min(low, $0) }
  let largest = weightedMean(high, P)
  guard mean <= largest * (1 + 1e-12) else { throw AllocationError.capsTooLow(rate: mean, largest: largest) }
  func level(_ delta: Double) -> [Double] {
    x.indices.map { min(max(x[$0] + delta, floor[$0]), high[$0]) }
  }
  var (below, above) = (-2.0, 2.0)
  for _ in 0..<200 {
    let middle = (below + above) / 2
    if middle <= below || middle >= above { break }
    if weightedMean(level(middle), P) < mean { below = middle } else { above = middle }
  }
  var s = level(above)
  let free = x.indices.filter { s[$0] > floor[$0] && s[$0] < high[$0] }
  let weight = free.reduce(0) { $0 + P[$1] }
  if weight > 0 {
    let miss = (mean - weightedMean(s, P)) * P.reduce(0, +) / weight
    for l in free { s[l] = min(max(s[l] + miss, floor[l]), high[l]) }
  }
  return s
}

/// c w_l, or the cap where that is less, with c such that the weighted mean is `mean`.
///
/// - Parameter weights: w of the blocks that have not reached their caps, up to a common factor.
private func proportional(
  upTo cap: [Double], _ P: [Double], mean: Double, weights: (_ free: [Int]) -> [Double]
) throws -> [Double] {
  let largest = weightedMean(cap, P)
  guard mean <= largest * (1 + 1e-12) else { throw AllocationError.capsTooLow(rate: mean, largest: largest) }
  var s = cap.map { _ in 0.0 }
  // Of a block that has nothing, nothing can go.
  var free = cap.indices.filter { P[$0] > 0 }
  var rest = mean * P.reduce(0, +)
  while !free.isEmpty {
    let w = weights(free)
    let c = max(rest, 0) / zip(free, w).reduce(0) { $0 + P[$1.0] * $1.1 }
    for (l, w) in zip(free, w) { s[l] = min(c * w, cap[l]) }
    let over = zip(free, w).filter { c * $1 > cap[$0] }.map(\.0)
    if over.isEmpty { break }
    rest -= over.reduce(0) { $0 + P[$1] * cap[$1] }
    free.removeAll(where: over.contains)
  }
  return s
}

/// Min-max into [0, 1], nil when all are equal.
private func unitInterval(_ x: [Double]) -> [Double]? {
  guard let low = x.min(), let high = x.max(), high > low else { return nil }
  return x.map { ($0 - low) / (high - low) }
}

private func weightedMean(_ x: [Double], _ P: [Double]) -> Double {
  zip(x, P).reduce(0) { $0 + $1.0 * $1.1 } / max(P.reduce(0, +), .leastNormalMagnitude)
}
