import Kernel
import Transformer

extension RateBase: Choice {}

struct MakeMask: Op {
  static let name = "mask"
  static let summary = "Choose what to remove: the lowest scores, as near to a rate of parameters as whole units come."
  static let reference: String? =
    "FLAP section 4.2 (scope); FANG eq. 8 (rates); ShortGPT (Men et al. 2024) for unit=block"
  static let revision = 4
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=32 length=128
    acts = capture m cal sites=attn.heads,ffn.act keep=moments
    mk = mask (flap acts) rate=20% scope=global
    """

  enum Scope: String, Choice {
    /// All layers and modules compete; scores that need it are standardised per layer first (FLAP's AL-AM), and where
    /// heads and neurons do not compare, each module loses its share (SoBP).
    case global
    /// Every layer loses the same share (FLAP's UL).
    case layer

    var meaning: String {
      switch self {
      case .global:
        "all layers and modules compete, scores that need it standardised per layer first; where heads and neurons do not compare, each module by itself"
      case .layer: "every layer loses the same share"
      }
    }
  }

  enum Unit: String, Choice {
    case piece, block

    var meaning: String {
      switch self {
      case .piece: "a neuron or an attention unit"
      case .block: "all of a block: the residual stream passes it as it is"
      }
    }
  }

  @Input("what to rank by") var scores: Scores?
  @External(
    "in place of scores, a file of another program: a mask, with rate= scores, or a list of what goes (HDF5, NumPy, CSV)",
    required: false)
  var path
  @Input("a rate for each block, from allocate", named: true) var rates: Rates?
  @Input("neuron groups; every group loses the same share and the shared one nothing", named: true) var within: Groups?
  @Input("what this mask keeps stays", named: true) var spare: Mask?
  @Input("the model that a file's numbers belong to", named: true) var model: Model?
  @Param("share of parameters to remove", in: .ifGiven(.from(0.0, below: 1.0))) var rate: Ratio? = nil
  @Param("remove every score at or below this instead of aiming at a rate; standardised per layer as with scope=global")
  var threshold: Double? = nil
  @Param("what goes as a whole; not given, blocks where only blocks are scored, else pieces") var unit: Unit? = nil
  @Param("blocks to remove, the lowest", unit: "block", in: .ifGiven(.atLeast(1))) var count: Int? = nil
  @Param("who competes with whom") var scope = Scope.global
  @Param("layers that stay whole, such as 0..2,-1") var protect = Positions()
  @Param("what the rate is a share of") var base = RateBase.block
  @Param("the dataset of an HDF5 file; not given, attention/keep and ffn/keep (or score), or the only one", later: true)
  var dataset: String? = nil

  init() {}

  /// Whether units are ranked, as opposed to a mask taken as it is.
  private var isRanking: Bool { rate != nil || $rates.isGiven || threshold != nil || count != nil }

  func check() throws -> Mask.Facts {
    let given = [rate != nil, $rates.isGiven, threshold != nil, count != nil].count { $0 }
    guard given <= 1 else {
      let name = rate != nil ? "rate" : threshold != nil ? "threshold" : "count"
      throw Diagnostic("rate=, threshold=, rates= and count= exclude each other", argument: name, kind: .usage)
    }
    guard $scores.isGiven != !path.isEmpty else {
      throw Diagnostic(
        path.isEmpty ? "mask needs scores or a file" : "scores and a file exclude each other",
        argument: path.isEmpty ? nil : "path", kind: .usage)
    }
    guard $model.isGiven != path.isEmpty else {
      throw Diagnostic(
        path.isEmpty ? "model= belongs to a file, and scores know their model" : "a file needs model=",
        argument: path.isEmpty ? "model" : "path", kind: .usage)
    }
    if path.isEmpty {
      if dataset != nil {
        throw Diagnostic("dataset= names a part of a file, and there is none", argument: "dataset", kind: .usage)
      }
      if !isRanking { throw Diagnostic("mask needs a rate=, a threshold=, rates= or count=", kind: .usage) }
    }
    try checkUnit()
    if !isRanking {
      let idle = [
        ("within", $within.isGiven), ("spare", $spare.isGiven), ("scope", $scope.isGiven),
        ("protect", $protect.isGiven), ("base", $base.isGiven), ("unit", $unit.isGiven),
      ]
      if let (name, _) = idle.first(where: \.1) {
        throw Diagnostic(
          "\(name)= has no effect on a mask that is there already", hint: "scores need a rate= or a threshold=",
          argument: name, kind: .usage)
      }
    }
    if threshold != nil, $scope.isGiven {
      throw Diagnostic("threshold= compares all layers, so scope= can do nothing", argument: "scope", kind: .usage)
    }
    if $rates.isGiven, scope == .global, $scope.isGiven {
      throw Diagnostic(
        "rates= gives each layer its own, so scope=global can do nothing", argument: "scope", kind: .usage)
    }
    if rate == nil, $base.isGiven, !($rates.isGiven && base == .module) {
      throw Diagnostic(
        "base= belongs to rate=\($rates.isGiven ? ", and with rates= base=module" : "")", argument: "base", kind: .usage
      )
    }
    if $within.isGiven, threshold != nil {
      throw Diagnostic("within= and threshold= exclude each other", argument: "within", kind: .usage)
    }
    if $within.isGiven, scope == .global, !$rates.isGiven {
      throw Diagnostic(
        "within= prunes each layer at a rate of its own", hint: "add scope=layer or rates=", argument: "within",
        kind: .usage)
    }
    let ranked = $scores.facts(of: Scores.self).first ?? nil
    if let ranked, !choosesBlocks {
      try checkCompany(isGrouped: ranked.grouping == .grouped, comparesLayers: ranked.comparesLayers != false)
    }
    try protect.check(among: ranked?.layers ?? $model.facts(of: Model.self).first??.layers, for: "protect")
    return Mask.Facts(grouping: path.isEmpty ? ranked?.grouping : .plain)
  }

  /// - Throws: when units would be ranked together that were not judged together.
  private func checkCompany(isGrouped: Bool, comparesLayers: Bool) throws {
    if scope == .global, !$rates.isGiven, !comparesLayers {
      throw Diagnostic(
        "these scores order the units of each layer by themselves", hint: "use scope=layer or rates=",
        argument: "scores", kind: .usage)
    }
    if isGrouped, !$within.isGiven {
      throw Diagnostic(
        "these scores were weighted group by group and only compare within a group", hint: "add within= the groups",
        argument: "scores", kind: .usage)
    }
  }

  /// Whether whole blocks are chosen, as far as is known before the scores are there.
  private var choosesBlocks: Bool {
    let facts = $scores.facts(of: Scores.self).first ?? nil
    return unit == .block || unit == nil && facts?.pieces == false
  }

  /// - Throws: when the scores do not judge what is to go, or a parameter is for another unit.
  private func checkUnit() throws {
    let facts = $scores.facts(of: Scores.self).first ?? nil
    if unit == .block, facts?.blocks != true {
      throw Diagnostic(
        "whole blocks are not judged here", hint: "rank them with ablate unit=block, or score how=block_influence",
        argument: "unit", kind: .usage)
    }
    if unit == .piece, facts?.pieces == false {
      throw Diagnostic("these scores judge blocks as a whole, or whole halves of them", argument: "unit", kind: .usage)
    }
    guard choosesBlocks else {
      if count != nil {
        throw Diagnostic("count= counts blocks", hint: "add unit=block", argument: "count", kind: .usage)
      }
      return
    }
    let idle = [
      ("within", $within.isGiven), ("spare", $spare.isGiven), ("rates", $rates.isGiven), ("scope", $scope.isGiven),
      ("base", base == .module),
    ]
    if let (name, _) = idle.first(where: \.1) {
      throw Diagnostic("\(name)= concerns the units of a block, and whole blocks go", argument: name, kind: .usage)
    }
  }

  func estimate(within limit: Int) throws -> Resources {
    // Every unit with its score, size and place, and all of them in order.
    let structure = scores?.structure ?? model.map { Structure($0.network, model: "") }
    return Resources(memory: 128 * (structure?.unitCount ?? 0))
  }

  func run(_ context: any RunContext) throws -> Mask {
    if let scores { return try choosesBlocks ? blocks(scores, context) : ranked(scores, context) }
    guard let model, let file = path.first else { throw Diagnostic("mask needs scores or a file") }
    let structure = Structure(model.network, model: $model.references[0].content)
    let units = UnitFile(
      path: file.path, dataset: dataset, structure: structure, headsPerUnit: model.configuration.queriesPerUnit)
    if isRanking {
      let scores = try units.values(.score).mapUnits(Float.init)
      for module in scores.modules() {
        let unscored = (scores[module] ?? []).indices.filter { layer in
          structure.left(module, layer: layer).contains { scores[module]?[layer][$0].isNaN == true }
        }
        if unscored.isEmpty { continue }
        context.warn(
          "\(units.name) has no scores for the \(module.unitName)s of \(layerList(unscored)), which lose nothing")
      }
      return try ranked(
        Scores(structure: structure, score: scores, method: units.name, calibration: model.calibration), context)
    }
    let mask = Mask(
      structure: structure, keep: try units.values(.keep).mapUnits { $0 == 1 }, requested: nil,
      grouping: .plain, calibration: model.calibration)
    mask.warnOfEmptiedLayers(context)
    return mask
  }

  /// The mask that takes out whole blocks.
  private func blocks(_ scores: Scores, _ context: any RunContext) throws -> Mask {
    let structure = scores.structure
    guard let block = scores.block else { throw Diagnostic("whole blocks are not judged here", argument: "scores") }
    if scores.span != nil, $protect.isGiven {
      throw Diagnostic(
        "the scores rank windows of blocks, which protect= would break up",
        hint: "leave layers out of the capture instead", argument: "protect")
    }
    let whole = base == .total ? structure.totalParameters : structure.blockParameters.reduce(0, +)
    let gives = (0..<structure.layers).map { structure.parameters(of: scores.half, layer: $0) }
    let depth: Depth =
      count.map(Depth.count) ?? threshold.map(Depth.threshold) ?? .parameters((rate?.value ?? 0) * Double(whole))
    let gone = try selectBlocks(
      depth, scores: block, parameters: gives,
      protected: Set(try protect.layers(of: structure.layers, for: "protect")))
    if let span = scores.span, gone.count != span {
      throw BlockSelectionError.notTheWindow(count: gone.count, span: span)
    }
    if gone.isEmpty, rate?.value != 0 { context.warn("the mask removes nothing") }
    let keep = PerUnit<Bool> { module in
      let stays = scores.half.map { $0 != module } ?? false
      return structure.isLeft[module].enumerated().map { layer, left in
        left.map { $0 && (stays || !gone.contains(layer)) }
      }
    }
    return Mask(
      structure: structure, keep: keep, requested: rate?.value, threshold: gone.last.map { block[$0] },
      grouping: scores.grouping, calibration: calibration(scores))
  }

  /// The texts that say what goes.
  private func calibration(_ scores: Scores) -> [String] {
    merged(scores.calibration, rates?.calibration ?? [], within?.calibration ?? [], spare?.calibration ?? [])
  }

  private func ranked(_ scores: Scores, _ context: any RunContext) throws -> Mask {
    let structure = scores.structure
    let guarded = Set(try protect.layers(of: structure.layers, for: "protect"))
    if let spare, spare.structure.model != structure.model {
      throw Diagnostic("the mask belongs to another model", argument: "spare")
    }
    let isGlobal = scope == .global && !$rates.isGiven
    try checkCompany(isGrouped: !scores.grouping.groups.isEmpty, comparesLayers: scores.comparesLayers)
    let order = isGlobal ? try standardised(scores, guarded) : scores.score.mapUnits(Double.init)
    let layers = (0..<structure.layers).map { layer in
      scoredLayer(layer, order, structure, protected: guarded.contains(layer))
    }
    let groups = try neuronGroups(scores)
    let selection: Selection
    if let threshold {
      selection = try selectBelow(threshold: threshold, layers, model: structure.totalParameters)
    } else if let rates {
      guard rates.structure.model == structure.model else {
        throw Diagnostic("the rates were allocated for another model", argument: "rates")
      }
      let open = rates.rate.enumerated().map { guarded.contains($0.offset) ? 0 : $0.element }
      selection = try selectPerLayer(layers, model: structure.totalParameters, rates: open, groups: groups)
    } else {
      let rate = rate?.value ?? 0
      selection =
        isGlobal
        ? try scores.comparesModules
          ? selectGlobally(layers, model: structure.totalParameters, rate: rate, base: base)
          : selectModuleByModule(layers, model: structure.totalParameters, rate: rate, base: base)
        : try selectPerLayer(
          layers, model: structure.totalParameters,
          rates: uniformRates(layers, model: structure.totalParameters, rate: rate, base: base, groups: groups),
          groups: groups)
    }
    if selection.guarded > 0 {
      let reached = rate.map { rate in
        let found = base == .total ? selection.totalRate : selection.blockRate
        return "; \(percent(found)) went in place of \(percent(rate.value)), since nothing else goes for them"
      }
      context.warn(
        "\(counted(selection.guarded, "unit")) stayed only because the layer would have been left empty\(reached ?? "")"
      )
    }
    if selection.removed == 0, (rate?.value ?? rates?.target) != 0 { context.warn("the mask removes nothing") }
    var keep = PerUnit<Bool>()
    for module in scores.score.modules() {
      keep[module] = selection.layers.enumerated().map { layer, kept in
        var flags = structure.isLeft[module][layer]
        for (unit, stays) in zip(structure.left(module, layer: layer), kept[module]) { flags[unit] = stays }
        return flags
      }
    }
    return Mask(
      structure: structure, keep: keep, requested: rate?.value ?? rates?.target,
      threshold: isGlobal ? selection.largestPruned : nil, grouping: scores.grouping,
      calibration: calibration(scores))
  }

  private func standardised(_ scores: Scores, _ guarded: Set<Int>) throws -> PerUnit<Double> {
    for (module, spreads) in scores.spread ?? [:] {
      for (layer, spread) in spreads.enumerated() where spread.deviation == 0 && !guarded.contains(layer) {
        throw Diagnostic(
          "\(FluctuationError.constantScores(site: module.site.rawValue, layer: layer))",
          hint: "use scope=layer, or protect=\(layer)", argument: "scores")
      }
    }
    return scores.comparable
  }

  /// What the layer still has; without scores (it was not captured) it stays whole.
  private func scoredLayer(_ layer: Int, _ order: PerUnit<Double>, _ structure: Structure, protected: Bool)
    -> ScoredLayer
  {
    let units = PerModule { module in
      let all = order[module]?[layer] ?? []
      let left = all.isEmpty ? [] : structure.left(module, layer: layer)
      let row = left.map { all[$0] }
      let isOpen = !protected && !row.contains(where: \.isNaN)
      let spared = (spare?.keep[module]?[layer]).map { flags in left.map { flags[$0] } } ?? []
      return ScoredUnits(
        scores: row.map { $0.isNaN ? 0 : $0 }, parameters: structure.parametersPerUnit[module][layer],
        protected: isOpen ? spared : row.map { _ in true })
    }
    let ranked = order.modules().reduce(0) { $0 + structure.parameters(of: $1, layer: layer) }
    return ScoredLayer(units: units, parameters: base == .module ? ranked : structure.blockParameters[layer])
  }

  private func neuronGroups(_ scores: Scores) throws -> [NeuronGroups] {
    guard let within else { return [] }
    guard within.structure.model == scores.structure.model else {
      throw Diagnostic("the groups divide the neurons of another model", argument: "within")
    }
    if !scores.grouping.groups.isEmpty, scores.grouping.groups != $within.references.first?.content {
      throw Diagnostic("the scores were made with other groups than within= gives", argument: "within")
    }
    return (0..<scores.structure.layers).map { within.selectable(layer: $0) }
  }
}
