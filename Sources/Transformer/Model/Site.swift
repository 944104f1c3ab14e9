/// A place in a block where activations can be read: one row per token.
public enum Site: String, CaseIterable, Sendable, Comparable {
  case blockIn = "block.in"
  case attentionIn = "attn.in"
  case queries = "attn.q"
  case keys = "attn.k"
  case attentionHeads = "attn.heads"
  case feedForwardResidual = "ffn.resid"
  case feedForwardIn = "ffn.in"
  case gateBefore = "ffn.gate_pre"
  case gate = "ffn.gate"
  case up = "ffn.up"
  case activation = "ffn.act"
  case blockOut = "block.out"

  public var meaning: String {
    switch self {
    case .blockIn: "the residual stream that enters the block"
    case .attentionIn: "the normalised residual stream, the input of query, key and value"
    case .queries: "the queries of all heads side by side, normed where the family does, not yet rotated"
    case .keys: "the keys of all key-value heads side by side, normed where the family does, not yet rotated"
    case .attentionHeads: "all heads side by side, the input of the attention output map"
    case .feedForwardResidual: "the residual stream after attention"
    case .feedForwardIn: "the normalised residual stream, the input of gate and up"
    case .gateBefore: "the gate projection before the activation function"
    case .gate: "the gate projection after the activation function"
    case .up: "the up projection; without a gate, before the activation function"
    case .activation: "the input of the down projection: act(gate) x up, or act(up) without a gate"
    case .blockOut: "the residual stream that leaves the block"
    }
  }

  /// The module whose branch it lies in.
  public var module: Module {
    switch self {
    case .blockIn, .attentionIn, .queries, .keys, .attentionHeads: .attention
    default: .ffn
    }
  }

  /// How far the branch has come there.
  enum Stage: Comparable {
    /// The residual stream that enters the branch.
    case entering
    /// Behind the norm.
    case normalized
    /// Behind the input maps.
    case projected
    /// Before the output map.
    case mixed
    /// The residual stream that leaves the branch.
    case leaving
  }

  var stage: Stage {
    switch self {
    case .blockIn, .feedForwardResidual: .entering
    case .attentionIn, .feedForwardIn: .normalized
    case .queries, .keys, .gateBefore, .gate, .up: .projected
    case .attentionHeads, .activation: .mixed
    case .blockOut: .leaving
    }
  }

  /// The space its columns live in.
  public var space: Space {
    switch self {
    case .blockIn, .attentionIn, .blockOut, .feedForwardResidual, .feedForwardIn: .model
    case .queries: .queries
    case .keys: .keys
    case .attentionHeads: .heads
    case .gateBefore, .gate, .up, .activation: .neurons
    }
  }

  /// The map whose outputs are seen between the maps.
  var role: LinearRole {
    switch self {
    case .queries: .query
    case .keys: .key
    case .up: .up
    default: .gate
    }
  }

  /// Columns of the site in a block of the unpruned model.
  public func width(_ configuration: Configuration, layer: Int = 0) -> Int {
    configuration.size(space, layer: layer)
  }

  /// Whether the family has it: models without a gate lack the two gate sites.
  public func exists(in family: Family) -> Bool {
    family.isGated || (self != .gate && self != .gateBefore)
  }

  /// Sites compare by the order in which a block reaches them.
  public static func < (left: Site, right: Site) -> Bool { left.order < right.order }

  private var order: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}
