/// An architecture of llama.cpp: the family whose blocks it computes, and how its files differ from the family's.
struct GGUFArchitecture: Sendable {
  let name: String
  let family: Family
  /// Queries and keys turn in pairs of neighbours, not of halves: their rows stand in that order.
  let turnsNeighbours: Bool
  /// Blocks have heads and neurons of their own.
  var hasSizesPerBlock = false

  static let llama = GGUFArchitecture(name: "llama", family: .llama, turnsNeighbours: true)
  static let deci = GGUFArchitecture(name: "deci", family: .llama, turnsNeighbours: true, hasSizesPerBlock: true)
  static let qwen2 = GGUFArchitecture(name: "qwen2", family: .qwen2, turnsNeighbours: false)

  /// Those that are read.
  static let all = [
    llama, deci, qwen2,
    GGUFArchitecture(name: "qwen3", family: .qwen3, turnsNeighbours: false),
    GGUFArchitecture(name: "phi3", family: .phi3, turnsNeighbours: false),
    GGUFArchitecture(name: "olmo2", family: .olmo2, turnsNeighbours: false),
    GGUFArchitecture(name: "chatglm", family: .chatGLM3, turnsNeighbours: true),
  ]

  /// What the frequencies of a head's pairs are divided by.
  static let frequencies = "rope_freqs.weight"
  static let embedding = "token_embd.weight"
  static let head = "output.weight"
  static let finalNorm = "output_norm"

  /// A block's norm of a module's input or, in families that norm there, of its output.
  static func norm(_ module: Module, _ layer: Int, ofOutput: Bool = false) -> String {
    switch module {
    case .attention: "blk.\(layer).\(ofOutput ? "post_attention_norm" : "attn_norm")"
    case .ffn: "blk.\(layer).\(ofOutput ? "post_ffw_norm" : "ffn_norm")"
    }
  }

  /// The norm of a map's outputs.
  static func norm(_ role: LinearRole, _ layer: Int) -> String { linear([role], layer) + "_norm" }

  /// A linear map, or several in one tensor.
  static func linear(_ roles: [LinearRole], _ layer: Int) -> String {
    let name =
      switch roles {
      case [.query]: "attn_q"
      case [.key]: "attn_k"
      case [.value]: "attn_v"
      case [.output]: "attn_output"
      case [.gate]: "ffn_gate"
      case [.down]: "ffn_down"
      case [.query, .key, .value]: "attn_qkv"
      default: "ffn_up"
      }
    return "blk.\(layer).\(name)"
  }

  /// The place in the family of each row of a query or key map as it stands in a file; nil when it is the same.
  func rowOrder(of role: LinearRole, rows: Int, headSize: Int, _ rotary: Rotary?) -> [Int]? {
    guard let rotary, role == .query || role == .key, turnsNeighbours, rotary.pairing == .halves else { return nil }
    let half = rotary.rotatedFeatures / 2
    let head = (0..<half).flatMap { [$0, $0 + half] } + Array(2 * half..<headSize)
    return stride(from: 0, to: rows, by: headSize).flatMap { start in head.map { start + $0 } }
  }

  /// GGUF's names by those of a layout.
  static func names(_ layout: TensorLayout) -> [String: String] {
    let (configuration, family) = (layout.configuration, layout.configuration.family)
    var names = [layout.embedding: embedding, layout.ownHead: head]
    func add(_ name: String, _ own: String) {
      for part in [".weight", ".bias"] { names[name + part] = own + part }
    }
    add(layout.finalNorm, finalNorm)
    for layer in 0..<configuration.layers {
      for module in Module.allCases {
        add(layout.norm(module, layer), norm(module, layer, ofOutput: family.normsOutput))
      }
      for role in configuration.roles { layout.norm(role, layer).map { add($0, norm(role, layer)) } }
      for stored in family.linears { add(layout.linear(stored, layer), linear(stored.roles, layer)) }
    }
    return names
  }
}
