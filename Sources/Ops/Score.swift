import Kernel
import Numerics
import Transformer

struct Score: Op {
  static let name = "score"
  static let summary = "Score neurons by the networks they are in, or neurons and heads by a baseline method."
  static let reference: String? =
    "CanICA pruning, section 3 (networks); Wanda (Sun et al. 2024); magnitude; ShortGPT (Men et al. 2024) and "
    + "LLM-Streamline (Chen et al. 2025) for block_influence; MoDeGPT (Lin et al. 2025) for leverage"
  static let revision = 4
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=32 length=128
    acts = capture m cal sites=attn.heads,ffn.act keep=moments
    s = score acts how=wanda
    """

  enum How: String, Choice {
    case wanda
    case magnitude
    case leverage
    case blockInfluence = "block_influence"
    case random
    case maxAbsZ = "max_abs_z"
    case count
    case sum

    var meaning: String {
      switch self {
      case .wanda: "mean over outputs of |W| x root mean square of the input"
      case .magnitude: "norm of the unit's weights"
      case .leverage: "ridge leverage of the input: how much of it the others do not hold; needs a Gram matrix"
      case .blockInfluence: "how much the whole block turns the residual stream"
      case .random: "independent uniform numbers: the control"
      case .maxAbsZ: "of networks: the largest |z| of a neuron"
      case .count: "of networks: in how many of them a neuron is key"
      case .sum: "of networks: the sum of squared z, which does not depend on the rotation"
      }
    }

    static let ofNetworks: [How] = [.maxAbsZ, .count, .sum]

    /// What a capture must keep for it, any one of these.
    fileprivate var statistics: [Statistic] {
      switch self {
      case .wanda: [.moments]
      case .leverage: [.gram]
      default: Statistic.something
      }
    }
  }

  @Input("networks, or moments of attn.heads, ffn.act or both") var measured: Measured
  @Param("the method") var how = How.wanda
  @Param("seed of how=random", in: .atLeast(0)) var seed = 0
  @Param("with how=block_influence: neighbouring blocks judged together; needs keep=values", in: .atLeast(1))
  var span = 1
  @Param("|z| a neuron must exceed with how=count; none for the networks' own key=", in: .ifGiven(.above(0)))
  var threshold: Double? = nil

  init() {}

  func check() throws -> Scores.Facts {
    try checkKind()
    if seed != 0, how != .random {
      throw Diagnostic("seed= belongs to how=random", argument: "seed", kind: .usage)
    }
    let isOfBlocks = how == .blockInfluence
    if span != 1 {
      guard isOfBlocks else {
        throw Diagnostic("span= belongs to how=block_influence", argument: "span", kind: .usage)
      }
      try $measured.require(keep: [.values], by: "span=", argument: "measured")
      if let layers = $measured.knownLayers { try checkSpan(layers) }
    }
    try $measured.require(
      keep: how.statistics, sites: isOfBlocks ? .ends : .judged, grouped: how == .leverage ? false : nil,
      by: "how=\(how.rawValue)", argument: "measured")
    return Scores.Facts(
      grouping: .plain, layers: $measured.knownLayers, pieces: !isOfBlocks, blocks: isOfBlocks)
  }

  private func checkSpan(_ layers: Int) throws {
    guard span <= layers else {
      throw Diagnostic("there are no \(span) neighbouring blocks among \(layers)", argument: "span", kind: .usage)
    }
  }

  /// - Throws: when networks meet a method for captures, or the other way round.
  private func checkKind() throws {
    guard let given = $measured.givenType else { return }
    let isOfNetworks = How.ofNetworks.contains(how)
    guard (given.name == Networks.type.name) == isOfNetworks else {
      throw Diagnostic(
        isOfNetworks
          ? "how=\(how.rawValue) scores networks, and this is a value of type \(given.name)"
          : "how=\(how.rawValue) scores captures, and these are networks",
        hint: isOfNetworks ? "find networks with canica first" : "score networks with how=max_abs_z", argument: "how",
        kind: .usage)
    }
    if threshold != nil, how != .count {
      throw Diagnostic("threshold= belongs to how=count", argument: "threshold", kind: .usage)
    }
  }

  func estimate(within limit: Int) throws -> Resources {
    switch (how, measured) {
    case (.count, .networks(let networks)) where threshold != nil:
      return Resources(memory: try NetworkScores.bytes(networks))
    // What networks say of their units is there, as is how far a block turns the stream.
    case (_, .networks): return Resources(memory: 0)
    case (.blockInfluence, .activations(let captures)):
      let ends = try captures.map { 2 * 4 * $0.tokens * (try $0.loadModel().configuration.hiddenSize) }
      return Resources(memory: span == 1 ? 0 : ends.max() ?? 0)
    case (_, .activations(let captures)):
      return Resources(memory: try CapturedLayers.bytes(of: captures, takes: how == .leverage ? .gram : .moments))
    }
  }

  func run(_ context: any RunContext) throws -> Scores {
    let activations: [Activations]
    switch measured {
    case .networks(let networks): return try NetworkScores(networks, how, threshold: threshold).scores(context)
    case .activations(let captures): activations = captures
    }
    if how == .blockInfluence { return try blockInfluence(activations, context) }
    let captured = try CapturedLayers(activations, keeping: how.statistics)
    let (score, spread) = try captured.unitScores(context) { module, layer, part, W in
      switch how {
      case .wanda, .magnitude:
        let criterion = how == .wanda ? Criterion.wanda : .magnitude
        return try criterion.scores(module, layer: layer, part: part, W: W, width: 1, grouping: nil, context)
      case .leverage:
        return try at("\(module.site.rawValue) of layer \(layer)", argument: "measured") {
          try ridgeLeverages(part.kept(\.gram, .gram).load())
        }
      default:
        var generator = RandomStream(seed: seed, name: "score random \(module.rawValue) of layer \(layer)")
        return randomScores(W.columns, using: &generator)
      }
    }
    return Scores(
      structure: captured.structure, score: score, spread: how == .random || how == .leverage ? nil : spread,
      method: how.rawValue,
      calibration: captured.calibration)
  }

  /// How far each block, or each window of blocks, turns the residual stream. Blocks that were not captured are not
  /// ranked.
  private func blockInfluence(_ activations: [Activations], _ context: any RunContext) throws -> Scores {
    guard let capture = activations.first(where: { $0.sites.contains(.blockOut) }) else {
      throw Diagnostic("how=block_influence needs block.out", argument: "measured")
    }
    try capture.loadModel().requireOneBasis(by: "how=block_influence", argument: "measured")
    let structure = capture.structure
    let layers = structure.layers
    try checkSpan(layers)
    var windows = [Double](repeating: .infinity, count: layers - span + 1)
    for first in windows.indices where [first, first + span - 1].allSatisfy(capture.layers.contains) {
      try context.progress(first, of: windows.count, "window")
      windows[first] = try span == 1 ? capture.turn(layer: first, argument: "measured") : turn(capture, from: first)
    }
    return Scores(
      structure: structure, block: scoresOfBlocks(inWindows: windows, span: span), span: span == 1 ? nil : span,
      method: how.rawValue, calibration: capture.calibration)
  }

  /// 1 - mean cosine of what enters block `first` and what leaves the last block of its window.
  private func turn(_ capture: Activations, from first: Int) throws -> Double {
    let entering = try capture.part(.blockIn, layer: first).kept(\.values, .values).load()
    let leaving = try capture.part(.blockOut, layer: first + span - 1).kept(\.values, .values).load()
    var influence = BlockInfluence()
    influence.add(entering, leaving)
    guard let turn = influence.value else {
      throw Diagnostic("block \(first) sees nothing but zeros", argument: "measured")
    }
    return turn
  }
}
