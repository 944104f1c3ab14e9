import Foundation
import Numerics
import Testing

@testable import Transformer

/// Attention units of one query head of every key-value head.
@Suite struct AttentionUnitTests {
  /// Those whose heads share keys; the groups of `linear` are all heads, those of `wide-groups` three.
  static let fixtures = [
    "gqa-tied", "llama3", "linear", "qwen2", "mistral-window", "phi3", "qwen3", "olmo2", "chatglm3", "wide-groups",
  ].map(ModelFixture.init)

  private func gradient(_ model: LanguageModel, _ sequences: Sequences) throws -> Matrix<Float> {
    let result = Matrix<Float>(rows: sequences.tokens.count, columns: model.configuration.units(.ffn, layer: 0))
    _ = try model.gradients(sequences, memory: 1 << 30) { tap in
      if tap.layer == 0 { result.rows(tap.rows).assign(tap.gradient) }
    }
    return result
  }

  @Test("a whole model computes the same, forwards and back", arguments: fixtures)
  func wholeModelsAreTheSame(_ fixture: ModelFixture) throws {
    let (model, sequences) = (try fixture.model(.float32, .query), try fixture.sequences())
    #expect(relativeError(try model.logits(sequences), try fixture.expected("logits")) < 1e-5)
    #expect(relativeError(try gradient(model, sequences), try fixture.expected("gradient.0")) < 5e-5)
    #expect(model.totalParameters == (try fixture.model()).totalParameters)
  }

  /// Query head u of every group goes with unit u: its columns of the output map are set to 0 in the model of groups.
  @Test("a unit is a query head of every group", arguments: fixtures)
  func unitsAreHeadsOfEveryGroup(_ fixture: ModelFixture) throws {
    let (grouped, whole) = (try fixture.model(), try fixture.model(.float32, .query))
    let (groups, size) = (whole.configuration.queriesPerUnit, whole.configuration.headSize)
    let units = whole.configuration.units(.attention, layer: 0)
    #expect(
      units == grouped.configuration.queriesPerUnit && groups == grouped.configuration.units(.attention, layer: 0))
    let removed = units - 1
    var pruning = Pruning.keepingAll(whole.configuration)
    pruning.blocks[0].attention.keep[removed] = false
    let model = try whole.pruned(by: pruning)
    let sequences = try fixture.sequences()

    let walk = try Walk(grouped, sequences)
    try walk.embed()
    let block = try grouped.loadBlock(0)
    let heads = (0..<groups * units).filter { $0 % units != removed }.features(of: size)
    let W = block[.attention].output.weight
    let spared = W.gathering(columns: heads).spread(columns: heads, of: W.columns)
    var zeroed = BlockPruning.keepingAll(grouped.configuration, layer: 0)
    zeroed.attention.weight = spared
    // OLMo 2 norms all queries together; what is gone counts as 0 there.
    if grouped.configuration.family.queryKeyNorm != .acrossHeads {
      try walk.step(block.pruned(by: zeroed))
      while walk.layer < grouped.layers { try walk.step() }
      #expect(relativeError(try model.logits(sequences), try Head(grouped).logits(walk.states)) < 1e-5)
    }

    // The parts of the stored tensors that are named are those heads.
    let spans = whole.unitSpans.filter { $0.layer == 0 && $0.module == .attention && $0.axis == 1 }
    if !whole.configuration.family.isTransposed, let first = spans.first {
      let columns = spans.filter { $0.tensor == first.tensor }.flatMap { span in
        span.start + removed * span.width..<span.start + (removed + 1) * span.width
      }
      #expect(columns == (0..<groups * units).filter { $0 % units == removed }.features(of: size))
    }
  }

  @Test("zeroed and removed heads give the same logits, and what is counted is stored", arguments: fixtures)
  func maskedEqualsSliced(_ fixture: ModelFixture) throws {
    let whole = try fixture.model(.float32, .query)
    let model = try whole.pruned(by: somePruning(whole.configuration, compensated: true))
    let sequences = try fixture.sequences()
    let walk = try Walk(model, sequences)
    try walk.embed()
    var left = 0
    for layer in 0..<model.layers {
      try walk.step(model.loadWholeBlock(layer).pruned(by: try #require(model.pruning[layer])).spread())
      let block = try model.loadBlock(layer)
      left += Module.allCases.reduce(0) { $0 + block[$1].input.parameters + block[$1].output.parameters }
    }
    #expect(relativeError(try model.logits(sequences), try Head(model).logits(walk.states)) < 1e-5)
    #expect(model.blockParameters == left)
    _ = try gradient(model, sequences)
  }

  @Test("exports read back, are pruned again and exported again", arguments: fixtures, ModelFormat.all)
  func exportsReadBack(_ fixture: ModelFixture, _ format: ModelFormat) throws {
    let whole = try fixture.model(.float32, .query)
    let sequences = try fixture.sequences()
    let folder = try TemporaryFolder()
    var pruning = somePruning(whole.configuration)
    // The last block keeps a head, so that files, too, tell groups from units.
    pruning.blocks[whole.layers - 1].attention.keep[0] = true
    var model = try whole.pruned(by: pruning)
    for round in 0..<2 {
      let path = folder.path + "/\(round)" + (format.suffixes.first.map { "." + $0 } ?? "")
      do {
        try model.export(to: path, as: format, .init(type: format.suffixes.isEmpty ? nil : .f32, align: 1))
      } catch ModelError.cannotExport(let reason) {
        // What has no class or architecture with other sizes; the words are tested elsewhere.
        #expect(["qwen3", "olmo2", "chatglm3", "mistral-window"].contains(fixture.name), "\(reason)")
        return
      }
      // Groups of one query head each are units of the other kind.
      let back = try (try? LanguageModel(path, attentionUnit: .query)) ?? LanguageModel(path)
      #expect(relativeError(try back.logits(sequences), try model.logits(sequences)) < 1e-5)
      model = try back.pruned(by: somePruning(back.configuration))
    }
  }

  @Test func whatDoesNotFitIsRefusedByName() throws {
    let whole = try ModelFixture(name: "wide-groups").model(.float32, .query)
    var pruning = Pruning.keepingAll(whole.configuration)
    pruning.blocks[0].attention.keep[1] = false
    let folder = try TemporaryFolder()
    for (name, format) in [("hf", ModelFormat.huggingFace), ("x.gguf", .gguf)] {
      try whole.pruned(by: pruning).export(to: folder.path + "/" + name, as: format, .init(align: 1))
      do {
        _ = try LanguageModel(folder.path + "/" + name)
        Issue.record("groups of different sizes were read")
      } catch { #expect("\(error)".contains("gqa=query loads groups that lost query heads"), "\(error)") }
    }
    let map = try ModelFiles(folder: folder.path + "/hf").json("prn_units.json")
    guard case .array(let blocks)? = map["blocks"] else { throw ModelError.file(path: "hf", reason: "has no map") }
    #expect(blocks[0]["heads"] == .array([0, 2, 3, 5].map { .integer($0) }))
    #expect(blocks[0]["kv_heads"] == .array([0, 1].map { .integer($0) }))
    do {
      _ = try ModelFixture(name: "llama").model(.float32, .query)
      Issue.record("heads that share nothing were read as sharing")
    } catch { #expect("\(error)".contains("so gqa=query has none to share keys"), "\(error)") }
  }
}
