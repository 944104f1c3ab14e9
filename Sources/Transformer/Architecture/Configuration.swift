/// What is taken out of attention as a whole.
public enum AttentionUnit: String, Sendable, CaseIterable {
  /// A key-value head with the query heads that share it.
  case group
  /// One query head of every key-value head. Keys and values stay as long as a unit does, so that wide groups narrow
  /// evenly.
  case query
}

/// The heads of one block.
public struct HeadCounts: Sendable, Equatable {
  public let queries: Int
  public let keyValues: Int
}

/// Features of one head.
public struct HeadSizes: Sendable, Equatable {
  /// Of its query and of its key.
  public var key: Int
  /// Of its value.
  public var value: Int

  public init(key: Int, value: Int) {
    self.key = key
    self.value = value
  }
}

/// What is left of the heads of a block.
public struct Heads: Sendable, Equatable {
  public let size: HeadSizes
  /// The rotary pairs of a whole head that each key-value head has, ascending; nil: all.
  public let pairs: [[Int]]?

  public init(size: HeadSizes, pairs: [[Int]]?) {
    self.size = size
    self.pairs = pairs
  }

  /// Whole heads.
  init(_ configuration: Configuration) { self.init(size: configuration.wholeHead, pairs: nil) }
}

/// The sizes of one block.
public struct BlockSizes: Sendable, Equatable {
  /// Structural units of each module: attention units and neurons.
  public var units: PerModule<Int>
  /// The linear maps that have a bias in the checkpoint.
  public var biases: Set<LinearRole>
  /// Whether attention has no units and its output map reads the normalised stream, in the place of blocks that are gone.
  public var bridges = false
  /// Nil where heads are as large as everywhere in the model.
  public var heads: Heads?
  /// Of the linear maps that are two factors: how many numbers stand between them.
  public var ranks: [LinearRole: Int] = [:]

  public init(units: PerModule<Int>, biases: Set<LinearRole> = []) {
    self.units = units
    self.biases = biases
  }
}

/// Everything about a model that is not a weight, read from config.json.
public struct Configuration: Sendable {
  public internal(set) var family: Family
  /// d, the width of the residual stream.
  public internal(set) var hiddenSize: Int
  /// d', the width of a residual stream that is turned around every branch; nil where it stands as it is, d wide.
  public internal(set) var streamWidth: Int?
  /// d_h, features per head.
  public let headSize: Int
  public let attentionUnit: AttentionUnit
  /// Query heads of an attention unit: g, those that share a key-value head, or one for each key-value head.
  public let queriesPerUnit: Int
  /// One entry per block. They differ only in models that were already pruned.
  public internal(set) var blocks: [BlockSizes]
  public let vocabularySize: Int
  /// The longest sequence the model was made for.
  public let positions: Int
  /// ε of the norms.
  public internal(set) var epsilon: Float
  public let activation: Activation
  public let rotary: Rotary?
  /// Structural units of a module in the block that has most.
  public func mostUnits(_ module: Module) -> Int { blocks.map { $0.units[module] }.max() ?? 0 }

  /// The span of keys that a query of each block sees; nil where it sees all before it.
  var windows: [Int?]
  /// What the scores of each block are multiplied by before the softmax.
  var attentionScales: [Float]
  /// The output head is the embedding table.
  public internal(set) var isTied: Bool

  public var layers: Int { blocks.count }

  /// Structural units of a module in a block.
  public func units(_ module: Module, layer: Int) -> Int { blocks[layer].units[module] }

  /// The span of keys that a query of this block sees; nil when it sees all before it.
  public func window(_ layer: Int) -> Int? { windows[layer] }

  /// What the attention scores of a block are multiplied by before the softmax: 1 / √d_h, unless the family has keys
  /// that say otherwise.
  public func attentionScale(_ layer: Int) -> Float { attentionScales[layer] }

  /// The span of the blocks that do not see everything before them; nil when all do.
  public var slidingWindow: Int? { windows.lazy.compactMap { $0 }.first }

  /// The width of a space in a block of whole heads and the whole stream, in which columns have their names.
  public func size(_ space: Space, layer: Int) -> Int {
    space.module.map { size(space, units: units($0, layer: layer)) } ?? hiddenSize
  }

  /// The width of a space, not the residual stream, in a block with so many units.
  ///
  /// - Parameter head: what is left of each head; nil for all of it.
  func size(_ space: Space, units: Int, head: HeadSizes? = nil) -> Int {
    units == 0 ? 0 : sharedFeatures(space, head) + units * featuresPerUnit(space, head: head)
  }

  /// Heads that have lost nothing.
  var wholeHead: HeadSizes { HeadSizes(key: headSize, value: headSize) }

  /// Features that one structural unit has in a space; 0 in the residual stream, which belongs to none, and of keys and
  /// values that all units share.
  ///
  /// - Parameter head: what is left of each head; nil for all of it.
  public func featuresPerUnit(_ space: Space, head: HeadSizes? = nil) -> Int {
    let head = head ?? wholeHead
    switch space {
    case .model: return 0
    case .queries: return queriesPerUnit * head.key
    case .heads: return queriesPerUnit * head.value
    case .keys: return attentionUnit == .group ? head.key : 0
    case .values: return attentionUnit == .group ? head.value : 0
    case .neurons: return 1
    }
  }

  /// Features of a space that stay as long as any unit does.
  private func sharedFeatures(_ space: Space, _ head: HeadSizes?) -> Int {
    guard attentionUnit == .query else { return 0 }
    let head = head ?? wholeHead
    switch space {
    case .keys: return queriesPerUnit * head.key
    case .values: return queriesPerUnit * head.value
    default: return 0
    }
  }

