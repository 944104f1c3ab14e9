import Kernel
import Numerics
import Transformer

struct LowRank: Op {
  static let name = "lowrank"
  static let revision = 3
  static let summary = "Write the linear maps of the blocks as products of two smaller ones, or narrow their heads."
  static let reference: String? = "SVD-LLM (Wang et al. 2025); MoDeGPT (Lin et al. 2025) for of=rotary and of=values"
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=16 length=128
    g = capture m cal sites=attn.in,attn.heads,ffn.in,ffn.act keep=gram
    p = lowrank m acts=g rate=20%
    """

  enum Of: String, Choice {
    case linears, rotary, values

    var meaning: String {
      switch self {
      case .linears: "each linear map, written as two factors"
      case .rotary: "the product of query and key: whole rotary pairs go, the same in all heads that share a key"
      case .values:
        "the product of value and output: directions of the values go, the same in all heads that share them"
      }
    }

    /// What is the best when nothing else is said.
    fileprivate var how: How {
      switch self {
      case .linears: .whiten
      case .rotary: .columns
      case .values: .attended
      }
    }
  }

  enum Linear: String, Choice {
    case q, k, v, o, gate, up, down

    var meaning: String {
      switch self {
      case .q: "query"
      case .k: "key"
      case .v: "value"
      case .o: "output of attention"
      case .gate: "gate of the FFN"
      case .up: "the way up in the FFN"
      case .down: "the way down in the FFN"
      }
    }

    var role: LinearRole {
      switch self {
      case .q: .query
      case .k: .key
      case .v: .value
      case .o: .output
      case .gate: .gate
      case .up: .up
      case .down: .down
      }
    }
  }

  enum How: String, Choice {
    case whiten, plain, columns, pairs, attended
    case attendedLs = "attended_ls"
    case joint, grouped

    var meaning: String {
      switch self {
      case .whiten: "linears: the best for the inputs that were captured"
      case .plain: "linears: the singular values of the weights alone"
      case .columns: "rotary: the two features of a pair by themselves, E q² E k² (MoDeGPT)"
      case .pairs: "rotary: both together, which no rotation changes"
      case .attended: "values: the best for what the heads were seen to give"
      case .attendedLs: "values: the same, and then the output map fitted to all heads by least squares"
      case .joint: "values: the best for values that are not mixed yet (MoDeGPT)"
      case .grouped: "values: the same as if the output maps read every direction alike (MoDeGPT with grouped queries)"
      }
    }

    fileprivate var of: Of {
      switch self {
      case .whiten, .plain: .linears
      case .columns, .pairs: .rotary
      case .attended, .attendedLs, .joint, .grouped: .values
      }
    }
  }

  enum Update: String, Choice {
    case nothing, stream

    var meaning: String {
      switch self {
      case .nothing: "both factors stay as they are"
      case .stream:
        "block by block, B is fitted again to what the block's maps do on the stream of the compressed blocks before it"
      }
    }
  }

  @Input("the model") var model: Model
  @Input(
    "Gram matrices of what the maps read: of attn.heads or, for how=joint and grouped, attn.in with of=values; moments of attn.q and attn.k with of=rotary",
    named: true)
  var acts: Activations?
  @Input("a rate for each block, or each map of it, from allocate", named: true) var rates: Rates?
  @Param(
    "share of each map's parameters to remove; 0 leaves the maps as they are", in: .ifGiven(.from(0.0, below: 1.0)))
  var rate: Ratio? = nil
  @Param("what becomes smaller") var of = Of.linears
  @Param("with of=linears: which maps; not given, all") var linears: [Linear] = []
  @Param("what the result is best for; not given, whiten, columns or attended") var how: How? = nil
  @Param("with of=linears: whether the outer factors are fitted again") var update = Update.nothing

  init() {}

  /// Where the inputs of the wanted maps are seen.
  private var sites: [Site] { roles.map(\.site).uniqued }
  private var roles: [LinearRole] { linears.isEmpty ? LinearRole.allCases : linears.map(\.role) }

  func check() throws -> Model.Facts {
    guard (rate != nil) != $rates.isGiven else {
      throw Diagnostic(
        rate == nil ? "lowrank needs a rate= or rates=" : "rate= and rates= exclude each other",
        argument: rate == nil ? nil : "rate", kind: .usage)
    }
    if method.of != of {
      throw Diagnostic("how=\(method.rawValue) belongs to of=\(method.of.rawValue)", argument: "how", kind: .usage)
    }
    if of != .linears { return try checkHeads() }
    if Set(linears).count < linears.count {
      throw Diagnostic("a map is given twice", argument: "linears", kind: .usage)
    }
    let needsCapture = method == .whiten || update == .stream
    guard $acts.isGiven == needsCapture else {
      throw Diagnostic(
        needsCapture
          ? "\(asked.what) needs acts=, the capture to compute it from" : "how=plain looks at weights alone",
        argument: needsCapture ? asked.argument : "acts", kind: .usage)
    }
    if method == .whiten {
      try $acts.require(keep: [.gram], sites: .all(sites), grouped: false, by: asked.what, argument: "acts")
    }
    return Model.Facts(layers: $model.facts?.layers)
  }

  private var method: How { how ?? of.how }

  /// What needs a capture, by the parameter that says so.
  private var asked: (what: String, argument: String?) {
    if update == .stream, how != .whiten { return ("update=stream", "update") }
    if let how { return ("how=\(how.rawValue)", "how") }
    return of == .linears ? (name, nil) : ("of=\(of.rawValue)", "of")
  }

  /// What of=rotary and of=values cannot do without, and what means nothing to them.
  private func checkHeads() throws -> Model.Facts {
    for (name, isGiven) in [("linears", !linears.isEmpty), ("update", update != .nothing)] where isGiven {
      throw Diagnostic("\(name)= belongs to of=linears", argument: name, kind: .usage)
    }
    guard $acts.isGiven else {
      throw Diagnostic(
        "\(asked.what) needs acts=, the capture to compute it from", argument: asked.argument, kind: .usage)
    }
    switch method {
    case .joint, .grouped:
      try $acts.require(keep: [.gram], sites: .all([.attentionIn]), grouped: false, by: asked.what, argument: "acts")
    case .attended, .attendedLs:
      try $acts.require(keep: [.gram], sites: .all([.attentionHeads]), grouped: false, by: asked.what, argument: "acts")
    default: try $acts.require(keep: [.moments], sites: .all([.queries, .keys]), by: asked.what, argument: "acts")
    }
    return Model.Facts(layers: $model.facts?.layers)
  }

  func estimate(within limit: Int) throws -> Resources {
    let network = model.network
    switch of {
    case .linears:
      let factors = Factoring.bytes(
        network, ownRoles, rate: { share(of: $0, layer: $1) }, isWhitened: method == .whiten,
        updates: update == .stream)
      guard update == .stream, let corpus = try acts?.loadCorpus() else {
        return Resources(memory: network.blockBytes + factors)
      }
      return Resources(
        memory: factors + network.walkBytes(tokens: corpus.tokens.count, longest: corpus.sequences.longest))
    case .rotary: return Resources(memory: network.blockBytes)
    case .values:
      return Resources(memory: network.blockBytes + HeadReduction.bytes(network, refits: method == .attendedLs))
    }
  }

  func run(_ context: any RunContext) throws -> Model {
    let content = $model.references[0].content
    // Heads have their features whatever became of others; the inputs of all maps are those of one model.
    let line = of == .linears ? [content] : try context.line(of: $model.references[0], through: "model")
    for (name, other) in [("acts", acts?.structure.model), ("rates", rates?.structure.model)] {
      if let other, !line.contains(other) { throw Diagnostic("\(name)= is of another model", argument: name) }
    }
    try model.requireNoZeroLines(by: name, argument: "model")
    let pruning = try of == .linears ? factored(content, context) : narrowed(content, context)
    return Model(
      network: try model.network.pruned(by: pruning), source: model.source,
      pruning: model.pruning.followed(by: pruning, model.configuration),
      calibration: merged(model.calibration, acts?.calibration ?? [], rates?.calibration ?? []),
      compensation: model.compensation + statisticsOfEarlier(acts, content))
  }

  /// Of the wanted maps those that the model has.
  private var ownRoles: [LinearRole] { roles.filter { model.configuration.roles.contains($0) } }

  private func share(of role: LinearRole, layer: Int) -> Double {
    rates.map { ($0.roles[role] ?? $0.rate)[layer] } ?? rate?.value ?? 0
  }

  private func factored(_ content: String, _ context: any RunContext) throws -> Pruning {
    try model.requireSingleMaps(by: name, argument: "model")
    try model.requireWholeStream(by: name, argument: "model")
    let structure = Structure(model.network, model: content)
    let factoring = Factoring(
      model: model, acts: acts, structure: structure, isWhitened: method == .whiten,
      rate: { share(of: $0, layer: $1) }, roles: ownRoles, context: context)
    return try update == .stream ? factoring.updated() : factoring.factored()
  }

  private func narrowed(_ content: String, _ context: any RunContext) throws -> Pruning {
    guard let acts else { throw Diagnostic("of=\(of.rawValue) needs acts=", argument: "acts") }
    try model.requireWholeHeads(of)
    if method == .joint || method == .grouped {
      let name = "how=\(method.rawValue)"
      try model.requireWholeStream(by: name, argument: "model")
      if model.configuration.blocks.contains(where: { $0.biases.contains(.value) }) {
        throw Diagnostic(
          "\(name) knows values by what their map reads, and in \(model.configuration.family.name) it adds a bias",
          hint: "use how=attended", argument: "how")
      }
    }
    let reduction = HeadReduction(
      network: model.network, part: { try acts.part($0, layer: $1) }, tokens: acts.tokens,
      structure: Structure(model.network, model: content),
      rate: { layer in rates?.rate[layer] ?? rate?.value ?? 0 }, context: context)
    switch method {
    case .attended, .attendedLs: return try reduction.values(.attended(refits: method == .attendedLs))
    case .joint, .grouped: return try reduction.values(.unmixed(reads: method == .joint))
    default: return try reduction.pairs(together: method == .pairs)
    }
  }

  private var name: String { Self.name }
}

extension LinearRole {
  /// Where what the map reads is seen.
  var site: Site {
    self == module.output ? module.site : module.inputSite
  }
}

extension Model {
  /// - Throws: when the heads cannot lose features of a kind, or have lost some already.
  fileprivate func requireWholeHeads(_ of: LowRank.Of) throws {
    if of == .rotary, let obstacle = configuration.obstacleToPairs {
      throw Diagnostic("of=rotary cannot be done with \(obstacle.dropLast())", argument: "model")
    }
    let lost = (0..<network.layers).first { layer in
      let narrowing = network.narrowing(layer: layer)
      return of == .rotary ? narrowing.pairs : narrowing.values
    }
    if let lost {
      throw Diagnostic(
        "the heads of block \(lost) lost \(of == .rotary ? "rotary pairs" : "directions of their values") already",
        argument: "model")
    }
  }

  /// - Throws: when heads have lost some of their features.
  func requireWholeHeads(by consumer: String, argument: String) throws {
    guard let layer = (0..<network.layers).first(where: { network.headSizes(layer: $0) != nil }) else { return }
    throw Diagnostic(
      "\(consumer) needs whole heads, and those of block \(layer) lost \(network.narrowing(layer: layer).pairs ? "rotary pairs" : "directions of their values") already",
      hint: "\(consumer) first, then lowrank", argument: argument)
  }

  /// - Throws: when maps are not the model's own, so that its parameters do not go unit by unit.
  func requireOwnMaps(by consumer: String, argument: String) throws {
    try requireSingleMaps(by: consumer, argument: argument)
    try requireNoZeroLines(by: consumer, argument: argument)
  }

  /// - Throws: when rows and columns of maps are zeros.
  func requireNoZeroLines(by consumer: String, argument: String) throws {
    guard let layer = pruning.blocks.firstIndex(where: \.hasOtherMaps) else { return }
    throw Diagnostic(
      "\(consumer) counts whole units, and rows and columns of block \(layer)'s maps are zeros already",
      hint: "\(consumer) first, then surgeon", argument: argument)
  }

  /// - Throws: when maps are two factors each, whose parameters do not go unit by unit.
  func requireSingleMaps(by consumer: String, argument: String) throws {
    guard let layer = (0..<network.layers).first(where: network.hasFactors) else { return }
    throw Diagnostic(
      "\(consumer) needs maps of one matrix each, and those of block \(layer) are two factors already",
      hint: "prune first, then lowrank", argument: argument)
  }
}
