import Foundation
import Numerics
import Testing

@testable import Transformer

/// Heads of which some rotary pairs and some directions of the values are left; as many in all blocks, or one more pair in each.
func narrowHeads(
  _ configuration: Configuration, pairs: Int? = 1, values: Int? = nil, isOrthonormal: Bool = false
) -> Pruning {
  var stream = RandomStream(seed: 11, name: "heads")
  var pruning = Pruning.keepingAll(configuration)
  let size = configuration.headSize
  for layer in 0..<configuration.layers {
    let count = configuration.keyValueHeads(layer: layer)
    pruning.blocks[layer].attention.heads.pairs = pairs.map { pairs in
      (0..<count).map { head in
        (0..<size / 2).map { ($0 + head + layer) % (size / 2) }.prefix(pairs).sorted()
      }
    }
    pruning.blocks[layer].attention.heads.values = values.map { rank in
      (0..<count).map { _ in
        let B = orthonormalised(stream.gaussianMatrix(rows: size, columns: rank) as Matrix<Double>)
        let A = isOrthonormal ? B.T.copy() : stream.gaussianMatrix(rows: rank, columns: size) as Matrix<Double>
        return Factors(outer: Matrix<Float>(B), inner: Matrix<Float>(A))
      }
    }
  }
  return pruning
}

/// MoDeGPT's attention: heads that lose rotary pairs of queries and keys, or directions of their values.
@Suite struct HeadPruningTests {
  private static let rotating = ["llama", "gqa-tied", "llama3", "linear", "biased", "qwen2", "mistral-window", "phi3"]
    .map(
      ModelFixture.init)
  private static let grouped = ["gqa-tied", "llama3", "wide-groups"].map(ModelFixture.init)

  /// Every model of groups, and those whose units are a query head of every group.
  private static let models =
    ModelFixture.all.map { ($0, AttentionUnit.group) } + grouped.map { ($0, .query) }

  private func pairs(_ configuration: Configuration, _ count: Int) -> Int? {
    configuration.obstacleToPairs == nil ? count : nil
  }

  /// All pairs in their order, and as many directions as a value has.
  @Test("nothing gone is the same", arguments: models)
  func nothingGoneIsTheSame(_ fixture: ModelFixture, _ unit: AttentionUnit) throws {
    let whole = try fixture.model(.float32, unit)
    let (configuration, size) = (whole.configuration, whole.configuration.headSize)
    let model = try whole.pruned(
      by: narrowHeads(configuration, pairs: pairs(configuration, size / 2), values: size, isOrthonormal: true))
    let sequences = try fixture.sequences()
    #expect(relativeError(try model.logits(sequences), try whole.logits(sequences)) < 2e-5)
    #expect(model.blockParameters == whole.blockParameters)
  }

  @Test("what is counted is what is loaded", arguments: models)
  func countsAreOfWhatIsLoaded(_ fixture: ModelFixture, _ unit: AttentionUnit) throws {
    let whole = try fixture.model(.float32, unit)
    let configuration = whole.configuration
    let model = try whole.pruned(by: narrowHeads(configuration, pairs: pairs(configuration, 1), values: 3))
      .pruned(by: somePruning(configuration))
    var (loaded, biases) = (0, 0)
    for layer in 0..<model.layers {
      let block = try model.loadBlock(layer)
      for module in Module.allCases {
        loaded += block[module].input.parameters + block[module].output.parameters
        for role in module.roles where configuration.blocks[layer].biases.contains(role) {
          biases += block[role].bias(role)?.count ?? 0
        }
      }
    }
    #expect(model.blockParameters == loaded)
    let tables = model.totalParameters - loaded - biases
    let same = try whole.pruned(by: somePruning(configuration))
    #expect(tables == same.totalParameters - same.blockParameters - self.biases(same))
    #expect(try model.storedBytes() < same.storedBytes())
    #expect(model.multiplyAccumulates(perTokenOf: 9) < same.multiplyAccumulates(perTokenOf: 9))
  }

