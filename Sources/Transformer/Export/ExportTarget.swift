import Numerics

/// How a pruned model is written.
public enum ExportFormat: String, Sendable, CaseIterable {
  /// The original class and sizes, zeros where something was taken out. Added biases need a class that has them.
  case masked
  /// Sizes per block; transformers loads it with the Python file that is written along.
  case huggingFace = "hf"
}

/// What an exported model looks like: the configuration its tensors follow, and how each block gets its weights.
struct ExportTarget {
  let format: ExportFormat
  let configuration: Configuration

  init(_ model: LanguageModel, as format: ExportFormat) throws {
    self.format = format
    let source = model.configuration
    let blocks = (0..<source.layers).map { layer in
      Self.sizes(source.blocks[layer], model.pruning[layer], format)
    }
    let family = try Self.family(source, blocks, format)
    configuration = source.replacing(
      family: family, blocks: family.name == Family.llama.name ? blocks.map(Self.withWholeBiases(blocks)) : blocks)
  }

  private static func sizes(
    _ sizes: BlockSizes, _ pruning: BlockPruning?, _ format: ExportFormat
  ) -> BlockSizes {
    var result = sizes
    guard let pruning else { return result }
    for module in Module.allCases {
      if pruning[module].bias != nil { result.biases.insert(module.output) }
      if format == .huggingFace { result.units[module] = pruning[module].kept.count }
    }
    return result
  }

  /// The LLaMA class has biases on all linear maps of a module or on none.
  private static func withWholeBiases(_ blocks: [BlockSizes]) -> (BlockSizes) -> BlockSizes {
    let used = blocks.reduce(into: Set<LinearRole>()) { $0.formUnion($1.biases) }
    var whole: Set<LinearRole> = []
    for module in Module.allCases where !used.isDisjoint(with: module.roles) { whole.formUnion(module.roles) }
    return { sizes in
      var result = sizes
      result.biases = whole
      return result
    }
  }

  private static func family(
    _ source: Configuration, _ blocks: [BlockSizes], _ format: ExportFormat
  ) throws -> Family {
    let family = source.family
    if family.name == Family.pruned.name { return family }
    let needsNewBiases = zip(blocks, source.blocks).contains { $0.biases != $1.biases }
    if format == .masked && !needsNewBiases { return family }

    guard [Family.llama, .mistral, .qwen2, .phi3].contains(where: { $0.name == family.name }) else {
      throw ModelError.cannotExport(
        reason: format == .huggingFace
          ? "as=hf can write llama, mistral, qwen2 and phi3 models, not \(family.name)"
          : "the \(family.name) class has no place for the compensation biases of this model; prune with comp=none or comp=ls"
      )
    }
    if source.slidingWindow != nil {
      throw ModelError.cannotExport(
        reason: "this \(family.name) model has sliding-window attention, which the class to be written does not have")
    }
    if let rotary = source.rotary, rotary.rotatedFeatures < source.headSize {
      throw ModelError.cannotExport(
        reason: "this \(family.name) model turns only a part of each head, and the class to be written turns all of it")
    }
    return format == .huggingFace ? .pruned : .llama
  }

  /// The weights of one block as they are written.
  func block(_ layer: Int, of model: LanguageModel) throws -> Block {
    switch format {
    case .huggingFace: return try model.loadBlock(layer)
    case .masked:
      let whole = try model.loadWholeBlock(layer)
      return model.pruning[layer].map { whole.pruned(by: $0).spread() } ?? whole
    }
  }

  /// Whether a tensor of the block holds numbers that are not in the checkpoint.
  func isChanged(_ roles: [LinearRole], isBias: Bool, _ pruning: BlockPruning?) -> Bool {
    guard let pruning else { return false }
    return Module.allCases.contains { module in
      roles.contains(module.output) && (isBias ? pruning[module].bias != nil : pruning[module].weight != nil)
    }
  }
}
