import Kernel
import Numerics
import Transformer

extension Pruning {
  /// Writes the masks as [layer, piece] and the compensation of each block under `delta/layer_NN`.
  func write(to writer: any ArtifactWriter) throws {
    let keep = PerPiece<UInt8>(
      attention: blocks.map { $0.units.map { $0 ? 1 : 0 } }, ffn: blocks.map { $0.neurons.map { $0 ? 1 : 0 } })
    try keep.write("keep", to: writer, padding: 0, meaning: "1 = kept")
    for (layer, block) in blocks.enumerated() {
      let folder = Pruning.folder(layer)
      for (name, bias) in [("output_bias", block.outputBias), ("down_bias", block.downBias)] {
        guard let bias else { continue }
        try writer.vector("\(folder)/\(name)", bias, axis: "d_model", meaning: "added after the projection")
      }
      for (name, weight) in [("output_weight", block.outputWeight), ("down_weight", block.downWeight)] {
        guard let weight else { continue }
        try writer.array(
          "\(folder)/\(name)", weight.values, shape: [weight.rows, weight.columns],
          axes: ["d_model", "kept_\(layer)_\(name)"], meaning: "refitted columns of what is kept")
      }
    }
  }

  /// Reads what `write` wrote; nothing is pruned when it wrote nothing.
  init(from reader: any ArtifactReader, structure: Structure) throws {
    guard reader.has("ffn/keep") else {
      self = .none
      return
    }
    let keep = try PerPiece<UInt8>("keep", from: reader, structure: structure)
    self.init(
      blocks: try (0..<structure.layers).map { layer in
        let folder = Pruning.folder(layer)
        func bias(_ name: String) throws -> [Float]? {
          reader.has("\(folder)/\(name)") ? try reader.array("\(folder)/\(name)", as: Float.self) : nil
        }
        func weight(_ name: String) throws -> Matrix<Float>? {
          guard reader.has("\(folder)/\(name)") else { return nil }
          let shape = try reader.shape("\(folder)/\(name)")
          return Matrix(
            rows: shape[0], columns: shape[1], values: try reader.array("\(folder)/\(name)", as: Float.self))
        }
        return BlockPruning(
          units: keep.attention?[layer].map { $0 == 1 } ?? [], neurons: keep.ffn?[layer].map { $0 == 1 } ?? [],
          outputBias: try bias("output_bias"), downBias: try bias("down_bias"),
          outputWeight: try weight("output_weight"), downWeight: try weight("down_weight"))
      })
  }

  private static func folder(_ layer: Int) -> String { "delta/" + layerName(layer) }
}