  private func biases(_ model: LanguageModel) -> Int {
    (0..<model.layers).reduce(0) { sum, layer in
      Module.allCases.reduce(sum) { sum, module in
        let block = try? model.loadBlock(layer)
        return module.roles.filter { model.configuration.blocks[layer].biases.contains($0) }.reduce(sum) {
          $0 + (block?[module].bias($1)?.count ?? 0)
        }
      }
    }
  }

  /// At its full size, zeros in what is gone, a block gives the same; so do folders that keep it.
  @Test("zeros in whole heads give the same", arguments: models)
  func zerosGiveTheSame(_ fixture: ModelFixture, _ unit: AttentionUnit) throws {
    let whole = try fixture.model(.float32, unit)
    let configuration = whole.configuration
    let model = try whole.pruned(by: narrowHeads(configuration, pairs: pairs(configuration, 1), values: 2))
      .pruned(by: somePruning(configuration))
    let sequences = try fixture.sequences()
    let expected = try model.logits(sequences)
    let folder = try TemporaryFolder()
    try model.export(to: folder.path + "/masked", as: .masked)
    #expect(relativeError(try LanguageModel(folder.path + "/masked").logits(sequences), expected) < 2e-5)
    for (format, name) in [(ModelFormat.uniform, "uniform"), (.gguf, "m.gguf")] {
      do {
        try model.export(to: folder.path + "/" + name, as: format, .init(type: format.suffixes.isEmpty ? nil : .f32))
      } catch ModelError.cannotExport { continue }
      #expect(relativeError(try LanguageModel(folder.path + "/" + name).logits(sequences), expected) < 2e-5, "\(name)")
    }
  }

  @Test("token by token it is the same", arguments: models)
  func decodesTheSame(_ fixture: ModelFixture, _ unit: AttentionUnit) throws {
    let whole = try fixture.model(.float32, unit)
    let configuration = whole.configuration
    let model = try whole.pruned(by: narrowHeads(configuration, pairs: pairs(configuration, 1), values: 3))
    try expectDecodesTheSame(model, fixture.sequences()[0..<1])
  }

  /// Σ w ∂L/∂w of every map of attention is the derivative by a factor before that map.
  @Test(
    "derivatives equal differences", arguments: ["gqa-tied", "llama3", "qwen2", "wide-groups"], AttentionUnit.allCases)
  func derivativesEqualDifferences(_ name: String, _ unit: AttentionUnit) throws {
    let fixture = ModelFixture(name: name)
    let whole = try fixture.model(.float32, unit)
    let model = try whole.pruned(by: narrowHeads(whole.configuration, pairs: 1, values: 3))
    let sequences = try fixture.sequences()[0..<1]
    for role in Module.attention.roles {
      var derivative = 0.0
      try model.branchGradients(
        sequences,
        look: { shown in
          guard shown.layer == 0, shown.branch.module == .attention else { return }
          let (X, dY) = shown.signals(role)
          let gradient = dY.T * X
          derivative = zip(gradient.values, shown.branch.weight(role).values).reduce(0) { $0 + Double($1.0 * $1.1) }
          if role != .output, let bias = shown.branch.bias(role) {
            let sums = (0..<dY.columns).map { dY.column($0).reduce(0.0) { $0 + Double($1) } }
            derivative += zip(sums, bias).reduce(0) { $0 + $1.0 * Double($1.1) }
          }
        })
      func loss(_ factor: Float) throws -> Double {
        let walk = try Walk(model, sequences)
        try walk.embed()
        var block = try model.loadBlock(0)
        let branch = block[.attention]
        let rows = branch.rows(of: role)
        block.branches.attention = Branch(
          configuration: branch.configuration, module: .attention, units: branch.units, heads: branch.heads,
          norm: branch.norm, outputNorms: branch.outputNorms,
          input: role == .output ? branch.input : branch.input.changing(outputs: rows) { factor * $0 },
          output: role == .output ? branch.output.changingInputs { factor * $0 } : branch.output, shortcut: nil)
        try walk.step(block)
        while walk.layer < model.layers { try walk.step() }
        return try model.losses(states: walk.states, sequences).reduce(0, +) / Double(sequences.tokens.count - 1)
      }
      func slope(_ step: Float) throws -> Double { try (loss(1 + step) - loss(1 - step)) / Double(2 * step) }
      // Two steps tell the error that grows with their square.
      let difference = try (4 * slope(0.02) - slope(0.04)) / 3
      #expect(abs(difference - derivative) < 0.01 * abs(derivative) + 1e-4, "\(role)")
    }
  }

