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
