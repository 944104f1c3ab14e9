import Kernel
import Numerics
import Transformer

/// Pruning block by block: attention is captured in the stream of the blocks pruned before it, pruned and run, then the
/// feed-forward part.
struct BlockCascade {
  let network: LanguageModel
  let sequences: Sequences
  let structure: Structure
  /// Share of each block's parameters that goes.
  let rates: [Double]
  let criterion: Criterion
  let compensation: Compensation
  /// Of refits, relative to the mean diagonal of the Gram matrix.
  let damping: Double
  /// Groups that lose the same share each; nil when all neurons of a block compete.
  let groups: Groups?
  /// The clusters the groups serve; nil when all tokens count alike.
  let clusters: Clusters?
  let weighting: Weighting?
  let context: any RunContext

  /// What goes of every block, and what makes up for it.
  func pruning() throws -> Pruning {
    var pruning = Pruning.keepingAll(network.configuration)
    var walk = ResumableWalk(network: network, sequences: sequences, context: context)
    walk.findings = .init(
      save: { try pruning.write(to: $0) }, restore: { pruning = try Pruning(from: $0, structure: structure) })
    let layers = Array(0..<network.layers)
    try walk.visit(layers, of: layers, pulse: { _ in }) { walk in
      let layer = walk.layer
      pruning.blocks[layer] = try advance(walk)
      try context.progress(layer + 1, of: network.layers, "layer")
    }
    return pruning
  }

  /// Moves on by one block, pruned on the way.
  private func advance(_ walk: Walk) throws -> BlockPruning {
    let layer = walk.layer
    var block = try network.loadBlock(layer)
    var pruning = BlockPruning.keepingAll(network.configuration, layer: layer)
    var scored = structure.scoredLayer(layer)
    let grouping = clusters.flatMap { _ in groups?.grouping(layer: layer, weighting: weighting) }
    for module in Module.allCases {
      let left = structure.left(module, layer: layer)
      guard !left.isEmpty else {
        try walk.run(module, of: block, advancing: true, pulse: { _ in try context.checkCancelled() })
        continue
      }
      let grouping = grouping?[module]
      let part = try captured(module, walk, block, grouping)
      let scores = try unitScores(module, layer, part, block.outputWeight(module), grouping)
      scored.units[module].scores = left.map { scores[$0] }
      let keep = try selectPerLayer(
        [scored], model: structure.totalParameters, rates: [rates[layer]],
        groups: groups.map { [$0.selectable(layer: layer)] } ?? []
      ).layers[0]
      for (unit, stays) in zip(left, keep[module]) { pruning[module].keep[unit] = stays }
      try pruning[module].compensate(
        module, compensation, of: block, part: part, grouping: part.groupGrams == nil ? nil : grouping,
        damping: damping, structure: structure, context)
      block = try network.loadBlock(layer).pruned(by: pruning)
      try walk.run(module, of: block, advancing: true, pulse: { _ in try context.checkCancelled() })
    }
    return pruning
  }

  /// A look at what the whole module shows in the stream so far.
  private func captured(
    _ module: Module, _ walk: Walk, _ block: Block, _ grouping: Criterion.Grouping?
  ) throws -> LayerActivations {
    let layer = walk.layer
    let needsGram = criterion.needsGram || compensation == .ls
    let collector = SiteCollector(
      site: module.site, layer: layer, width: module.site.width(network.configuration, layer: layer),
      sequences: sequences, keep: needsGram ? [.moments, .gram] : [.moments],
      labels: try grouping.flatMap { _ in try clusters?.labels(layer: layer) },
      clusters: grouping == nil ? 0 : clusters?.count ?? 0, groups: grouping?.members)
    try walk.run(
      module, of: block, advancing: false, sites: [module.site], tap: { collector.add($0.values, rows: $0.rows) },
      pulse: { _ in try context.checkCancelled() })
    return collector.result(cosine: nil)
  }

  private func unitScores(
    _ module: Module, _ layer: Int, _ part: LayerActivations, _ W: Matrix<Float>, _ grouping: Criterion.Grouping?
  ) throws -> [Double] {
    let width = structure.columnsPerUnit[module]
    let scores = try criterion.scores(
      module, layer: layer, part: part, W: W, width: width, grouping: grouping, context)
    return scores.count == structure.units[module][layer] ? scores : summed(scores, by: width)
  }
}

extension Structure {
  /// A layer whose scores are still to come.
  func scoredLayer(_ layer: Int) -> ScoredLayer {
    ScoredLayer(
      units: PerModule {
        ScoredUnits(
          scores: Array(repeating: 0, count: left($0, layer: layer).count), parameters: parametersPerUnit[$0])
      }, parameters: blockParameters[layer])
  }
}

extension Groups {
  /// As selection reads them, of the neurons that are left: the shared ones form group `count`.
  func selectable(layer: Int) -> NeuronGroups {
    NeuronGroups(
      group: structure.left(.ffn, layer: layer).map { group[layer][$0] < 0 ? count : Int(group[layer][$0]) },
      count: count)
  }
}
