import Kernel
import Numerics
import Transformer

/// How units are judged from what was captured of their module: the part that `flap`, `obc` and `cascade` share.
enum Criterion {
  /// Mean over outputs of |W| times the root mean square of the input (Wanda-sp).
  case wanda
  /// The norm of the column.
  case magnitude
  case flap(FluctuationMetric, isSquared: PerModule<Bool>, asInProgram: Bool)
  case obc(OptimalBrain)

  struct OptimalBrain {
    enum How: String, Choice {
      /// Score once, remove the lowest (FANG, Algorithm 2).
      case oneshot
      /// Remove one unit at a time and update the curvature after each (Algorithm 1).
      case greedy

      var meaning: String {
        switch self {
        case .oneshot: "score once, remove the lowest"
        case .greedy: "one unit at a time, the curvature updated after each"
        }
      }
    }
    enum HeadScore: String, Choice {
      case block, sum

      var meaning: String {
        switch self {
        case .block: "the loss of removing all columns of a unit together"
        case .sum: "the sum of the losses of removing each column alone"
        }
      }
    }
    var how: How
    var damping: Double
    var headScore: HeadScore
  }

  /// Whether it judges by the Gram matrix, and not by moments alone.
  var needsGram: Bool { if case .obc = self { true } else { false } }

  /// Groups of neurons in one layer, each with its own weighting of the token clusters.
  struct Grouping {
    var members: [[Int]]
    var group: [Int32]
    var weighting: Weighting?
  }

  /// - Throws: naming the parameter that has no meaning with the others.
  func check(_ weight: ContextWeighting?, tau: Temperature) throws {
    func refused(_ problem: String, _ argument: String, hint: String? = nil) -> Diagnostic {
      Diagnostic(problem, hint: hint, argument: argument, kind: .usage)
    }
    if weight == nil, tau != .softness { throw refused("tau= belongs to weight=", "tau") }
    switch self {
    case .flap(.wifn, _, _) where weight != nil:
      throw refused("metric=wifn has no weighted form", "metric", hint: "use metric=wifv or ifv")
    case .flap(let metric, _, asInProgram: true) where metric == .wifn || weight != nil:
      throw refused("compat=flap concerns the variance of wifv and ifv, unweighted", "compat")
    case .obc(let options) where options.headScore == .sum && options.how == .greedy:
      throw refused("head_score=sum belongs to how=oneshot", "head_score")
    default: break
    }
  }

  /// One number per column (fluctuation) or per unit (optimal brain) of the module; higher = keep.
  ///
  /// - Parameter W: the module's last linear map, d x columns.
  func scores(
    _ module: Module, layer: Int, part: LayerActivations, W: Matrix<Float>, width: Int, grouping: Grouping?,
    _ context: any RunContext
  ) throws -> [Double] {
    try at("\(module.site.rawValue) of layer \(layer)") {
      switch self {
      case .wanda:
        let moments = try part.kept(\.moments, .moments)
        return Ops.wanda(W, meanSquare: zip(moments.mean, moments.variance(ddof: 0)).map { $0 * $0 + $1 })
      case .magnitude: return columnNorms(W)
      case .flap(let metric, let isSquared, let asInProgram):
        let columns = try fluctuations(
          metric, asInProgram: asInProgram, layer: layer, part: part, W: W, grouping: grouping)
        return isSquared[module] ? columns.map { $0 * $0 } : columns
      case .obc(let options):
        return try brainScores(options, layer: layer, part: part, W: W, width: width, grouping: grouping, context)
      }
    }
  }

