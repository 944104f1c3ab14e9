import Numerics
import Testing
import Transformer

@testable import Ops

@Suite struct BlockCascadeTests {
  let network: LanguageModel
  let structure: Structure

  init() throws {
    network = try LanguageModel(ScriptBench.data + "/tiny-llama")
    structure = Structure(network, model: "m")
  }

  private func pruning(_ criterion: Criterion, together: Bool, rates: [Double], _ how: Compensation = .none) throws
    -> Pruning
  {
    try StepBench().run { [network, structure] context in
      try BlockCascade(
        network: network, sequences: Sequences([Array(1...24), Array(30...60)]), structure: structure, rates: rates,
        like: nil, criterion: criterion, judgesTogether: together, aimsAtDense: false, compensation: how,
        damping: 0.01, groups: nil, clusters: nil, weighting: nil, context: context
      ).pruning()
    }
  }

  /// Norms of columns do not ask what the stream is, so that both ways of going through a block find the same.
  @Test func unitsOfTheSmallestNormsGo() throws {
    let rates = [0, 0.5, 0.25, 0, 0.1, 0.5]
    let found = try pruning(.magnitude, together: true, rates: rates)
    for layer in rates.indices {
      for module in Module.allCases {
        let norms = columnNorms(try network.loadBlock(layer).outputWeight(module))
        let scores = summed(norms, by: structure.columnsPerUnit[module])
        let gone = found.blocks[layer][module].removed
        #expect(gone == argsort(scores).prefix(gone.count).sorted(), "layer \(layer) \(module)")
      }
      let share = Double(found.removedParameters(layer: layer, network.configuration))
      let block = Double(structure.blockParameters[layer])
      let finest = Double(structure.parametersPerUnit.ffn[0])
      #expect(abs(share - rates[layer] * block) <= finest)
    }
    let other = try pruning(.magnitude, together: false, rates: rates)
    for (a, b) in zip(found.blocks, other.blocks) {
      for module in Module.allCases { #expect(a[module].keep == b[module].keep) }
    }
  }

  /// The first block sees the dense stream; later ones see what is left of it.
  @Test func aBlockIsJudgedInTheStreamOfThePrunedOnes() throws {
    let flap = Criterion.flap(.wifv, isSquared: PerModule { _ in false }, asInProgram: false)
    let (none, half) = (Array(repeating: 0.0, count: 4), [0.5])
    let alone = try pruning(flap, together: false, rates: [0] + none + half, .bias)
    let after = try pruning(flap, together: false, rates: [0.6] + none + half, .bias)
    #expect(after.blocks[5].ffn.keep != alone.blocks[5].ffn.keep)
    let first = try pruning(flap, together: false, rates: half + none + [0], .bias)
    #expect(first.blocks[0].ffn.bias?.count == network.configuration.hiddenSize)
    #expect(
      first.blocks[0].ffn.keep
        == (try pruning(flap, together: false, rates: half + none + half, .bias)).blocks[0].ffn.keep)
  }
}
