// One row per family. A new family that is made of the same parts needs a row here and nothing else.

extension Family {
  public static let all: [Family] = [llama, mistral, qwen2, pruned, gpt2, chatGLM3]

  /// LLaMA 1, 2, 3.x and Vicuna.
  public static let llama = likeLlama(
    "llama", modelTypes: ["llama"], queryBias: .whenTrue(["attention_bias"]), outputBias: .whenTrue(["attention_bias"]),
    gateBias: .whenTrue(["mlp_bias"]), downBias: .whenTrue(["mlp_bias"]))

  public static let mistral = likeLlama("mistral", modelTypes: ["mistral"])

  /// Qwen 2 and 2.5.
  public static let qwen2 = likeLlama("qwen2", modelTypes: ["qwen2"], queryBias: .always)

  /// What `export as=hf` writes: the LLaMA graph with sizes and biases per layer.
  public static let pruned = likeLlama(
    "prn", modelTypes: ["prn"], queryBias: .perLayer("qkv_bias"), outputBias: .perLayer("o_bias"),
    gateBias: .perLayer("gate_up_bias"), downBias: .perLayer("down_bias"))

  public static let gpt2 = Family(
    name: "gpt2",
    modelTypes: ["gpt2"],
    keys: [
      .layers: ["n_layer"], .hiddenSize: ["n_embd"], .heads: ["n_head"], .neurons: ["n_inner"],
      .vocabulary: ["vocab_size"], .positions: ["n_positions", "n_ctx"], .epsilon: ["layer_norm_epsilon"],
    ],
    prefixes: ["transformer.", ""],
    embedding: "wte",
    positionEmbedding: "wpe",
    layer: "h.#.",
    norms: PerModule(attention: "ln_1", ffn: "ln_2"),
    linears: [
      StoredLinear(name: "attn.c_attn", roles: [.query, .key, .value], bias: .always),
      StoredLinear(name: "attn.c_proj", roles: [.output], bias: .always),
      StoredLinear(name: "mlp.c_fc", roles: [.up], bias: .always),
      StoredLinear(name: "mlp.c_proj", roles: [.down], bias: .always),
    ],
    finalNorm: "ln_f",
    head: "lm_head",
    isTiedByDefault: true,
    normalization: .layer,
    position: .learned,
    activationKeys: ["activation_function"],
    defaultActivation: .geluTanh,
    defaultEpsilon: 1e-5,
    isTransposed: true)

  public static let chatGLM3 = Family(
    name: "chatglm",
    modelTypes: ["chatglm"],
    keys: [
      .layers: ["num_layers"], .hiddenSize: ["hidden_size"], .heads: ["num_attention_heads"],
      .keyValueHeads: ["multi_query_group_num"], .headSize: ["kv_channels"], .neurons: ["ffn_hidden_size"],
      .vocabulary: ["padded_vocab_size"], .positions: ["seq_length"], .epsilon: ["layernorm_epsilon"],
      .ropeRatio: ["rope_ratio"],
    ],
    prefixes: ["transformer."],
    embedding: "embedding.word_embeddings",
    positionEmbedding: nil,
    layer: "encoder.layers.#.",
    norms: PerModule(attention: "input_layernorm", ffn: "post_attention_layernorm"),
    linears: [
      StoredLinear(
        name: "self_attention.query_key_value", roles: [.query, .key, .value],
        bias: .whenTrue(["add_qkv_bias", "add_bias_linear"])),
      StoredLinear(name: "self_attention.dense", roles: [.output], bias: .whenTrue(["add_bias_linear"])),
      StoredLinear(name: "mlp.dense_h_to_4h", roles: [.gate, .up], bias: .whenTrue(["add_bias_linear"])),
      StoredLinear(name: "mlp.dense_4h_to_h", roles: [.down], bias: .whenTrue(["add_bias_linear"])),
    ],
    finalNorm: "encoder.final_layernorm",
    head: "transformer.output_layer",
    isTiedByDefault: false,
    normalization: .rootMeanSquare,
    position: .rotary(.neighbours, fraction: 0.5),
    activationKeys: [],
    defaultActivation: .silu,
    defaultEpsilon: 1e-5,
    isTransposed: false)

  private static func likeLlama(
    _ name: String, modelTypes: [String], queryBias: BiasRule = .never, outputBias: BiasRule = .never,
    gateBias: BiasRule = .never, downBias: BiasRule = .never
  ) -> Family {
    Family(
      name: name,
      modelTypes: modelTypes,
      keys: [
        .layers: ["num_hidden_layers"], .hiddenSize: ["hidden_size"], .heads: ["num_attention_heads"],
        .keyValueHeads: ["num_key_value_heads"], .headSize: ["head_dim"], .neurons: ["intermediate_size"],
        .vocabulary: ["vocab_size"], .positions: ["max_position_embeddings"], .epsilon: ["rms_norm_eps"],
        .ropeTheta: ["rope_theta"],
      ],
      prefixes: ["model."],
      embedding: "embed_tokens",
      positionEmbedding: nil,
      layer: "layers.#.",
      norms: PerModule(attention: "input_layernorm", ffn: "post_attention_layernorm"),
      linears: [
        StoredLinear(name: "self_attn.q_proj", roles: [.query], bias: queryBias),
        StoredLinear(name: "self_attn.k_proj", roles: [.key], bias: queryBias),
        StoredLinear(name: "self_attn.v_proj", roles: [.value], bias: queryBias),
        StoredLinear(name: "self_attn.o_proj", roles: [.output], bias: outputBias),
        StoredLinear(name: "mlp.gate_proj", roles: [.gate], bias: gateBias),
        StoredLinear(name: "mlp.up_proj", roles: [.up], bias: gateBias),
        StoredLinear(name: "mlp.down_proj", roles: [.down], bias: downBias),
      ],
      finalNorm: "norm",
      head: "lm_head",
      isTiedByDefault: false,
      normalization: .rootMeanSquare,
      position: .rotary(.halves, fraction: 1),
      activationKeys: ["hidden_act"],
      defaultActivation: .silu,
      defaultEpsilon: 1e-6,
      isTransposed: false)
  }
}
