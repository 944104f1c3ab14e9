import Testing

@testable import Transformer

/// config.json of every family, and what is said when it or a tensor is wrong.
@Suite struct ConfigurationTests {
  private func configuration(_ text: String) throws -> Configuration {
    try Configuration(JSONFields(JSON.parse(Array(text.utf8)), file: "config.json"))
  }

  @Test func llama2HasItsParameters() throws {
    let llama = try configuration(
      """
      {"model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
       "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 32000, "rms_norm_eps": 1e-5,
       "max_position_embeddings": 4096, "rope_scaling": null, "tie_word_embeddings": false}
      """)
    #expect(llama.totalParameters == 6_738_415_616)
    #expect(llama.headSize == 128 && llama.queriesPerUnit == 1)
    #expect(llama.parametersPerUnit(.attention) == 4 * 4096 * 128)
    #expect(llama.parametersPerUnit(.ffn) == 3 * 4096)
    let block = 32 * llama.parametersPerUnit(.attention) + 11008 * llama.parametersPerUnit(.ffn)
    #expect(llama.blockParameters == 32 * block)
  }

  @Test func chatGLM3HasItsParameters() throws {
    let glm = try configuration(
      """
      {"model_type": "chatglm", "hidden_size": 4096, "ffn_hidden_size": 13696, "num_layers": 28,
       "num_attention_heads": 32, "multi_query_attention": true, "multi_query_group_num": 2, "kv_channels": 128,
       "padded_vocab_size": 65024, "layernorm_epsilon": 1e-5, "seq_length": 32768, "add_qkv_bias": true,
       "add_bias_linear": false, "rmsnorm": true}
      """)
    #expect(glm.totalParameters == 6_243_584_000)
    #expect(glm.rotary?.rotatedFeatures == 64 && glm.rotary?.pairing == .neighbours)
    #expect(glm.blocks[0].biases == [.query, .key, .value])
    let layout = TensorLayout(glm) { _ in true }
    #expect(layout.slots.contains { $0.name.hasSuffix("mlp.dense_h_to_4h.weight") && $0.shape == [27392, 4096] })
    #expect(layout.slots.contains { $0.name.hasSuffix("query_key_value.bias") && $0.shape == [4608] })
    guard let gateUp = glm.family.linear(.up) else { throw ModelError.missingTensor("up", shape: []) }
    #expect(layout.rows(of: .up, in: gateUp, layer: 0) == 13696..<27392)
  }

  @Test func qwenAndLlama3AreRead() throws {
    let qwen = try configuration(
      """
      {"model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
       "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064, "rms_norm_eps": 1e-6,
       "rope_theta": 1000000.0, "sliding_window": 131072, "use_sliding_window": false, "max_window_layers": 28}
      """)
    #expect(qwen.queriesPerUnit == 7 && qwen.window(27) == nil)
    #expect(qwen.totalParameters == 7_615_616_512)
    let llama3 = try configuration(
      """
      {"model_type": "llama", "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
       "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64, "vocab_size": 128256,
       "rope_theta": 500000.0, "tie_word_embeddings": true, "rope_scaling": {"rope_type": "llama3", "factor": 32.0,
       "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}}
      """)
    #expect(llama3.totalParameters == 1_235_814_400)
    let slowest = try #require(llama3.rotary?.inverseFrequencies.last)
    let plain = try #require(
      Rotary(theta: 500000, rotated: 64, pairing: .halves, scaling: .none).inverseFrequencies.last)
    #expect(slowest == plain / 32)
  }

  @Test(
    "a bad configuration is refused by name",
    arguments: [
      (
        #"{"model_type": "mamba"}"#,
        "model_type is `mamba`; the known ones are "
          + Family.all.filter { $0.layerSizes == nil }.map { $0.modelTypes[0] }.joined(separator: ", ")
      ),
      (#"{"model_type": "llama", "num_attention_heads": 4}"#, "config.json: `hidden_size` is missing"),
      (
        #"{"model_type": "llama", "hidden_size": 16, "num_attention_heads": 4, "num_key_value_heads": 3}"#,
        "config.json: `num_key_value_heads` must divide the 4 heads"
      ),
      (
        #"{"model_type": "llama", "hidden_size": 16, "num_attention_heads": 4, "vocab_size": 9, "rope_scaling": {"type": "yarn"}}"#,
        "config.json asks for rope scaling `yarn`; the known kinds are default, linear, llama3 and longrope with one list"
      ),
      (
        #"{"model_type": "llama", "hidden_size": -16, "num_attention_heads": 4}"#,
        "config.json: `hidden_size` must be a positive whole number"
      ),
    ])
  func badConfigurationIsNamed(_ text: String, _ message: String) {
    let error = #expect(throws: (any Error).self) { try configuration(text) }
    #expect(error.map { "\($0)" } == message)
  }

  @Test func aTensorOfTheWrongShapeIsNamed() throws {
    let folder = try TemporaryFolder()
    try copy(
      ModelFixture(name: "llama").folder, to: folder.path + "/m",
      replacing: [("\"intermediate_size\": 24", "\"intermediate_size\": 25")])
    #expect(
      throws: ModelError.wrongShape(
        tensor: "model.layers.0.mlp.gate_proj.weight", found: [24, 16], expected: [25, 16])
    ) { try LanguageModel(folder.path + "/m") }
  }

  @Test func aMissingTensorIsNamed() throws {
    let folder = try TemporaryFolder()
    try copy(
      ModelFixture(name: "llama").folder, to: folder.path + "/m",
      replacing: [("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3")])
    #expect(throws: ModelError.missingTensor("model.layers.2.input_layernorm.weight", shape: [16])) {
      try LanguageModel(folder.path + "/m")
    }
  }

  @Test func tokensOutsideTheVocabularyAreNamed() throws {
    let model = try ModelFixture(name: "llama").model()
    #expect(throws: ModelError.tokenOutOfRange(token: 61, position: 1, vocabulary: 61)) {
      try model.losses(Sequences([[3, 61]]))
    }
    #expect(throws: ModelError.sequenceTooLong(length: 65, limit: 64)) {
      try model.losses(Sequences([Array(repeating: 1, count: 65)]))
    }
  }

  @Test func weightsThatAreNotNumbersAreNamed() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/m"
    try copy(ModelFixture(name: "llama").folder, to: path)
    let checkpoint = try Checkpoint(folder: path)
    let tensors = try checkpoint.tensorNames.map { name in
      var values = try checkpoint.read(name)
      if name == "model.layers.1.mlp.up_proj.weight" { values[7] = .nan }
      return TensorSource(name, type: .f32, shape: try checkpoint.info(name).shape) { [values] in try $0.append(values)
      }
    }
    try Safetensors.write(tensors, to: path + "/model.safetensors")
    let model = try LanguageModel(path)
    _ = try model.loadBlock(0)
    let error = #expect(throws: (any Error).self) { try model.loadBlock(1) }
    #expect(error.map { "\($0)" }?.contains("model.layers.1.mlp.up_proj.weight") == true)
  }
}
