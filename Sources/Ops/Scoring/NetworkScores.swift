import Kernel
import Numerics

/// What `score` takes: captures, or networks; one kind at a time.
enum Measured: InputValue {
  case activations([Activations])
  case networks([Networks])

  static var accepts: [ArtifactType] { [Activations.type, Networks.type] }
  static var arity: InputArity { .many }

  init(_ inputs: [BoundInput]) throws {
    let networks = inputs.count { $0.type.name == Networks.type.name }
    guard networks == 0 || networks == inputs.count else {
      throw Diagnostic("captures and networks cannot be scored together", argument: "measured")
    }
    self = networks > 0 ? .networks(try [Networks](inputs)) : .activations(try [Activations](inputs))
  }
}

/// Scores of neurons and attention units from the networks they are in. They compare across layers as they are: z has variance 1 everywhere.
struct NetworkScores {
  let networks: [Networks]
  let how: Score.How
  let threshold: Double?

  /// - Throws: when the networks are of different models.
  init(_ networks: [Networks], _ how: Score.How, threshold: Double?) throws {
    self.networks = networks
    self.how = how
    self.threshold = threshold
    guard Set(networks.map(\.structure.model)).count == 1 else {
      throw Diagnostic("the networks were found in different models", argument: "measured")
    }
  }

  /// Bytes at the peak where maps are read again: those of a run.
  static func bytes(_ networks: [Networks]) throws -> Int {
    try networks.flatMap { networks in
      try networks.parts.indices.map { index in
        let part = try networks.part(index)
        return 4 * part.components * part.signals.count * part.units
      }
    }.max() ?? 0
  }

  func scores(_ context: any RunContext) throws -> Scores {
    let structure = networks[0].structure
    var score = PerUnit<Float>()
    for module in Set(networks.map(\.settings.module)) {
      score[module] = structure.unknown(of: [module])[module]
    }
    for layer in 0..<structure.layers {
      try context.progress(layer, of: structure.layers, "layer")
      for networks in networks {
        guard let index = networks.layers.firstIndex(of: layer) else { continue }
        let row = try row(networks, index)
        let former = score[networks.settings.module]?[layer] ?? []
        score[networks.settings.module]?[layer] =
          former.first?.isNaN ?? true ? row : zip(former, row).map { how == .maxAbsZ ? max($0, $1) : $0 + $1 }
      }
    }
    return Scores(
      structure: structure, score: score, method: "canica \(how.rawValue)",
      calibration: networks.reduce([]) { merged($0, $1.calibration) })
  }

  private func row(_ networks: Networks, _ index: Int) throws -> [Float] {
    switch how {
    case .maxAbsZ: return networks.maxAbsZ[index]
    case .sum: return networks.sumOfSquares[index]
    default:
      guard let threshold, threshold != networks.settings.key else {
        return networks.memberships[index].map { Float($0) }
      }
      return try memberships(networks, layer: networks.layers[index], above: threshold)
    }
  }

  /// In how many networks of all runs some signal of each unit exceeds `threshold`.
  private func memberships(_ networks: Networks, layer: Int, above threshold: Double) throws -> [Float] {
    var counts = [Float](repeating: 0, count: networks.structure.units[networks.settings.module][layer])
    for index in networks.parts.indices where networks.partLayers[index].contains(layer) {
      let part = try networks.part(index)
      let places = part.places(of: layer)
      for run in part.runs.indices {
        let z = try part.maps(run: run)
        for component in 0..<z.rows {
          let values = z.row(component)
          for unit in counts.indices {
            let place = places.lowerBound + unit
            let isKey = part.signals.indices.contains { abs(Double(values[$0 * part.units + place])) > threshold }
            if isKey { counts[unit] += 1 }
          }
        }
      }
    }
    return counts
  }
}
