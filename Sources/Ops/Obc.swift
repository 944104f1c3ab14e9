import Kernel
import Numerics

struct OBC: Op {
  static let name = "obc"
  static let summary = "Score neurons and heads by the loss their removal costs after the rest is refitted."
  static let reference: String? = "structured OBC (ZipLM); FANG eq. 9-11, Algorithms 1 and 2"
  static let revision = 2
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=32 length=128
    acts = capture m cal sites=attn.heads,ffn.act keep=moments,gram
    mk = mask (obc acts how=oneshot damp=1%) rate=30% scope=layer
    """

  @Input("Gram matrices of attn.heads, ffn.act or both") var activations: [Activations]
  @Param("score once, or remove one unit at a time") var how = Criterion.OptimalBrain.How.oneshot
  @Param("added to the diagonal of the Gram matrix, relative to its mean", in: .between(0.0, 1.0)) var damp: Ratio =
    0.01
  @Param("how the columns of an attention unit make one score") var headScore = Criterion.OptimalBrain.HeadScore.block
  @Param("how token clusters count for each neuron group (O-FANG); none counts all tokens alike") var weight:
    ContextWeighting? = nil
  @Param("softness of weight=, in units of the distance between clusters, or relative to its mean") var tau =
    Temperature.softness

  init() {}

  func check() throws -> Scores.Facts {
    try $activations.require(keep: [.gram], sites: .judged, by: Self.name)
    if weight != nil { try $activations.require(keep: [.moments], grouped: true, by: "weight=") }
    try criterion.check(weight, tau: tau)
    if headScore != .block { try $activations.requireHeads(for: "head_score", keeping: [.gram]) }
    let isGrouped = $activations.facts(of: Activations.self).contains { $0?.grouped == true }
    return Scores.Facts(
      grouping: isGrouped ? .grouped : .plain, layers: $activations.knownLayers, comparesLayers: how == .oneshot)
  }

  private var criterion: Criterion { .obc(.init(how: how, damping: damp.value, headScore: headScore)) }

  func estimate(within limit: Int) throws -> Resources {
    Resources(memory: try CapturedLayers.bytes(of: activations, takes: .gram, isGreedy: how == .greedy))
  }

  func run(_ context: any RunContext) throws -> Scores {
    let captured = try CapturedLayers(activations, keeping: [.gram])
    let grouped = try activations.grouping(weight, tau: tau)
    let (score, _) = try captured.unitScores(context) { module, layer, part, W in
      try criterion.scores(
        module, layer: layer, part: part, W: W, width: captured.structure.columnsPerUnit[module],
        grouping: grouped?.grouping(layer: layer)[module], context)
    }
    return Scores(
      structure: captured.structure, score: score, method: "obc \(how.rawValue)", comparesLayers: how == .oneshot,
      grouping: grouped?.record ?? .plain,
      calibration: captured.calibration)
  }
}
