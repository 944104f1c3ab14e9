import Kernel
import Numerics
import Transformer

struct Surgeon: Op {
  static let name = "surgeon"
  static let summary = "Zero the rows and columns of linear maps that the loss misses least, and adapt the others."
  static let reference: String? = "LLM Surgeon (van der Ouderaa et al. 2024)"
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=16 length=128
    p = surgeon m cal rate=20% shots=3
    """

  @Input("the model") var model: Model
  @Input("the text whose loss is to stay low, as windows") var corpus: Corpus
  @Param(
    "share of the blocks' weights to remove, counted as what is left of rows times what is left of columns",
    in: .from(0.0, below: 1.0))
  var rate: Ratio
  @Param("in how many steps; each takes the curvature again", unit: "shot", in: .between(1, 1000)) var shots = 8
  @Param("damping of the curvature that is inverted, relative to its mean diagonal", in: .between(0.0, 1.0))
  var damp: Ratio = 0.01
  @Param(
    "rows, and columns, of a map that are made up for together, the others as if each group went by itself; not given, all",
    unit: "line", in: .ifGiven(.atLeast(1)))
  var correlate: Int? = nil

  init() {}

  func check() throws -> Model.Facts { Model.Facts(layers: $model.facts?.layers) }

  func estimate(within limit: Int) throws -> Resources {
    let network = model.network
    let grams = (0..<network.layers).reduce(0) { sum, layer in
      let bytes = network.mapGramBytes(layer: layer)
      return sum + bytes.attention + bytes.ffn
    }
    let backward = network.gradientBytes(
      tokens: corpus.tokens.count, longest: corpus.sequences.longest, memory: limit / 4)
    let maps = network.blockParameters * MemoryLayout<Float>.stride
    return Resources(memory: grams + maps + max(backward, network.blockBytes + network.kroneckerMapBytes))
  }

  func run(_ context: any RunContext) throws -> Model {
    try corpus.requireWindows(of: model)
    try model.requireSingleMaps(by: Self.name, argument: "model")
    try model.requireWholeHeads(by: Self.name, argument: "model")
    try model.requireWholeStream(by: Self.name, argument: "model")
    let sequences = corpus.sequences
    guard sequences.targets.contains(where: { $0 >= 0 }) else {
      throw Diagnostic("the text has no token that follows another", argument: "corpus")
    }
    let surgery = ShotSurgery(
      network: model.network, sequences: sequences,
      structure: Structure(model.network, model: $model.references[0].content), rate: rate.value, shots: shots,
      damping: damp.value, together: correlate, context: context)
    let pruning = try surgery.pruning()
    let result = Model(
      network: try model.network.pruned(by: pruning), source: model.source,
      pruning: model.pruning.followed(by: pruning, model.configuration),
      calibration: merged(model.calibration, [corpus.textHash]), compensation: "kfac")
    if rate > 0, result.network.blockParameters == model.network.blockParameters {
      context.warn("no row and no column is small enough to go: nothing was removed")
    }
    return result
  }
}
