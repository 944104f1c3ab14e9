import Kernel
import Numerics
import Transformer

struct Saliency: Op {
  static let name = "saliency"
  static let summary = "Score units and blocks by the gradient of the loss on a text, by a backward pass."
  static let reference: String? =
    "LLM-Pruner (Ma et al. 2023), eq. 3-5; Shortened LLaMA (Kim et al. 2024), Taylor; SoBP (Wei et al. 2024) for how=gate; LLM Surgeon (van der Ouderaa et al. 2024) for how=kfac"
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=10 length=64
    mk = mask (saliency m cal how=param_first) rate=20% scope=layer protect=0,-1
    """

  enum How: String, Choice {
    case first = "param_first"
    case second = "param_second"
    case mix = "param_mix"
    case vectorize
    case gate
    case kfac

    var meaning: String {
      switch self {
      case .first: "|w g| summed over a unit's weights"
      case .second: "|w acc w|, with acc the mean square of the windows' gradients"
      case .mix: "|w g - 1/2 w acc w|"
      case .vectorize: "|sum of w g| over each row or column"
      case .gate: "|dL/dm| of a gate m on each unit"
      case .kfac: "what the loss rises by without each row or column, by a Kronecker-factored curvature"
      }
    }

    var criterion: GradientCriterion {
      SaliencyRule(rawValue: rawValue).map(GradientCriterion.weights) ?? (self == .gate ? .gate : .kronecker)
    }
  }

  @Input("the model") var model: Model
  @Input("the text it must predict, as windows; all of it goes forward and back together") var corpus: Corpus
  @Param("what is made of weights and gradients") var how = How.first

  init() {}

  func check() throws -> Scores.Facts {
    Scores.Facts(grouping: .plain, layers: $model.facts?.layers, blocks: how.criterion.scoresBlocks)
  }

  func estimate(within limit: Int) throws -> Resources {
    let configuration = model.configuration
    let widest =
      (0..<configuration.layers).map { layer in
        configuration.roles.reduce(0) { max($0, configuration.size($1.rows, layer: layer)) }
      }.max() ?? 0
    let needsSquares = if case .weights(let rule) = how.criterion { rule.needsSquares } else { false }
    let gradients = (needsSquares ? 3 : 1) * widest * configuration.hiddenSize * 4
    let curvature = how == .kfac ? model.network.curvatureBytes : 0
    return Resources(
      memory: max(gradients, curvature)
        + model.network.gradientBytes(
          tokens: corpus.tokens.count, longest: corpus.sequences.longest, memory: limit / 4, together: true))
  }

  func run(_ context: any RunContext) throws -> Scores {
    try corpus.requireWindows(of: model)
    let sequences = corpus.sequences
    guard sequences.targets.contains(where: { $0 >= 0 }) else {
      throw Diagnostic("the text has no token that follows another", argument: "corpus")
    }
    let structure = Structure(model.network, model: $model.references[0].content)
    var sums = GradientScores(structure: structure, sequences: sequences, criterion: how.criterion)
    let layers = structure.layers
    var layer = layers
    try model.network.branchGradients(
      sequences, memory: context.memoryLimit / 4,
      look: { shown in
        layer = shown.layer
        try sums.add(shown)
      }, pulse: { try context.progress(layers - layer, of: layers, "block") })
    return Scores(
      structure: structure, score: sums.score.mapUnits(Float.init),
      block: how.criterion.scoresBlocks ? sums.block : nil,
      method: how.rawValue, comparesModules: how != .gate,
      calibration: merged(model.calibration, [corpus.textHash]))
  }
}
