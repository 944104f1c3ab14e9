import Transformer

// From scores to masks, exact to one unit.
//
// A rate is a share of parameters. Two questions differ between papers and are arguments here: which units compete with
// each other (the whole model, a window of layers, one layer, one group), and what the rate is a share of.

/// The structural units of one module of a block as selection sees them.
package struct ScoredUnits: Sendable {
  /// Score per unit; empty when the module is not to be pruned.
  package var scores: [Double]
  /// Parameters that go with one unit: d·d_h·(2g+2) with an attention group, 3d with a neuron of a gated FFN.
  package var parameters: Int
  /// Which units must stay; empty: none must.
  package var protected: [Bool]

  package init(scores: [Double], parameters: Int, protected: [Bool] = []) {
    precondition(protected.isEmpty || protected.count == scores.count)
    self.scores = scores
    self.parameters = parameters
    self.protected = protected
  }
}

/// One block as selection sees it.
package struct ScoredLayer: Sendable {
  package var units: PerModule<ScoredUnits>
  /// Linear parameters of the block.
  package var parameters: Int

  package init(units: PerModule<ScoredUnits>, parameters: Int) {
    self.units = units
    self.parameters = parameters
  }

  /// The layer with every unit protected.
  package var protected: ScoredLayer {
    ScoredLayer(
      units: units.map { units in
        ScoredUnits(
          scores: units.scores, parameters: units.parameters,
          protected: [Bool](repeating: true, count: units.scores.count))
      }, parameters: parameters)
  }

  package var attention: ScoredUnits { units.attention }
  package var ffn: ScoredUnits { units.ffn }
}

/// What a rate is a share of.
package enum RateBase: String, Sendable, CaseIterable {
  case block, total, module

  package var meaning: String {
    switch self {
    case .module: "the linear parameters of those modules of the blocks whose units are ranked, as MoDeGPT counts"
    case .block: "the linear parameters of the blocks, as FLAP and FANG count"
    case .total: "all parameters of the model, as CanICA counts"
    }
  }
}

extension RateBase {
  fileprivate var words: String {
    switch self {
    case .block: "the blocks' parameters"
    case .total: "all parameters"
    case .module: "the ranked modules' parameters"
    }
  }
}

/// Which units of a layer stay.
package typealias LayerKeep = PerModule<[Bool]>

/// A mask and what it really removes.
package struct Selection: Sendable, Equatable {
  package var layers: [LayerKeep]
  /// Parameters removed.
  package var removed: Int
  /// Removed over the linear parameters of all blocks.
  package var blockRate: Double
  /// Removed over all parameters of the model.
  package var totalRate: Double
  /// The largest score that was pruned; nil when nothing was.
  package var largestPruned: Double?
  /// Units that stayed only because their layer would have been left empty.
  package var guarded: Int

  init(_ keep: [LayerKeep], of layers: [ScoredLayer], model: Int, guarded: Int = 0) {
    self.layers = keep
    self.guarded = guarded
    removed = 0
    for (mask, layer) in zip(keep, layers) {
      for module in Module.allCases {
        let units = layer.units[module]
        for (score, stays) in zip(units.scores, mask[module]) where !stays {
          removed += units.parameters
          largestPruned = max(largestPruned ?? score, score)
        }
      }
    }
    blockRate = Double(removed) / Double(max(layers.reduce(0) { $0 + $1.parameters }, 1))
    totalRate = Double(removed) / Double(max(model, 1))
  }
}

/// Why no mask could be made. Numbers of layers, groups and units count from 0.
package enum SelectionError: Error, Equatable, CustomStringConvertible {
  case rateOutOfRange(Double)
  /// - Parameter layer: the one that cannot lose more, where each loses the same share.
  case rateTooHigh(Double, largest: Double, base: RateBase, layer: Int? = nil)
  case layerRateTooHigh(Double, largest: Double, layer: Int)
  case groupEmptied(group: Int, layer: Int, prune: Int, size: Int)
  case scoreIsNotANumber(layer: Int, unit: String, index: Int)
  case ratesDoNotMatch(rates: Int, layers: Int)

  package var description: String {
    switch self {
    case .rateOutOfRange(let rate):
      "a pruning rate lies between 0% and 100%, not at \(percent(rate))"
    case .rateTooHigh(let rate, let largest, let base, let layer?):
      "\(percent(rate)) of \(base.words) cannot be removed; what is protected, shared or last of its group "
        + "in layer \(layer) leaves \(percent(atMost: largest)) at most"
    case .rateTooHigh(let rate, let largest, let base, nil):
      "\(percent(rate)) of \(base.words) cannot be removed; "
        + "what is protected and one unit per layer leave \(percent(atMost: largest)) at most"
    case .layerRateTooHigh(let rate, let largest, let layer):
      "layer \(layer) cannot lose \(percent(rate)) of its parameters; "
        + "what is protected, shared or last of its group leaves \(percent(atMost: largest)) at most"
    case .groupEmptied(let group, let layer, let prune, let size):
      "group \(group) of layer \(layer) would lose \(prune) of its \(size) neurons and must keep at least one"
    case .scoreIsNotANumber(let layer, let unit, let index):
      "the score of \(unit) \(index) in layer \(layer) is not a number"
    case .ratesDoNotMatch(let rates, let layers):
      "there are rates for \(rates) layers and scores for \(layers)"
    }
  }
}

