// One row per family. A new family that is made of the same parts needs a row here and nothing else.

extension Family {
  public static let all: [Family] =
    [
      llama, mistral, qwen2, qwen3, phi3, olmo2, granite, gpt2, chatGLM3, pruned,
    ] + prunedOthers

  /// LLaMA 1, 2, 3.x and Vicuna.
  public static let llama = likeLlama(
    "llama", modelTypes: ["llama"], className: "LlamaForCausalLM", queryBias: .whenTrue(["attention_bias"]),
    outputBias: .whenTrue(["attention_bias"]), gateBias: .whenTrue(["mlp_bias"]), downBias: .whenTrue(["mlp_bias"]),
    hasHeadsThatDivide: true)

  public static let mistral = likeLlama(
    "mistral", modelTypes: ["mistral"], className: "MistralForCausalLM", sliding: .everywhere(fallback: 4096),
    defaultPositions: 131_072)

  /// Qwen 2 and 2.5.
  public static let qwen2 = likeLlama(
    "qwen2", modelTypes: ["qwen2"], className: "Qwen2ForCausalLM", queryBias: .always,
    sliding: .perLayer(fallback: 4096, from: 28), defaultPositions: 32768)

  /// Qwen 3: its attention norms queries and keys.
  public static let qwen3 = likeLlama(
    "qwen3", modelTypes: ["qwen3"], className: "Qwen3ForCausalLM", queryBias: .whenTrue(["attention_bias"]),
    outputBias: .whenTrue(["attention_bias"]), queryKeyNorm: .perHead, sliding: .perLayer(fallback: 4096, from: 28),
    defaultHeadSize: 128, defaultPositions: 32768)

  /// Phi 3 and 4 with the rotations that are known: their maps are stored stacked.
  public static let phi3 = likeLlama(
    "phi3", modelTypes: ["phi3"], className: "Phi3ForCausalLM",
    linears: [
      StoredLinear(name: "self_attn.qkv_proj", roles: [.query, .key, .value], bias: .never),
      StoredLinear(name: "self_attn.o_proj", roles: [.output], bias: .never),
      StoredLinear(name: "mlp.gate_up_proj", roles: [.gate, .up], bias: .never),
      StoredLinear(name: "mlp.down_proj", roles: [.down], bias: .never),
    ], idleKeys: ["original_max_position_embeddings"], turnsShares: true, sliding: .everywhere(fallback: nil),
    defaultEpsilon: 1e-5, defaultPositions: 4096)

  /// OLMo 2: branches end with their norms, and queries and keys are normed across heads.
  public static let olmo2 = likeLlama(
    "olmo2", modelTypes: ["olmo2"], className: "Olmo2ForCausalLM", queryBias: .whenTrue(["attention_bias"]),
    outputBias: .whenTrue(["attention_bias"]),
    norms: PerModule(attention: "post_attention_layernorm", ffn: "post_feedforward_layernorm"), normsOutput: true,
    queryKeyNorm: .acrossHeads, defaultEpsilon: 1e-5)

  /// LLaMA's graph with factors of its own, which have to be 1 here; the scale of attention is free. Its class takes any
  /// number of heads.
  public static let granite = likeLlama(
    "granite", modelTypes: ["granite"], className: "GraniteForCausalLM", queryBias: .whenTrue(["attention_bias"]),
    outputBias: .whenTrue(["attention_bias"]), gateBias: .whenTrue(["mlp_bias"]), downBias: .whenTrue(["mlp_bias"]),
    settledKeys: ["embedding_multiplier": .number(1), "residual_multiplier": .number(1), "logits_scaling": .number(1)],
    scale: .given("attention_multiplier"))

  /// What `export as=hf` writes: LLaMA's graph with sizes and biases per block.
  public static let pruned = llama.withSizesPerBlock("prn")

  /// The same for graphs that LLaMA's class does not compute.
  static let prunedOthers = [mistral, qwen2, qwen3, olmo2, gpt2].map { $0.withSizesPerBlock("prn_" + $0.name) }

  public static let gpt2 = Family(
    name: "gpt2",
    modelTypes: ["gpt2"],
    className: "GPT2LMHeadModel",
    codeFile: nil,
    keys: [
      .layers: ["n_layer"], .hiddenSize: ["n_embd"], .heads: ["n_head"], .neurons: ["n_inner"],
      .vocabulary: ["vocab_size"], .positions: ["n_positions", "n_ctx"], .epsilon: ["layer_norm_epsilon"],
    ],
    groupingKey: nil,
    settledKeys: [:],
    idleKeys: ["reorder_and_upcast_attn"],
    prefixes: ["transformer.", ""],
    embedding: "wte",
    positionEmbedding: "wpe",
    layer: "h.#.",
    norms: PerModule(attention: "ln_1", ffn: "ln_2"),
    normsOutput: false,
    queryKeyNorm: nil,
    linears: [
      StoredLinear(name: "attn.c_attn", roles: [.query, .key, .value], bias: .always),
      StoredLinear(name: "attn.c_proj", roles: [.output], bias: .always),
      StoredLinear(name: "mlp.c_fc", roles: [.up], bias: .always),
      StoredLinear(name: "mlp.c_proj", roles: [.down], bias: .always),
    ],
    layerSizes: nil,
    finalNorm: "ln_f",
    head: "lm_head",
    isHeadInBase: false,
    isTiedByDefault: true,
    normalization: .layer,
    position: .learned,
    sliding: .never,
    scale: .switched(bySize: "scale_attn_weights", byDepth: "scale_attn_by_inverse_layer_idx"),
    activationKeys: ["activation_function"],
    defaultActivation: .geluTanh,
    defaultEpsilon: 1e-5,
    defaultHeadSize: nil,
    defaultPositions: 1024,
    isTransposed: true)

