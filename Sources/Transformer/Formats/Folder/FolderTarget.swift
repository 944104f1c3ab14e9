import Numerics

/// What an exported folder looks like: the configuration its tensors follow, and how each block gets its weights.
struct FolderTarget {
  /// Blocks are as small as pruning leaves them; otherwise they have their full size, with zeros.
  let isSliced: Bool
  let configuration: Configuration
  /// The class is the one of the source.
  let keepsFamily: Bool
  /// The blocks of the source that are written, in their order.
  let layers: [Int]

  init(_ model: LanguageModel, isSliced: Bool) throws {
    self.isSliced = isSliced
    if isSliced, let block = model.pruning.blocks.firstIndex(where: \.hasFactors) {
      throw ModelError.cannotExport(
        reason:
          "as=hf has no class for the two factors of block \(block)'s maps; as=masked and as=gguf multiply them out")
    }
    let layers = isSliced ? try model.presentBlocks() : Array(0..<model.layers)
    self.layers = layers
    let source = model.configuration.keeping(layers)
    let blocks = layers.indices.map { Self.sizes(source.blocks[$0], model.pruning[layers[$0]], isSliced: isSliced) }
    let own = try Self.ownBlocks(blocks, of: source, isSliced: isSliced)
    keepsFamily = own != nil
    if let own {
      configuration = source.replacing(family: source.family, blocks: own)
      return
    }
    let family: Family = isSliced ? .pruned : .llama
    guard source.family.graph == family.graph, let held = family.holding(blocks) else {
      throw ModelError.cannotExport(
        reason: isSliced
          ? "as=hf cannot write \(source.family.name) models: their blocks compute something else than LLaMA's"
          : "the \(source.family.name) class has no place for the compensation biases of this model; prune with comp=none or comp=ls"
      )
    }
    if source.slidingWindow != nil {
      throw ModelError.cannotExport(
        reason:
          "this \(source.family.name) model has sliding-window attention, which the class to be written does not have"
      )
    }
    if let rotary = source.rotary, rotary.rotatedFeatures < source.headSize {
      throw ModelError.cannotExport(
        reason:
          "this \(source.family.name) model turns only a part of each head, and the class to be written turns all of it"
      )
    }
    configuration = source.replacing(family: family, blocks: held)
  }

  /// The blocks as the class of the source holds them; nil when it does not: its blocks have one size, unless it has a
  /// list of sizes or zeros fill them up.
  private static func ownBlocks(
    _ blocks: [BlockSizes], of source: Configuration, isSliced: Bool
  ) throws -> [BlockSizes]? {
    if let place = blocks.firstIndex(where: \.bridges), !isSliced || source.family.graph != Family.pruned.graph {
      throw ModelError.cannotExport(
        reason: "no class but as=hf's has a place for the linear map that stands for blocks \(place) and on")
    }
    let isWhole = blocks.map(\.units) == source.blocks.map(\.units)
    guard !isSliced || isWhole || source.family.layerSizes != nil else { return nil }
    // A class that scales its scores by the number of the block would scale those of renumbered blocks otherwise.
    if isSliced, source.family.scaleKeys != nil, Set(source.attentionScales).count > 1 {
      throw ModelError.cannotExport(
        reason: "as=hf cannot write this \(source.family.name) model: each block scales its attention by its number")
    }
    return source.family.holding(blocks)
  }

  private static func sizes(_ sizes: BlockSizes, _ pruning: BlockPruning?, isSliced: Bool) -> BlockSizes {
    var result = sizes
    guard let pruning else { return result }
    for module in Module.allCases {
      if pruning[module].removesAll { result.biases.subtract(module.roles) }
      if pruning[module].bias != nil { result.biases.insert(module.output) }
      if isSliced { result.units[module] = pruning[module].kept.count }
      if pruning[module].bridge != nil {
        result.biases.insert(module.output)
        result.bridges = true
      }
    }
    return result
  }

  /// The weights of one block as they are written.
  func block(_ layer: Int, of model: LanguageModel) throws -> Block {
    if isSliced { return try model.loadBlock(layer) }
    let whole = try model.loadWholeBlock(layer)
    return model.pruning[layer].map { whole.pruned(by: $0).spread() } ?? whole
  }

  /// Whether a tensor of the block holds numbers that are not in the checkpoint.
  func isChanged(_ roles: [LinearRole], isBias: Bool, _ pruning: BlockPruning?) -> Bool {
    guard let pruning else { return false }
    return Module.allCases.contains { module in
      if !isBias, roles.contains(where: { pruning[module].factors[$0] != nil }) { return true }
      guard roles.contains(module.output) else { return false }
      return pruning[module].bridge != nil
        || (isBias ? pruning[module].bias != nil : pruning[module].weight != nil)
    }
  }
}

extension Family {
  /// The blocks with the biases that this class has when it has those of `blocks`: maps that share a key have all or
  /// none. Nil when the class has no place for one.
  func holding(_ blocks: [BlockSizes]) -> [BlockSizes]? {
    let used = blocks.reduce(into: Set<LinearRole>()) { $0.formUnion($1.biases) }
    var held = blocks
    for layer in held.indices { held[layer].biases = [] }
    for stored in linears {
      for layer in held.indices {
        let wanted = blocks[layer].biases
        let isBiased: Bool
        switch stored.bias {
        case .never:
          if !wanted.isDisjoint(with: stored.roles) { return nil }
          isBiased = false
        case .always: isBiased = true
        case .whenTrue(let keys): isBiased = !used.isDisjoint(with: roles { $0 == .whenTrue(keys) })
        case .perLayer(let key): isBiased = !wanted.isDisjoint(with: roles { $0 == .perLayer(key) })
        }
        if isBiased { held[layer].biases.formUnion(stored.roles) }
      }
    }
    return held
  }

  /// The linear maps whose biases follow a rule.
  private func roles(where follows: (BiasRule) -> Bool) -> [LinearRole] {
    linears.filter { follows($0.bias) }.flatMap(\.roles)
  }
}
