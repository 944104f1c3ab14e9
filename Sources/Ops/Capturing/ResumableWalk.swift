import Kernel
import Numerics
import Transformer

/// A model walked layer by layer over a corpus. The residual stream is saved between layers, so that a step that was
/// interrupted goes on near the layer it stopped in.
struct ResumableWalk {
  let network: LanguageModel
  let sequences: Sequences
  let context: any RunContext
  /// How what a step found so far is kept together with the stream; nil when each layer's findings are published as they
  /// come.
  var findings: Findings?

  struct Findings {
    var save: (any ArtifactWriter) throws -> Void
    /// Given what was saved, and the layer that comes next.
    var restore: (any ArtifactReader, Int) throws -> Void
  }

  /// Takes the walk through every layer up to the last wanted one.
  ///
  /// - Parameters:
  ///   - wanted: the layers to look at.
  ///   - all: the layers of the step; those not wanted are known already.
  ///   - pulse: called with the layer between chunks of work in layers that are only passed.
  ///   - body: must move the walk on by one layer.
  func visit(_ wanted: [Int], of all: [Int], pulse: (Int) throws -> Void, _ body: (Walk) throws -> Void) throws {
    guard let first = wanted.min(), let last = wanted.max() else { return }
    let walk = try started(before: findings == nil ? first : last)
    let start = max(first, walk.layer)
    if start > all.min() ?? first { context.resumed(at: start, of: network.layers, "layer") }
    while walk.layer <= last {
      let layer = walk.layer
      if wanted.contains(layer) { try body(walk) } else { try walk.step(pulse: { _ in try pulse(layer) }) }
      guard walk.layer <= last else { break }
      try context.checkpoint("states", stage: walk.layer) { writer in
        try walk.states.write(to: writer)
        try findings?.save(writer)
      }
    }
  }

  /// A walk at the last layer at or before `layer` whose states were saved, or at the embeddings.
  private func started(before layer: Int) throws -> Walk {
    let limit = context.memoryLimit / 2
    if let (start, saved) = try context.latestStage(of: "states", through: layer) {
      let walk = try Walk(
        network, sequences, layer: start, spillAbove: limit, in: context.scratch, ranks: context.ranks)
      try walk.states.read(from: saved)
      try findings?.restore(saved, start)
      return walk
    }
    let walk = try Walk(network, sequences, spillAbove: limit, in: context.scratch, ranks: context.ranks)
    try walk.embed()
    return walk
  }
}

extension Matrix<Float> {
  func write(to writer: any ArtifactWriter, as name: String = "states") throws {
    try withUnsafePointer { pointer, _ in
      try writer.array(
        name, UnsafeBufferPointer(start: pointer, count: count), shape: [rows, columns],
        axes: ["token", "feature"],
        meaning: "residual stream", units: nil)
    }
  }

  func read(from reader: any ArtifactReader, as name: String = "states") throws {
    try withUnsafeMutablePointer { pointer, _ in
      try reader.read(name, rows: 0..<rows, into: UnsafeMutableBufferPointer(start: pointer, count: count))
    }
  }
}
