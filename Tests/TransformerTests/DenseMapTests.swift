import Numerics
import Testing

@testable import Transformer

/// Other matrices in the place of all maps, with rows and columns of zeros, and biases where the maps have them.
func otherMaps(_ configuration: Configuration) -> Pruning {
  var stream = RandomStream(seed: 4, name: "maps")
  var pruning = Pruning.keepingAll(configuration)
  for layer in 0..<configuration.layers {
    for role in configuration.roles {
      let (m, n) = (configuration.size(role.rows, layer: layer), configuration.size(role.columns, layer: layer))
      let weight: Matrix<Float> = stream.gaussianMatrix(rows: m, columns: n)
      weight.scale(by: 0.3)
      for i in stride(from: layer, to: m, by: 3) { weight.rows(i..<i + 1).scale(by: 0) }
      for j in stride(from: 1, to: n, by: 4) { weight.columns(j..<j + 1).scale(by: 0) }
      let isBiased = configuration.blocks[layer].biases.contains(role)
      let bias = (0..<m).map { $0 % 3 == layer ? 0 : Float($0 % 5) * 0.02 }
      pruning.blocks[layer][role.module].maps[role] = DenseMap(weight, bias: isBiased ? bias : nil)
    }
  }
  return pruning
}

/// Matrices that stand for a model's own (LLM Surgeon).
@Suite struct DenseMapTests {
  @Test("a model's own matrices in their place change no bit", arguments: ModelFixture.all)
  func theOwnMapsAreTheSame(_ fixture: ModelFixture) throws {
    let whole = try fixture.model()
    var pruning = Pruning.keepingAll(whole.configuration)
    for layer in 0..<whole.layers {
      let block = try whole.loadBlock(layer)
      for role in whole.configuration.roles {
        let isBiased = block[role].isBiased(role, layer: layer)
        pruning.blocks[layer][role.module].maps[role] = block[role].spread(
          block[role].weight(role), bias: isBiased ? block[role].bias(role) : nil, role, layer: layer)
      }
    }
    let model = try whole.pruned(by: pruning)
    let sequences = try fixture.sequences()
    #expect(try model.logits(sequences).values == whole.logits(sequences).values)
    #expect(model.totalParameters == whole.totalParameters && model.blockParameters == whole.blockParameters)
  }

  @Test("rows and columns of zeros count for nothing, and are stored", arguments: ModelFixture.all)
  func zerosCountForNothing(_ fixture: ModelFixture) throws {
    let whole = try fixture.model()
    let model = try whole.pruned(by: otherMaps(whole.configuration))
    var left = 0
    for layer in 0..<model.layers {
      let block = try model.loadBlock(layer)
      for role in model.configuration.roles {
        let map = DenseMap(block[role].weight(role), bias: nil)
        left += map.rows.count * map.columns.count
      }
    }
    #expect(model.blockParameters == left && left < whole.blockParameters)
    #expect(model.totalParameters == whole.totalParameters - whole.blockParameters + left)
    #expect(try model.storedBytes() == whole.storedBytes())
    #expect(model.multiplyAccumulates(perTokenOf: 8) == whole.multiplyAccumulates(perTokenOf: 8))
  }

  /// A mask before them and one after give the same model; a refit and a bias that follow stand in the new map.
  @Test("masks before and after give the same", arguments: ModelFixture.all)
  func masksCommute(_ fixture: ModelFixture) throws {
    let whole = try fixture.model()
    let (mask, maps) = (somePruning(whole.configuration), otherMaps(whole.configuration))
    let sequences = try fixture.sequences()
    let (before, after) = (try whole.pruned(by: mask).pruned(by: maps), try whole.pruned(by: maps).pruned(by: mask))
    #expect(try before.logits(sequences).values == after.logits(sequences).values)
    #expect(before.blockParameters == after.blockParameters && before.totalParameters == after.totalParameters)

    var refit = Pruning.keepingAll(whole.configuration)
    let columns = whole.configuration.size(.neurons, layer: 0)
    refit.blocks[0].ffn.weight = Matrix(rows: whole.configuration.hiddenSize, columns: columns)
    refit.blocks[0].ffn.bias = Array(repeating: 0.5, count: whole.configuration.hiddenSize)
    // What was refitted and added before is in the maps that follow.
    let replaced = try whole.pruned(by: refit).pruned(by: maps)
    #expect(try replaced.logits(sequences).values == whole.pruned(by: maps).logits(sequences).values)
    // What is refitted and added afterwards is not.
    let block = try whole.pruned(by: maps).pruned(by: refit).loadBlock(0)
    #expect(block.branches.ffn.output.weight.values.allSatisfy { $0 == 0 })
    let own = maps.blocks[0].ffn.maps[.down]?.bias ?? Array(repeating: 0, count: whole.configuration.hiddenSize)
    #expect(block.branches.ffn.output.bias == own.map { $0 + 0.5 })
  }

