import Kernel
import Numerics
import Transformer

/// Lesions that go through the model.
struct ExactLesions {
  let network: LanguageModel
  let targets: LesionTargets
  /// Loss of what follows each token in the dense model.
  let losses: [Double]
  /// By layer and module, means that stand in place of what is taken out; nil for zeros.
  let means: [PerModule<[Double]>]?
  let context: any RunContext

  /// What every set changes. Sets whose states fit into memory together go through the model together.
  func outcomes(of sets: [LesionSet]) throws -> [LesionOutcome] {
    let cellCount = targets.cells.kind.count
    var outcomes = sets.map { _ in LesionOutcome(cells: Array(repeating: 0, count: cellCount)) }
    let cells = Dictionary(
      uniqueKeysWithValues: try Set(sets.compactMap { $0.pieces.first?.layer }).map {
        ($0, try targets.cell(layer: $0))
      })
    let longest = targets.sequences.longest
    let chunks = Parallel.ranges(targets.windows, of: max(1, WindowProtocol.chunkTokens / max(1, longest)))
    // Late layers first: their lesions cross the fewest blocks.
    let order = sets.indices.sorted {
      (-(sets[$0].pieces.first?.layer ?? 0), $0) < (-(sets[$1].pieces.first?.layer ?? 0), $1)
    }
    let chunkTokens = chunks.map { targets.sequences.offsets[$0.upperBound] - targets.sequences.offsets[$0.lowerBound] }
    let stateBytes = 4 * network.configuration.hiddenSize * max(1, chunkTokens.max() ?? 1)
    let perGroup = max(1, min(256, context.memoryLimit / 2 / stateBytes - 2))
    let groups = Parallel.ranges(order.count, of: perGroup).map { Array(order[$0]) }
    let total = chunks.count * sets.count
    var done = 0
    for (c, chunk) in chunks.enumerated() {
      let part = targets.sequences[chunk]
      let base = targets.sequences.offsets[chunk.lowerBound]
      let share = Double(chunkTokens[c]) / Double(max(1, targets.sequences.tokens.count))
      for (g, group) in groups.enumerated() {
        let name = "lesions-\(c)-\(g)-\(group.count)"
        if let saved = try context.checkpoint(named: name) {
          var known = group.map { outcomes[$0] }
          try saved.fill(&known, LesionOutcome.columns)
          for (index, outcome) in zip(group, known) { outcomes[index] = outcome }
          done += group.count
          context.resumed(at: done, of: total, "lesion")
          continue
        }
        let walk = LesionWalk(network: network, means: means, context: context)
        try walk.run(
          group.map { sets[$0] }, on: part,
          energies: { place, energy in outcomes[group[place]].energy += share * energy },
          pulse: { try context.progress(done, of: total, "lesion") },
          finish: { place, states in
            let index = group[place]
            let found = try network.losses(states: states, part, pulse: { try context.checkCancelled() })
            if let bad = found.firstIndex(where: { !$0.isFinite }) {
              throw Diagnostic("a lesion leaves a loss that is no number at token \(base + bad)", argument: "model")
            }
            let cell = cells[sets[index].pieces[0].layer] ?? []
            for (t, loss) in found.enumerated() {
              let change = loss - losses[base + t]
              outcomes[index].total += change
              if cell[base + t] >= 0 { outcomes[index].cells[Int(cell[base + t])] += change }
            }
            done += 1
            try context.progress(done, of: total, "lesion")
          })
        // What is known after this and the earlier stretches of the text.
        try context.checkpoint(name) {
          try $0.columns(LesionOutcome.columns, of: group.map { outcomes[$0] }, axis: "lesion")
        }
      }
    }
    return outcomes
  }
}
