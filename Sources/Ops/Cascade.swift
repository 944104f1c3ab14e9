import Kernel
import Numerics
import Transformer

struct Cascade: Op {
  static let name = "cascade"
  static let revision = 3
  static let summary = "Prune block by block, each block seeing the already pruned ones before it."
  static let reference: String? =
    "sequential layer-wise pruning as in SparseGPT; FANG eq. 4; Wanda-sp as in FLAP; SoBP (Wei et al. 2024), target=dense"
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=16 length=128
    p = cascade m cal by=obc rate=30%
    """

  enum By: String, Choice {
    case flap, obc, wanda, magnitude

    var meaning: String {
      switch self {
      case .flap: "by fluctuation"
      case .obc: "by the loss a removal costs"
      case .wanda: "Wanda-sp: attention and FFN of a block are judged by what the whole block shows, and go together"
      case .magnitude: "by the norms of columns"
      }
    }
  }

  enum Target: String, Choice {
    case own, dense

    var meaning: String {
      switch self {
      case .own: "what the block's own maps make of the pruned stream"
      case .dense: "what they made in the dense model"
      }
    }
  }

  enum Refit: String, Choice {
    case own, none, bias, ls

    var meaning: String {
      switch self {
      case .own: "the method's own: ls for obc, bias for flap, none for wanda and magnitude"
      case .none: "nothing is added"
      case .bias: "the mean of what was removed"
      case .ls: "a refit by least squares"
      }
    }
  }

  @Input("the model to prune") var model: Model
  @Input("calibration text, as windows") var corpus: Corpus
  @Input("neuron groups; every group loses the same share and the shared one nothing", named: true) var groups: Groups?
  @Input("a rate for each block, from allocate", named: true) var rates: Rates?
  @Input("a mask that says how many units of each layer and module go, in place of a rate", named: true) var like: Mask?
  @Param("the method") var by = By.obc
  @Param("share of the blocks' parameters to remove", in: .ifGiven(.from(0.0, below: 1.0))) var rate: Ratio? = nil
  @Param("how obc removes: all at once, or one unit at a time") var how = Criterion.OptimalBrain.How.oneshot
  @Param("how the removed outputs are made up for") var comp = Refit.own
  @Param("the outputs that a refit aims at") var target = Target.own
  @Param("damping of the Gram matrices, relative to their mean diagonal", in: .between(0.0, 1.0)) var damp: Ratio = 0.01
  @Param("flap's score: wifv, ifv or wifn") var metric = FluctuationMetric.wifv
  @Param("how token clusters count for each group") var weight: ContextWeighting? = nil
  @Param("softness of weight=, in units of the distance between clusters, or relative to its mean") var tau =
    Temperature.softness

  init() {}

  func check() throws -> Model.Facts {
    let given = [("rate", rate != nil), ("rates", $rates.isGiven), ("like", $like.isGiven)].filter(\.1)
    guard given.count == 1 else {
      throw Diagnostic(
        given.isEmpty ? "cascade needs a rate=, rates= or like=" : "rate=, rates= and like= exclude each other",
        argument: given.first?.0, kind: .usage)
    }
    try checkTarget()
    if weight != nil, judgesTogether {
      throw Diagnostic("weight= belongs to by=flap or by=obc", argument: "weight", kind: .usage)
    }
    if weight != nil, !$groups.isGiven {
      throw Diagnostic(
        "weight= weighs the tokens group by group", hint: "add groups=", argument: "weight", kind: .usage)
    }
    try criterion.check(weight, tau: tau)
    if by != .flap, $metric.isGiven {
      throw Diagnostic("metric= belongs to by=flap", argument: "metric", kind: .usage)
    }
    if $damp.isGiven, by != .obc, comp != .ls {
      throw Diagnostic("damp= belongs to by=obc or comp=ls", argument: "damp", kind: .usage)
    }
    if by != .obc, $how.isGiven { throw Diagnostic("how= belongs to by=obc", argument: "how", kind: .usage) }
    return Model.Facts(layers: $model.facts?.layers)
  }

  /// Whether attention and FFN of a block are judged and removed together.
  private var judgesTogether: Bool { by == .wanda || by == .magnitude }

  private func checkTarget() throws {
    guard target == .dense else { return }
    func refused(_ problem: String, hint: String? = nil) -> Diagnostic {
      Diagnostic(problem, hint: hint, argument: "target", kind: .usage)
    }
    if judgesTogether { throw refused("target=dense belongs to by=obc or by=flap") }
    if compensation != .ls { throw refused("target= is what a refit aims at", hint: "add comp=ls") }
    if $groups.isGiven { throw refused("target=dense refits all columns together, not in groups") }
  }

  func estimate(within limit: Int) throws -> Resources {
    let network = model.network
    let configuration = network.configuration
    let (d, tokens, longest) = (configuration.hiddenSize, corpus.tokens.count, corpus.sequences.longest)
    let walk = network.walkBytes(tokens: tokens, longest: longest)
    guard by == .obc || compensation == .ls else { return Resources(memory: walk + network.blockBytes) }
    let n = (0..<configuration.layers).map { max(configuration.units(.ffn, layer: $0), d) }.max() ?? 0
    // All that goes of a block may be neurons.
    let share = rates?.rate.max() ?? rate?.value ?? 1
    let neurons = share * Double(configuration.linearParameters(layer: 0))
    let removed = Int(neurons / Double(max(1, configuration.parametersPerUnit(.ffn)))) + 1
    // A greedy search changes a copy of the inverse. Refits to dense outputs add a walk, and what both walks show together,
    // as it is and damped; then the columns and rows that stay.
    var refit = Compensation.refitBytes(d: d, n: n, removed: removed)
    if how == .greedy { refit = max(refit, 8 * n * (4 * n + d)) }
    if target == .dense { refit = walk - network.blockBytes + 8 * n * (6 * n + d) }
    // Attention is pruned when neurons are judged; then all of the block is.
    let attention = configuration.units(.attention, layer: 0) * configuration.parametersPerUnit(.attention)
    return Resources(
      memory: walk + Compensation.refittedBytes(network)
        + max(network.blockBytes, attention * network.precision.bytesPerWeight + refit))
  }

  func run(_ context: any RunContext) throws -> Model {
    try corpus.requireWindows(of: model)
    try model.requireOwnMaps(by: "cascade", argument: "model")
    let network = model.network
    let structure = Structure(model.network, model: $model.references[0].content)
    for (name, other) in [
      ("groups", groups?.structure.model), ("rates", rates?.structure.model), ("like", like?.structure.model),
    ] {
      if let other, other != structure.model { throw Diagnostic("\(name)= is of another model", argument: name) }
    }
    let share = try rates?.rate ?? perLayer(structure)
    let clusters = try loadClusters()
    let cascade = BlockCascade(
      network: network, sequences: corpus.sequences, structure: structure, rates: share, like: like,
      criterion: criterion, judgesTogether: judgesTogether, aimsAtDense: target == .dense,
      compensation: compensation, damping: damp.value, groups: groups,
      clusters: clusters, weighting: weight.map { Weighting($0, tau: tau) }, context: context)
    let pruning = try cascade.pruning()
    if pruning.removedParameters(model.configuration) == 0, share.contains(where: { $0 > 0 }) {
      context.warn("the cascade removes nothing")
    }
    return Model(
      network: try network.pruned(by: pruning), source: model.source,
      pruning: model.pruning.followed(by: pruning, model.configuration),
      calibration: merged(
        model.calibration, [corpus.textHash], groups?.calibration ?? [], like?.calibration ?? [],
        rates?.calibration ?? []),
      compensation: compensation.rawValue)
  }

  var compensation: Compensation {
    switch comp {
    case .own: by == .obc ? .ls : by == .flap ? .bias : .none
    case .none: .none
    case .bias: .bias
    case .ls: .ls
    }
  }
  var criterion: Criterion {
    switch by {
    case .flap: .flap(metric, isSquared: PerModule { _ in false }, asInProgram: false)
    case .obc: .obc(.init(how: how, damping: damp.value, headScore: .block))
    case .wanda: .wanda
    case .magnitude: .magnitude
    }
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
}