/// 0.1234 as `12.34%`, 0.3 as `30%`.
func percent(_ rate: Double) -> String {
  guard rate.isFinite, abs(rate) < 1e6 else { return "\(rate)" }
  let hundredths = Int((rate * 10_000).rounded())
  var digits = "\(abs(hundredths) % 100)"
  if digits.count < 2 { digits = "0" + digits }
  while digits.hasSuffix("0") { digits.removeLast() }
  return "\(hundredths < 0 ? "-" : "")\(abs(hundredths) / 100)\(digits.isEmpty ? "" : ".")\(digits)%"
}

/// The same rounded down, so that what is said to be possible is.
private func percent(atMost rate: Double) -> String { percent((rate * 10_000 + 1e-6).rounded(.down) / 10_000) }

// MARK: Units that compete across layers

/// Prunes the lowest-scoring units of the whole model, whatever layer they are in (FLAP's AL-AM, CanICA).
///
/// Units stand in the order (score, layer, attention first, index); the prefix whose parameters come nearest to
/// rate · base goes, the longer one of two equally near. A layer keeps its best attention unit and its best neuron; what
/// this saves is not taken elsewhere.
///
/// - Parameters:
///   - model: all parameters of the model.
///   - window: layers that compete with each other; nil for all. Each window of so many consecutive layers bears the
///     share of the whole that its prunable parameters have.
package func selectGlobally(
  _ layers: [ScoredLayer], model: Int, rate: Double, base: RateBase, window: Int? = nil
) throws -> Selection {
  guard rate >= 0, rate < 1 else { throw SelectionError.rateOutOfRange(rate) }
  try requireNumbers(layers)
  let whole = Double(base == .total ? model : layers.reduce(0) { $0 + $1.parameters })
  let prunable = layers.map(\.prunableParameters)
  let largest = Double(prunable.reduce(0, +))
  let target = rate * whole
  let unit = layers.map(\.smallestUnit).min() ?? 0
  guard target <= largest + Double(unit) / 2 else {
    throw SelectionError.rateTooHigh(rate, largest: largest / whole, base: base)
  }
  let size = max(window ?? layers.count, 1)
  var keep = layers.map(\.everything)
  var guarded = 0
  for start in stride(from: 0, to: layers.count, by: size) {
    let members = start..<min(start + size, layers.count)
    let share = Double(members.reduce(0) { $0 + prunable[$1] }) / max(largest, 1)
    let order = members.flatMap { layers[$0].candidates(layer: $0) }.sorted()
    for candidate in order.prefix(nearestPrefix(order, to: target * share)) { keep[candidate.layer].drop(candidate) }
    for layer in members { guarded += keep[layer].restoreBest(of: layers[layer]) }
  }
  return Selection(keep, of: layers, model: model, guarded: guarded)
}

/// Units of all layers compete, but only with those of their own module, and every module of a layer keeps at least a
/// tenth of its units: scores of heads and of neurons are sums of unlike many terms (the budgets of our reading of SoBP).
///
/// Each module bears rate · its share; the last makes up for what the others' sizes cannot meet.
package func selectModuleByModule(
  _ layers: [ScoredLayer], model: Int, rate: Double, base: RateBase
) throws -> Selection {
  guard rate >= 0, rate < 1 else { throw SelectionError.rateOutOfRange(rate) }
  try requireNumbers(layers)
  let whole = Double(base == .total ? model : layers.reduce(0) { $0 + $1.parameters })
  let guarded = layers.map { layer in
    ScoredLayer(units: layer.units.map(\.sparingTheBestTenth), parameters: layer.parameters)
  }
  func size(_ module: Module) -> Double {
    layers.reduce(0) { $0 + Double($1.units[module].scores.count * $1.units[module].parameters) }
  }
  let all = Module.allCases.reduce(0) { $0 + size($1) }
  var keep = layers.map(\.everything)
  var removed = 0.0
  var target = 0.0
  for module in Module.allCases {
    target += all > 0 ? rate * whole * size(module) / all : 0
    let order = guarded.indices.flatMap { guarded[$0].candidates(layer: $0) }.filter { $0.module == module }.sorted()
    let chosen = order.prefix(nearestPrefix(order, to: target - removed))
    for candidate in chosen { keep[candidate.layer].drop(candidate) }
    removed += chosen.reduce(0) { $0 + Double($1.parameters) }
    if module == Module.allCases.last, target - removed > Double(layers.map(\.smallestUnit).max() ?? 0) {
      throw SelectionError.rateTooHigh(rate, largest: removed / whole, base: base)
    }
  }
  return Selection(keep, of: layers, model: model)
}

