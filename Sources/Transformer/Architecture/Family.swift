/// What one linear map of a block is for. Its two axes say which of its rows or columns go when a unit or a neuron goes.
public enum LinearRole: String, CaseIterable, Sendable {
  case query, key, value, output, gate, up, down

  /// The module it belongs to.
  public var module: Module {
    switch self {
    case .query, .key, .value, .output: .attention
    case .gate, .up, .down: .ffn
    }
  }

  /// The space of the map's outputs (the rows of `W` in `y = W x`).
  public var rows: Space {
    switch self {
    case .query: .queries
    case .key: .keys
    case .value: .values
    case .output, .down: .model
    case .gate, .up: .neurons
    }
  }

  /// The space of the map's inputs (the columns of `W`).
  public var columns: Space {
    switch self {
    case .query, .key, .value, .gate, .up: .model
    case .output: .heads
    case .down: .neurons
    }
  }
}

/// The spaces whose axes meet in a block. Pruning narrows every one of them except `model`.
public enum Space: String, CaseIterable, Sendable {
  /// The residual stream: `hiddenSize`.
  case model
  /// The queries of all heads side by side: `heads × headSize`.
  case queries
  /// All keys side by side: `keyValueHeads × headSize`.
  case keys
  /// All values side by side: `keyValueHeads × headSize`.
  case values
  /// What attention makes of the values, all query heads side by side: `heads × headSize`.
  case heads
  /// The inner width of the feed-forward part.
  case neurons

  /// The module whose units its axis is made of; nil for the residual stream.
  public var module: Module? {
    switch self {
    case .model: nil
    case .queries, .keys, .values, .heads: .attention
    case .neurons: .ffn
    }
  }
}

/// One tensor of a checkpoint that stores one linear map, or several stacked along their output axis.
public struct StoredLinear: Sendable {
  /// Name inside a layer, without `.weight` or `.bias`.
  public let name: String
  /// The maps it holds, in storage order.
  public let roles: [LinearRole]
  public let bias: BiasRule

  /// The name inside its module: `q_proj`.
  var shortName: String { name.split(separator: ".").last.map(String.init) ?? name }
}

/// When a stored linear map has a bias.
public enum BiasRule: Sendable, Equatable {
  case never
  case always
  /// When one of these keys of config.json is true.
  case whenTrue([String])
  /// When this key of the layer's entry in `prn_layers` is true.
  case perLayer(String)
}

public enum Normalization: Sendable, Equatable {
  /// `w ∘ x / √(mean x² + ε)`
  case rootMeanSquare
  /// `w ∘ (x - mean x) / √(var x + ε) + b`
  case layer
}

/// The norms that queries and keys pass before they are rotated.
public enum QueryKeyNorm: Sendable, Equatable {
  /// Every head by itself, all heads with one weight.
  case perHead
  /// All heads side by side as one vector. Its mean square is one of the unpruned width: what is gone counts as 0.
  case acrossHeads
}

/// The activation function of the feed-forward part.
public enum Activation: String, Sendable {
  case silu
  /// The hyperbolic-tangent approximation of GELU, `gelu_new` in transformers.
  case geluTanh = "gelu_new"
}

/// Where positions enter.
public enum PositionScheme: Sendable, Equatable {
  /// Queries and keys are rotated; `fraction` is the rotated share of a head.
  case rotary(RotaryPairing, fraction: Double)
  /// A table added to the token embeddings.
  case learned
}

/// Which two features of a head turn together.
public enum RotaryPairing: Sendable, Equatable {
  /// Feature `i` with feature `i + n/2`, as LLaMA.
  case halves
  /// Feature `2i` with feature `2i + 1`, as ChatGLM.
  case neighbours
}

/// What attention scores are multiplied by before the softmax, and which keys of config.json say so.
public enum ScaleRule: Sendable, Equatable {
  /// 1 / √d_h
  case bySize
  /// The same unless a key says no, over the number of the layer from 1 when another says yes.
  case switched(bySize: String, byDepth: String)
  /// What a key says, 1 if it is absent.
  case given(String)

  /// The keys that are read.
  var keys: [String] {
    switch self {
    case .bySize: []
    case .switched(let bySize, let byDepth): [bySize, byDepth]
    case .given(let key): [key]
    }
  }
}

/// Which blocks see only the last tokens before them, and which keys of config.json say so.
public enum SlidingRule: Sendable, Equatable {
  case never
  /// Every block, when `sliding_window` is a number; `fallback` stands for an absent key, not for null.
  case everywhere(fallback: Int?)
  /// When `use_sliding_window` is true: the blocks that `layer_types` names or, without it, those from
  /// `max_window_layers` on.
  case perLayer(fallback: Int, from: Int)
}

/// The numbers read from config.json.
public enum Quantity: String, CaseIterable, Sendable {
  case layers, hiddenSize, heads, keyValueHeads, headSize, neurons, vocabulary, positions, epsilon, ropeTheta,
    ropeRatio, rotatedShare
}