  /// The features of a space that belong to the units at these positions, ascending; shared ones belong to any.
  func features(_ space: Space, of positions: [Int], head: HeadSizes) -> [Int] {
    let shared = sharedFeatures(space, head)
    return shared > 0
      ? Array(0..<(positions.isEmpty ? 0 : shared)) : positions.features(of: featuresPerUnit(space, head: head))
  }

  /// The key-value heads of some units, which all units share in `AttentionUnit.query`.
  public func keyValueHeads(of units: [Int]) -> [Int] {
    attentionUnit == .group ? units : Array(0..<(units.isEmpty ? 0 : queriesPerUnit))
  }

  /// The place of the key-value head of a query head, both among those of some units.
  public func keyValueHead(ofQuery head: Int) -> Int {
    attentionUnit == .group ? head / queriesPerUnit : head % queriesPerUnit
  }

  /// Key-value heads of a block of the unpruned model.
  public func keyValueHeads(layer: Int) -> Int { heads(units: units(.attention, layer: layer)).keyValues }

  /// The heads of a block with so many attention units.
  public func heads(units: Int) -> HeadCounts {
    HeadCounts(
      queries: units * queriesPerUnit, keyValues: attentionUnit == .group ? units : units == 0 ? 0 : queriesPerUnit)
  }

  /// Query heads as checkpoints have them, all of a key-value head side by side, by their places here, where those of a
  /// unit stand side by side; nil when both are the same.
  func storedHeads(units: Int) -> [Int]? {
    guard attentionUnit == .query, units > 1, queriesPerUnit > 1 else { return nil }
    return (0..<queriesPerUnit).flatMap { group in (0..<units).map { $0 * queriesPerUnit + group } }
  }

  /// The same model written as another family, with other sizes.
  func replacing(family: Family, blocks: [BlockSizes]) -> Configuration {
    var result = self
    result.family = family
    result.blocks = blocks
    return result
  }

  /// The same model with these of its blocks only.
  func keeping(_ layers: [Int]) -> Configuration {
    var result = self
    result.blocks = layers.map { blocks[$0] }
    result.windows = layers.map { windows[$0] }
    result.attentionScales = layers.map { attentionScales[$0] }
    return result
  }

  /// The linear maps of a block, in the family's order.
  public var roles: [LinearRole] { family.linears.flatMap(\.roles) }

  /// The maps of a module that read the normalised stream, in the order in which they are stacked.
  public func inputRoles(_ module: Module) -> [LinearRole] {
    module.roles.filter { $0 != module.output && family.linear($0) != nil }
  }
}

// MARK: - What the checkpoint holds

extension Configuration {
  /// How wide the stream is at both ends of a branch.
  func streamWidths(_ module: Module, layer: Int) -> StreamWidths {
    streamWidth.map { StreamWidths(turnedTo: $0, module, layer: layer, self) } ?? StreamWidths(self)
  }

  /// Heads of a block.
  func heads(layer: Int) -> Heads { blocks[layer].heads ?? Heads(self) }

  /// Outputs of a linear map.
  func rows(of role: LinearRole, layer: Int) -> Int {
    role.rows == .model ? streamWidths(role.module, layer: layer).leaving : stored(role.rows, layer: layer)
  }

  /// Inputs of a linear map.
  func columns(of role: LinearRole, layer: Int) -> Int {
    let readsStream = role.columns == .model || role == .output && blocks[layer].bridges
    return readsStream ? streamWidths(role.module, layer: layer).entering : stored(role.columns, layer: layer)
  }

  private func stored(_ space: Space, layer: Int) -> Int {
    space.module.map { size(space, units: units($0, layer: layer), head: blocks[layer].heads?.size) } ?? hiddenSize
  }
}

// MARK: - Parameter counts

extension Configuration {
  /// Weights that go when one structural unit goes: its rows of the input maps and its columns of the output map.
  ///
  /// - Parameter head: what is left of each head; nil for all of it.
  public func parametersPerUnit(_ module: Module, head: HeadSizes? = nil) -> Int {
    roles.filter { $0.module == module }.reduce(0) {
      $0 + hiddenSize * (featuresPerUnit($1.rows, head: head) + featuresPerUnit($1.columns, head: head))
    }
  }

  /// Weights of the linear maps of one block, biases left out, and of those that turn its stream: what the rates of FLAP
  /// and FANG refer to.
  public func linearParameters(layer: Int) -> Int {
    let turns = streamWidth == nil ? [] : Module.allCases.map { streamWidths($0, layer: layer) }
    return roles.reduce(turns.reduce(0) { $0 + $1.entering * $1.leaving }) { $0 + parameters(of: $1, layer: layer) }
  }

  /// Weights of one linear map.
  func parameters(of role: LinearRole, layer: Int) -> Int {
    let (rows, columns) = (rows(of: role, layer: layer), columns(of: role, layer: layer))
    return blocks[layer].ranks[role].map { $0 * (rows + columns) } ?? rows * columns
  }

  /// Weights of a block's linear maps that go with the last unit of a module only.
  public func sharedParameters(_ module: Module, head: HeadSizes? = nil) -> Int {
    roles.filter { $0.module == module }.reduce(0) { $0 + hiddenSize * sharedFeatures($1.rows, head) }
  }

  /// `linearParameters` of all blocks.
  public var blockParameters: Int { (0..<layers).reduce(0) { $0 + linearParameters(layer: $1) } }

  /// Every number of the model: embeddings, blocks with norms and biases, final norm and head.
  public var totalParameters: Int {
    TensorLayout(self, contains: { _ in true }).slots.reduce(0) { $0 + $1.shape.reduce(1, *) }
  }
}