/// Prunes every unprotected unit whose score does not exceed `threshold`; each layer keeps its best as above.
package func selectBelow(threshold: Double, _ layers: [ScoredLayer], model: Int) throws -> Selection {
  try requireNumbers(layers)
  var keep = layers.map(\.everything)
  var guarded = 0
  for (l, layer) in layers.enumerated() {
    for candidate in layer.candidates(layer: l) where candidate.score <= threshold { keep[l].drop(candidate) }
    guarded += keep[l].restoreBest(of: layer)
  }
  return Selection(keep, of: layers, model: model, guarded: guarded)
}

/// A unit that may go. Ordered by (score, layer, attention first, index).
struct Candidate: Comparable {
  let score: Double
  let layer: Int
  let module: Module
  let index: Int
  let parameters: Int

  static func < (a: Candidate, b: Candidate) -> Bool {
    if a.score != b.score { return a.score < b.score }
    if a.layer != b.layer { return a.layer < b.layer }
    if a.module != b.module { return a.module == Module.allCases.first }
    return a.index < b.index
  }
}

/// How many leading candidates come nearest to `target` parameters; of two equally near, the more.
private func nearestPrefix(_ order: [Candidate], to target: Double) -> Int {
  var sum = 0.0
  var count = 0
  for candidate in order {
    let next = sum + Double(candidate.parameters)
    if abs(next - target) > abs(sum - target) { break }
    sum = next
    count += 1
  }
  return count
}

func requireNumbers(_ layers: [ScoredLayer], first: Int = 0) throws {
  for (l, layer) in layers.enumerated() {
    for module in Module.allCases {
      if let i = layer.units[module].scores.firstIndex(where: \.isNaN) {
        throw SelectionError.scoreIsNotANumber(layer: first + l, unit: module.unitName, index: i)
      }
    }
  }
}

extension Module {
  /// What messages call one of its structural units.
  var unitName: String {
    switch self {
    case .attention: "attention unit"
    case .ffn: "neuron"
    }
  }
}

extension ScoredUnits {
  /// The units that may go, by index.
  var free: [Int] { scores.indices.filter { protected.isEmpty || !protected[$0] } }

  /// How many may go: all but the protected, and never the last one.
  var prunable: Int { protected.contains(true) ? protected.count { !$0 } : max(scores.count - 1, 0) }
}

extension ScoredUnits {
  /// The same units with the best tenth of them protected, rounded up.
  fileprivate var sparingTheBestTenth: ScoredUnits {
    let best = Set(scores.indices.sorted { (scores[$0], $0) > (scores[$1], $1) }.prefix((scores.count + 9) / 10))
    let flags = scores.indices.map { best.contains($0) || !protected.isEmpty && protected[$0] }
    return ScoredUnits(scores: scores, parameters: parameters, protected: flags)
  }
}

extension ScoredLayer {
  var everything: LayerKeep { units.map { [Bool](repeating: true, count: $0.scores.count) } }

  var prunableParameters: Int { Module.allCases.reduce(0) { $0 + units[$1].prunable * units[$1].parameters } }

  /// Parameters of the smallest kind of unit that may go here; nothing may: 0.
  var smallestUnit: Int {
    Module.allCases.filter { units[$0].prunable > 0 }.map { units[$0].parameters }.min() ?? 0
  }

  func candidates(layer: Int) -> [Candidate] {
    Module.allCases.flatMap { module in
      let own = units[module]
      return own.free.map {
        Candidate(score: own.scores[$0], layer: layer, module: module, index: $0, parameters: own.parameters)
      }
    }
  }
}

extension LayerKeep {
  mutating func drop(_ candidate: Candidate) { self[candidate.module][candidate.index] = false }

  /// Brings back the best unit of a module that lost all; returns how many came back.
  mutating func restoreBest(of layer: ScoredLayer) -> Int {
    var restored = 0
    for module in Module.allCases where !self[module].isEmpty && !self[module].contains(true) {
      self[module][lastOfHighest(layer.units[module].scores)] = true
      restored += 1
    }
    return restored
  }
}

/// The unit that stands last in the pruning order.
private func lastOfHighest(_ scores: [Double]) -> Int {
  var best = 0
  for i in scores.indices where scores[i] >= scores[best] { best = i }
  return best
}
