import Foundation
import Numerics
import Testing

@testable import Transformer

/// Keys of config.json that change what is computed, and those that may not be passed over.
@Suite struct ConfigurationKeysTests {
  private func fields(_ text: String) throws -> JSONFields {
    try JSONFields(JSON.parse(Array(text.utf8), dialect: .python), file: "config.json")
  }

  @Test func everyKeyThatChangesTheGraphIsHonouredAsInTransformers() throws {
    let fixtures = projectFolder + "/Tests/Fixtures/transformer"
    let variants = try JSONFields(ModelFiles(folder: fixtures).json("variants.json"), file: "variants.json")
    let expected = try TensorFile(safetensors: fixtures + "/variants.safetensors")
    #expect(variants.members.count == 12)
    for member in variants.members {
      let name = member.key.description
      let variant = try variants.object(name)
      let base = ModelFixture(name: try variant.text("base"))
      let folder = try TemporaryFolder()
      try copy(base.folder, to: folder.path + "/m")
      try Data(variant.bytes("config").bytes).write(to: URL(fileURLWithPath: folder.path + "/m/config.json"))
      let logits = try LanguageModel(folder.path + "/m").logits(base.sequences())
      let info = try expected.info(member.key)
      let wanted = Matrix(rows: info.rows, columns: info.columns, values: try expected.read(member.key))
      #expect(relativeError(logits, wanted) < 1e-5, "\(name)")
    }
  }

  private static let llama = """
    "model_type": "llama", "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
    "num_attention_heads": 4, "vocab_size": 9
    """

