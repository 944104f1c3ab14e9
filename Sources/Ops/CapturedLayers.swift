import Kernel
import Numerics
import Transformer

/// What scoring ops need of captures: per layer and module, the moments or Grams of the input of the module's last
/// linear map, and that map's weights.
struct CapturedLayers {
  let captures: [Activations]
  let model: Model
  let structure: Structure

  /// - Throws: when the captures are of different models.
  init(_ captures: [Activations]) throws {
    guard let first = captures.first else { throw Diagnostic("at least one capture is needed") }
    for other in captures where other.structure.model != first.structure.model {
      throw Diagnostic("the captures were made on different models")
    }
    self.captures = captures
    model = try first.loadModel()
    structure = first.structure
  }

  /// The modules whose inputs were captured.
  var modules: [Module] { Module.allCases.filter { module in captures.contains { $0.sites.contains(module.site) } } }
  var calibration: [String] { captures.reduce([]) { merged($0, $1.calibration) } }

  func isCaptured(_ module: Module, layer: Int) -> Bool {
    captures.contains { $0.sites.contains(module.site) && $0.layers.contains(layer) }
  }

  /// The first capture of the module in that layer; nil when no capture looked there.
  func part(_ module: Module, layer: Int) throws -> LayerActivations? {
    for capture in captures where capture.sites.contains(module.site) && capture.layers.contains(layer) {
      return try capture.part(module.site, layer: layer)
    }
    return nil
  }

  /// One score per unit of every captured layer, NaN where nothing was captured. A layer that is done is not done
  /// again after an interruption.
  /// - Parameter columns: scores of the columns, or of the units, of the module's output map, given what was captured of
  ///   its input and its weights.
  func unitScores(
    _ context: any RunContext, _ columns: (Module, Int, LayerActivations, Matrix<Float>) throws -> [Double]
  ) throws -> (score: PerUnit<Float>, scale: [Module: [Scores.Scale]]) {
    var score = structure.unknown(of: modules)
    var scale: [Module: [Scores.Scale]] = [:]
    for module in modules {
      scale[module] = Array(repeating: Scores.Scale(mean: 0, deviation: 1), count: structure.layers)
    }
    let pieces = try context.savedPieces(of: "layer", count: structure.layers) { saved in
      var scores: [Module: [Double]] = [:]
      for module in modules where saved.has(module.rawValue) {
        scores[module] = try saved.array(module.rawValue, as: Double.self)
      }
      return scores
    }
    if !pieces.isEmpty { context.resumed(at: pieces.count, of: structure.layers, "layer") }
    for layer in 0..<structure.layers {
      try context.progress(layer, of: structure.layers, "layer")
      guard modules.contains(where: { isCaptured($0, layer: layer) }) else { continue }
      let block = try pieces[layer] == nil ? model.network.loadBlock(layer) : nil
      var found = pieces[layer] ?? [:]
      for module in modules {
        if let block, let part = try part(module, layer: layer) {
          found[module] = try columns(module, layer, part, block.outputWeight(module))
        }
        guard let scores = found[module] else { continue }
        let isPerUnit = scores.count == structure.units[module][layer]
        score[module]?[layer] = (isPerUnit ? scores : summed(scores, by: structure.columnsPerUnit[module]))
          .map { Float($0) }
        scale[module]?[layer] = Scores.Scale(scores)
      }
      if block != nil {
        try context.checkpoint("layer-\(layer)") { writer in
          for (module, scores) in found { try writer.vector(module.rawValue, scores, axis: module.rawValue) }
        }
      }
    }
    return (score, scale)
  }
}

extension Scores.Scale {
  /// Mean and standard deviation (ddof 1) of a layer's column scores; deviation 0 when all are equal.
  init(_ scores: [Double]) {
    let count = Double(max(1, scores.count))
    let mean = scores.reduce(0, +) / count
    let squares = scores.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    let deviation = (squares / max(1, count - 1)).squareRoot()
    // Equal numbers may leave rounding errors; a true spread is far above them.
    let size = scores.reduce(0) { max($0, abs($1)) }
    self.init(mean: mean, deviation: deviation > 1e-14 * size ? deviation : 0)
  }
}

extension [Activations] {
  /// The groups that divide the neurons in these captures, and the weighting asked for.
  func grouping(_ weight: ContextWeighting?, tau: Scale) throws -> (
    groups: Groups, reference: ArtifactReference, weighting: Weighting?
  )? {
    guard let capture = first(where: { $0.groups != nil }), let reference = capture.groups,
      let groups = try capture.loadGroups()
    else { return nil }
    if weight != nil, groups.affinity.first?.columns != groups.count {
      throw Diagnostic("weight= needs one group for each cluster; these groups are \(groups.how)", argument: "weight")
    }
    return (groups, reference, weight.map { Weighting($0, tau: tau) })
  }
}

/// What a consumer asks of a capture before anything runs.
extension Input where Value == [Activations] {
  func requireGroups(_ weight: ContextWeighting?) throws {
    guard weight != nil, !allFacts.contains(where: { $0["grouped"] != .bool(false) }) else { return }
    throw Diagnostic(
      "weight= weighs the tokens group by group, and this capture is not divided",
      hint: "capture with by= and groups=", argument: "weight", kind: .usage)
  }
}

extension Input {
  func require(_ keep: Keep, by consumer: String, argument: String = "activations") throws {
    for facts in allFacts where facts["keep"]?.arrayValue?.contains(.string(keep.rawValue)) == false {
      let kept = facts["keep"]?.arrayValue?.compactMap(\.stringValue).joined(separator: ",") ?? ""
      let wanted = kept == Keep.stream.rawValue ? keep.rawValue : "\(kept),\(keep.rawValue)"
      throw Diagnostic(
        "\(consumer) needs the \(keep.noun) of the activations, and this capture does not keep them",
        hint: "capture with keep=\(wanted)", argument: argument, kind: .usage)
    }
    let wanted = Module.allCases.map(\.site.rawValue)
    let seen = allFacts.flatMap { $0["sites"]?.arrayValue?.compactMap(\.stringValue) ?? [] }
    if !seen.isEmpty, !wanted.contains(where: seen.contains) {
      throw Diagnostic(
        "\(consumer) works on \(wanted.joined(separator: " and ")), and this capture has neither",
        hint: "capture with sites=\(wanted.joined(separator: ","))", argument: argument, kind: .usage)
    }
  }
}

extension Keep {
  var noun: String {
    switch self {
    case .values: return "values"
    case .moments: return "moments"
    case .gram: return "Gram matrix"
    case .stream: return "stream"
    }
  }
}