  private func fluctuations(
    _ metric: FluctuationMetric, asInProgram: Bool, layer: Int, part: LayerActivations, W: Matrix<Float>,
    grouping: Grouping?
  ) throws -> [Double] {
    let moments = try part.kept(\.moments, .moments)
    guard moments.count >= 2 else { throw FluctuationError.tooFewSamples(found: moments.count) }
    guard let grouping, let weighting = grouping.weighting, let clusters = part.clusterMoments else {
      let variance = asInProgram ? part.reference : moments.variance(ddof: 0)
      guard let variance else { throw FluctuationError.tooFewSamples(found: 1) }
      return fluctuation(metric, W: W, mean: moments.mean, variance: variance)
    }
    let alpha = try weighting.weights(clusters, layer: layer).alpha
    return reweightedFluctuation(
      columnNorms: metric == .ifv ? Array(repeating: 1, count: W.columns) : columnNorms(W), clusters: clusters,
      group: grouping.group.map { $0 < 0 ? alpha.rows : Int($0) }, alpha: alpha)
  }

  private func brainScores(
    _ options: OptimalBrain, layer: Int, part: LayerActivations, W: Matrix<Float>, width: Int, grouping: Grouping?,
    _ context: any RunContext
  ) throws -> [Double] {
    if let grouping, let grams = try part.groupGrams?.load() {
      // The shared group is exempt: nothing outranks it.
      var scores = [Double](repeating: .infinity, count: W.columns)
      for (k, members) in grouping.members.enumerated() {
        try context.checkCancelled()
        let H = try groupCurvature(k, grams[k], grouping, part: part, layer: layer, options.damping, context)
        let W_k = Matrix<Double>(W.gathering(columns: members))
        let found = try neuronScores(W_k, H, options.how, context)
        for (place, neuron) in members.enumerated() { scores[neuron] = found[place] }
      }
      return scores
    }
    let gram = try part.kept(\.gram, .gram).load()
    let H = try damped(gram, options.damping, layer: layer, context)
    let W = Matrix<Double>(W)
    guard width > 1 else { return try neuronScores(W, H, options.how, context) }
    if options.headScore == .sum { return summed(optimalBrainScores(W, H), by: width) }
    guard options.how == .greedy else { return try unitRemovalLosses(W, H, width: width) }
    let units = W.columns / width
    let order = try greedyUnitRemoval(
      W, H, width: width, count: units - 1, progress: { _, _ in try context.checkCancelled() })
    return order.ranks(columns: units)
  }

  private func neuronScores(
    _ W: Matrix<Double>, _ H: Curvature, _ how: OptimalBrain.How, _ context: any RunContext
  ) throws -> [Double] {
    guard how == .greedy else { return optimalBrainScores(W, H) }
    let order = try greedyRemoval(
      W, overwriting: H.inverse.copy(), dead: H.dead, count: W.columns - 1,
      progress: { _, _ in try context.checkCancelled() })
    return order.ranks(columns: W.columns)
  }
}

/// The curvature of one group of neurons under the weighting of its own context (FANG eq. 11).
func groupCurvature(
  _ group: Int, _ grams: [Matrix<Double>], _ grouping: Criterion.Grouping, part: LayerActivations, layer: Int,
  _ damping: Double, _ context: any RunContext
) throws -> Curvature {
  try at("group \(group) of layer \(layer)") {
    try damped(weightedGram(group, grams, grouping, part: part, layer: layer), damping, layer: layer, context)
  }
}

/// H_k = sum_j alpha_kj Gram_kj; without a weighting all tokens count alike.
func weightedGram(
  _ group: Int, _ grams: [Matrix<Double>], _ grouping: Criterion.Grouping, part: LayerActivations, layer: Int
) throws -> Matrix<Double> {
  guard let weighting = grouping.weighting, let clusters = part.clusterMoments else {
    return combined(grams, alpha: grams.map { _ in 1 })
  }
  return combined(grams, alpha: try weighting.weights(clusters, layer: layer).alpha.row(group))
}

/// Damped and inverted, with a warning where the damping had to be raised.
func damped(_ gram: Matrix<Double>, _ damping: Double, layer: Int, _ context: any RunContext) throws -> Curvature {
  let H = try curvature(of: gram, damping: damping)
  if H.retries > 0 {
    context.warn("a Gram matrix of layer \(layer) is nearly singular; damping was raised to \(percent(H.damping))")
  }
  return H
}
