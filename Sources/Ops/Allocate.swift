import Kernel
import Numerics
import Transformer

extension AllocationRule: Choice {}

struct Allocate: Op {
  static let name = "allocate"
  static let summary = "Decide how much each block loses: complex blocks lose less."
  static let reference: String? =
    "FANG eq. 8; OWL (Yin et al. 2024) for how=owl; MoDeGPT (Lin et al. 2025) for how=softmax; SVD-LLM V2 (Wang et al. 2025) for how=truncation"
  static let revision = 5
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=16 length=128
    ctx = capture m cal sites=block.in,block.out keep=moments
    al = allocate ctx rate=30% how=clip
    """

  @Input("a capture of block.in and block.out, of what maps read for how=truncation, or the affinity for how=taylor")
  var evidence: Either<Activations, Affinity>
  @Param("share of the blocks' parameters to remove on average", in: .from(0.0, below: 1.0)) var rate: Ratio
  @Param("how complexity becomes a rate per block") var how = AllocationRule.clip
  @Param(
    "groups with a shared one exempt: no block may lose more than n K/(K+1) of its neurons", in: .ifGiven(.atLeast(1)))
  var groups: Int? = nil

  @Param(
    "with how=softmax: the difference of block influence that matters; 0.1 when not given", in: .ifGiven(.above(0)))
  var temperature: Double? = nil
  @Param(
    "with how=softmax or truncation: the most a block may lose; 80% or 90% when not given",
    in: .ifGiven(.from(0.0, below: 1.0)))
  var cap: Ratio? = nil

  init() {}

  func check() throws -> NoFacts {
    let isAffinity = $evidence.givenType == Affinity.type
    if how == .taylor, !isAffinity {
      throw Diagnostic(
        "how=taylor allocates by sensitivity", hint: "give the result of taylor instead of a capture",
        argument: "evidence", kind: .usage)
    }
    if how != .taylor, isAffinity {
      throw Diagnostic(
        "how=\(how.rawValue) allocates by functional complexity", hint: "give a capture of block.in and block.out",
        argument: "evidence", kind: .usage)
    }
    if temperature != nil, how != .softmax {
      throw Diagnostic("temperature= belongs to how=softmax", argument: "temperature", kind: .usage)
    }
    if cap != nil, how != .softmax, how != .truncation {
      throw Diagnostic("cap= belongs to how=softmax and how=truncation", argument: "cap", kind: .usage)
    }
    if how == .truncation {
      if groups != nil { throw Diagnostic("groups= is of neurons", argument: "groups", kind: .usage) }
      try $evidence.require(
        keep: [.gram], sites: TruncationLosses.sites, grouped: false, by: "how=truncation", argument: "evidence")
      return NoFacts()
    }
    try $evidence.require(keep: Statistic.something, sites: .ends, by: "how=\(how.rawValue)", argument: "evidence")
    return NoFacts()
  }

  func estimate(within limit: Int) throws -> Resources {
    guard case .first(let capture) = evidence, how == .truncation else { return Resources(memory: 0) }
    return Resources(memory: TruncationLosses.bytes(try capture.loadModel().network))
  }

  func run(_ context: any RunContext) throws -> Rates {
    let structure: Structure
    let complexity: [Double]
    let calibration: [String]
    switch evidence {
    case .first(let capture) where how == .truncation: return try ratesOfMaps(capture, context)
    case .first(let capture):
      structure = capture.structure
      complexity = try functionalComplexity(capture)
      calibration = capture.calibration
    case .second(let affinity):
      structure = affinity.structure
      complexity = affinity.sensitivity
      calibration = affinity.calibration
    }
    let most = how == .softmax ? cap?.value ?? 0.8 : 1
    let caps = structure.units.ffn.indices.map { min(most, limit(structure, layer: $0)) }
    let found = try allocate(
      how, complexity: complexity, parameters: structure.blockParameters, sp: rate.value, caps: caps,
      temperature: temperature ?? 0.1)
    if found.isUniformForLackOfContrast { context.warn("all blocks are equally complex, so the rates are uniform") }
    return Rates(
      structure: structure, rate: found.rates, complexity: complexity, target: rate.value, how: how.rawValue,
      calibration: calibration)
  }

  /// Each kind of map by itself, by what it loses in each block.
  private func ratesOfMaps(_ capture: Activations, _ context: any RunContext) throws -> Rates {
    let model = try capture.loadModel()
    try model.requireOwnMaps(by: "how=truncation", argument: "evidence")
    try model.requireWholeStream(by: "how=truncation", argument: "evidence")
    let losses = try TruncationLosses(model: model, acts: capture, rate: rate.value, context: context).losses()
    let layers = capture.structure.layers
    func parameters(_ role: LinearRole, _ layer: Int) -> Int {
      model.configuration.keptParameters(of: role, model.pruning, layer: layer)
    }
    var rates: [LinearRole: [Double]] = [:]
    for (role, losses) in losses {
      rates[role] = try allocate(
        how, complexity: losses, parameters: (0..<layers).map { parameters(role, $0) }, sp: rate.value,
        caps: Array(repeating: cap?.value ?? 0.9, count: layers)
      ).rates
    }
    let roles = model.configuration.roles
    let mean = (0..<layers).map { layer in
      let all = roles.reduce(0) { $0 + parameters($1, layer) }
      let gone = roles.reduce(0.0) { $0 + Double(parameters($1, layer)) * (rates[$1]?[layer] ?? 0) }
      return all > 0 ? gone / Double(all) : 0
    }
    return Rates(
      structure: capture.structure, rate: mean, roles: rates,
      complexity: (0..<layers).map { layer in roles.reduce(0) { $0 + (losses[$1]?[layer] ?? 0) } }, target: rate.value,
      how: how.rawValue, calibration: capture.calibration)
  }

  private func functionalComplexity(_ capture: Activations) throws -> [Double] {
    guard capture.layers.count == capture.structure.layers else {
      throw Diagnostic("allocate needs a capture of every layer", argument: "evidence")
    }
    try capture.loadModel().requireOneBasis(by: "how=\(how.rawValue)", argument: "evidence")
    return try capture.layers.map { try capture.turn(layer: $0, argument: "evidence") }
  }

  /// The rate at which a layer would run out of neurons, attention losing its share too: with groups in whole units, as
  /// `mask within=` counts.
  private func limit(_ structure: Structure, layer: Int) -> Double {
    let n = structure.left(.ffn, layer: layer).count
    guard let groups else { return Double(max(0, n - 1)) / Double(max(1, n)) }
    // More groups than neurons leave nothing to lose, however many they are.
    let most = groups < n ? max(0, n - n / (groups + 1) - groups) : 0
    let units = PerModule { module in
      ScoredUnits(
        scores: structure.left(module, layer: layer).map { _ in 0 },
        parameters: structure.parametersPerUnit[module][layer])
    }
    return largestRate(ScoredLayer(units: units, parameters: structure.blockParameters[layer]), neurons: most)
  }
}