  /// A stream in bases of its own mixes what were rows and columns of zeros.
  @Test("the stream can be sliced afterwards", arguments: ["gqa-tied", "qwen2", "gpt2"], [false, true])
  func canBeSliced(_ name: String, isShared: Bool) throws {
    let fixture = ModelFixture(name: name)
    let whole = try fixture.model()
    let model = try whole.pruned(by: otherMaps(whole.configuration))
    let slicing = randomSlicing(whole.configuration, width: whole.configuration.hiddenSize, isShared: isShared)
    let sequences = try fixture.sequences()
    let sliced = try model.pruned(by: slicing)
    #expect(relativeError(try sliced.logits(sequences), try model.logits(sequences)) < 2e-5)
    let neurons = try (0..<whole.layers).map { try #require(model.pruning.blocks[$0].ffn.maps[.up]).rows.count }
    let d = whole.configuration.hiddenSize
    for layer in 0..<whole.layers {
      let branch = sliced.pruning.blocks[layer].ffn
      let widths = sliced.pruning.widths(.ffn, layer: layer, whole.configuration)
      let gone = branch.removedParameters(of: .up, whole.configuration, widths, layer: layer)
      #expect(gone == whole.configuration.size(.neurons, layer: layer) * d - neurons[layer] * d)
    }
    #expect(
      throws: ModelError.cannotFollow("a slicing of the residual stream", "other matrices of maps in block 0"),
      performing: { try whole.pruned(by: slicing).pruned(by: otherMaps(whole.configuration)) })
  }

  @Test func factorsAndOtherMapsDoNotFollowEachOther() throws {
    let whole = try ModelFixture(name: "gqa-tied").model()
    let maps = otherMaps(whole.configuration)
    var factored = Pruning.keepingAll(whole.configuration)
    factored.blocks[1].ffn.factors[.up] = Factors(
      outer: Matrix(rows: 24, columns: 2), inner: Matrix(rows: 2, columns: 16))
    #expect(throws: ModelError.self) { try whole.pruned(by: factored).pruned(by: maps) }
    #expect(throws: ModelError.self) { try whole.pruned(by: maps).pruned(by: factored) }
    var narrow = maps
    narrow.blocks[0].ffn.maps[.up] = DenseMap(Matrix(rows: 24, columns: 15), bias: nil)
    #expect(throws: ModelError.self) { try whole.pruned(by: narrow) }
  }

  /// Zeros fit into every class: nothing of it changes but numbers.
  @Test("every family keeps its class", arguments: ModelFixture.all.filter { $0.name != "chatglm3" })
  func exportsKeepTheClass(_ fixture: ModelFixture) throws {
    let whole = try fixture.model()
    let model = try whole.pruned(by: otherMaps(whole.configuration))
    let sequences = try fixture.sequences()
    for format in [ModelFormat.huggingFace, .masked] {
      let folder = try TemporaryFolder()
      try model.export(to: folder.path + "/out", as: format)
      let back = try LanguageModel(folder.path + "/out")
      #expect(relativeError(try back.logits(sequences), try model.logits(sequences)) < 1e-5)
      #expect(back.configuration.family.name == whole.configuration.family.name)
      #expect(back.totalParameters == whole.totalParameters)
    }
  }

  @Test("a GGUF file holds them", arguments: ["llama", "gqa-tied", "qwen2", "biased"])
  func gguf(_ name: String) throws {
    let fixture = ModelFixture(name: name)
    let whole = try fixture.model()
    let model = try whole.pruned(by: otherMaps(whole.configuration))
    let folder = try TemporaryFolder()
    try model.export(to: folder.path + "/m.gguf", as: .gguf)
    let back = try LanguageModel(folder.path + "/m.gguf")
    let sequences = try fixture.sequences()
    #expect(relativeError(try back.logits(sequences), try model.logits(sequences)) < 1e-5)
    #expect(back.totalParameters == whole.totalParameters)
  }
}
