import Numerics

/// A model on disk, seen through a pruning. Weights stay in the mapped files; blocks are converted one at a time.
public struct LanguageModel: Sendable {
  public let configuration: Configuration
  public let checkpoint: Checkpoint
  /// What is taken out; nothing by default.
  public let pruning: Pruning
  /// In what the products of the linear maps and of the head are computed.
  public let precision: Precision
  let layout: TensorLayout

  /// Opens a folder with config.json and safetensors files, or a GGUF file, and checks that every tensor is there in the
  /// right shape.
  ///
  /// - Throws: an error naming the file, field or tensor at fault.
  public init(_ path: String, precision: Precision = .float32, attentionUnit: AttentionUnit = .group) throws {
    try self.init(checkpoint: Checkpoint(path), precision: precision, attentionUnit: attentionUnit)
  }

  public init(
    checkpoint: Checkpoint, pruning: Pruning = .none, precision: Precision = .float32,
    attentionUnit: AttentionUnit = .group
  ) throws {
    let configuration = try Configuration(checkpoint, attentionUnit: attentionUnit)
    let layout = TensorLayout(configuration) { checkpoint.contains(ByteString($0)) }
    for slot in layout.slots {
      guard checkpoint.contains(ByteString(slot.name)) else {
        throw ModelError.missingTensor(slot.name, shape: slot.shape)
      }
      let found = try checkpoint.info(ByteString(slot.name)).shape
      guard found == slot.shape else {
        throw ModelError.wrongShape(tensor: slot.name, found: found, expected: slot.shape)
      }
      try checkpoint.requireComputable(ByteString(slot.name))
    }
    try pruning.check(configuration)
    self.configuration = configuration
    self.checkpoint = checkpoint
    self.pruning = pruning
    self.precision = precision
    self.layout = layout
  }

  private init(_ model: LanguageModel, pruning: Pruning) {
    configuration = model.configuration
    checkpoint = model.checkpoint
    layout = model.layout
    precision = model.precision
    self.pruning = pruning
  }

  /// The same files seen through this pruning followed by `further`, in the indices of the unpruned model.
  public func pruned(by further: Pruning) throws -> LanguageModel {
    try further.check(configuration, after: pruning)
    return LanguageModel(self, pruning: pruning.followed(by: further, configuration))
  }

  /// The unpruned model.
  public var original: LanguageModel { seen(through: .none) }

  func seen(through pruning: Pruning) -> LanguageModel { LanguageModel(self, pruning: pruning) }

  public var layers: Int { configuration.layers }

  /// Units of a module that no pruning has taken out, by index in the unpruned model.
  public func leftUnits(_ module: Module, layer: Int) -> [Int] {
    pruning[layer]?[module].kept ?? Array(0..<configuration.units(module, layer: layer))
  }

  /// The tensors that the model is made of; a folder may hold others.
  public var tensorNames: [ByteString] { layout.slots.map { ByteString($0.name) } }

  /// Parameters that are left, compensation biases not counted.
  public var blockParameters: Int { configuration.blockParameters - pruning.removedParameters(configuration) }

  /// All parameters that are left: embeddings, norms and biases included, compensation biases not.
  public var totalParameters: Int { layout.slots.reduce(addedParameters + untiedHead) { $0 + left(of: $1) } }

  /// Weights that no tensor of the checkpoint stands for: maps in the place of blocks, and those that turn the stream.
  var addedParameters: Int {
    pruning.blocks.indices.reduce(0) { sum, layer in
      Module.allCases.reduce(sum) { sum, module in
        let widths = pruning.widths(module, layer: layer, configuration)
        return sum + pruning.blocks[layer][module].bridgeParameters(widths) + widths.shortcut
      }
    }
  }

  /// What is left of the stream where the head reads it.
  var headWidth: Int { pruning.slicing?.last?.columns ?? configuration.hiddenSize }

  /// Weights of a head that was the embedding table before the stream was sliced.
  var untiedHead: Int {
    configuration.isTied && pruning.slicing != nil ? configuration.vocabularySize * headWidth : 0
  }

  /// Numbers of a tensor that are left.
  func left(of slot: TensorSlot) -> Int {
    let whole = slot.shape.reduce(1, *)
    guard let place = slot.place else { return left(of: slot.content, whole) }
    guard let block = pruning[place.layer] else { return whole }
    let branch = block[place.module]
    if slot.content == .shortcut { return whole }
    guard case .linear(let roles, let part) = slot.content else {
      let isFolded = pruning.slicing != nil && slot.name.hasPrefix(layout.norm(place.module, place.layer) + ".")
      return block.isAbsent || isFolded ? 0 : whole
    }
    if branch.removesAll { return 0 }
    let widths = pruning.widths(place.module, layer: place.layer, configuration)
    return roles.reduce(whole) { left, role in
      let sizes = branch.sizes(of: role, configuration, widths, layer: place.layer)
      let rank = branch.rank(of: role, configuration, layer: place.layer)
      switch part {
      case .weight: return left - branch.removedParameters(of: role, configuration, widths, layer: place.layer)
      case .bias: return left - configuration.rows(of: role, layer: place.layer) + sizes.rows
      case .inner: return rank.map { $0 * sizes.columns } ?? 0
      // One matrix stands in the place of both.
      case .outer: return sizes.rows * (rank ?? sizes.columns)
      }
    }
  }

  /// Numbers that are left of a tensor outside the blocks: the head stands in the stream that leaves the last block, and
  /// where that is sliced it takes in the final norm.
  private func left(of content: TensorSlot.Content, _ whole: Int) -> Int {
    guard let slicing = pruning.slicing else { return whole }
    switch content {
    case .embedding, .positionEmbedding: return whole / configuration.hiddenSize * slicing.width
    case .head: return whole / configuration.hiddenSize * headWidth
    case .norm: return slicing.isShared ? 0 : whole
    case .linear, .shortcut: return whole
    }
  }
}
