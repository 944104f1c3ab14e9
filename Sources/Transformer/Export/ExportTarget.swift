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
      Self.sizes(source.blocks[layer], model.pruning[layer], source, format)
    }
    let family = try Self.family(source, blocks, format)
    configuration = source.replacing(
      family: family, blocks: family.name == Family.llama.name ? blocks.map(Self.withWholeBiases(blocks)) : blocks)
  }

  private static func sizes(
    _ sizes: BlockSizes, _ pruning: BlockPruning?, _ configuration: Configuration, _ format: ExportFormat
  ) -> BlockSizes {
    var result = sizes
    guard let pruning else { return result }
    if pruning.outputBias != nil { result.biases.insert(.output) }
    if pruning.downBias != nil { result.biases.insert(.down) }
    if format == .huggingFace {
      result.keyValueHeads = pruning.keptUnits.count
      result.heads = result.keyValueHeads * configuration.queriesPerUnit
      result.neurons = pruning.keptNeurons.count
    }
    return result
  }

  /// The LLaMA class has biases on all linear maps of attention or on none, and the same for the feed-forward part.
  private static func withWholeBiases(_ blocks: [BlockSizes]) -> (BlockSizes) -> BlockSizes {
    let used = blocks.reduce(into: Set<LinearRole>()) { $0.formUnion($1.biases) }
    var whole: Set<LinearRole> = []
    for half: Set<LinearRole> in [[.query, .key, .value, .output], [.gate, .up, .down]]
    where !used.isDisjoint(with: half) { whole.formUnion(half) }
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

    guard [Family.llama, .mistral, .qwen2].contains(where: { $0.name == family.name }) else {
      throw ModelError.cannotExport(
        reason: format == .huggingFace
          ? "as=hf can write llama, mistral and qwen2 models, not \(family.name)"
          : "the \(family.name) class has no place for the compensation biases of this model; prune with comp=none or comp=ls"
      )
    }
    if source.slidingWindow != nil {
      throw ModelError.cannotExport(
        reason: "this \(family.name) model has sliding-window attention, which the class to be written does not have")
    }
    return format == .huggingFace ? .pruned : .llama
  }

  /// The weights of one block as they are written.
  func block(_ layer: Int, of model: LanguageModel) throws -> Block {
    switch format {
    case .huggingFace: return try model.loadBlock(layer)
    case .masked:
      let whole = try model.loadWholeBlock(layer)
      return model.pruning[layer].map(whole.masked) ?? whole
    }
  }

  /// Whether a tensor of the block holds numbers that are not in the checkpoint.
  func isChanged(_ roles: [LinearRole], isBias: Bool, _ pruning: BlockPruning?) -> Bool {
    guard let pruning else { return false }
    let (output, down) =
      isBias
      ? (pruning.outputBias != nil, pruning.downBias != nil)
      : (pruning.outputWeight != nil, pruning.downWeight != nil)
    return roles.contains(.output) && output || roles.contains(.down) && down
  }
}

extension Block {
  /// This whole block at its full size, zeros where `pruning` takes something out.
  func masked(by pruning: BlockPruning) -> Block {
    let sliced = pruned(by: pruning)
    let queries = sliced.units.features(of: configuration.queriesPerUnit * headSize)
    let keyValues = sliced.units.features(of: headSize)
    let attentionRows =
      queries + keyValues.map { keyColumns.lowerBound + $0 } + keyValues.map { valueColumns.lowerBound + $0 }
    let neuronRows = isGated ? sliced.neurons + sliced.neurons.map { neurons.count + $0 } : sliced.neurons

    var result = self
    result.queryKeyValue = sliced.queryKeyValue.spread(rows: attentionRows, of: queryKeyValue.rows)
    result.queryKeyValueBias = sliced.queryKeyValueBias?.spread(to: attentionRows, of: queryKeyValue.rows)
    result.output = sliced.output.T.spread(rows: queries, of: output.columns).T
    result.outputBias = sliced.outputBias
    result.gateUp = sliced.gateUp.spread(rows: neuronRows, of: gateUp.rows)
    result.gateUpBias = sliced.gateUpBias?.spread(to: neuronRows, of: gateUp.rows)
    result.down = sliced.down.T.spread(rows: sliced.neurons, of: down.columns).T
    result.downBias = sliced.downBias
    return result
  }
}

extension Matrix<Float> {
  /// Row k becomes row `places[k]` of a matrix of `count` rows; the others are 0.
  fileprivate func spread(rows places: [Int], of count: Int) -> Matrix<Float> {
    let result = Matrix(rows: count, columns: columns)
    for (k, place) in places.enumerated() { result.rows(place..<place + 1).assign(rows(k..<k + 1)) }
    return result
  }
}

extension [Float] {
  fileprivate func spread(to places: [Int], of count: Int) -> [Float] {
    var result = [Float](repeating: 0, count: count)
    for (k, place) in places.enumerated() { result[place] = self[k] }
    return result
  }
}
