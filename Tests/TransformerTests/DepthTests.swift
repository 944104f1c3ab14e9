import Numerics
import Testing

@testable import Transformer

/// Nothing is left of some blocks.
func withoutBlocks(_ blocks: [Int], _ configuration: Configuration) -> Pruning {
  var pruning = Pruning.keepingAll(configuration)
  for layer in blocks {
    for module in Module.allCases {
      pruning.blocks[layer][module].keep = pruning.blocks[layer][module].keep.map { _ in false }
    }
  }
  return pruning
}

/// A linear map stands for one block.
func bridge(over block: Int, _ configuration: Configuration) -> Pruning {
  var pruning = withoutBlocks([block], configuration)
  let d = configuration.hiddenSize
  let weight = Matrix<Float>(rows: d, columns: d, values: (0..<d * d).map { Float(($0 * 7) % 11 - 5) * 0.05 })
  pruning.blocks[block].attention.bridge = LinearMap(weight, bias: (0..<d).map { Float($0 - 3) * 0.02 })
  return pruning
}

/// Whole blocks removed, against the same classes without them.
@Suite struct DepthTests {
  @Test(
    "a model without a block equals transformers' class without that layer",
    arguments: ["gqa-tied", "biased", "qwen2", "gpt2", "qwen3", "olmo2"])
  func equalsTheClassWithoutTheLayer(_ name: String) throws {
    let fixture = ModelFixture(name: name)
    let whole = try fixture.model()
    let model = try whole.pruned(by: withoutBlocks([0], whole.configuration))
    let file = try TensorFile(safetensors: projectFolder + "/Tests/Fixtures/transformer/depth.safetensors")
    let info = try file.info(ByteString(name))
    let expected = Matrix(rows: info.rows, columns: info.columns, values: try file.read(ByteString(name)))
    #expect(relativeError(try model.logits(try fixture.sequences()), expected) < 1e-5)
  }

  @Test("an absent block passes the residual stream on, bit for bit", arguments: ModelFixture.all)
  func theStreamPasses(_ fixture: ModelFixture) throws {
    let whole = try fixture.model()
    let model = try whole.pruned(by: withoutBlocks([0], whole.configuration))
    let walk = try Walk(model, fixture.sequences())
    try walk.embed()
    let before = walk.states.copy()
    try walk.step()
    #expect(walk.states.values == before.values)
    #expect(model.pruning.absentBlocks == [0])
  }

  @Test("the class of the source holds what is left, renumbered", arguments: ModelFixture.all)
  func exportsAsTheStockClass(_ fixture: ModelFixture) throws {
    let whole = try fixture.model()
    let sequences = try fixture.sequences()
    for block in 0..<whole.layers {
      let model = try whole.pruned(by: withoutBlocks([block], whole.configuration))
      let folder = try TemporaryFolder()
      try model.export(to: folder.path + "/out", as: .huggingFace)
      let back = try LanguageModel(folder.path + "/out")
      #expect(back.configuration.family.name == whole.configuration.family.name)
      #expect(back.layers == whole.layers - 1)
      #expect(back.totalParameters == model.totalParameters)
      #expect(relativeError(try back.logits(sequences), try model.logits(sequences)) < 1e-5)
      try model.export(to: folder.path + "/masked", as: .masked)
      let masked = try LanguageModel(folder.path + "/masked")
      #expect(masked.layers == whole.layers)
      #expect(relativeError(try masked.logits(sequences), try model.logits(sequences)) < 1e-5)
    }
  }

  @Test("depth and width go together", arguments: ModelFixture.likeLlama)
  func depthAndWidth(_ fixture: ModelFixture) throws {
    let whole = try fixture.model()
    guard whole.configuration.slidingWindow == nil else { return }
    let narrow = try whole.pruned(by: somePruning(whole.configuration))
    let model = try narrow.pruned(by: withoutBlocks([1], whole.configuration))
    let folder = try TemporaryFolder()
    try model.export(to: folder.path + "/out", as: .huggingFace)
    let back = try LanguageModel(folder.path + "/out")
    #expect(back.layers == 1)
    #expect(back.configuration.family.name == "prn")
    let sequences = try fixture.sequences()
    #expect(relativeError(try back.logits(sequences), try model.logits(sequences)) < 1e-5)
  }

  /// x ← x + A norm(x) + c in the place of a block, also when it is read back from a folder.
  @Test("a linear map stands for a block", arguments: ModelFixture.likeLlama)
  func aBridgeIsALinearMapOfTheNormedStream(_ fixture: ModelFixture) throws {
    let whole = try fixture.model()
    let pruning = bridge(over: 1, whole.configuration)
    let model = try whole.pruned(by: pruning)
    let sequences = try fixture.sequences()
    let walk = try Walk(model, sequences)
    try walk.embed()
    try walk.step()
    let before = walk.states.copy()
    try walk.step()
    let map = try #require(pruning.blocks[1].attention.bridge)
    let expected = before + (try model.loadBlock(1)[.attention].normalized(before)) * map.weight.T
    expected.addToRows(try #require(map.bias))
    #expect(relativeError(walk.states, expected) < 1e-5)
    guard whole.configuration.slidingWindow == nil else { return }
    let folder = try TemporaryFolder()
    try model.export(to: folder.path + "/out", as: .huggingFace)
    let back = try LanguageModel(folder.path + "/out")
    #expect(relativeError(try back.logits(sequences), try model.logits(sequences)) < 1e-5)
    #expect(back.blockParameters == model.blockParameters)
  }

  @Test func whatWasAddedGoesWithTheLastUnits() throws {
    let whole = try ModelFixture(name: "biased").model()
    var first = Pruning.keepingAll(whole.configuration)
    first.blocks[0].ffn.bias = Array(repeating: 1, count: whole.configuration.hiddenSize)
    let gone = withoutBlocks([0], whole.configuration)
    let model = try whole.pruned(by: first).pruned(by: gone)
    #expect(model.pruning.absentBlocks == [0])
    #expect(try whole.pruned(by: first).loadBlock(0).pruned(by: gone.blocks[0])[.ffn].isAbsent)
  }

  @Test func aModelWithoutBlocksIsNotWritten() throws {
    let whole = try ModelFixture(name: "llama").model()
    let model = try whole.pruned(by: withoutBlocks([0, 1], whole.configuration))
    let folder = try TemporaryFolder()
    for format in [ModelFormat.huggingFace, .gguf] {
      #expect(throws: ModelError.cannotExport(reason: "nothing is left of any block")) {
        try model.export(to: folder.path + "/out", as: format)
      }
    }
  }
}