  @Test(
    "a key that is neither read nor known to be idle is refused by name",
    arguments: [
      (#""attn_logit_softcapping": 30.0"#, "`attn_logit_softcapping` is not known in llama models"),
      (#""quantization_config": {"bits": 4}"#, "`quantization_config` is not known in llama models"),
      (#""rope_interleaved": true"#, "`rope_interleaved` is not known in llama models"),
      (#""rope_scaling": {"rope_type": "linear", "factor": 2.0, "mscale": 2.0}"#, "`rope_scaling.mscale` is not a key"),
      (#""rope_scaling": {"rope_type": "linear", "factor": 0}"#, "`rope_scaling.factor` must be above 0"),
    ])
  func unknownKeysAreNamed(_ member: String, _ message: String) {
    let error = #expect(throws: (any Error).self) { try Configuration(fields("{\(Self.llama), \(member)}")) }
    #expect(error.map { "\($0)" }?.contains(message) == true)
  }

  @Test(
    "a key that another family knows is refused where it is not known",
    arguments: [("qwen3", "mlp_bias"), ("phi3", "attention_bias"), ("olmo2", "sliding_window"), ("olmo2", "mlp_bias")]
      + ["llama", "mistral", "qwen2", "qwen3", "olmo2"].map { ($0, "partial_rotary_factor") })
  func keysOfOtherFamiliesAreNamed(_ family: String, _ key: String) {
    let model = Self.llama.replacingOccurrences(of: "llama", with: family)
    let value = ["sliding_window": "5", "partial_rotary_factor": "0.5"][key] ?? "true"
    let error = #expect(throws: (any Error).self) { try Configuration(fields("{\(model), \"\(key)\": \(value)}")) }
    #expect(error.map { "\($0)" }?.contains("`\(key)` is not known in \(family) models") == true)
  }

  /// transformers reads the share that is turned in some classes only, and passes it over in the others.
  @Test func onlyPhi3TurnsAPartOfEachHead() throws {
    let rope = #""rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}"#
    let phi3 = Self.llama.replacingOccurrences(of: "llama", with: "phi3")
    #expect(try Configuration(fields("{\(phi3), \(rope)}")).rotary?.rotatedFeatures == 2)
    let error = #expect(throws: (any Error).self) { try Configuration(fields("{\(Self.llama), \(rope)}")) }
    #expect(error.map { "\($0)" }?.contains("`partial_rotary_factor` is not known in llama models") == true)
    #expect(try Configuration(fields("{\(Self.llama), \"partial_rotary_factor\": 1.0}")).rotary?.rotatedFeatures == 4)
  }

  @Test func headsOfQwen3Have128FeaturesUnlessTheFileSaysOtherwise() throws {
    let qwen3 = Self.llama.replacingOccurrences(of: "llama", with: "qwen3")
    #expect(try Configuration(fields("{\(qwen3)}")).headSize == 128)
    #expect(try Configuration(fields("{\(qwen3), \"head_dim\": 6}")).headSize == 6)
  }

  @Test(
    "a key that asks for nothing, or that no output depends on, is passed over",
    arguments: [
      #""foo": null"#, #""use_mrope": false"#, #""pruned_heads": {}"#, #""use_cache": true, "use_cache": false"#,
      #""initializer_range": NaN"#, #""time_step_limit": [0.0, Infinity]"#, #""temperature": -Infinity"#,
    ])
  func idleKeysArePassedOver(_ member: String) throws {
    #expect(try Configuration(fields("{\(Self.llama), \(member)}")).layers == 2)
  }

  @Test func theLastOfEqualKeysCountsWherePythonWroteTheFile() throws {
    let python = try fields(#"{"a": 1, "b": 2, "a": 3}"#)
    #expect(python.members == [JSON.Member("a", .integer(3)), JSON.Member("b", .integer(2))])
    #expect(throws: JSONError.self) { try JSON.parse(Array(#"{"a": 1, "a": 3}"#.utf8)) }
    #expect(throws: JSONError.self) { try JSON.parse(Array("[NaN]".utf8)) }
  }

  @Test func aWindowThatNoTextOutgrowsIsNone() throws {
    let mistral = Self.llama.replacingOccurrences(of: "llama", with: "mistral")
    func window(_ keys: String) throws -> Int? { try Configuration(fields("{\(mistral), \(keys)}")).slidingWindow }
    #expect(try window(#""max_position_embeddings": 64, "sliding_window": 64"#) == nil)
    #expect(try window(#""max_position_embeddings": 64, "sliding_window": 63"#) == 63)
    #expect(try window(#""sliding_window": null"#) == nil)
    #expect(try window(#""max_position_embeddings": 32768"#) == 4096)
  }

  /// A copy of a fixture with its tensors renamed and retyped.
  private func rewritten(
    _ name: String, to path: String, rename: (String) -> String = { $0 }, extra: [TensorSource] = []
  ) throws {
    try copy(ModelFixture(name: name).folder, to: path)
    let checkpoint = try Checkpoint(folder: path)
    let tensors = try checkpoint.tensorNames.map { tensor in
      let values = try checkpoint.read(tensor)
      let shape = try checkpoint.info(tensor).shape
      return TensorSource(ByteString(rename(tensor.text)), type: .f32, shape: shape) { try $0.append(values) }
    }
    try Safetensors.write(tensors + extra, to: path + "/model.safetensors")
  }

  @Test func aBaseClassCheckpointNeedsNoPrefix() throws {
    let folder = try TemporaryFolder()
    try rewritten("gqa-tied", to: folder.path + "/m", rename: { $0.replacingOccurrences(of: "model.", with: "") })
    let fixture = ModelFixture(name: "gqa-tied")
    let logits = try LanguageModel(folder.path + "/m").logits(fixture.sequences())
    #expect(relativeError(logits, try fixture.expected("logits")) < 1e-5)
  }

  @Test func onlyTensorsThatAreUsedAreJudged() throws {
    let folder = try TemporaryFolder()
    let mask = TensorSource("h.0.attn.bias", type: .u8, shape: [1]) { sink in
      try [UInt8(1)].withUnsafeBytes { try sink.append(bytes: $0) }
    }
    let buffer = TensorSource("rotary_emb.inv_freq", type: .f32, shape: [1]) { try $0.append([Float.infinity]) }
    try rewritten("llama", to: folder.path + "/m", extra: [mask, buffer])
    let names = try LanguageModel(folder.path + "/m").tensorNames
    #expect(names.contains("lm_head.weight") && !names.contains("rotary_emb.inv_freq"))
  }

  @Test func weightsNobodyCanComputeWithAreNamedWhenTheModelIsOpened() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/m"
    try rewritten("llama", to: path, rename: { $0 == "lm_head.weight" ? "old" : $0 })
    let checkpoint = try Checkpoint(folder: path)
    let kept = try checkpoint.tensorNames.map { tensor in
      let values = try checkpoint.read(tensor)
      return TensorSource(tensor, type: .f32, shape: try checkpoint.info(tensor).shape) { try $0.append(values) }
    }
    let head = TensorSource("lm_head.weight", type: .i8, shape: [61, 16]) { sink in
      try [UInt8](repeating: 1, count: 61 * 16).withUnsafeBytes { try sink.append(bytes: $0) }
    }
    try Safetensors.write(kept + [head], to: path + "/model.safetensors")
    #expect(throws: SafetensorsError.notComputable(file: "model.safetensors", tensor: "lm_head.weight", type: .i8)) {
      try LanguageModel(path)
    }
  }
}
