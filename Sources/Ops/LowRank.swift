import Kernel
import Numerics
import Transformer

struct LowRank: Op {
  static let name = "lowrank"
  static let summary = "Write the linear maps of the blocks as products of two smaller ones."
  static let reference: String? = "SVD-LLM (Wang et al. 2025)"
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=16 length=128
    g = capture m cal sites=attn.in,attn.heads,ffn.in,ffn.act keep=gram
    p = lowrank m acts=g rate=20%
    """

  enum Of: String, Choice {
    case linears

    var meaning: String {
      "each linear map by itself"
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
    case whiten, plain

    var meaning: String {
      switch self {
      case .whiten: "the best for the inputs that were captured"
      case .plain: "the singular values of the weights alone"
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
  @Input("Gram matrices of what the maps read", named: true) var acts: Activations?
  @Input("a rate for each block, or each map of it, from allocate", named: true) var rates: Rates?
  @Param(
    "share of each map's parameters to remove; 0 leaves the maps as they are", in: .ifGiven(.from(0.0, below: 1.0)))
  var rate: Ratio? = nil
  @Param("what is written as two factors") var of = Of.linears
  @Param("which maps; not given, all") var linears: [Linear] = []
  @Param("what the factors are best for") var how = How.whiten
  @Param("whether the outer factors are fitted again") var update = Update.nothing

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
    if Set(linears).count < linears.count {
      throw Diagnostic("a map is given twice", argument: "linears", kind: .usage)
    }
    let needsCapture = how == .whiten || update == .stream
    guard $acts.isGiven == needsCapture else {
      throw Diagnostic(
        needsCapture
          ? "how=\(how.rawValue) needs acts=, the capture to compute it from" : "how=plain looks at weights alone",
        argument: needsCapture ? "how" : "acts", kind: .usage)
    }
    if how == .whiten {
      try $acts.require(keep: [.gram], sites: .all(sites), grouped: false, by: "how=whiten", argument: "acts")
    }
    return Model.Facts(layers: $model.facts?.layers)
  }

  func estimate(within limit: Int) throws -> Resources {
    let configuration = model.configuration
    let widest =
      (0..<configuration.layers).map { max(configuration.units(.ffn, layer: $0), configuration.hiddenSize) }.max() ?? 0
    let states = update == .stream ? (acts?.tokens ?? 0) * configuration.hiddenSize * 4 : 0
    return Resources(memory: 5 * widest * widest * 8 + states + 3 * model.network.blockBytes)
  }

  func run(_ context: any RunContext) throws -> Model {
    let content = $model.references[0].content
    for (name, other) in [("acts", acts?.structure.model), ("rates", rates?.structure.model)] {
      if let other, other != content { throw Diagnostic("\(name)= is of another model", argument: name) }
    }
    try model.requireOwnMaps(by: name, argument: "model")
    try model.requireWholeStream(by: name, argument: "model")
    let structure = Structure(model.network, model: content)
    let factoring = Factoring(
      model: model, acts: acts, structure: structure, isWhitened: how == .whiten,
      rate: { role, layer in
        rates.map { ($0.roles[role] ?? $0.rate)[layer] } ?? rate?.value ?? 0
      },
      roles: roles.filter { model.configuration.roles.contains($0) }, context: context)
    let pruning = try update == .stream ? factoring.updated() : factoring.factored()
    return Model(
      network: try model.network.pruned(by: pruning), source: model.source,
      pruning: model.pruning.followed(by: pruning, model.configuration),
      calibration: merged(model.calibration, acts?.calibration ?? []), compensation: model.compensation)
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
  /// - Throws: when maps are not the model's own, so that its parameters do not go unit by unit.
  func requireOwnMaps(by consumer: String, argument: String) throws {
    try requireSingleMaps(by: consumer, argument: argument)
    guard let layer = pruning.blocks.firstIndex(where: \.hasOtherMaps) else { return }
    throw Diagnostic(
      "\(consumer) counts whole units, and rows and columns of block \(layer)'s maps are zeros already",
      hint: "\(consumer) first, then surgeon", argument: argument)
  }

  /// - Throws: when maps are two factors each, whose parameters do not go unit by unit.
  func requireSingleMaps(by consumer: String, argument: String) throws {
    guard let layer = pruning.blocks.firstIndex(where: \.hasFactors) else { return }
    throw Diagnostic(
      "\(consumer) needs maps of one matrix each, and those of block \(layer) are two factors already",
      hint: "prune first, then lowrank", argument: argument)
  }
}
