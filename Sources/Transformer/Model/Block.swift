import Numerics

/// One block in single precision: a branch of the residual stream for each module.
public struct Block: Sendable {
  public let configuration: Configuration
  public let layer: Int
  public internal(set) var branches: PerModule<Branch>

  public subscript(_ module: Module) -> Branch { branches[module] }

  /// The branch a linear map belongs to.
  public subscript(_ role: LinearRole) -> Branch { branches[role.module] }

  /// This block without what `pruning` removes, and with its compensation.
  public func pruned(by pruning: BlockPruning) -> Block {
    Block(
      configuration: configuration, layer: layer, branches: PerModule { branches[$0].pruned(by: pruning[$0]) })
  }

  /// This block at its full size, zeros where units are gone.
  func spread() -> Block {
    Block(
      configuration: configuration, layer: layer,
      branches: PerModule { branches[$0].spread(to: configuration.units($0, layer: layer)) })
  }

  /// The weights of a module's output map in the columns of the unpruned model, zeros where units are gone: d × columns.
  public func outputWeight(_ module: Module) -> Matrix<Float> {
    branches[module].outputWeight(of: configuration.units(module, layer: layer))
  }
}

/// The blocks of a model, in memory when they fit there together; otherwise each is loaded when its turn comes.
struct Blocks {
  private let model: LanguageModel
  private let loaded: [Block]

  /// - Parameter memory: bytes that their weights may take.
  init(_ model: LanguageModel, memory: Int) throws {
    self.model = model
    let fits = model.blockParameters * model.precision.bytesPerWeight <= memory
    loaded = fits ? try (0..<model.layers).map(model.loadBlock) : []
  }

  subscript(layer: Int) -> Block {
    get throws { try loaded.isEmpty ? model.loadBlock(layer) : loaded[layer] }
  }
}

extension LanguageModel {
  /// The head and the blocks for work that comes back to them again and again. Weights stay as far as they fit, the
  /// head's when they take half of the memory at most: what stays is read and rounded once.
  ///
  /// - Parameter memory: bytes that weights may take.
  func weights(staying memory: Int) throws -> (head: Head, blocks: Blocks) {
    let bytes = configuration.vocabularySize * configuration.hiddenSize * precision.bytesPerWeight
    let keepsHead = bytes <= memory / 2
    return (try Head(self, keepsWeights: keepsHead), try Blocks(self, memory: memory - (keepsHead ? bytes : 0)))
  }
}
