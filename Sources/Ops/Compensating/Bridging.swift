import Kernel
import Numerics
import Transformer

/// Finds the linear maps that stand for removed blocks.
struct Bridging {
  let model: Model
  let acts: Activations
  let structure: Structure
  let context: any RunContext

  /// `pruning` with a map in the first of every run of neighbouring blocks that it removes.
  func bridged(_ pruning: Pruning) throws -> Pruning {
    if model.configuration.family.normsOutput {
      throw Diagnostic(
        "comp=linear makes up for blocks that begin with their norms, and those of \(model.configuration.family.name) end with them",
        argument: "comp")
    }
    var result = pruning
    for run in try removedRuns(pruning) {
      try context.progress(run.lowerBound, of: structure.layers, "block")
      let entering = try acts.part(.blockIn, layer: run.lowerBound).kept(\.values, .values).load()
      let change = try acts.part(.blockOut, layer: run.upperBound - 1).kept(\.values, .values).load().copy()
      change.add(entering, scaledBy: -1)
      let features = try model.network.loadBlock(run.lowerBound)[.attention].normalized(entering)
      let bridge = try at("blocks \(run.lowerBound) to \(run.upperBound - 1)", argument: "acts") {
        try linearBridge(from: features, to: change)
      }
      result.blocks[run.lowerBound].attention.bridge = LinearMap(
        Matrix<Float>(bridge.A), bias: bridge.c.map { Float($0) })
    }
    return result
  }

  /// Neighbouring blocks that go as a whole, as long as they come.
  private func removedRuns(_ pruning: Pruning) throws -> [Range<Int>] {
    func dropped(_ module: Module, _ layer: Int) -> Int {
      structure.left(module, layer: layer).count { !pruning.blocks[layer][module].keep[$0] }
    }
    let gone = structure.removedBlocks(dropped)
    if let layer = pruning.blocks.indices.first(where: { layer in
      !gone.contains(layer) && Module.allCases.contains { dropped($0, layer) > 0 }
    }) {
      throw Diagnostic(
        "comp=linear makes up for whole blocks, and of block \(layer) only a part goes", argument: "comp")
    }
    return gone.reduce(into: []) { runs, layer in
      if let last = runs.last, last.upperBound == layer {
        runs[runs.count - 1] = last.lowerBound..<layer + 1
      } else {
        runs.append(layer..<layer + 1)
      }
    }
  }
}
