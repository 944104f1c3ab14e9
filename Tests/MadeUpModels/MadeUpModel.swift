import Foundation
import Transformer

/// A checkpoint of random weights in the shape of a known model, with as many blocks as one likes: for time and memory,
/// which do not depend on what the numbers are. LLaMA's graph, bf16, and the tokenizer of another model.
public struct MadeUpModel: Sendable {
  public let hidden: Int
  public let ffn: Int
  public let heads: Int
  public let keyValueHeads: Int
  public let vocabulary: Int
  /// Blocks of the model whose shape it is.
  public let blocks: Int

  public static let shapes: [String: MadeUpModel] = [
    // Large enough that a step's numbers outweigh the program, small enough for a test.
    "small": MadeUpModel(hidden: 1024, ffn: 2816, heads: 16, keyValueHeads: 16, vocabulary: 8192, blocks: 2),
    // LLaMA 7B and Llama 2 70B.
    "7b": MadeUpModel(hidden: 4096, ffn: 11008, heads: 32, keyValueHeads: 32, vocabulary: 32000, blocks: 32),
    "70b": MadeUpModel(hidden: 8192, ffn: 28672, heads: 64, keyValueHeads: 8, vocabulary: 32000, blocks: 80),
  ]

  /// Writes the folder, which must be there.
  ///
  /// - Parameters:
  ///   - count: blocks to write.
  ///   - donor: the folder of a model whose tokenizer has no more words.
  public func write(blocks count: Int, tokenizerOf donor: String, to folder: String) throws {
    let config = """
      {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": \(hidden),
       "intermediate_size": \(ffn), "max_position_embeddings": 4096, "num_attention_heads": \(heads),
       "num_hidden_layers": \(count), "num_key_value_heads": \(keyValueHeads), "rms_norm_eps": 1e-05,
       "rope_theta": 10000.0, "tie_word_embeddings": false, "torch_dtype": "bfloat16", "vocab_size": \(vocabulary),
       "bos_token_id": 0, "eos_token_id": 1}

      """
    try config.write(toFile: folder + "/config.json", atomically: true, encoding: .utf8)
    for name in ["tokenizer.json", "tokenizer_config.json"] {
      try Data(contentsOf: URL(fileURLWithPath: donor + "/" + name)).write(
        to: URL(fileURLWithPath: folder + "/" + name))
    }
    try Safetensors.writeSharded(tensors(blocks: count), toFolder: folder)
  }

  private func tensors(blocks count: Int) -> [TensorSource] {
    var seed: UInt32 = 1
    func matrix(_ name: String, _ rows: Int, _ columns: Int) -> TensorSource {
      seed &+= 0x9E37_79B9
      let own = seed
      return TensorSource(ByteString(name + ".weight"), type: .bf16, shape: [rows, columns]) { sink in
        var state = own
        // Uniform, with the deviation that keeps the sizes of what passes.
        let scale = (12 / Float(columns)).squareRoot()
        for _ in 0..<rows {
          try sink.append(
            (0..<columns).map { _ in
              state ^= state << 13
              state ^= state >> 17
              state ^= state << 5
              return (Float(state >> 8) / 16_777_216 - 0.5) * scale
            })
        }
      }
    }
    func norm(_ name: String) -> TensorSource {
      TensorSource(ByteString(name + ".weight"), type: .bf16, shape: [hidden]) { sink in
        try sink.append([Float](repeating: 1, count: hidden))
      }
    }
    let narrow = hidden / heads * keyValueHeads
    let blocks = (0..<count).flatMap { block -> [TensorSource] in
      let at = "model.layers.\(block)."
      return [
        norm(at + "input_layernorm"), matrix(at + "self_attn.q_proj", hidden, hidden),
        matrix(at + "self_attn.k_proj", narrow, hidden), matrix(at + "self_attn.v_proj", narrow, hidden),
        matrix(at + "self_attn.o_proj", hidden, hidden), norm(at + "post_attention_layernorm"),
        matrix(at + "mlp.gate_proj", ffn, hidden), matrix(at + "mlp.up_proj", ffn, hidden),
        matrix(at + "mlp.down_proj", hidden, ffn),
      ]
    }
    return [matrix("model.embed_tokens", vocabulary, hidden)] + blocks
      + [norm("model.norm"), matrix("lm_head", vocabulary, hidden)]
  }
}
