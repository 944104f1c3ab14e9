import Numerics

/// What an exported folder looks like: the class and configuration its tensors follow, and how each block gets its weights.
struct FolderTarget {
  /// How wide the blocks are.
  enum Widths: Sendable, Equatable {
    /// As pruning leaves them, each by itself.
    case own
    /// As they were, zeros where something was taken out.
    case whole
    /// All as the widest, zeros behind the units of the others; rows of output maps are padded to multiples.
    case even(align: Int)
  }

  let widths: Widths
  let configuration: Configuration
  /// The class is the one of the source.
  let keepsFamily: Bool
  /// The blocks of the source that are written, in their order.
  let layers: [Int]
  /// What is left of the residual stream; nil when all is.
  let slicing: Slicing?

  /// Whether heads of some block have fewer features than the model's.
  var hasNarrowHeads: Bool { configuration.blocks.contains { $0.heads != nil } }

  /// - Throws: `ModelError.cannotExport` when no class holds the model.
  init(_ model: LanguageModel, _ widths: Widths) throws {
    self.widths = widths
    slicing = model.pruning.slicing
    if let width = model.slicedWidth, widths == .whole || model.isTurned && widths != .own {
      let family = model.configuration.family
      let places =
        family.isTransposed
        ? "no class of \(family.name) models has" : model.isTurned ? "only as=hf has" : "only as=hf and as=uniform have"
      throw ModelError.cannotExport(
        reason: "\(places) a place for a sliced stream, which is \(width) wide before block 0")
    }
    let layers = widths == .whole ? Array(0..<model.layers) : try model.presentBlocks()
    self.layers = layers
    let source = model.configuration.keeping(layers).sliced(slicing)
    let blocks = Self.sizes(model, layers, widths)
    var obstacles: [String] = []
    let isWhole = zip(blocks, source.blocks).allSatisfy {
      $0.units == $1.units && $0.heads == nil && $0.ranks.isEmpty
    }
    let classes = Self.classes(for: source, widths, isWhole: isWhole, slicing)
    // A class that scales its scores by the number of the block would scale those of renumbered blocks otherwise.
    if let lost = (0..<model.layers).first(where: { !layers.contains($0) }), Set(source.attentionScales).count > 1 {
      throw ModelError.cannotExport(
        reason: "this \(source.family.name) model cannot lose block \(lost): each scales its attention by its number")
    }
    // Where none computes what the blocks do, one of those says so.
    let alike = classes.filter { $0 == source.family || $0.graph == source.family.graph }
    for family in alike.isEmpty ? classes : alike {
      let place = Place(source: source, family: family, widths: widths, blocks: blocks, slicing: slicing)
      if let obstacle = place.obstacle {
        obstacles.append(obstacle)
      } else if let held = family.holding(blocks) {
        configuration = source.replacing(family: family, blocks: held)
        keepsFamily = family == source.family
        return
      }
    }
    throw ModelError.cannotExport(reason: obstacles.first ?? "no class holds \(source.family.name) models")
  }

  /// The sizes that blocks get, and the biases they need.
  private static func sizes(_ model: LanguageModel, _ layers: [Int], _ widths: Widths) -> [BlockSizes] {
    var blocks = layers.map { model.configuration.blocks[$0] }
    for (place, layer) in layers.enumerated() {
      blocks[place].heads = widths == .own ? model.heads(layer) : nil
      blocks[place].ranks = widths == .own ? model.ranks(layer) : [:]
      for module in Module.allCases {
        guard let pruning = model.pruning[layer]?[module] else { continue }
        if pruning.removesAll { blocks[place].biases.subtract(module.roles) }
        if pruning.hasAddedBias { blocks[place].biases.insert(module.output) }
        if widths != .whole { blocks[place].units[module] = pruning.kept.count }
        if pruning.bridge != nil {
          blocks[place].biases.insert(module.output)
          blocks[place].bridges = true
        }
      }
    }
    guard case .even(let align) = widths else { return blocks }
    for module in Module.allCases {
      let widest = blocks.map { $0.units[module] }.max() ?? 0
      let limit = model.configuration.blocks.map { $0.units[module] }.max() ?? 0
      let width = model.configuration.padded(widest, module, align: align, upTo: limit)
      for place in blocks.indices { blocks[place].units[module] = width }
    }
    return blocks
  }

