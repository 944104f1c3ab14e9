import Kernel
import Transformer

/// A pruning that is found block by block, each by itself; what is found is saved on the way.
struct BlockByBlock {
  let network: LanguageModel
  let structure: Structure
  let context: any RunContext

  func pruning(_ find: (Block) throws -> BlockPruning) throws -> Pruning {
    var pruning = Pruning.keepingAll(network.configuration)
    var first = 0
    if let (stage, saved) = try context.latestStage(of: "blocks", through: network.layers - 1) {
      pruning = try Pruning(from: saved, structure: structure)
      first = stage
      context.resumed(at: stage, of: network.layers, "layer")
    }
    for layer in first..<network.layers {
      try context.progress(layer, of: network.layers, "layer")
      pruning.blocks[layer] = try find(network.loadBlock(layer))
      if layer + 1 < network.layers {
        try context.checkpoint("blocks", stage: layer + 1) { try pruning.write(to: $0) }
      }
    }
    return pruning
  }
}
