/// A place in a block where activations can be read: one row per token.
public enum Site: String, CaseIterable, Sendable, Comparable {
  /// The residual stream that enters the block.
  case blockIn = "block.in"
  /// The normalised residual stream: the input of query, key and value.
  case attentionIn = "attn.in"
  /// All heads side by side, before the output projection: its input.
  case attentionHeads = "attn.heads"
  /// The residual stream after attention.
  case feedForwardResidual = "ffn.resid"
  /// The normalised residual stream: the input of gate and up.
  case feedForwardIn = "ffn.in"
  /// The gate projection.
  case gateBefore = "ffn.gate_pre"
  /// The gate projection after the activation function.
  case gate = "ffn.gate"
  /// The up projection; in a model without a gate, before the activation function.
  case up = "ffn.up"
  /// h, the input of the down projection: `act(gate) ∘ up`, or `act(up)` without a gate.
  case activation = "ffn.act"
  /// The residual stream that leaves the block.
  case blockOut = "block.out"

  /// The module whose branch it lies in.
  public var module: Module {
    switch self {
    case .blockIn, .attentionIn, .attentionHeads: .attention
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
    case .gateBefore, .gate, .up: .projected
    case .attentionHeads, .activation: .mixed
    case .blockOut: .leaving
    }
  }

  /// The space its columns live in.
  public var space: Space {
    switch self {
    case .blockIn, .attentionIn, .blockOut, .feedForwardResidual, .feedForwardIn: .model
    case .attentionHeads: .queries
    case .gateBefore, .gate, .up, .activation: .neurons
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
