import Kernel
import Numerics
import Transformer

struct Score: Op {
  static let name = "score"
  static let summary = "Score neurons by the networks they are in, or neurons and heads by a baseline method."
  static let reference: String? =
    "CanICA pruning, section 3 (networks); Wanda (Sun et al. 2024); magnitude; block influence (ShortGPT)"
  static let revision = 3
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=32 length=128
    acts = capture m cal sites=attn.heads,ffn.act keep=moments
    s = score acts how=wanda
    """

  enum How: String, Choice {
    /// Mean over outputs of |W| x root mean square of the input.
    case wanda
    /// Norm of the column of W.
    case magnitude
    /// How much the whole block turns the residual stream; needs `block.in` and `block.out`.
    case blockInfluence = "block_influence"
    /// Independent uniform numbers: the control of every experiment.
    case random
    /// Of networks: the largest |z| of a neuron over networks, runs and signals.
    case maxAbsZ = "max_abs_z"
    /// Of networks: in how many of them |z| exceeds a threshold.
    case count
    /// Of networks: the sum of z², which does not depend on the rotation ICA finds.
    case sum

    static let ofNetworks: [How] = [.maxAbsZ, .count, .sum]
  }

  @Input("networks, or moments of attn.heads, ffn.act or both") var measured: Measured
  @Param("the method") var how = How.wanda
  @Param("seed of how=random", in: .atLeast(0)) var seed = 0
  @Param("|z| a neuron must exceed with how=count; none for the networks' own key=", in: .ifGiven(.above(0)))
  var threshold: Double? = nil

  init() {}

  func check() throws -> Scores.Facts {
    try checkKind()
    if seed != 0, how != .random {
      throw Diagnostic("seed= belongs to how=random", argument: "seed", kind: .usage)
    }
    try $measured.require(
      keep: how == .wanda ? [.moments] : how == .blockInfluence ? Statistic.something : [],
      sites: how == .blockInfluence ? .ends : .judged, by: "how=\(how.rawValue)", argument: "measured")
    return Scores.Facts(grouping: .plain, layers: $measured.knownLayers)
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

  func run(_ context: any RunContext) throws -> Scores {
    let activations: [Activations]
    switch measured {
    case .networks(let networks): return try NetworkScores(networks, how, threshold: threshold).scores(context)
    case .activations(let captures): activations = captures
    }
    if how == .blockInfluence { return try blockInfluence(activations) }
    let captured = try CapturedLayers(activations)
    let (score, spread) = try captured.unitScores(context) { module, layer, part, W in
      switch how {
      case .wanda:
        let moments = try part.kept(\.moments, .moments)
        return wanda(W, meanSquare: zip(moments.mean, moments.variance(ddof: 0)).map { $0 * $0 + $1 })
      case .magnitude: return columnNorms(W)
      default:
        var generator = RandomStream(seed: seed, name: "score random \(module.rawValue) of layer \(layer)")
        return randomScores(W.columns, using: &generator)
      }
    }
    return Scores(
      structure: captured.structure, score: score, spread: how == .random ? nil : spread, method: how.rawValue,
      calibration: captured.calibration)
  }

  /// Every unit of a block gets the block's influence, so whole blocks go first.
  private func blockInfluence(_ activations: [Activations]) throws -> Scores {
    guard let capture = activations.first(where: { $0.sites.contains(.blockOut) }) else {
      throw Diagnostic("how=block_influence needs block.out", argument: "measured")
    }
    let structure = capture.structure
    var score = structure.unknown()
    for layer in capture.layers {
      let turn = Float(try capture.turn(layer: layer, argument: "measured"))
      for module in Module.allCases {
        score[module]?[layer] = Array(repeating: turn, count: structure.units[module][layer])
      }
    }
    return Scores(
      structure: structure, score: score, method: how.rawValue,
      calibration: capture.calibration)
  }
}