  /// Units, refits, biases and factors before or after: what is left is the same.
  @Test("masks and maps before and after give the same", arguments: Self.grouped, AttentionUnit.allCases)
  func othersCommute(_ fixture: ModelFixture, _ unit: AttentionUnit) throws {
    let whole = try fixture.model(.float32, unit)
    let configuration = whole.configuration
    let heads = narrowHeads(configuration, pairs: 1, values: 2, isOrthonormal: true)
    let sequences = try fixture.sequences()
    for compensated in [false, true] {
      let masks = somePruning(configuration, compensated: compensated)
      let before = try whole.pruned(by: masks).pruned(by: heads)
      let after = try whole.pruned(by: heads).pruned(by: masks)
      #expect(after.blockParameters == before.blockParameters)
      #expect(try after.logits(sequences).values == before.logits(sequences).values)
    }

    // A refit before is taken to what is left; one after is of what is left.
    var refit = somePruning(configuration)
    let columns = refit.blocks[0].attention.kept.features(of: configuration.featuresPerUnit(.heads))
    let W = try whole.loadBlock(0)[.attention].outputWeight(of: configuration.units(.attention, layer: 0))
    refit.blocks[0].attention.weight = (2 * W).gathering(columns: columns)
    let before = try whole.pruned(by: refit).pruned(by: heads)
    var late = refit
    let narrow = try whole.pruned(by: heads).loadBlock(0).outputWeight(.attention)
    late.blocks[0].attention.weight = (2 * narrow).gathering(columns: columns)
    let after = try whole.pruned(by: heads).pruned(by: late)
    #expect(relativeError(try after.logits(sequences), try before.logits(sequences)) < 1e-5)

    // Two factors, of all the rank, are the map; and count for themselves.
    var factors = Pruning.keepingAll(configuration)
    let block = try whole.loadBlock(0)
    for role in Module.attention.roles {
      let W = block[role].weight(role)
      factors.blocks[0].attention.factors[role] = Factors(outer: W.copy(), inner: .identity(W.columns))
    }
    let factored = try whole.pruned(by: factors).pruned(by: heads)
    #expect(
      relativeError(try factored.logits(sequences), try whole.pruned(by: heads).logits(sequences)) < 1e-5)
    let loaded = try factored.loadBlock(0)[.attention]
    let other = try whole.pruned(by: heads)
    #expect(
      factored.blockParameters - other.blockParameters == loaded.input.parameters + loaded.output.parameters
        - (try other.loadBlock(0)[.attention].input.parameters)
        - (try other.loadBlock(0)[.attention].output.parameters))
    // After them they are of what is left.
    var later = Pruning.keepingAll(configuration)
    let cut = try other.loadBlock(0)
    for role in Module.attention.roles {
      let W = cut[role].weight(role)
      later.blocks[0].attention.factors[role] = cut[role].spread(
        Factors(outer: W.copy(), inner: .identity(W.columns)), role, layer: 0)
    }
    #expect(
      relativeError(try other.pruned(by: later).logits(sequences), try other.logits(sequences)) < 1e-5)
  }

  /// In a stream that is sliced heads lose the same, before or after.
  @Test("slices before and after give the same", arguments: ["gqa-tied", "qwen2"], [false, true])
  func slicesCommute(_ name: String, isShared: Bool) throws {
    let fixture = ModelFixture(name: name)
    let whole = try fixture.model()
    let heads = narrowHeads(whole.configuration, pairs: 1, values: 2)
    let slicing = randomSlicing(whole.configuration, width: 12, isShared: isShared)
    let (before, after) = (
      try whole.pruned(by: heads).pruned(by: slicing), try whole.pruned(by: slicing).pruned(by: heads)
    )
    let sequences = try fixture.sequences()
    #expect(relativeError(try after.logits(sequences), try before.logits(sequences)) < 1e-5)
    #expect(after.blockParameters == before.blockParameters)
  }

  @Test func whatCannotBeIsRefusedByName() throws {
    let whole = try ModelFixture(name: "gqa-tied").model()
    let (pairs, values) = (
      narrowHeads(whole.configuration), narrowHeads(whole.configuration, pairs: nil, values: 2)
    )
    func message(_ work: () throws -> LanguageModel) -> String {
      do {
        _ = try work()
        return ""
      } catch { return "\(error)" }
    }
    let again = message { try whole.pruned(by: pairs).pruned(by: pairs) }
    #expect(again == "a choice of rotary pairs in block 0 cannot be followed by another")
    let values2 = message { try whole.pruned(by: values).pruned(by: values) }
    #expect(values2 == "a choice of directions of the values in block 0 cannot be followed by another")
    let both = message { try whole.pruned(by: values).pruned(by: pairs) }
    #expect(both == "")
    for (name, words) in [
      ("gpt2", "without rotary positions"), ("chatglm3", "4 of 8 features are rotated"),
      ("qwen3", "normed, as in qwen3"),
      ("olmo2", "normed, as in olmo2"),
    ] {
      let other = try ModelFixture(name: name).model()
      let refusal = message { try other.pruned(by: narrowHeads(other.configuration)) }
      #expect(refusal.contains(words))
    }
    var wrong = pairs
    func wrongly() -> String { message { try whole.pruned(by: wrong) } }
    wrong.blocks[1].attention.heads.pairs = [[0]]
    #expect(wrongly().contains("block 1 has 1 lists of rotary pairs"))
    wrong.blocks[1].attention.heads.pairs = [[0], [2]]
    #expect(wrongly().contains("beyond the head"))
    wrong.blocks[1].attention.heads.pairs = [[0], [0, 1]]
    #expect(wrongly().contains("2 rotary pairs in a head"))
    wrong = values
    wrong.blocks[0].attention.heads.values?[1] = Factors(
      outer: Matrix(rows: 4, columns: 1), inner: Matrix(rows: 1, columns: 4))
    #expect(wrongly().contains("1 directions of values in a head"))
  }

  // MARK: Folders

  /// Heads of other sizes have a class of our own. `ReadBackTests` and exports.py read it.
  @Test("narrow heads have a class of their own", arguments: ["llama", "gqa-tied", "biased", "qwen2", "phi3", "qwen3"])
  func exportsNarrowHeads(_ name: String) throws {
    let whole = try ModelFixture(name: name).model()
    let configuration = whole.configuration
    let model = try whole.pruned(by: narrowHeads(configuration, pairs: pairs(configuration, 1), values: 3))
      .pruned(by: somePruning(configuration))
    let folder = try TemporaryFolder()
    try model.export(to: folder.path + "/out", as: .huggingFace)
    let found = try Checkpoint(folder.path + "/out")
    let heads = configuration.heads(units: model.pruning.blocks[0].attention.kept.count)
    func rows(_ name: String) throws -> Int {
      try found.info(ByteString("model.layers.0.self_attn.\(name).weight")).shape[0]
    }
    let key = configuration.obstacleToPairs == nil ? 2 : configuration.headSize
    #expect(try rows("q_proj") == heads.queries * key)
    #expect(try rows("k_proj") == heads.keyValues * key)
    #expect(try rows("v_proj") == heads.keyValues * 3)
  }

  @Test func gpt2HasNoClassForThem() throws {
    let whole = try ModelFixture(name: "gpt2").model()
    let model = try whole.pruned(by: narrowHeads(whole.configuration, pairs: nil, values: 2))
    let folder = try TemporaryFolder()
    let error = try #require(throws: ModelError.self) { try model.export(to: folder.path + "/x", as: .huggingFace) }
    #expect("\(error)".contains("heads that lost rotary pairs or directions of their values"))
  }
}