/// A model family as data: what its configuration keys and tensors are called, and which axis is which.
public struct Family: Sendable, Equatable {
  public private(set) var name: String
  /// Values of `model_type` that mean this family; the first is the one that is written.
  public private(set) var modelTypes: [String]
  /// The class of transformers that runs it.
  public private(set) var className: String
  /// The Python file that defines the class, when transformers has none of that name.
  public private(set) var codeFile: String?
  /// The keys that may hold a quantity, first found wins.
  public let keys: [Quantity: [String]]
  /// The key that must be true for `keyValueHeads` to count; nil when it always counts.
  public let groupingKey: String?
  /// Keys that could change what is computed, with the value that the family's graph has.
  public let settledKeys: [String: JSON]
  /// Keys of this family alone that leave the outputs as they are.
  public private(set) var idleKeys: Set<String>
  /// What may stand before every tensor name; the first that occurs in the checkpoint counts.
  public let prefixes: [String]
  public let embedding: String
  public let positionEmbedding: String?
  /// A layer's prefix; `#` is the layer number.
  public let layer: String
  /// The norm each branch begins with, or ends with when `normsOutput`.
  public let norms: PerModule<String>
  /// `x + norm(output(…))` in place of `x + output(… norm(x))`.
  public let normsOutput: Bool
  /// What `queryNorm` and `keyNorm` do; nil when a family has no such norms.
  public let queryKeyNorm: QueryKeyNorm?
  public private(set) var linears: [StoredLinear]
  /// The key that lists the sizes of every block; nil when all blocks have one size.
  public private(set) var layerSizes: String?
  /// The class that a class with sizes per block is made from; nil for the others.
  public private(set) var baseClass: String? = nil
  public let finalNorm: String
  public let head: String
  /// The head belongs to the base class: its name, too, stands below a prefix.
  public let isHeadInBase: Bool
  public let isTiedByDefault: Bool
  public let normalization: Normalization
  public let position: PositionScheme
  public let sliding: SlidingRule
  /// What attention scores are multiplied by.
  public let scale: ScaleRule
  public let activationKeys: [String]
  public let defaultActivation: Activation
  /// ε of the norms when config.json does not say.
  public let defaultEpsilon: Double
  /// Features per head when config.json does not say; nil when heads share the residual stream.
  public let defaultHeadSize: Int?
  /// The longest sequence when config.json does not say.
  public let defaultPositions: Int
  /// The class takes only numbers of heads that divide the size of the residual stream.
  public private(set) var hasHeadsThatDivide = false
  /// Linear weights are stored with inputs as rows (GPT-2's Conv1D).
  public let isTransposed: Bool

  /// Whether the feed-forward part multiplies an activated gate with `up`.
  public var isGated: Bool { linears.contains { $0.roles.contains(.gate) } }

  /// Two families of one name are one.
  public static func == (left: Family, right: Family) -> Bool { left.name == right.name }

  /// What a block computes, whatever its tensors are called.
  public var graph: Graph {
    Graph(
      normalization: normalization, position: position, activation: defaultActivation, isGated: isGated,
      normsOutput: normsOutput, queryKeyNorm: queryKeyNorm)
  }

  /// A class can hold the models of another family when the graphs are equal.
  public struct Graph: Sendable, Equatable {
    let normalization: Normalization
    let position: PositionScheme
    let activation: Activation
    let isGated: Bool
    let normsOutput: Bool
    let queryKeyNorm: QueryKeyNorm?
  }

  /// The norm of a map's outputs, named inside a layer; nil for all but the queries and keys of some families.
  func norm(_ role: LinearRole) -> String? {
    guard queryKeyNorm != nil else { return nil }
    switch role {
    case .query: return "self_attn.q_norm"
    case .key: return "self_attn.k_norm"
    default: return nil
    }
  }

  /// The class with sizes and biases per block that `export as=hf` writes for this family, otherwise the same.
  func withSizesPerBlock(_ name: String) -> Family {
    var family = self
    family.name = name
    family.modelTypes = [name]
    family.baseClass = className
    family.className = "PrnForCausalLM"
    family.codeFile = "modeling_prn.py"
    family.layerSizes = "prn_layers"
    family.idleKeys.formUnion(["attention_bias", "mlp_bias"])
    // Conv1D has a bias always.
    if isTransposed { return family }
    family.linears = linears.map { stored in
      guard let role = stored.roles.first else { return stored }
      let key =
        switch role {
        case .query, .key, .value: "qkv_bias"
        case .output: "o_bias"
        case .gate, .up: "gate_up_bias"
        case .down: "down_bias"
        }
      return StoredLinear(name: stored.name, roles: stored.roles, bias: .perLayer(key))
    }
    return family
  }

  /// The stored tensor that holds `role`.
  public func linear(_ role: LinearRole) -> StoredLinear? { linears.first { $0.roles.contains(role) } }
}
