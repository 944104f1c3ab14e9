import Foundation
import Numerics
import Testing

@testable import Transformer

/// Every map that has units as two random factors.
func twoFactors(_ whole: LanguageModel, rank: Int = 3) -> Pruning {
  let configuration = whole.configuration
  var stream = RandomStream(seed: 5, name: "factors")
  var pruning = Pruning.keepingAll(configuration)
  for layer in 0..<configuration.layers {
    for role in configuration.roles where !pruning.blocks[layer][role.module].keep.isEmpty {
      func random(_ rows: Int, _ columns: Int) -> Matrix<Float> {
        Matrix<Float>(stream.gaussianMatrix(rows: rows, columns: columns) as Matrix<Double>)
      }
      pruning.blocks[layer][role.module].factors[role] = Factors(
        outer: 0.1 * random(configuration.size(role.rows, layer: layer), rank),
        inner: random(rank, configuration.size(role.columns, layer: layer)))
    }
  }
  return pruning
}

/// What becomes smaller in a model without its class losing the names of what is left.
private enum Change: String, CaseIterable {
  case factors, heads, turned, all

  /// Nil where the family has no place for it.
  func model(_ whole: LanguageModel) throws -> LanguageModel? {
    let configuration = whole.configuration
    let heads = narrowHeads(configuration, pairs: configuration.obstacleToPairs == nil ? 1 : nil, values: 3)
    let turned = randomSlicing(configuration, width: 12, isShared: false)
    switch self {
    case .factors: return try whole.pruned(by: twoFactors(whole))
    case .heads: return try whole.pruned(by: heads)
    case .turned: return configuration.family.normsOutput ? nil : try whole.pruned(by: turned)
    case .all:
      let both = try whole.pruned(by: twoFactors(whole)).pruned(by: heads)
      return configuration.family.normsOutput ? both : try both.pruned(by: turned)
    }
  }

  /// The folder holds the numbers that the model has, so that bits are equal; embeddings of a turned stream are products.
  var isExact: Bool { self == .factors || self == .heads }
}

/// Folders of `as=hf` whose maps are two factors, whose heads are narrow, whose stream is turned: read back, they are the
/// model that was written.
@Suite struct ReadBackTests {
  private static let fixtures = (ModelFixture.likeLlama + ["qwen3", "olmo2"].map(ModelFixture.init))
  private static let changes = Change.allCases

  private func written(_ model: LanguageModel, _ format: ModelFormat = .huggingFace) throws -> LanguageModel {
    let folder = try TemporaryFolder()
    let path = folder.path + (format.suffixes.isEmpty ? "/out" : "/out.gguf")
    try model.export(to: path, as: format, .init(type: format.suffixes.isEmpty ? nil : .f32, align: 1))
    return try LanguageModel(path)
  }