  public static let chatGLM3 = Family(
    name: "chatglm",
    modelTypes: ["chatglm"],
    className: "ChatGLMForConditionalGeneration",
    codeFile: "modeling_chatglm.py",
    keys: [
      .layers: ["num_layers"], .hiddenSize: ["hidden_size"], .heads: ["num_attention_heads"],
      .keyValueHeads: ["multi_query_group_num"], .headSize: ["kv_channels"], .neurons: ["ffn_hidden_size"],
      .vocabulary: ["padded_vocab_size"], .positions: ["seq_length"], .epsilon: ["layernorm_epsilon"],
      .ropeRatio: ["rope_ratio"],
    ],
    groupingKey: "multi_query_attention",
    settledKeys: [
      "rmsnorm": .bool(true), "post_layer_norm": .bool(true), "original_rope": .bool(true),
      "quantization_bit": .integer(0),
    ],
    idleKeys: [
      "apply_query_key_layer_scaling", "attention_softmax_in_fp32", "bias_dropout_fusion", "fp32_residual_connection",
    ],
    prefixes: ["transformer.", ""],
    embedding: "embedding.word_embeddings",
    positionEmbedding: nil,
    layer: "encoder.layers.#.",
    norms: PerModule(attention: "input_layernorm", ffn: "post_attention_layernorm"),
    normsOutput: false,
    queryKeyNorm: nil,
    linears: [
      StoredLinear(
        name: "self_attention.query_key_value", roles: [.query, .key, .value],
        bias: .whenTrue(["add_qkv_bias", "add_bias_linear"])),
      StoredLinear(name: "self_attention.dense", roles: [.output], bias: .whenTrue(["add_bias_linear"])),
      StoredLinear(name: "mlp.dense_h_to_4h", roles: [.gate, .up], bias: .whenTrue(["add_bias_linear"])),
      StoredLinear(name: "mlp.dense_4h_to_h", roles: [.down], bias: .whenTrue(["add_bias_linear"])),
    ],
    layerSizes: nil,
    finalNorm: "encoder.final_layernorm",
    head: "output_layer",
    isHeadInBase: true,
    isTiedByDefault: false,
    normalization: .rootMeanSquare,
    position: .rotary(.neighbours, fraction: 0.5),
    sliding: .never,
    scale: .bySize,
    activationKeys: [],
    defaultActivation: .silu,
    defaultEpsilon: 1e-5,
    defaultHeadSize: nil,
    defaultPositions: 2048,
    isTransposed: false)

  private static func likeLlama(
    _ name: String, modelTypes: [String], className: String, queryBias: BiasRule = .never,
    outputBias: BiasRule = .never, gateBias: BiasRule = .never, downBias: BiasRule = .never,
    linears: [StoredLinear]? = nil, settledKeys: [String: JSON] = [:], idleKeys: Set<String> = [],
    norms: PerModule<String> = PerModule(attention: "input_layernorm", ffn: "post_attention_layernorm"),
    normsOutput: Bool = false, queryKeyNorm: QueryKeyNorm? = nil, turnsShares: Bool = false,
    sliding: SlidingRule = .never,
    scale: ScaleRule = .bySize,
    defaultEpsilon: Double = 1e-6, defaultHeadSize: Int? = nil, defaultPositions: Int = 2048,
    hasHeadsThatDivide: Bool = false
  ) -> Family {
    Family(
      name: name,
      modelTypes: modelTypes,
      className: className,
      codeFile: nil,
      keys: [
        .layers: ["num_hidden_layers"], .hiddenSize: ["hidden_size"], .heads: ["num_attention_heads"],
        .keyValueHeads: ["num_key_value_heads"], .headSize: ["head_dim"], .neurons: ["intermediate_size"],
        .vocabulary: ["vocab_size"], .positions: ["max_position_embeddings"], .epsilon: ["rms_norm_eps"],
        .ropeTheta: ["rope_theta"], .rotatedShare: turnsShares ? ["partial_rotary_factor"] : [],
      ],
      groupingKey: nil,
      settledKeys: settledKeys,
      idleKeys: idleKeys,
      prefixes: ["model.", ""],
      embedding: "embed_tokens",
      positionEmbedding: nil,
      layer: "layers.#.",
      norms: norms,
      normsOutput: normsOutput,
      queryKeyNorm: queryKeyNorm,
      linears: linears ?? [
        StoredLinear(name: "self_attn.q_proj", roles: [.query], bias: queryBias),
        StoredLinear(name: "self_attn.k_proj", roles: [.key], bias: queryBias),
        StoredLinear(name: "self_attn.v_proj", roles: [.value], bias: queryBias),
        StoredLinear(name: "self_attn.o_proj", roles: [.output], bias: outputBias),
        StoredLinear(name: "mlp.gate_proj", roles: [.gate], bias: gateBias),
        StoredLinear(name: "mlp.up_proj", roles: [.up], bias: gateBias),
        StoredLinear(name: "mlp.down_proj", roles: [.down], bias: downBias),
      ],
      layerSizes: nil,
      finalNorm: "norm",
      head: "lm_head",
      isHeadInBase: false,
      isTiedByDefault: false,
      normalization: .rootMeanSquare,
      position: .rotary(.halves, fraction: 1),
      sliding: sliding,
      scale: scale,
      activationKeys: ["hidden_act"],
      defaultActivation: .silu,
      defaultEpsilon: defaultEpsilon,
      defaultHeadSize: defaultHeadSize,
      defaultPositions: defaultPositions,
      hasHeadsThatDivide: hasHeadsThatDivide,
      isTransposed: false)
  }
}
