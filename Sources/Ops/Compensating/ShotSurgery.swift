import Kernel
import Numerics
import Transformer

/// Takes rows and columns out of the linear maps of all blocks, in several shots.
struct ShotSurgery {
  let network: LanguageModel
  let sequences: Sequences
  let structure: Structure
  /// Share of the maps' weights that goes, rows times columns.
  let rate: Double
  let shots: Int
  /// Of curvature, relative to its mean diagonal.
  let damping: Double
  /// How many lines of a map are made up for together; nil for all.
  let together: Int?
  let context: any RunContext

  /// What stands in the place of the maps that lose something.
  func pruning() throws -> Pruning {
    var pruning = Pruning.keepingAll(network.configuration)
    var first = 0
    if let (stage, saved) = try context.latestStage(of: "shots", through: shots - 1) {
      pruning = try Pruning(from: saved, structure: structure)
      first = stage
      context.resumed(at: stage, of: shots, "shot")
    }
    for shot in first..<shots {
      try shoot(shot, &pruning)
      if shot + 1 < shots {
        try context.checkpoint("shots", stage: shot + 1) { try pruning.write(to: $0) }
      }
    }
    return pruning
  }

  /// One shot: curvature of the model as it is now, one threshold for all maps, and what stays adapted.
  private func shoot(_ shot: Int, _ pruning: inout Pruning) throws {
    let current = try network.pruned(by: pruning)
    let grams = try sums(of: current, shot)
    let goal = weights * (1 - rate * Double(shot + 1) / Double(shots))
    var costs: [(rows: [Double], columns: [Double])] = []
    try forEachMap(of: current, grams) { _, _, _, map in costs.append((map.rowCosts, map.columnCosts)) }
    var removed = try cheapestLines(costs, leaving: goal)[...]
    try forEachMap(of: current, grams) { layer, branch, role, map in
      guard let lines = removed.popFirst() else { return }
      let whole = branch.weight(role)
      // Nothing goes, and nothing is dead.
      if lines == RemovedLines(), map.rows.count == whole.rows, map.columns.count == whole.columns { return }
      let adapted = try at("\(role.rawValue) of block \(layer)", argument: "damp") {
        Matrix<Float>(try map.without(rows: lines.rows, columns: lines.columns, together: together))
      }
      let isBiased = adapted.columns > whole.columns
      pruning.blocks[layer][role.module].maps[role] = branch.spread(
        adapted.columns(0..<whole.columns).copy(), bias: isBiased ? adapted.column(whole.columns) : nil, role,
        layer: layer)
    }
  }

  /// Weights of all maps that are there at the start.
  private var weights: Double {
    Double(
      (0..<network.layers).reduce(0) { sum, layer in
        network.configuration.roles.reduce(sum) { sum, role in
          network.leftUnits(role.module, layer: layer).isEmpty
            ? sum : sum + network.configuration.keptParameters(of: role, network.pruning, layer: layer)
        }
      })
  }

  private struct Place: Hashable {
    let layer: Int
    let module: Module
  }

  private func sums(of current: LanguageModel, _ shot: Int) throws -> [Place: BranchGrams] {
    var grams: [Place: BranchGrams] = [:]
    let tokens = sequences.tokens.count
    try current.batchedBranchGradients(
      sequences, memory: context.memoryLimit / 4,
      look: { shown in
        let place = Place(layer: shown.layer, module: shown.branch.module)
        grams[place, default: BranchGrams(shown.branch, layer: shown.layer)].add(shown)
        try context.checkCancelled()
      }, pulse: { try context.progress(shot * tokens + $0, of: shots * tokens, "token") })
    return grams
  }

  /// Every map of every branch that has units, in the order of running.
  private func forEachMap(
    of current: LanguageModel, _ grams: [Place: BranchGrams],
    _ body: (Int, Branch, LinearRole, KroneckerMap) throws -> Void
  ) throws {
    for layer in 0..<current.layers {
      let block = try current.loadBlock(layer)
      for module in Module.allCases {
        guard let sums = grams[Place(layer: layer, module: module)] else { continue }
        for role in BranchGrams.roles(block[module]) {
          try context.checkCancelled()
          try body(layer, block[module], role, sums.map(role, of: block[module], layer: layer, damping: damping))
        }
      }
    }
  }
}
