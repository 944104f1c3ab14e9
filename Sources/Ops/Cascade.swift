import Kernel
import Numerics
import Transformer

struct Cascade: Op {
  static let name = "cascade"
  static let revision = 2
  static let summary = "Prune block by block, each block seeing the already pruned ones before it."
  static let reference: String? = "sequential layer-wise pruning as in SparseGPT; FANG eq. 4"
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=16 length=128
    p = cascade m cal by=obc rate=30%
    """

  enum By: String, Choice {
    case flap, obc
  }

  enum Refit: String, Choice {
    /// The method's own: ls for obc, bias for flap.
    case own
    case none, bias, ls
  }

  @Input("the model to prune") var model: Model
  @Input("calibration text, as windows") var corpus: Corpus
  @Input("neuron groups; every group loses the same share and the shared one nothing", named: true) var groups: Groups?
  @Input("a rate for each block, from allocate", named: true) var rates: Rates?
  @Param("the method") var by = By.obc
  @Param("share of the blocks' parameters to remove", in: .ifGiven(.from(0.0, below: 1.0))) var rate: Ratio? = nil
  @Param("how obc removes: all at once, or one unit at a time") var how = Criterion.OptimalBrain.How.oneshot
  @Param("how the removed outputs are made up for; own is ls for obc and bias for flap") var comp = Refit.own
  @Param("damping of the Gram matrices, relative to their mean diagonal", in: .between(0.0, 1.0)) var damp: Ratio = 0.01
  @Param("flap's score: wifv, ifv or wifn") var metric = FluctuationMetric.wifv
  @Param("how token clusters count for each group") var weight: ContextWeighting? = nil
  @Param("softness of weight=, in units of the distance between clusters, or relative to its mean") var tau =
    Temperature.softness

  init() {}

  func check() throws -> Model.Facts {
    guard (rate != nil) != $rates.isGiven else {
      throw Diagnostic(
        rate == nil ? "cascade needs a rate= or rates=" : "rate= and rates= exclude each other",
        argument: rate == nil ? nil : "rate", kind: .usage)
    }
    if weight != nil, !$groups.isGiven {
      throw Diagnostic(
        "weight= weighs the tokens group by group", hint: "add groups=", argument: "weight", kind: .usage)
    }
    try criterion.check(weight, tau: tau)
    if by == .obc, metric != .wifv {
      throw Diagnostic("metric= belongs to by=flap", argument: "metric", kind: .usage)
    }
    if damp != 0.01, by == .flap, comp != .ls {
      throw Diagnostic("damp= belongs to by=obc or comp=ls", argument: "damp", kind: .usage)
    }
    if by == .flap, how != .oneshot { throw Diagnostic("how= belongs to by=obc", argument: "how", kind: .usage) }
    return Model.Facts(layers: $model.facts?.layers)
  }

  func estimate() throws -> Resources {
    let configuration = model.configuration
    let states = corpus.tokens.count * configuration.hiddenSize * 4
    let widest =
      (0..<configuration.layers).map { max(configuration.units(.ffn, layer: $0), configuration.hiddenSize) }.max() ?? 0
    let grams = by == .obc || comp == .ls ? 3 * widest * widest * 8 : 0
    return Resources(memory: states + grams + 2 * configuration.blockBytes)
  }

  func run(_ context: any RunContext) throws -> Model {
    try corpus.requireTokenizer(of: model)
    let network = model.network
    let structure = Structure(model.network, model: $model.references[0].content)
    for (name, other) in [("groups", groups?.structure.model), ("rates", rates?.structure.model)] {
      if let other, other != structure.model { throw Diagnostic("\(name)= is of another model", argument: name) }
    }
    let share = try rates?.rate ?? perLayer(structure)
    var pruning = Pruning.keepingAll(model.configuration)
    let walk = try resumedWalk(&pruning, structure, context)
    let clusters = try loadClusters()
    while walk.layer < network.layers {
      let layer = walk.layer
      let step = BlockCascade(
        op: self, layer: layer, rate: share[layer], structure: structure, clusters: clusters, context: context)
      pruning.blocks[layer] = try step.advance(walk)
      try context.progress(walk.layer, of: network.layers, "block")
      try save(walk, pruning, context)
    }
    if pruning.removedParameters(model.configuration) == 0, share.contains(where: { $0 > 0 }) {
      context.warn("the cascade removes nothing")
    }
    return Model(
      network: try network.pruned(by: pruning), source: model.source,
      pruning: model.pruning.followed(by: pruning, model.configuration),
      calibration: merged(merged(model.calibration, [corpus.textHash]), groups?.calibration ?? []),
      compensation: compensation.rawValue)
  }

  var compensation: Compensation {
    switch comp {
    case .own: by == .obc ? .ls : .bias
    case .none: .none
    case .bias: .bias
    case .ls: .ls
    }
  }
  var criterion: Criterion {
    by == .flap
      ? .flap(metric, squareAttention: false, asInProgram: false)
      : .obc(.init(how: how, damping: damp.value, headScore: .block))
  }

  private func perLayer(_ structure: Structure) throws -> [Double] {
    let layers = (0..<structure.layers).map { structure.scoredLayer($0) }
    return try uniformRates(
      layers, model: structure.totalParameters, rate: rate?.value ?? 0, base: .block,
      groups: groups.map { groups in (0..<structure.layers).map { groups.selectable(layer: $0) } } ?? [])
  }

  private func loadClusters() throws -> Clusters? {
    guard let groups, weight != nil || by == .obc else { return nil }
    let clusters = try groups.loadClusters()
    guard clusters.corpus == $corpus.references[0].content else {
      throw Diagnostic("the groups' clusters label the tokens of another corpus", argument: "groups")
    }
    return clusters
  }

  // MARK: - Resuming

  private func save(_ walk: Walk, _ pruning: Pruning, _ context: any RunContext) throws {
    try context.checkpoint("blocks", stage: walk.layer) { writer in
      try walk.states.write(to: writer)
      try pruning.write(to: writer)
    }
  }

  private func resumedWalk(_ pruning: inout Pruning, _ structure: Structure, _ context: any RunContext) throws -> Walk {
    let network = model.network
    if let (layer, saved) = try context.latestStage(of: "blocks", through: network.layers - 1) {
      let walk = try Walk(
        network, corpus.sequences, layer: layer, spillAbove: context.memoryLimit / 2, in: context.scratch)
      try walk.states.read(from: saved)
      pruning = try Pruning(from: saved, structure: structure)
      context.resumed(at: layer, of: network.layers, "block")
      return walk
    }
    let walk = try Walk(network, corpus.sequences, spillAbove: context.memoryLimit / 2, in: context.scratch)
    try walk.embed()
    return walk
  }
}

/// One block of a cascade: attention is captured, pruned and run, then the feed-forward part.
private struct BlockCascade {
  let op: Cascade
  let layer: Int
  let rate: Double
  let structure: Structure
  let clusters: Clusters?
  let context: any RunContext

  func advance(_ walk: Walk) throws -> BlockPruning {
    var block = try op.model.network.loadBlock(layer)
    var pruning = BlockPruning.keepingAll(op.model.configuration, layer: layer)
    var scored = structure.scoredLayer(layer)
    for module in Module.allCases {
      let left = structure.left(module, layer: layer)
      guard !left.isEmpty else {
        try walk.run(module, of: block, advancing: true, pulse: { _ in try context.checkCancelled() })
        continue
      }
      let part = try captured(module, walk, block)
      let W = block.outputWeight(module)
      let scores = try unitScores(module, part, W)
      scored.units[module].scores = left.map { scores[$0] }
      let keep = try selectPerLayer(
        [scored], model: structure.totalParameters, rates: [rate],
        groups: op.groups.map { [$0.selectable(layer: layer)] } ?? []
      ).layers[0]
      for (unit, stays) in zip(left, keep[module]) { pruning[module].keep[unit] = stays }
      try pruning[module].compensate(
        module, op.compensation, W: W, part: part, grouping: part.groupGrams == nil ? nil : grouping(module),
        damping: op.damp.value, structure: structure, context)
      block = try op.model.network.loadBlock(layer).pruned(by: pruning)
      try walk.run(module, of: block, advancing: true, pulse: { _ in try context.checkCancelled() })
    }
    return pruning
  }

  private func grouping(_ module: Module) -> Criterion.Grouping? {
    guard module == .ffn, let groups = op.groups else { return nil }
    return groups.grouping(layer: layer, weighting: op.weight.map { Weighting($0, tau: op.tau) })
  }

  private func captured(_ module: Module, _ walk: Walk, _ block: Block) throws -> LayerActivations {
    var keep: [Keep] = [.moments]
    if op.by == .obc || op.compensation == .ls { keep.append(.gram) }
    let labels = module == .ffn ? try clusters?.labels(layer: layer) : nil
    let collector = SiteCollector(
      site: module.site, layer: layer, width: module.site.width(op.model.configuration, layer: layer),
      sequences: op.corpus.sequences, keep: keep, labels: labels, clusters: labels == nil ? 0 : clusters?.count ?? 0,
      groups: labels == nil ? nil : op.groups?.members(layer: layer))
    try walk.run(
      module, of: block, advancing: false, sites: [module.site], tap: { collector.add($0.values, rows: $0.rows) },
      pulse: { _ in try context.checkCancelled() })
    return collector.result(cosine: nil)
  }

  private func unitScores(_ module: Module, _ part: LayerActivations, _ W: Matrix<Float>) throws -> [Double] {
    let width = structure.columnsPerUnit[module]
    let scores = try op.criterion.scores(
      module, layer: layer, part: part, W: W, width: width, grouping: grouping(module), context)
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