  /// The classes that come into question, the best first.
  private static func classes(
    for source: Configuration, _ widths: Widths, isWhole: Bool, _ slicing: Slicing?
  ) -> [Family] {
    let family = source.family
    let isTurned = slicing?.isShared == false
    switch widths {
    case .whole: return [family, .llama]
    case .even: return [family, .llama, .granite].filter { $0.layerSizes == nil }
    case .own:
      let stock = isWhole && slicing?.isShared == true ? [Family.granite] : []
      let own = isWhole && !isTurned || family.layerSizes != nil ? [family] + stock : []
      if family.layerSizes != nil { return own }
      return own + (source.slidingWindow == nil ? [.pruned] : []) + Family.prunedOthers
    }
  }

  /// The weights of one block as they are written.
  func block(_ layer: Int, of model: LanguageModel) throws -> Block {
    let block = try wide(layer, of: model)
    return Block(configuration: block.configuration, layer: layer, branches: block.branches.map { $0.inStoredOrder() })
  }

  private func wide(_ layer: Int, of model: LanguageModel) throws -> Block {
    switch widths {
    case .own: return try model.loadBlock(layer)
    case .even:
      let block = try model.loadBlock(layer)
      return Block(
        configuration: block.configuration, layer: layer,
        // All blocks have one width.
        branches: PerModule { block[$0].padded(to: configuration.units($0, layer: 0)) })
    case .whole:
      let whole = try model.loadWholeBlock(layer)
      return model.pruning[layer].map { whole.pruned(by: $0).spread() } ?? whole
    }
  }

  /// Whether a tensor of the block holds numbers that are not in the checkpoint.
  func isChanged(_ roles: [LinearRole], _ part: TensorSlot.LinearPart, _ pruning: BlockPruning?) -> Bool {
    guard let pruning else { return false }
    return roles.contains { role in
      let branch = pruning[role.module]
      guard part == .bias else { return branch.changes(role) }
      if role == .value, branch.heads.values != nil || branch.maps[role]?.bias != nil { return true }
      return branch.maps[role]?.bias != nil
        || role == role.module.output && (branch.bridge != nil || branch.bias != nil)
    }
  }
}

/// A model and a class that may hold it.
private struct Place {
  let source: Configuration
  let family: Family
  let widths: FolderTarget.Widths
  let blocks: [BlockSizes]
  let slicing: Slicing?

  private var name: String { source.family.name }

