import Foundation
import Numerics
import Testing

@testable import Transformer

/// A slicing to random directions: a basis for every branch, or one for all.
func randomSlicing(_ configuration: Configuration, width: Int, isShared: Bool) -> Pruning {
  var stream = RandomStream(seed: 3, name: "bases")
  let count = isShared ? 1 : configuration.layers * Module.allCases.count
  let bases = (0..<count).map { _ in
    Matrix<Float>(
      orthonormalised(stream.gaussianMatrix(rows: configuration.hiddenSize, columns: width) as Matrix<Double>))
  }
  return Pruning(blocks: Pruning.keepingAll(configuration).blocks, slicing: Slicing(bases: bases))
}

/// SliceGPT's way through a model: the stream in bases of its own, and narrower.
@Suite struct SlicingTests {
  private static let fixtures = ModelFixture.all.filter { $0.name != "olmo2" }

  @Test("a stream of which nothing is sliced off gives the same logits", arguments: fixtures, [false, true])
  func nothingSlicedIsTheSame(_ fixture: ModelFixture, isShared: Bool) throws {
    let whole = try fixture.model()
    let d = whole.configuration.hiddenSize
    let model = try whole.pruned(by: randomSlicing(whole.configuration, width: d, isShared: isShared))
    let sequences = try fixture.sequences()
    #expect(relativeError(try model.logits(sequences), try whole.logits(sequences)) < 2e-5)
  }

  @Test("what is counted is what is loaded", arguments: fixtures, [false, true])
  func countsAreOfWhatIsLoaded(_ fixture: ModelFixture, isShared: Bool) throws {
    let whole = try fixture.model()
    let configuration = whole.configuration
    let (d, width) = (configuration.hiddenSize, 12)
    let model = try whole.pruned(by: randomSlicing(configuration, width: width, isShared: isShared))
    var loaded = 0
    for layer in 0..<model.layers {
      let block = try model.loadBlock(layer)
      for module in Module.allCases {
        let branch = block[module]
        loaded += branch.input.parameters + branch.output.parameters + (branch.shortcut?.parameters ?? 0)
        #expect((branch.shortcut == nil) == isShared)
      }
      // The authors' formula; behind the last block the stream is whole again.
      if !isShared, layer + 1 < model.layers {
        let P = configuration.linearParameters(layer: layer)
        let left = P - model.pruning.removedParameters(layer: layer, configuration)
        #expect(left == P / d * width + 2 * width * width)
      }
    }
    #expect(model.blockParameters == loaded)
    #expect(whole.blockParameters(slicedTo: width, isShared: isShared) == loaded)
    if isShared { #expect(loaded == configuration.blockParameters / d * width) }
    let tables = configuration.vocabularySize * (width + (isShared ? width : d))
    #expect(model.totalParameters >= loaded + tables)
    #expect(try model.storedBytes() > 0)
  }

  @Test("token by token it is the same", arguments: ["gqa-tied", "gpt2"], [false, true])
  func decodesTheSame(_ name: String, isShared: Bool) throws {
    let fixture = ModelFixture(name: name)
    let whole = try fixture.model()
    let model = try whole.pruned(by: randomSlicing(whole.configuration, width: 10, isShared: isShared))
    try expectDecodesTheSame(model, fixture.sequences()[0..<1])
  }

  @Test("derivatives equal differences", arguments: ["gqa-tied", "qwen2", "gpt2"], [false, true])
  func derivativesEqualDifferences(_ name: String, isShared: Bool) throws {
    let fixture = ModelFixture(name: name)
    let whole = try fixture.model()
    let model = try whole.pruned(by: randomSlicing(whole.configuration, width: 11, isShared: isShared))
    let sequences = try fixture.sequences()[0..<1]
    for module in Module.allCases {
      var derivative = 0.0
      var weights = 0.0
      try model.branchGradients(
        sequences,
        look: { shown in
          guard shown.layer == 0, shown.branch.module == module else { return }
          derivative = zip(shown.mixed.values, shown.mixedGradient.values).reduce(0) { $0 + Double($1.0 * $1.1) }
          // The same through dW: Σ w ∂L/∂w over the output map.
          let (X, dY) = shown.signals(module.output)
          let gradient = dY.T * X
          weights = zip(gradient.values, shown.branch.output.weight.values).reduce(0) { $0 + Double($1.0 * $1.1) }
        })
      func loss(_ scale: Float) throws -> Double {
        let walk = try Walk(model, sequences)
        try walk.embed()
        let block = try model.loadBlock(0)
        var changed = Pruning.keepingAll(model.configuration)
        changed.blocks[0][module].weight = scale * block[module].output.weight
        try walk.step(block.pruned(by: changed.blocks[0]))
        while walk.layer < model.layers { try walk.step() }
        return try model.losses(states: walk.states, sequences).reduce(0, +) / Double(sequences.tokens.count - 1)
      }
      let difference = try (loss(1.01) - loss(0.99)) / 0.02
      #expect(abs(difference - derivative) < 0.01 * abs(derivative) + 1e-4, "\(module)")
      #expect(abs(weights - derivative) < 1e-4 * abs(derivative) + 1e-6, "\(module)")
    }
  }

  @Test("masks before and after give the same", arguments: ["gqa-tied", "biased", "qwen2", "gpt2"], [false, true])
  func masksCommute(_ name: String, isShared: Bool) throws {
    let fixture = ModelFixture(name: name)
    let whole = try fixture.model()
    let configuration = whole.configuration
    let slicing = randomSlicing(configuration, width: 12, isShared: isShared)
    let first = somePruning(configuration, compensated: true)
    var second = first
    for layer in second.blocks.indices {
      for module in Module.allCases {
        guard let R = slicing.slicing?.leaving(module, layer: layer), let bias = first.blocks[layer][module].bias else {
          continue
        }
        // As it is found in the stream that the branch writes; a mean is no part of it where norms subtract it.
        let b = Matrix(rows: bias.count, columns: 1, values: bias)
        if configuration.family.normalization == .layer { b.T.subtractRowMeans() }
        second.blocks[layer][module].bias = (R.T * b).values
      }
    }
    let sequences = try fixture.sequences()
    let before = try whole.pruned(by: first).pruned(by: slicing)
    let after = try whole.pruned(by: slicing).pruned(by: second)
    #expect(after.blockParameters == before.blockParameters)
    // Random bases hold the mean's direction, too, so that of GPT-2 only the mask commutes.
    if configuration.family.normalization == .rootMeanSquare {
      #expect(relativeError(try after.logits(sequences), try before.logits(sequences)) < 2e-5)
    }
    let bare = somePruning(configuration)
    #expect(
      relativeError(
        try whole.pruned(by: slicing).pruned(by: bare).logits(sequences),
        try whole.pruned(by: bare).pruned(by: slicing).logits(sequences)) < 2e-5)
  }

