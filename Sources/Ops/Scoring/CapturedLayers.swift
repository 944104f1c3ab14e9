import Kernel
import Numerics
import Transformer

/// What scoring ops need of captures: per layer and module, the moments or Grams of the input of the module's last
/// linear map, and that map's weights.
struct CapturedLayers {
  let captures: [Activations]
  /// Any of these says something of a module; where none is kept it is not scored.
  let statistics: [Statistic]
  let model: Model
  let structure: Structure

  /// - Throws: when the captures are of different models.
  init(_ captures: [Activations], keeping statistics: [Statistic] = Statistic.something) throws {
    guard let first = captures.first else { throw Diagnostic("at least one capture is needed") }
    for other in captures where other.structure.model != first.structure.model {
      throw Diagnostic("the captures were made on different models")
    }
    self.captures = captures
    self.statistics = statistics
    model = try first.loadModel()
    structure = first.structure
  }

  /// What scoring takes at most: a block and sums over its columns; of a Gram matrix itself, its factor and its inverse,
  /// of which greedy removal changes a copy. The weights in double come later, when the factor is gone.
  static func bytes(of captures: [Activations], takes statistic: Statistic, isGreedy: Bool = false) throws -> Int {
    guard let network = try captures.first?.loadModel().network else { return 0 }
    var largest = 0
    for capture in captures {
      for module in Module.allCases where capture.sites(keeping: [statistic]).contains(module.site) {
        let columns = (capture.structure.units[module].max() ?? 0) * capture.structure.columnsPerUnit[module]
        let weights = columns * network.configuration.hiddenSize
        let curvature = (isGreedy ? 4 : 3) * 8 * columns * columns
        largest = max(largest, weights + (statistic == .gram ? curvature : 0))
      }
    }
    return network.blockBytes + largest
  }

  /// The modules whose inputs were captured.
  var modules: [Module] { Module.allCases.filter { module in captures.contains { isKept(module, by: $0) } } }
  var calibration: [String] { captures.reduce([]) { merged($0, $1.calibration) } }

  private func isKept(_ module: Module, by capture: Activations) -> Bool {
    capture.sites(keeping: statistics).contains(module.site)
  }

  /// Whether the module was captured in that layer, and has units to score.
  private func isScored(_ module: Module, layer: Int) -> Bool {
    structure.isLeft[module][layer].contains(true)
      && captures.contains { isKept(module, by: $0) && $0.layers.contains(layer) }
  }

  /// The first capture of the module in that layer; nil when no capture looked there.
  func part(_ module: Module, layer: Int) throws -> LayerActivations? {
    for capture in captures where isKept(module, by: capture) && capture.layers.contains(layer) {
      return try capture.part(module.site, layer: layer)
    }
    return nil
  }

  /// One score per unit of every captured layer, NaN where nothing was captured; and the spread of the scores of what is
  /// left in each layer. A layer that is done is not done again after an interruption.
  /// - Parameter judge: scores of the columns, or of the units, of the module's output map, given what was captured of
  ///   its input and its weights.
  func unitScores(
    _ context: any RunContext, _ judge: (Module, Int, LayerActivations, Matrix<Float>) throws -> [Double]
  ) throws -> (score: PerUnit<Float>, spread: [Module: [Scores.Spread]]) {
    var score = structure.unknown(of: modules)
    var spread: [Module: [Scores.Spread]] = [:]
    for module in modules {
      spread[module] = Array(repeating: Scores.Spread(mean: 0, deviation: 1), count: structure.layers)
    }
    let saved = try context.checkpoints(of: "layer", count: structure.layers) { checkpoint in
      var scores: [Module: [Double]] = [:]
      for module in modules where checkpoint.has(module.rawValue) {
        scores[module] = try checkpoint.array(module.rawValue, as: Double.self)
      }
      return scores
    }
    if !saved.isEmpty { context.resumed(at: saved.count, of: structure.layers, "layer") }
    var found = saved
    let missing = (0..<structure.layers).filter { layer in
      saved[layer] == nil && modules.contains { isScored($0, layer: layer) }
    }
    try context.ranks.forEach(missing.count) { place in
      let layer = missing[place]
      try context.progress(layer, of: structure.layers, "layer")
      let block = try model.network.loadBlock(layer)
      return try modules.filter { isScored($0, layer: layer) }.flatMap { module in
        guard let part = try part(module, layer: layer) else { return [0.0] }
        let scores = try judge(module, layer, part, block.outputWeight(module))
        return [Double(scores.count)] + scores
      }
    } take: { place, numbers in
      let layer = missing[place]
      var rest = numbers[...]
      for module in modules where isScored(module, layer: layer) {
        let count = Int(rest.removeFirst())
        if count > 0 { found[layer, default: [:]][module] = Array(rest.prefix(count)) }
        rest = rest.dropFirst(count)
      }
      try context.checkpoint("layer-\(layer)") { writer in
        for (module, scores) in found[layer] ?? [:] {
          try writer.vector(module.rawValue, scores, axis: module.rawValue)
        }
      }
    }
    for layer in 0..<structure.layers {
      for module in modules {
        guard let scores = found[layer]?[module] else { continue }
        let isPerUnit = scores.count == structure.units[module][layer]
        score[module]?[layer] = (isPerUnit ? scores : summed(scores, by: structure.columnsPerUnit[module]))
          .map { Float($0) }
        let left = structure.left(module, layer: layer)
        let columns = isPerUnit ? left : structure.columns(module, of: left)
        spread[module]?[layer] = Scores.Spread(columns.map { scores[$0] })
      }
    }
    return (score, spread)
  }
}
