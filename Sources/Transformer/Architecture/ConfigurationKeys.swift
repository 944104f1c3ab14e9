// What becomes of every key of config.json: it is read, it is known to leave the outputs of a forward pass alone, or it
// is refused by its name. A key that is passed over in silence may be one that changes the graph.

extension Family {
  /// - Throws: `FieldError` naming a key that asks for something this family does not compute.
  func checkKeys(_ fields: JSONFields) throws {
    let known = readKeys.union(idleKeys).union(Self.idleKeys)
    for member in fields.members where member.value != .null {
      let key = member.key.description
      if let value = settledKeys[key] {
        guard member.value == value || member.value.isNumber(equalTo: value) else {
          throw fields.error(key, "must be \(String(decoding: value.serialized(), as: UTF8.self))")
        }
      } else if !member.value.asksForNothing, !known.contains(key) {
        throw fields.error(
          key, "is not known in \(name) models; if it does not change what the model computes, take it out")
      }
    }
  }

  /// The keys that decide what is computed, from the columns of the row.
  private var readKeys: Set<String> {
    var keys = Set(self.keys.values.joined()).union(activationKeys).union(["model_type", "tie_word_embeddings"])
    for linear in linears {
      if case .whenTrue(let switches) = linear.bias { keys.formUnion(switches) }
    }
    switch sliding {
    case .never: break
    case .everywhere: keys.insert("sliding_window")
    case .perLayer: keys.formUnion(["sliding_window", "use_sliding_window", "max_window_layers", "layer_types"])
    }
    if readsRotation { keys.formUnion(["rope_scaling", "rope_parameters", "partial_rotary_factor"]) }
    keys.formUnion(scale.keys + [groupingKey, layerSizes].compactMap { $0 })
    if layerSizes != nil, !isTransposed { keys.formUnion(["prn_heads", "prn_width"]) }
    return keys
  }

  /// Rotation is described by keys of its own, not by a ratio alone.
  var readsRotation: Bool { keys[.ropeTheta] != nil }

  /// What is said of the rotation in `rope_parameters` or `rope_scaling`.
  static let rotationKeys: Set<String> = [
    "rope_type", "type", "rope_theta", "partial_rotary_factor", "factor", "low_freq_factor", "high_freq_factor",
    "original_max_position_embeddings", "short_factor", "long_factor", "attention_factor",
  ]

  /// Keys that leave the outputs of every family alone.
  private static let idleKeys: Set<String> = [
    // Where the model comes from, and what runs it.
    "_name_or_path", "_commit_hash", "architectures", "auto_map", "custom_pipelines", "transformers_version",
    "transformers.js_config", "tokenizer_class", "torch_dtype", "dtype", "use_bfloat16", "torchscript",
    "_attn_implementation", "_attn_implementation_autoset", "attn_implementation", "_flash_attn_2_enabled",
    "use_flash_attn", "use_flash_attention_2", "use_cache", "output_past", "base_model_tp_plan", "pretraining_tp",
    "unsloth_fixed", "unsloth_version", "prn_kept_layers", "is_llama_config", "is_decoder", "max_sequence_length",
    "model_max_length",
    // Training.
    "initializer_range", "attention_dropout", "hidden_dropout", "attn_pdrop", "embd_pdrop", "resid_pdrop",
    "classifier_dropout", "gradient_checkpointing", "neftune_noise_alpha", "finetuning_task", "problem_type",
    // The shape of results.
    "return_dict", "return_dict_in_generate", "output_attentions", "output_hidden_states", "output_scores",
    "chunk_size_feed_forward", "id2label", "label2id", "num_labels", "summary_activation", "summary_first_dropout",
    "summary_proj_to_labels", "summary_type", "summary_use_proj", "tf_legacy_loss",
    // Tokens and generation.
    "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "unk_token_id", "decoder_start_token_id",
    "forced_bos_token_id", "forced_eos_token_id", "prefix", "task_specific_params", "max_length", "min_length",
    "max_new_tokens", "do_sample", "early_stopping", "num_beams", "num_beam_groups", "diversity_penalty", "temperature",
    "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty", "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences", "remove_invalid_values",
    "exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens",
    // State-space layers, in files written for several architectures.
    "time_step_floor", "time_step_limit", "time_step_max", "time_step_min",
  ]
}

extension JSON {
  /// Whether both are numbers and the same one, with or without a point.
  fileprivate func isNumber(equalTo other: JSON) -> Bool {
    switch (self, other) {
    case (.integer(let whole), .number(let number)), (.number(let number), .integer(let whole)): Double(whole) == number
    default: false
    }
  }

  /// A switch that is off, or nothing at all.
  fileprivate var asksForNothing: Bool {
    switch self {
    case .null, .bool(false), .array([]), .object([]): true
    default: false
    }
  }
}
