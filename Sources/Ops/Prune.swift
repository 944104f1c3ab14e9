import Kernel
import Numerics
import Transformer

struct Prune: Op {
  static let name = "prune"
  static let revision = 2
  static let summary = "Take out what masks drop, and make up for it."
  static let reference: String? =
    "FLAP eq. 5 and FANG eq. 13 (bias); FANG eq. 10 (ls); LLM-Streamline (Chen et al. 2025), in closed form (linear)"
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=32 length=128
    acts = capture m cal sites=attn.heads,ffn.act keep=moments
    mk = mask (flap acts) rate=20%
    p = prune m mk comp=bias acts=acts
    """

  enum Stream: String, Choice {
    case dense, pruned

    var meaning: String {
      switch self {
      case .dense: "means in the model as it was (FLAP)"
      case .pruned: "means in the model that is already pruned (CanICA)"
      }
    }
  }

  @Input("the model to prune") var model: Model
  @Input("what to keep; several masks are applied one after the other") var masks: [Mask]
  @Input("the capture that compensation is computed from", named: true) var acts: Activations?
  @Param("how the removed outputs are made up for") var comp = Compensation.none
  @Param("where comp=bias takes its means; none for dense if acts= keeps moments, else pruned") var stream: Stream? =
    nil
  @Param("damping of comp=ls, relative to the mean diagonal of the Gram matrix", in: .between(0.0, 1.0)) var damp:
    Ratio =
      0.01
  @Param("with comp=ls: fit a bias together with the weights, on centred inputs") var center = false

  init() {}

  func check() throws -> Model.Facts {
    if comp != .none, !$acts.isGiven {
      throw Diagnostic(
        "comp=\(comp.rawValue) needs acts=, the capture to compute it from", argument: "comp", kind: .usage)
    }
    if comp == .none, $acts.isGiven {
      throw Diagnostic("acts= belongs to comp=bias, comp=ls or comp=linear", argument: "acts", kind: .usage)
    }
    if damp != 0.01, comp != .ls {
      throw Diagnostic("damp= belongs to comp=ls", argument: "damp", kind: .usage)
    }
    if stream != nil, comp != .bias {
      throw Diagnostic("stream= belongs to comp=bias", argument: "stream", kind: .usage)
    }
    let capture = $acts.facts(of: Activations.self).first ?? nil
    if center, comp != .ls || capture?.grouped == true {
      throw Diagnostic(
        comp == .ls ? "center= needs ungrouped Gram matrices" : "center= belongs to comp=ls", argument: "center",
        kind: .usage)
    }
    try requireKept()
    if comp == .ls, let capture { try checkGrouping(grouped: capture.grouped) }
    return Model.Facts(layers: $model.facts?.layers)
  }

  private func requireKept() throws {
    func require(_ keep: Statistic...) throws {
      try $acts.require(keep: keep, by: "comp=\(comp.rawValue)", argument: "acts")
    }
    switch comp {
    case .none: break
    case .linear:
      try $acts.require(keep: [.values], sites: .ends, by: "comp=linear", argument: "acts")
    // Means of the pruned stream need of a capture only the text it ran on.
    case .bias where stream == .pruned: break
    case .bias where stream == nil: try require(.moments, .stream)
    case .bias: try require(.moments)
    case .ls:
      try require(.gram)
      if center { try $acts.require(keep: [.moments], by: "center=", argument: "acts") }
    }
  }

  /// A refit needs Gram matrices of the very groups the scores were made in.
  private func checkGrouping(grouped: Bool) throws {
    let groupings = Set($masks.facts(of: Mask.self).compactMap { $0?.grouping })
    if grouped, !groupings.isEmpty, groupings != [.grouped] {
      throw Diagnostic(
        groupings.contains(.mixed)
          ? "masks of different scorings were combined, so the refit needs the ungrouped Gram matrix"
          : "the mask was not made group by group, so the refit needs the ungrouped Gram matrix",
        hint: "give acts= a capture with keep=gram and without groups=", argument: "acts", kind: .usage)
    }
    if !grouped, groupings == [.grouped] {
      throw Diagnostic(
        "the mask was made group by group, so the refit needs the Gram matrices of the groups",
        hint: "give acts= the capture with groups= that the scores were made from", argument: "acts", kind: .usage)
    }
  }

  func estimate(within limit: Int) throws -> Resources {
    let (network, configuration) = (model.network, model.configuration)
    let d = configuration.hiddenSize
    let columns = (0..<configuration.layers).flatMap { layer in
      Module.allCases.map { configuration.size($0.output.columns, layer: layer) }
    }
    let widest = columns.max() ?? 0
    switch comp {
    case .none: return Resources(memory: 0)
    case .bias:
      let weights = 2 * widest * d
      guard isStreamed, let corpus = try acts?.loadCorpus() else {
        return Resources(memory: network.blockBytes + weights)
      }
      // Every block as it is, and pruned.
      return Resources(
        memory: network.walkBytes(tokens: corpus.tokens.count, longest: corpus.sequences.longest)
          + network.blockBytes + weights)
    case .ls:
      let structure = Structure(network, model: "")
      let removed = masks.flatMap { mask in
        (0..<configuration.layers).flatMap { layer in
          Module.allCases.map { structure.columnsPerUnit[$0] * mask.dropped($0, layer: layer).count }
        }
      }
      return Resources(
        memory: network.blockBytes + Compensation.refittedBytes(network)
          + Compensation.refitBytes(d: d, n: widest, removed: removed.max() ?? 0))
    case .linear:
      // What enters blocks and what they add, with the block that norms it; then that, too, with products of these and the
      // inverse; and the maps.
      let (states, structure) = (network.statesBytes(acts?.tokens ?? 0), Structure(network, model: ""))
      let gone = masks.reduce(0) { sum, mask in
        sum + structure.removedBlocks { mask.dropped($0, layer: $1).count }.count
      }
      return Resources(
        memory: 2 * states + max(network.blockBytes, states + 5 * 8 * d * d) + 4 * d * d * gone)
    }
  }

  func run(_ context: any RunContext) throws -> Model {
    let content = $model.references[0].content
    let line = try context.line(of: $model.references[0], through: "model")
    for (mask, name) in zip(masks, $masks.labels) where !line.contains(mask.structure.model) {
      let model = $model.labels.first.flatMap { $0 }.map { "`\($0)`" } ?? "this one"
      throw Diagnostic(
        "the mask\(name.map { " `\($0)`" } ?? "") was made for another model than \(model)",
        hint: name.map { "`info \($0)` says for which" }, argument: "masks")
    }
    if let acts, !line.contains(acts.structure.model) || comp == .linear && acts.structure.model != content {
      throw Diagnostic("acts= is a capture of another model", argument: "acts")
    }
    try model.requireOwnMaps(by: "prune", argument: "model")
    var pruning = Pruning.none
    for mask in masks { pruning = pruning.followed(by: mask.pruning, model.configuration) }
    if pruning.removedParameters(model.configuration) == 0, masks.contains(where: { $0.requested != 0 }) {
      context.warn("the masks remove nothing of this model")
    }
    if comp != .none { pruning = try compensated(pruning, isStreamed: isStreamed, context) }
    let combined = model.pruning.followed(by: pruning, model.configuration)
    return Model(
      network: try model.network.pruned(by: pruning), source: model.source, pruning: combined,
      calibration: merged(model.calibration, masks.reduce(acts?.calibration ?? []) { merged($0, $1.calibration) }),
      compensation: (comp == .bias ? "bias, means of the \(isStreamed ? "pruned" : "dense") stream" : comp.rawValue)
        + statisticsOfEarlier(acts, content))
  }

  /// Whether means are those of the pruned stream.
  private var isStreamed: Bool {
    let keepsMoments = acts?.sites(keeping: [.moments]).isEmpty == false
    return comp == .bias && (stream ?? (keepsMoments ? .dense : .pruned)) == .pruned
  }

  private func compensated(
    _ pruning: Pruning, isStreamed: Bool, _ context: any RunContext
  ) throws -> Pruning {
    guard let acts else { return pruning }
    if comp == .linear {
      try model.requireWholeStream(by: "comp=linear", argument: "model")
      return try Bridging(model: model, acts: acts, structure: acts.structure, context: context).bridged(pruning)
    }
    let captured = try CapturedLayers([acts])
    let structure = Structure(model.network, model: $model.references[0].content)
    let grouped = try grouping(of: acts)
    let streamed =
      isStreamed
      ? try PrunedStream(model: model, pruning: pruning, corpus: acts.loadCorpus(), context: context).parts() : nil
    var result = pruning
    let earlier = acts.structure.model == structure.model ? nil : try acts.loadModel().pruning
    try context.ranks.forEach(pruning.blocks.count) { layer in
      try context.progress(layer, of: pruning.blocks.count, "layer")
      let block = try model.network.loadBlock(layer)
      var found = pruning.blocks[layer]
      for module in Module.allCases where !pruning.blocks[layer][module].removed.isEmpty {
        guard let part = try streamed?[layer][module] ?? captured.part(module, layer: layer) else {
          throw Diagnostic(
            "the capture has nothing of \(module.site.rawValue) in layer \(layer), where the mask removes something",
            hint: "capture \(module.site.rawValue) too", argument: "acts")
        }
        if streamed == nil, let earlier { try requireUnchanged(acts, earlier, module, layer: layer, structure) }
        try found[module].compensate(
          module, comp, of: block, part: part, grouping: grouped?.grouping(layer: layer)[module], damping: damp.value,
          isCentered: center, structure: structure, context)
      }
      return Module.allCases.flatMap { found[$0].compensationNumbers }
    } take: { layer, numbers in
      var numbers = numbers[...]
      for module in Module.allCases { result.blocks[layer][module].takeCompensation(from: &numbers) }
    }
    let branches = result.blocks.flatMap { block in Module.allCases.map { block[$0] } }
    if comp == .ls, branches.contains(where: \.removesAll), !branches.contains(where: { $0.weight != nil }) {
      context.warn("comp=ls refits what stays of a branch, and here they go as a whole; comp=bias makes up for them")
    }
    return result
  }

  /// - Throws: when what was captured of a model that this one was made from is not what the output map reads here.
  private func requireUnchanged(
    _ acts: Activations, _ earlier: Pruning, _ module: Module, layer: Int, _ structure: Structure
  ) throws {
    let heads = earlier[layer]?[module].heads
    let problem =
      model.pruning[layer]?[module].heads.values != nil && heads?.values == nil
      ? "the heads lost directions of their values"
      : comp == .ls && acts.structure.left(module, layer: layer) != structure.left(module, layer: layer)
        ? "\(module.unitName)s went" : nil
    if let problem {
      throw Diagnostic(
        "acts= was captured before \(problem) in block \(layer)", hint: "capture the model that is pruned",
        argument: "acts")
    }
  }

  /// The groups and weighting the mask remembers; nil when its scores were plain or masks of different groupings combined.
  private func grouping(of acts: Activations) throws -> NeuronGrouping? {
    guard comp == .ls, let grouping = masks.first?.grouping, masks.allSatisfy({ $0.grouping == grouping }),
      !grouping.groups.isEmpty
    else { return nil }
    guard acts.groups?.content == grouping.groups, let groups = try acts.loadGroups() else {
      throw Diagnostic("acts= is divided into other groups than the mask's scores were", argument: "acts")
    }
    return NeuronGrouping(
      groups: groups, content: grouping.groups, weighting: Weighting(canonical: grouping.weighting))
  }
}
