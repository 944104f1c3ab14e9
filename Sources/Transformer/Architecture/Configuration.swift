/// The sizes of one block.
public struct BlockSizes: Sendable, Equatable {
  /// Query heads.
  public var heads: Int
  public var keyValueHeads: Int
  /// The inner width of the feed-forward part.
  public var neurons: Int
  /// The linear maps that have a bias in the checkpoint.
  public var biases: Set<LinearRole>

  public init(heads: Int, keyValueHeads: Int, neurons: Int, biases: Set<LinearRole> = []) {
    self.heads = heads
    self.keyValueHeads = keyValueHeads
    self.neurons = neurons
    self.biases = biases
  }
}

/// Everything about a model that is not a weight, read from config.json.
public struct Configuration: Sendable {
  public internal(set) var family: Family
  /// d, the width of the residual stream.
  public let hiddenSize: Int
  /// d_h, features per head.
  public let headSize: Int
  /// g, how many query heads share one key-value head; such a group is the unit of attention pruning.
  public let queriesPerUnit: Int
  /// One entry per block. They differ only in models that were already pruned.
  public internal(set) var blocks: [BlockSizes]
  public let vocabularySize: Int
  /// The longest sequence the model was made for.
  public let positions: Int
  /// ε of the norms.
  public let epsilon: Float
  public let activation: Activation
  public let rotary: Rotary?
  /// The span of keys that a query of each block sees; nil where it sees all before it.
  let windows: [Int?]
  /// What the scores of each block are multiplied by before the softmax.
  let attentionScales: [Float]
  /// The output head is the embedding table.
  public internal(set) var isTied: Bool

  public var layers: Int { blocks.count }

  /// Attention units of a block: key-value groups.
  public func units(_ layer: Int) -> Int { blocks[layer].keyValueHeads }

  public func neurons(_ layer: Int) -> Int { blocks[layer].neurons }

  /// The span of keys that a query of this block sees; nil when it sees all before it.
  public func window(_ layer: Int) -> Int? { windows[layer] }

  /// What the attention scores of a block are multiplied by before the softmax: 1 / √d_h, unless the family has keys
  /// that say otherwise.
  public func attentionScale(_ layer: Int) -> Float { attentionScales[layer] }

  /// The span of the blocks that do not see everything before them; nil when all do.
  public var slidingWindow: Int? { windows.lazy.compactMap { $0 }.first }

  public func size(_ space: Space, layer: Int) -> Int {
    switch space {
    case .model: hiddenSize
    case .queries: blocks[layer].heads * headSize
    case .keyValues: blocks[layer].keyValueHeads * headSize
    case .neurons: blocks[layer].neurons
    }
  }

  /// The same model written as another family, with other sizes.
  func replacing(family: Family, blocks: [BlockSizes]) -> Configuration {
    var result = self
    result.family = family
    result.blocks = blocks
    return result
  }

  /// The linear maps of a block, in the family's order.
  public var roles: [LinearRole] { family.linears.flatMap(\.roles) }
}

// MARK: - Parameter counts

extension Configuration {
  /// Weights that go when one attention unit goes: g query heads, their key and value head, and their output columns.
  public var parametersPerUnit: Int { hiddenSize * headSize * (2 * queriesPerUnit + 2) }

  /// Weights that go when one neuron goes.
  public var parametersPerNeuron: Int { hiddenSize * (family.isGated ? 3 : 2) }

  /// Weights of the linear maps of one block, biases left out: what the rates of FLAP and FANG refer to.
  public func linearParameters(layer: Int) -> Int {
    roles.reduce(0) { $0 + size($1.rows, layer: layer) * size($1.columns, layer: layer) }
  }

  /// `linearParameters` of all blocks.
  public var blockParameters: Int { (0..<layers).reduce(0) { $0 + linearParameters(layer: $1) } }

  /// Every number of the model: embeddings, blocks with norms and biases, final norm and head.
  public var totalParameters: Int {
    let norm = family.normalization == .layer ? 2 * hiddenSize : hiddenSize
    let biases = (0..<layers).reduce(0) { sum, layer in
      blocks[layer].biases.reduce(sum) { $0 + size($1.rows, layer: layer) }
    }
    let tables = vocabularySize * hiddenSize * (isTied ? 1 : 2)
    let positionTable = family.position == .learned ? positions * hiddenSize : 0
    return tables + positionTable + blockParameters + biases + norm * (2 * layers + 1)
  }
}
