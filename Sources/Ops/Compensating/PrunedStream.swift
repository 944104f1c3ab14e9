import Kernel
import Numerics
import Transformer

/// Moments of what removed neurons and heads would have shown in the stream of the model that is already pruned, the way
/// the CanICA authors compute biases: every block sees what the pruned blocks before it make of the text.
struct PrunedStream {
  let model: Model
  /// Masks only: no bias, no refit.
  let pruning: Pruning
  let corpus: Corpus
  let context: any RunContext

  /// Per layer the moments of the input of each module's last map, where the module loses something; columns are those of
  /// the model before pruning.
  func parts() throws -> [[Module: LayerActivations]] {
    let network = try model.network.pruned(by: pruning)
    var found: [[Module: Moments]] = Array(repeating: [:], count: network.layers)
    var walk = ResumableWalk(network: network, sequences: corpus.sequences, context: context)
    walk.findings = .init(
      save: { writer in
        for (layer, modules) in found.enumerated() {
          for module in Module.allCases {
            guard let moments = modules[module] else { continue }
            let axis = "\(module.axis)_column_\(layer)"
            try writer.vector("\(module.rawValue)/count_\(layer)", [Int64(moments.count)], axis: "one")
            try writer.vector("\(module.rawValue)/mean_\(layer)", moments.mean, axis: axis)
            try writer.vector("\(module.rawValue)/m2_\(layer)", moments.m2, axis: axis)
          }
        }
      },
      restore: { reader, _ in
        for layer in found.indices {
          for module in Module.allCases where reader.has("\(module.rawValue)/mean_\(layer)") {
            found[layer][module] = Moments(
              count: Int(try reader.array("\(module.rawValue)/count_\(layer)", as: Int64.self)[0]),
              mean: try reader.array("\(module.rawValue)/mean_\(layer)", as: Double.self),
              m2: try reader.array("\(module.rawValue)/m2_\(layer)", as: Double.self))
          }
        }
      })
    let layers = Array(0..<network.layers)
    try walk.visit(layers, of: layers, pulse: { _ in }) { walk in
      found[walk.layer] = try step(walk, network)
    }
    return found.enumerated().map { layer, modules in
      Dictionary(
        uniqueKeysWithValues: modules.map { module, moments in
          (module, LayerActivations(layer: layer, site: module.site, moments: moments))
        })
    }
  }

  /// Moves on by one pruned block, after a look at what the whole block would show in the same stream.
  private func step(_ walk: Walk, _ network: LanguageModel) throws -> [Module: Moments] {
    let layer = walk.layer
    let whole = try model.network.loadBlock(layer)
    let pruned = try network.loadBlock(layer)
    var found: [Module: Moments] = [:]
    func pulse(_ progress: WalkProgress) throws { try context.progress(layer, of: network.layers, "layer") }
    for module in Module.allCases {
      if !pruning.blocks[layer][module].removed.isEmpty {
        var moments = Moments(columns: module.site.width(model.configuration, layer: layer))
        try walk.run(
          module, of: whole, advancing: false, sites: [module.site], tap: { moments.add($0.values) }, pulse: pulse)
        found[module] = moments
      }
      try walk.run(module, of: pruned, advancing: true, pulse: pulse)
    }
    return found
  }
}
