import Kernel
import Numerics
import Transformer

/// Pruning block by block: attention is captured in the stream of the blocks pruned before it, pruned and run, then the
/// feed-forward part; or both are judged by what the whole block shows, and go together.
struct BlockCascade {
  let network: LanguageModel
  let sequences: Sequences
  let structure: Structure
  /// Share of each block's parameters that goes.
  let rates: [Double]
  /// Says how many units go, in place of the rates.
  let like: Mask?
  let criterion: Criterion
  /// Whether both modules of a block are judged before one of them loses something.
  let judgesTogether: Bool
  /// Whether refits aim at the outputs of the dense model, which then runs beside.
  let aimsAtDense: Bool
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
    var dense: Walk?
    func denseWalk(at layer: Int) throws -> Walk {
      try Walk(
        network, sequences, layer: layer, spillAbove: context.memoryLimit / 4, in: context.scratch,
        ranks: context.ranks)
    }
    var walk = ResumableWalk(network: network, sequences: sequences, context: context)
    walk.findings = .init(
      save: {
        try pruning.write(to: $0)
        try dense?.states.write(to: $0, as: "dense_states")
      },
      restore: { saved, layer in
        pruning = try Pruning(from: saved, structure: structure)
        if aimsAtDense {
          dense = try denseWalk(at: layer)
          try dense?.states.read(from: saved, as: "dense_states")
        }
      })
    let layers = Array(0..<network.layers)
    try walk.visit(layers, of: layers, pulse: { _ in }) { walk in
      let layer = walk.layer
      if aimsAtDense, dense == nil {
        dense = try denseWalk(at: 0)
        try dense?.embed()
      }
      pruning.blocks[layer] = try judgesTogether ? advanceTogether(walk) : advance(walk, dense)
      try context.progress(layer + 1, of: network.layers, "layer")
    }
    return pruning
  }

  /// Moves on by one block, whose modules are judged and pruned one after the other.
  ///
  /// - Parameter dense: a walk through the blocks as they are, for refits that aim at their outputs.
  private func advance(_ walk: Walk, _ dense: Walk?) throws -> BlockPruning {
    let layer = walk.layer
    let whole = try network.loadBlock(layer)
    var block = whole
    var pruning = BlockPruning.keepingAll(network.configuration, layer: layer)
    let grouping = clusters.flatMap { _ in groups?.grouping(layer: layer, weighting: weighting) }
    for module in Module.allCases {
      if !structure.left(module, layer: layer).isEmpty {
        let collector = try collector(module, layer, grouping?[module])
        let cross = dense.map { _ in
          let width = module.site.width(network.configuration, layer: layer)
          return Matrix<Double>(rows: width, columns: width)
        }
        try walk.run(
          module, of: block, advancing: false, sites: [module.site],
          tap: { tap in
            collector.add(tap.values, rows: tap.rows)
            guard let dense, let cross else { return }
            try dense.look(at: whole, only: module, rows: tap.rows, sites: [module.site]) {
              accumulateProduct($0.values, tap.values, into: cross)
            }
          }, pulse: { _ in try context.checkCancelled() })
        pruning[module] = try judged(module, of: block, collector, grouping: grouping?[module], cross: cross)
        block = whole.pruned(by: pruning)
      }
      try walk.run(module, of: block, advancing: true, pulse: { _ in try context.checkCancelled() })
      try dense?.run(module, of: whole, advancing: true, pulse: { _ in try context.checkCancelled() })
    }
    return pruning
  }

  /// Moves on by one block whose modules are both judged by what the whole block shows of the pruned stream.
  private func advanceTogether(_ walk: Walk) throws -> BlockPruning {
    let layer = walk.layer
    let whole = try network.loadBlock(layer)
    var pruning = BlockPruning.keepingAll(network.configuration, layer: layer)
    let modules = Module.allCases.filter { !structure.left($0, layer: layer).isEmpty }
    let collectors = try PerModule { try collector($0, layer, nil) }
    try walk.look(
      at: whole, sites: Set(modules.map(\.site)), tap: { collectors[$0.site.module].add($0.values, rows: $0.rows) },
      pulse: { _ in try context.checkCancelled() })
    for module in modules { pruning[module] = try judged(module, of: whole, collectors[module]) }
    try walk.step(whole.pruned(by: pruning), pulse: { _ in try context.checkCancelled() })
    return pruning
  }

  /// What goes of a module by what it showed, and what makes up for it.
  private func judged(
    _ module: Module, of block: Block, _ collector: SiteCollector, grouping: Criterion.Grouping? = nil,
    cross: Matrix<Double>? = nil
  ) throws -> BranchPruning {
    let layer = block.layer
    let part = try collector.result(cosine: nil)
    let left = structure.left(module, layer: layer)
    let scores = try unitScores(module, layer, part, block.outputWeight(module), grouping)
    var scored = structure.scoredLayer(layer)
    scored.units[module].scores = left.map { scores[$0] }
    var pruning = BlockPruning.keepingAll(network.configuration, layer: layer)[module]
    for (unit, stays) in zip(left, try selected(scored, layer)[module]) { pruning.keep[unit] = stays }
    try pruning.compensate(
      module, compensation, of: block, part: part, grouping: part.groupGrams == nil ? nil : grouping, damping: damping,
      cross: cross, structure: structure, context)
    return pruning
  }

  /// What stays at the block's rate, or when as many go as of another mask.
  private func selected(_ scored: ScoredLayer, _ layer: Int) throws -> LayerKeep {
    let groups = groups.map { [$0.selectable(layer: layer)] } ?? []
    if let like {
      let counts = LayerCounts { like.dropped($0, layer: layer).count }
      return try selectLowest([counts], of: [scored], model: structure.totalParameters, groups: groups).layers[0]
    }
    return try selectPerLayer([scored], model: structure.totalParameters, rates: [rates[layer]], groups: groups)
      .layers[0]
  }

  /// Takes in what a module shows.
  private func collector(_ module: Module, _ layer: Int, _ grouping: Criterion.Grouping?) throws -> SiteCollector {
    let needsGram = criterion.needsGram || compensation == .ls
    return SiteCollector(
      site: module.site, layer: layer, width: module.site.width(network.configuration, layer: layer),
      sequences: sequences, keep: needsGram ? [.moments, .gram] : [.moments],
      labels: try grouping.flatMap { _ in try clusters?.labels(layer: layer) },
      clusters: grouping == nil ? 0 : clusters?.count ?? 0, groups: grouping?.members, ranks: context.ranks)
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
          scores: Array(repeating: 0, count: left($0, layer: layer).count), parameters: parametersPerUnit[$0][layer])
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
