import Kernel
import Numerics
import Transformer

extension FluctuationMetric: Choice {}

struct Flap: Op {
  static let name = "flap"
  static let summary = "Score neurons and heads by how much their input fluctuates."
  static let reference: String? = "FLAP (An et al., AAAI 2024); FANG eq. 12-15"
  static let revision = 2
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=32 length=128
    acts = capture m cal sites=attn.heads,ffn.act keep=moments
    s = flap acts metric=wifv
    """

  @Input("moments of attn.heads, ffn.act or both") var activations: [Activations]
  @Param("wifv: variance x squared weight norm; ifv: variance; wifn: weight x root mean square") var metric =
    FluctuationMetric.wifv
  @Param("square the attention scores, as the authors' program does") var squareAttention = false
  @Param("how fluctuation is accumulated")
  var compat =
    Compat.none
  @Param("how token clusters count for each neuron group (F-FANG); none counts all tokens alike") var weight:
    ContextWeighting? = nil
  @Param("softness of weight=, in units of the distance between clusters, or relative to its mean") var tau =
    Temperature.softness

  enum Compat: String, Choice {
    case none, flap

    var meaning: String {
      switch self {
      case .none: "as the variance, which the paper has"
      case .flap: "window by window, as the authors' program does"
      }
    }
  }

  init() {}

  func check() throws -> Scores.Facts {
    try $activations.require(keep: [.moments], sites: .judged, by: Self.name)
    if weight != nil { try $activations.require(grouped: true, by: "weight=") }
    try criterion.check(weight, tau: tau)
    if squareAttention { try $activations.requireHeads(for: "square_attention", keeping: [.moments]) }
    return Scores.Facts(grouping: weight == nil ? .plain : .grouped, layers: $activations.knownLayers)
  }

  private var criterion: Criterion {
    .flap(metric, isSquared: PerModule(attention: squareAttention, ffn: false), asInProgram: compat == .flap)
  }

  func estimate(within limit: Int) throws -> Resources {
    Resources(memory: try CapturedLayers.bytes(of: activations, takes: .moments))
  }

  func run(_ context: any RunContext) throws -> Scores {
    let captured = try CapturedLayers(activations, keeping: [.moments])
    let grouped = try weight == nil ? nil : activations.grouping(weight, tau: tau)
    let (score, spread) = try captured.unitScores(context) { module, layer, part, W in
      try criterion.scores(
        module, layer: layer, part: part, W: W, width: captured.structure.columnsPerUnit[module],
        grouping: grouped?.grouping(layer: layer)[module], context)
    }
    return Scores(
      structure: captured.structure, score: score, spread: spread, method: "flap \(metric.rawValue)",
      grouping: grouped?.record ?? .plain,
      calibration: captured.calibration)
  }
}
