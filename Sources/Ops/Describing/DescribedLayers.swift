import Kernel
import Numerics
import Transformer

/// Descriptions at work: a model is walked over both texts at once, and what is active in a layer is described when what
/// it is made of, in the layer or in those that belong together, has come.
struct DescribedLayers {
  let network: LanguageModel
  let source: any ActivitySource
  /// The layers to describe, of the source's parts.
  let parts: [[Int]]
  /// What one of the sets is called.
  let noun: String
  let reader: SetReader
  /// What a part depends on, but for its layers.
  let parameters: [String: JSONValue]
  let context: any RunContext

  /// A `descriptions.layer` object for every part.
  func described() throws -> [ArtifactReference] {
    var found = try parts.map { try context.existingChild(part: "layers", parameters: parameters(of: $0)) }
    let missing = parts.indices.filter { found[$0] == nil }
    func publish(_ index: Int, _ layers: [[Matrix<Float>]]) throws {
      let part = parts[index]
      try context.progress(index, of: parts.count, noun)
      found[index] = try context.child(LayerDescription.self, part: "layers", parameters: parameters(of: part)) {
        let activity = try at(LayerNetworks.title(part), argument: "networks") { try source.activity(of: part, layers) }
        return try reader.description(of: part, at: index, activity)
      }
    }
    guard let look = source.look else {
      for index in missing { try publish(index, []) }
      return found.compactMap { $0 }
    }
    let wanted = Set(missing.flatMap { parts[$0] }).sorted()
    let walk = ResumableWalk(network: network, sequences: reader.text.sequences, context: context)
    var held: [Int: [Matrix<Float>]] = [:]
    try walk.visit(wanted, of: Array(Set(parts.joined())).sorted(), pulse: { _ in try context.checkCancelled() }) {
      walk in
      let layer = walk.layer
      held[layer] = try look(walk)
      for index in missing where parts[index].last == layer {
        try publish(index, parts[index].map { held[$0] ?? [] })
      }
      held = held.filter { entry in
        missing.contains { (parts[$0].last ?? 0) > layer && parts[$0].contains(entry.key) }
      }
    }
    return found.compactMap { $0 }
  }

  /// All that was asked for, with the part's layers instead of all.
  private func parameters(of part: [Int]) -> [String: JSONValue] {
    parameters.merging(["layers": .array(part.map(JSONValue.integer))]) { $1 }
  }
}
