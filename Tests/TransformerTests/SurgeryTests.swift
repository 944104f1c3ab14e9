import Numerics
import Testing

@testable import Transformer

/// A different part of every block goes; the last one loses all of its attention.
func somePruning(_ configuration: Configuration, compensated: Bool = false) -> Pruning {
  var pruning = Pruning.keepingAll(configuration)
  let d = configuration.hiddenSize
  for layer in 0..<configuration.layers {
    for neuron in 0..<configuration.units(.ffn, layer: layer) where (neuron * 7 + layer) % 3 == 0 {
      pruning.blocks[layer].ffn.keep[neuron] = false
    }
    for unit in 0..<configuration.units(.attention, layer: layer)
    where (unit + layer) % 2 == 1 || layer == configuration.layers - 1 {
      pruning.blocks[layer].attention.keep[unit] = false
    }
    if compensated {
      pruning.blocks[layer].attention.bias = (0..<d).map { Float($0 - 3) * 0.01 }
      pruning.blocks[layer].ffn.bias = (0..<d).map { Float(5 - $0) * 0.02 }
    }
  }
  return pruning
}

/// Removing weights against zeroing them.
@Suite struct SurgeryTests {
  /// The same model with its whole blocks, zeros where something was pruned.
  private func maskedLogits(_ model: LanguageModel, _ sequences: Sequences) throws -> Matrix<Float> {
    let walk = try Walk(model, sequences)
    try walk.embed()
    for layer in 0..<model.layers {
      try walk.step(model.loadWholeBlock(layer).pruned(by: try #require(model.pruning[layer])).spread())
    }
    return try Head(model).logits(walk.states)
  }

  @Test("zeroed and removed weights give the same logits", arguments: ModelFixture.all, [false, true])
  func maskedEqualsSliced(_ fixture: ModelFixture, isCompensated: Bool) throws {
    let whole = try fixture.model()
    let model = try whole.pruned(by: somePruning(whole.configuration, compensated: isCompensated))
    let sequences = try fixture.sequences()
    #expect(relativeError(try model.logits(sequences), try maskedLogits(model, sequences)) < 1e-5)
  }

  @Test("a refit with the weights that were there changes nothing", arguments: ModelFixture.all)
  func refitStandsForTheKeptColumns(_ fixture: ModelFixture) throws {
    let whole = try fixture.model()
    let masks = somePruning(whole.configuration)
    var refitted = masks
    for layer in 0..<whole.layers {
      let block = try whole.loadBlock(layer)
      refitted.blocks[layer].ffn.weight = block[.ffn].output.weight.gathering(columns: masks.blocks[layer].ffn.kept)
      refitted.blocks[layer].attention.weight = block[.attention].output.weight.gathering(
        columns: masks.blocks[layer].attention.kept.features(of: whole.configuration.featuresPerUnit(.queries)))
    }
    let sequences = try fixture.sequences()
    let plain = try whole.pruned(by: masks).logits(sequences)
    #expect(try whole.pruned(by: refitted).logits(sequences).values == plain.values)
  }

  @Test func pruningTwiceIsPruningByBoth() throws {
    let fixture = ModelFixture(name: "gqa-tied")
    let whole = try fixture.model()
    let configuration = whole.configuration
    var first = Pruning.keepingAll(configuration)
    var second = Pruning.keepingAll(configuration)
    first.blocks[0].ffn.keep[1] = false
    first.blocks[0].ffn.weight = try whole.loadBlock(0)[.ffn].output.weight.gathering(columns: first.blocks[0].ffn.kept)
      .map {
        2 * $0
      }
    first.blocks[1].ffn.bias = Array(repeating: 1, count: configuration.hiddenSize)
    second.blocks[0].ffn.keep[4] = false
    second.blocks[0].attention.keep[1] = false
    second.blocks[1].ffn.bias = Array(repeating: 2, count: configuration.hiddenSize)
    let model = try whole.pruned(by: first).pruned(by: second)
    #expect(model.pruning.blocks[0].ffn.removed.count == 2)
    #expect(model.pruning.blocks[1].ffn.bias == Array(repeating: 3, count: configuration.hiddenSize))
    let stepwise = try whole.pruned(by: first).loadBlock(0).pruned(by: second.blocks[0])
    let atOnce = try model.loadBlock(0)
    #expect(stepwise[.ffn].output.weight.values == atOnce[.ffn].output.weight.values)
    #expect(stepwise[.attention].input.weight.values == atOnce[.attention].input.weight.values)
    #expect(stepwise[.ffn].units == atOnce[.ffn].units)
    let removed = 2 * configuration.parametersPerUnit(.ffn) + configuration.parametersPerUnit(.attention)
    #expect(model.blockParameters == configuration.blockParameters - removed)
  }

  @Test("parameter counts follow what is stored", arguments: ModelFixture.all)
  func countsFollowTheTensors(_ fixture: ModelFixture) throws {
    let model = try fixture.model()
    let stored = model.layout.slots.reduce(0) { $0 + $1.shape.reduce(1, *) }
    #expect(model.totalParameters == stored)
    let pruned = try model.pruned(by: somePruning(model.configuration))
    let left = try (0..<model.layers).reduce(0) { sum, layer in
      let block = try pruned.loadBlock(layer)
      return Module.allCases.reduce(sum) { $0 + block[$1].input.parameters + block[$1].output.parameters }
    }
    #expect(pruned.blockParameters == left)
  }

  @Test func capturedActivationsKeepTheirPlaces() throws {
    let fixture = ModelFixture(name: "llama3")
    let whole = try fixture.model()
    let model = try whole.pruned(by: somePruning(whole.configuration))
    let walk = try Walk(model, fixture.sequences())
    try walk.embed()
    let pruning = try #require(model.pruning[0])
    try walk.step(sites: [.attentionHeads, .gateBefore, .gate, .up, .activation]) { tap in
      #expect(tap.values.columns == tap.site.width(whole.configuration))
      let kept =
        tap.site == .attentionHeads
        ? pruning.attention.kept.features(of: whole.configuration.featuresPerUnit(.queries)) : pruning.ffn.kept
      for column in 0..<tap.values.columns {
        #expect(tap.values.column(column).contains { $0 != 0 } == kept.contains(column))
      }
    }
  }

  @Test func aPruningOfTheWrongSizeIsRefused() throws {
    let model = try ModelFixture(name: "llama").model()
    var pruning = Pruning.keepingAll(model.configuration)
    pruning.blocks[1].ffn.keep.removeLast()
    #expect(throws: ModelError.pruningMismatch(layer: 1, what: "ffn units", found: 23, expected: 24)) {
      try model.pruned(by: pruning)
    }
  }
}
