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

  /// What every set changes.
  func outcomes(of sets: [LesionSet]) throws -> [LesionOutcome] {
    let cellCount = targets.cells.kind.count
    var outcomes = sets.map { _ in LesionOutcome(cells: Array(repeating: 0, count: cellCount)) }
    let cells = Dictionary(
      uniqueKeysWithValues: try Set(sets.compactMap { $0.pieces.first?.layer }).map {
        ($0, try targets.cell(layer: $0))
      })
    let plan = LesionRounds(
      network: network, sets: sets, sequences: targets.sequences, means: means, context: context)
    let total = plan.passes
    var done = 0
    for round in plan.rounds {
      if let saved = try context.checkpoint(named: round.name) {
        var known = round.lesions.map { outcomes[$0] }
        try saved.fill(&known, LesionOutcome.columns)
        for (index, outcome) in zip(round.lesions, known) { outcomes[index] = outcome }
        done += round.lesions.count
        context.resumed(at: done, of: total, "lesion")
        continue
      }
      try plan.run(
        round, energies: { index, energy in outcomes[index].energy += round.share * energy },
        pulse: { try context.progress(done, of: total, "lesion") },
        finish: { index, states in
          let found = try network.losses(
            states: states, round.part, ranks: context.ranks, pulse: { try context.checkCancelled() })
          if let bad = found.firstIndex(where: { !$0.isFinite }) {
            throw Diagnostic("a lesion leaves a loss that is no number at token \(round.base + bad)", argument: "model")
          }
          let cell = cells[sets[index].pieces[0].layer] ?? []
          for (t, loss) in found.enumerated() {
            let change = loss - losses[round.base + t]
            outcomes[index].total += change
            if cell[round.base + t] >= 0 { outcomes[index].cells[Int(cell[round.base + t])] += change }
          }
          done += 1
          try context.progress(done, of: total, "lesion")
        })
      // What is known after this and the earlier stretches of the text.
      try context.checkpoint(round.name) {
        try $0.columns(LesionOutcome.columns, of: round.lesions.map { outcomes[$0] }, axis: "lesion")
      }
    }
    return outcomes
  }
}