  /// Why the class does not hold the model, one sentence; nil when it does.
  var obstacle: String? {
    let isOwn = family == source.family
    guard isOwn || source.family.graph == family.graph else {
      return "\(name) models cannot be written so: no class with \(widths.words) computes what their blocks do"
    }
    if let slicing, family.isTransposed || slicing.isShared && family.keys[.headSize] == nil {
      return "the \(family.name) class has no place for a sliced stream, here of \(slicing.width) directions"
    }
    if slicing?.isShared == true, family.hasHeadsThatDivide, let block = blocks.first {
      let heads = source.heads(units: block.units.attention).queries
      if heads > 0, !source.hiddenSize.isMultiple(of: heads) {
        return "the \(family.name) class needs a number of heads that divides \(source.hiddenSize), not \(heads)"
      }
    }
    if let place = blocks.firstIndex(where: \.bridges), family.layerSizes == nil || family.isTransposed {
      return
        "no class \(family.isTransposed ? "of \(name) models" : "but as=hf's") has a place for the linear map that stands for blocks, here block \(place)"
    }
    if let place = blocks.firstIndex(where: { !$0.ranks.isEmpty }), family.layerSizes == nil || family.isTransposed {
      return
        "no class of \(name) models has a place for the two factors of a map, here in block \(place); as=masked multiplies them out"
    }
    if let place = blocks.firstIndex(where: { $0.heads != nil }), family.layerSizes == nil || family.isTransposed {
      return
        "no class of \(name) models has a place for heads that lost rotary pairs or directions of their values, here in block \(place); as=masked has"
    }
    if !isOwn, !family.sliding.isLike(source.family.sliding),
      let block = (0..<source.layers).first(where: { source.window($0) != nil })
    {
      return "block \(block) has sliding-window attention, which the class to be written does not have"
    }
    if !isOwn, let rotary = source.rotary, rotary.rotatedFeatures < source.headSize, family.isRotatingWhole {
      return "this \(name) model turns only a part of each head, and the class to be written turns all of it"
    }
    let usual = 1 / Float(source.headSize).squareRoot()
    let scales = (0..<source.layers).map(source.attentionScale)
    if !isOwn, family.scale != source.family.scale, !family.scale.isGiven,
      let block = scales.firstIndex(where: { $0 != usual })
    {
      return "block \(block) scales its attention by a factor of its own, which the \(family.name) class does not"
    }
    if let layer = blocks.indices.first(where: { blocks[$0].units.attention != source.units(.attention, layer: $0) }) {
      if family.queryKeyNorm == .acrossHeads {
        return
          "block \(layer) lost heads, and \(name) models norm their queries and keys across all heads; prune their neurons only"
      }
      if case .even = widths, family.keys[.headSize] == nil {
        return "block \(layer) lost heads, and the \(family.name) class has heads that share the stream"
      }
    }
    if let block = blocks.firstIndex(where: { family.holding([$0]) == nil }) {
      return
        "the \(family.name) class has no place for the compensation biases of block \(block); prune with comp=none or comp=ls"
    }
    if case .even = widths, family.hasHeadsThatDivide, let block = blocks.first {
      let heads = source.heads(units: block.units.attention).queries
      guard heads > 0, source.hiddenSize.isMultiple(of: heads) else {
        return "the \(family.name) class needs a number of heads that divides \(source.hiddenSize), not \(heads)"
      }
    }
    return nil
  }
}

extension FolderTarget.Widths {
  fileprivate var words: String {
    switch self {
    case .own: "sizes per block"
    case .whole: "its sizes"
    case .even: "other sizes"
    }
  }
}

extension ScaleRule {
  fileprivate var isGiven: Bool { if case .given = self { true } else { false } }
}

extension SlidingRule {
  /// Whether both are about all blocks, or both about some.
  fileprivate func isLike(_ other: SlidingRule) -> Bool {
    switch (self, other) {
    case (.everywhere, .everywhere), (.perLayer, .perLayer), (.never, .never): true
    default: false
    }
  }
}

extension Family {
  /// The class turns whole heads.
  fileprivate var isRotatingWhole: Bool { position == .rotary(.halves, fraction: 1) }

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

extension Configuration {
  /// The configuration of a sliced model. Where one basis serves everywhere it is that of a narrower model, whose norms
  /// divide by less: with ε d/d' and weights √(d/d') they give the same.
  fileprivate func sliced(_ slicing: Slicing?) -> Configuration {
    guard let slicing else { return self }
    var result = self
    result.isTied = false
    guard slicing.isShared else {
      result.streamWidth = slicing.width
      return result
    }
    result.hiddenSize = slicing.width
    result.epsilon = epsilon * Float(hiddenSize) / Float(slicing.width)
    return result
  }

  /// How many units a module has when rows of its output map are padded to a multiple of `align`, as far as `limit` units
  /// reach; one at least.
  func padded(_ count: Int, _ module: Module, align: Int, upTo limit: Int) -> Int {
    let width = featuresPerUnit(module.output.columns)
    var padded = max(1, count)
    while padded * width % align != 0, padded < limit { padded += 1 }
    return padded
  }
}
