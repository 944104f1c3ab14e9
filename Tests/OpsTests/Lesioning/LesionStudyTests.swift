import Kernel
import Numerics
import Testing
import Transformer

@testable import Ops

@Suite struct LesionStudyTests {
  let network: LanguageModel
  let sequences = Sequences([Array(1...24), Array(30...60)])

  init() throws { network = try LanguageModel(ScriptBench.data + "/tiny-llama") }

  private func findings(
    _ lesions: [NamedLesion], how: Lesion.How = .exact, draws: Int = 0, mode: Lesion.Mode = .each
  ) throws -> LesionStudy.Findings {
    try StepBench().run { [network, sequences] context in
      try LesionStudy(
        network: network, lesions: lesions, noun: "set", targets: LesionTargets(sequences, labels: nil, by: nil),
        mode: mode, fillsMeans: false, how: how, draws: draws, match: .energy, seed: 0, context: context
      ).findings()
    }
  }

  private func lesion(_ name: String, _ pieces: [LesionSet.Piece]) -> NamedLesion {
    let set = LesionSet(pieces)
    return NamedLesion(
      layers: set.pieces.map(\.layer).uniqued, name: name, members: set,
      order: set.pieces.flatMap { piece in piece.units.map { (piece.layer, piece.module, $0) } })
  }

  /// Neurons of one layer, a head of another, and both.
  @Test func aLesionCostsWhatTheMaskedModelLoses() throws {
    let neurons = LesionSet.Piece(layer: 4, module: .ffn, units: Array(0..<40))
    let heads = LesionSet.Piece(layer: 1, module: .attention, units: [2])
    let found = try findings([
      lesion("neurons", [neurons]), lesion("heads", [heads]), lesion("both", [neurons, heads]),
    ])
    let dense = mean(try network.losses(sequences).filter { $0 != 0 })
    for (row, pieces) in zip(found.rows, [[neurons], [heads], [heads, neurons]]) {
      var pruning = Pruning.keepingAll(network.configuration)
      for piece in pieces { for unit in piece.units { pruning.blocks[piece.layer][piece.module].keep[unit] = false } }
      let masked = mean(try network.pruned(by: pruning).losses(sequences).filter { $0 != 0 })
      #expect(abs(row.change - (masked - dense)) < 1e-5, "\(row.name)")
      #expect(row.units == pieces.reduce(0) { $0 + $1.units.count })
    }
    #expect(found.classNulls == "none" && found.pairs.isEmpty)
  }

  @Test func randomSetsHaveTheSizeOfTheLesionAndNoneOfItsUnits() throws {
    let survey = try StepBench().run { [network, sequences] context in
      try LesionSurvey(network, sequences, layers: [2], context)
    }
    let own = lesion("a", [.init(layer: 2, module: .ffn, units: Array(0..<30))])
    let random = RandomLesions(
      network: network, pools: survey.pools, isKept: false, match: .size, seed: 1, noun: "set")
    let sets = try (0..<5).map { try random.set(like: own, $0) }
    #expect(sets.allSatisfy { $0.units == 30 && $0.pieces[0].units.allSatisfy { $0 >= 30 } })
    #expect(Set(sets.map { $0.pieces[0].units }).count == 5)
  }

  @Test func whatCannotBeEstimatedIsRefusedBeforeTheModelIsWalked() throws {
    let bench = StepBench()
    let heads = lesion("heads", [.init(layer: 1, module: .attention, units: [0])])
    let problem = #expect(throws: Diagnostic.self) {
      _ = try bench.run { [network, sequences] context in
        try LesionStudy(
          network: network, lesions: [heads], noun: "set", targets: LesionTargets(sequences, labels: nil, by: nil),
          mode: .each, fillsMeans: false, how: .estimate, draws: 0, match: .energy, seed: 0, context: context
        ).findings()
      }
    }
    #expect(problem?.argument == "how" && bench.reported.isEmpty)
  }
}