  @Test("what is read back is what was written", arguments: fixtures, changes)
  private func readsBack(_ fixture: ModelFixture, _ change: Change) throws {
    let whole = try fixture.model()
    guard let model = try change.model(whole) else { return }
    let sequences = try fixture.sequences()
    for units in [nil, somePruning(whole.configuration), somePruning(whole.configuration, compensated: true)] {
      // OLMo 2 norms across its heads.
      if units != nil, fixture.name == "olmo2" { continue }
      let cut = try units.map { try model.pruned(by: inStream(of: model, $0)) } ?? model
      let back = try written(cut)
      #expect(back.configuration.family.layerSizes != nil)
      let (found, expected) = (try back.logits(sequences), try cut.logits(sequences))
      if change.isExact {
        #expect(found.values == expected.values)
      } else {
        #expect(relativeError(found, expected) < 1e-5)
      }
      #expect(back.blockParameters == cut.blockParameters)
      #expect(back.multiplyAccumulates(perTokenOf: 9) == cut.multiplyAccumulates(perTokenOf: 9))
      if units?.isUncompensated != false { #expect(back.totalParameters == cut.totalParameters) }
      let stored = try back.checkpoint.tensorNames.map { try back.checkpoint.info($0).byteRange.count }
      #expect(try back.storedBytes() == stored.reduce(0, +))
      for layer in 0..<back.layers {
        #expect(back.ranks(layer) == cut.ranks(layer) && back.heads(layer) == cut.heads(layer))
      }
      #expect(back.slicedWidth == cut.slicedWidth && back.isTurned == cut.isTurned)
      try expectDecodesTheSame(back, sequences[0..<1])
    }
  }

  /// What makes up for units, as it is found in a stream that is turned.
  private func inStream(of model: LanguageModel, _ pruning: Pruning) -> Pruning {
    guard let slicing = model.pruning.slicing else { return pruning }
    var pruning = pruning
    for layer in pruning.blocks.indices {
      for module in Module.allCases {
        guard let R = slicing.leaving(module, layer: layer), let bias = pruning.blocks[layer][module].bias else {
          continue
        }
        pruning.blocks[layer][module].bias = (R.T * Matrix(rows: bias.count, columns: 1, values: bias)).values
      }
    }
    return pruning
  }

  /// Units keep their names, columns their places, gradients their size.
  @Test("what can be done with it can be done again", arguments: ["gqa-tied", "qwen2", "phi3"], changes)
  private func isAModelLikeOthers(_ name: String, _ change: Change) throws {
    let fixture = ModelFixture(name: name)
    let sequences = try fixture.sequences()
    let model = try #require(try change.model(fixture.model()))
    let back = try written(model)
    for site in Site.allCases where site != .blockIn && site != .blockOut {
      #expect(site.width(back.configuration, layer: 0) == site.width(model.configuration, layer: 0))
    }
    let units = inStream(of: model, somePruning(model.configuration, compensated: true))
    let (cut, again) = (try model.pruned(by: units), try back.pruned(by: units))
    #expect(relativeError(try again.logits(sequences), try cut.logits(sequences)) < 1e-5)
    #expect(again.blockParameters == cut.blockParameters)
    #expect(again.totalParameters == cut.totalParameters)
    #expect(try again.storedBytes() > 0)
    #expect(relativeError(try written(again).logits(sequences), try again.logits(sequences)) < 1e-5)
    for format in [ModelFormat.masked, .uniform, .gguf] {
      do {
        #expect(relativeError(try written(again, format).logits(sequences), try again.logits(sequences)) < 2e-5)
      } catch ModelError.cannotExport(let reason) {
        #expect(change == .turned || change == .all || format.name == "uniform" || name == "qwen2", "\(reason)")
      }
    }
    func gradient(_ model: LanguageModel) throws -> [Float] {
      var found: [Float] = []
      try model.branchGradients(sequences[0..<1], look: { found += $0.mixedGradient.values })
      return found
    }
    let (g, h) = (try gradient(again), try gradient(cut))
    let scale = h.map(abs).max() ?? 0
    #expect(g.count == h.count && zip(g, h).allSatisfy { abs($0 - $1) <= 1e-4 * scale })
  }

  /// Units of a query head per group leave the same heads in a folder, which is loaded with `gqa=query` again.
  @Test("query heads as units", arguments: ["gqa-tied", "llama3", "wide-groups"], changes)
  private func queryHeadsAsUnits(_ name: String, _ change: Change) throws {
    let fixture = ModelFixture(name: name)
    let whole = try fixture.model(.float32, .query)
    let model = try #require(try change.model(whole)).pruned(by: somePruning(whole.configuration))
    let folder = try TemporaryFolder()
    try model.export(to: folder.path + "/out", as: .huggingFace)
    let back = try LanguageModel(folder.path + "/out", attentionUnit: .query)
    let sequences = try fixture.sequences()
    #expect(relativeError(try back.logits(sequences), try model.logits(sequences)) < 1e-5)
    #expect(back.totalParameters == model.totalParameters)
  }

  @Test func theUnitsOfAFolderStandInItsTensors() throws {
    let whole = try ModelFixture(name: "gqa-tied").model()
    let back = try written(
      try #require(try Change.factors.model(whole)).pruned(by: narrowHeads(whole.configuration, values: 3)))
    let spans = back.unitSpans.filter { $0.layer == 0 }
    for span in spans {
      let shape = try back.checkpoint.info(ByteString(span.tensor)).shape
      #expect(shape[span.axis] == span.width * back.configuration.units(span.module, layer: 0), "\(span.tensor)")
    }
    #expect(spans.contains { $0.tensor == "model.layers.0.mlp.down_proj.0.weight" && $0.axis == 1 })
    #expect(spans.contains { $0.tensor == "model.layers.0.mlp.up_proj.1.weight" && $0.axis == 0 })
  }

  @Test func whatIsGoneIsNotTakenTwice() throws {
    let whole = try ModelFixture(name: "gqa-tied").model()
    func refusal(_ change: Change, _ again: Pruning) throws -> String {
      let back = try written(try #require(try change.model(whole)))
      do { _ = try back.pruned(by: again) } catch { return "\(error)" }
      return ""
    }
    let configuration = whole.configuration
    #expect(try refusal(.factors, twoFactors(whole)).hasPrefix("two factors cannot be followed by others"))
    #expect(try refusal(.factors, otherMaps(configuration)).contains("two factors cannot be followed"))
    #expect(try refusal(.heads, narrowHeads(configuration)).contains("a choice of rotary pairs in block 0"))
    #expect(
      try refusal(.heads, narrowHeads(configuration, pairs: nil, values: 2)).contains(
        "directions of the values in block 0"))
    #expect(try refusal(.heads, otherMaps(configuration)).contains("narrow heads cannot be followed"))
    for again in [randomSlicing(configuration, width: 12, isShared: true), twoFactors(whole)] {
      #expect(try refusal(.turned, again).hasPrefix("a slicing of the residual stream cannot be followed"))
    }
    // One kind may follow the other.
    #expect(try refusal(.heads, twoFactors(whole)) == "" && refusal(.factors, narrowHeads(configuration)) == "")
  }

  /// A refit takes the place of two factors, and two factors that of a refit.
  @Test func theLastOfARefitAndTwoFactorsCounts() throws {
    let fixture = ModelFixture(name: "gqa-tied")
    let (whole, sequences) = (try fixture.model(), try fixture.sequences())
    var refit = Pruning.keepingAll(whole.configuration)
    refit.blocks[0].ffn.weight = 2 * (try whole.loadBlock(0).outputWeight(.ffn))
    let factors = twoFactors(whole)
    let expected = try whole.pruned(by: factors).logits(sequences)
    let last = try whole.pruned(by: refit).pruned(by: factors)
    #expect(try last.logits(sequences).values == expected.values)
    #expect(last.blockParameters == (try whole.pruned(by: factors).blockParameters))
    let back = try written(whole.pruned(by: factors)).pruned(by: refit)
    let other = try whole.pruned(by: factors).pruned(by: refit)
    #expect(back.ranks(0)[.down] == nil && other.ranks(0) == back.ranks(0))
    #expect(back.blockParameters == other.blockParameters && back.totalParameters == other.totalParameters)
    #expect(try back.logits(sequences).values == other.logits(sequences).values)
    #expect(try written(back).logits(sequences).values == other.logits(sequences).values)
  }

  @Test(
    "a damaged folder is one clear error",
    arguments: [
      (
        Change.factors, #""q_proj": 3"#, #""q_proj": 4"#,
        "tensor `model.layers.0.self_attn.q_proj.0.weight` has shape [3, 16], expected [4, 16]"
      ),
      (.factors, #""q_proj": 3"#, #""q_proj": 0"#, "`prn_layers[0].ranks.q_proj` must be a positive whole number"),
      (.factors, #""q_proj": 3"#, #""z_proj": 3"#, "`prn_layers[0].ranks.z_proj` is no linear map of a prn block"),
      (.factors, #""ranks": {"#, #""ranks": 3, "other": {"#, "`prn_layers[0].ranks` must be an object"),
      (
        .factors, #""ranks": {"#, #""other": {"#,
        "tensor `model.layers.0.self_attn.q_proj.weight` of shape [16, 16] is missing"
      ),
      (.heads, #""prn_heads": ["#, #""prn_heads": [null, "#, "`prn_heads` has 3 entries for 2 layers"),
      (.heads, #""prn_heads": ["#, #""prn_heads": 2, "other": ["#, "`prn_heads` must be a list"),
      (.heads, #""value": 3"#, #""value": 5"#, "`prn_heads[0].value` is more than the 4 features of a head"),
      (
        .heads, #""value": 3"#, #""value": 2"#,
        "tensor `model.layers.0.self_attn.v_proj.weight` has shape [6, 16], expected [4, 16]"
      ),
      (.heads, #""value": 3"#, #""worth": 3"#, "`prn_heads[0].value` is missing"),
      (
        .heads, #""pairs": ["#, #""pairs": [[0], "#,
        "`prn_heads[0].pairs` must be 2 lists of as many rising numbers below 2"
      ),
      (.heads, #""pairs": ["#, #""pairs": "all", "other": ["#, "`prn_heads[0].pairs` must be a list"),
      (.turned, #""prn_width": 12"#, #""prn_width": 17"#, "`prn_width` is more than the 16 of the whole stream"),
      (
        .turned, #""prn_width": 12"#, #""prn_width": 11"#,
        "tensor `model.embed_tokens.weight` has shape [61, 12], expected [61, 11]"
      ),
      (.turned, #""prn_width": 12"#, #""prn_width": "x""#, "`prn_width` must be a positive whole number"),
      (
        .turned, #""tie_word_embeddings": false"#, #""tie_word_embeddings": true"#,
        "`tie_word_embeddings` must be false"
      ),
    ])
  private func damagedFoldersAreRefused(_ change: Change, _ old: String, _ new: String, _ message: String) throws {
    let folder = try TemporaryFolder()
    let whole = try ModelFixture(name: "gqa-tied").model()
    try #require(try change.model(whole)).export(to: folder.path + "/out", as: .huggingFace)
    let path = folder.path + "/out/config.json"
    // As json.dumps of transformers would have it on one line.
    let text = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
      .map { $0.trimmingCharacters(in: .whitespaces) }.joined(separator: " ")
      .replacingOccurrences(of: "[ ", with: "[").replacingOccurrences(of: "{ ", with: "{")
    let range = try #require(text.range(of: old))
    try text.replacingCharacters(in: range, with: new).write(toFile: path, atomically: true, encoding: .utf8)
    let error = try #require(throws: (any Error).self) { try LanguageModel(folder.path + "/out") }
    #expect("\(error)".contains(message), "\(error)")
  }
}