  @Test("a block that is skipped is one of which nothing is left", arguments: [false, true])
  func skippingTurnsTheStream(isShared: Bool) throws {
    let fixture = ModelFixture(name: "gqa-tied")
    let whole = try fixture.model()
    let model = try whole.pruned(by: randomSlicing(whole.configuration, width: 12, isShared: isShared))
    let without = try model.pruned(by: withoutBlocks([0], whole.configuration))
    let sequences = try fixture.sequences()
    let walk = try Walk(model, sequences)
    try walk.embed()
    try walk.step(model.loadBlock(0, without: Module.allCases))
    while walk.layer < model.layers { try walk.step() }
    #expect(walk.states.values == (try without.finalStates(sequences)).values)
  }

  @Test func whatCannotFollowIsRefused() throws {
    let whole = try ModelFixture(name: "gqa-tied").model()
    let slicing = randomSlicing(whole.configuration, width: 12, isShared: false)
    let model = try whole.pruned(by: slicing)
    #expect(
      throws: ModelError.cannotFollow("a slicing of the residual stream", "another"),
      performing: { try model.pruned(by: slicing) })
    #expect(throws: ModelError.self) { try model.pruned(by: bridge(over: 1, whole.configuration)) }
    var factored = Pruning.keepingAll(whole.configuration)
    factored.blocks[1].ffn.factors[.up] = Factors(
      outer: Matrix(rows: 24, columns: 2), inner: Matrix(rows: 2, columns: 16))
    #expect(throws: ModelError.self) { try model.pruned(by: factored) }
    // Before it they may stand.
    let sequences = try ModelFixture(name: "gqa-tied").sequences()
    let nothing = randomSlicing(whole.configuration, width: 16, isShared: false)
    for earlier in [factored, bridge(over: 1, whole.configuration)] {
      let pruned = try whole.pruned(by: earlier)
      #expect(
        relativeError(try pruned.pruned(by: nothing).logits(sequences), try pruned.logits(sequences)) < 2e-5)
    }
    var short = slicing
    short.slicing = Slicing(bases: Array(slicing.slicing?.bases.dropLast() ?? []))
    #expect(throws: ModelError.self) { try whole.pruned(by: short) }
    let olmo = try ModelFixture(name: "olmo2").model()
    #expect(throws: ModelError.self) {
      try olmo.pruned(by: randomSlicing(olmo.configuration, width: 12, isShared: true))
    }
  }

  // MARK: Folders

  /// A class that turns the stream is ours alone. `ReadBackTests` and exports.py read it.
  @Test("a turned stream has a class of its own", arguments: ["llama", "gqa-tied", "biased", "qwen2", "qwen3"])
  func exportsATurnedStream(_ name: String) throws {
    let whole = try ModelFixture(name: name).model()
    let model = try whole.pruned(by: somePruning(whole.configuration))
      .pruned(by: randomSlicing(whole.configuration, width: 12, isShared: false))
    let folder = try TemporaryFolder()
    try model.export(to: folder.path + "/out", as: .huggingFace)
    let found = try Checkpoint(folder.path + "/out")
    let (d, words) = (whole.configuration.hiddenSize, whole.configuration.vocabularySize)
    func shape(_ name: String) throws -> [Int] { try found.info(ByteString(name)).shape }
    #expect(try shape("model.embed_tokens.weight") == [words, 12])
    #expect(try shape("lm_head.weight") == [words, d])
    #expect(try shape("model.layers.0.ffn_shortcut.weight") == [12, 12])
    #expect(try shape("model.layers.1.ffn_shortcut.weight") == [d, 12])
    #expect(try shape("model.layers.1.mlp.down_proj.weight")[0] == d)
    #expect(!found.contains(ByteString("model.layers.0.input_layernorm.weight")))
    for format in [ModelFormat.masked, .uniform, .gguf] {
      #expect(throws: ModelError.self) { try model.export(to: folder.path + "/x", as: format) }
    }
  }

  /// One basis makes a narrower model of the same class, or of Granite's where heads do not divide the stream.
  @Test("one basis makes a stock class", arguments: ["llama", "gqa-tied", "biased", "qwen2", "qwen3"], [12, 10])
  func exportsANarrowerModel(_ name: String, _ width: Int) throws {
    let fixture = ModelFixture(name: name)
    let whole = try fixture.model()
    let slicing = randomSlicing(whole.configuration, width: width, isShared: true)
    let model = try whole.pruned(by: slicing)
    let sequences = try fixture.sequences()
    let folder = try TemporaryFolder()
    try model.export(to: folder.path + "/out", as: .huggingFace)
    let back = try LanguageModel(folder.path + "/out")
    #expect(relativeError(try back.logits(sequences), try model.logits(sequences)) < 2e-5)
    #expect(back.configuration.hiddenSize == width)
    #expect(back.blockParameters == model.blockParameters)
    let isDivided = !whole.configuration.family.hasHeadsThatDivide || width == 12
    #expect(back.configuration.family.name == (isDivided ? whole.configuration.family.name : "granite"))
    for format in [ModelFormat.masked, .gguf] {
      #expect(throws: ModelError.self) { try model.export(to: folder.path + "/x", as: format) }
    }
  }

  @Test func gpt2HasNoClassForIt() throws {
    let whole = try ModelFixture(name: "gpt2").model()
    for isShared in [false, true] {
      let model = try whole.pruned(by: randomSlicing(whole.configuration, width: 12, isShared: isShared))
      let folder = try TemporaryFolder()
      #expect(throws: ModelError.self) { try model.export(to: folder.path + "/out", as: .huggingFace) }
    }
  }
}
