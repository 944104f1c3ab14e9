import Kernel
import Numerics
import Transformer

/// Courses of the networks of a dense model, in it and in what pruning left of it: both models walk side by side.
struct PreservedNetworks {
  /// One network in both models.
  struct Network {
    /// Share of the units of its layers that are left.
    var kept: Double
    /// |r| of its course in the pruned model, read from the units that are left, with that in the dense model.
    var preserved: Double
    /// The same, read from those units in the dense model: what their number alone costs.
    var readable: Double
  }

  let networks: Networks
  let run: Int
  let dense: LanguageModel
  let pruned: LanguageModel
  let sequences: Sequences
  let context: any RunContext
  private let signals: NetworkSignals

  init(
    _ networks: Networks, run: Int, dense: LanguageModel, pruned: LanguageModel, sequences: Sequences,
    _ context: any RunContext
  ) {
    self.networks = networks
    self.run = run
    self.dense = dense
    self.pruned = pruned
    self.sequences = sequences
    self.context = context
    signals = NetworkSignals(networks, dense.configuration)
  }

  /// The networks of every part.
  func found() throws -> [[Network]] {
    let parts = networks.partLayers
    let last = parts.compactMap(\.last).max() ?? -1
    let all = 0..<sequences.tokens.count
    var found: [[Network]] = []
    var (start, saved) = (0, nil as (any ArtifactReader)?)
    if let latest = try context.latestStage(of: "states", through: last) { (start, saved) = latest }
    let walks = try [dense, pruned].map { model in
      try Walk(
        model, sequences, layer: start, spillAbove: context.memoryLimit / 4, in: context.scratch, ranks: context.ranks)
    }
    if let saved {
      found = try restored(walks, saved)
      context.resumed(at: start, of: dense.layers, "layer")
    } else {
      for walk in walks { try walk.embed() }
    }
    var held: [Int: [[Matrix<Float>]]] = [:]
    while walks[0].layer <= last {
      let layer = walks[0].layer
      func pulse(_: WalkProgress) throws { try context.progress(layer, of: dense.layers, "layer") }
      held[layer] = try walks.map { try signals.step($0, texts: [all], pulse: pulse) }
      for (index, part) in parts.enumerated() where part.last == layer {
        found.append(try compared(index, part.map { held[$0] ?? [] }))
      }
      held = held.filter { entry in parts.contains { ($0.last ?? 0) > layer && $0.contains(entry.key) } }
      // Signals that are still needed are not saved.
      if held.isEmpty, layer < last {
        try context.checkpoint("states", stage: layer + 1) { writer in try save(walks, found, to: writer) }
      }
    }
    return found
  }

  /// - Parameter layers: of each layer of the part, the signals in the dense and in the pruned model.
  private func compared(_ index: Int, _ layers: [[[Matrix<Float>]]]) throws -> [Network] {
    let part = try networks.part(index)
    let S = Matrix<Double>(try part.maps(run: run))
    let left = part.layers.flatMap { layer in
      pruned.leftUnits(part.module, layer: layer).map { part.places(of: layer).lowerBound + $0 }
    }
    let columns = part.signals.indices.flatMap { half in left.map { half * part.units + $0 } }
    let ofKept = S.gathering(columns: columns)
    return try at(part.title, argument: "text") {
      let rows = 0..<sequences.tokens.count
      func courses(_ model: Int, kept: Bool) throws -> Matrix<Double> {
        let all = NetworkSignals.columns(layers.map { $0[model] })
        guard kept else { return try networkCourses(signals.scaled(all, rows), maps: S) }
        if left.isEmpty { return Matrix(rows: rows.count, columns: S.rows) }
        return try networkCourses(signals.scaled(narrowed(all, part, left), rows), maps: ofKept)
      }
      let (whole, readable, seen) = (
        try courses(0, kept: false), try courses(0, kept: true), try courses(1, kept: true)
      )
      return (0..<S.rows).map { i in
        func similarity(_ other: Matrix<Double>) -> Double {
          let r = abs(correlation(whole.column(i), other.column(i)))
          // A course that does not vary any more shows nothing.
          return r.isNaN ? 0 : r
        }
        return Network(
          kept: Double(left.count) / Double(max(1, part.units)), preserved: similarity(seen),
          readable: similarity(readable))
      }
    }
  }

  /// The columns of the units that are left, signal by signal and layer by layer.
  private func narrowed(_ columns: [Matrix<Float>], _ part: LayerNetworks, _ left: [Int]) -> [Matrix<Float>] {
    columns.enumerated().map { place, column in
      let range = part.places(of: part.layers[place % part.layers.count])
      return column.gathering(columns: left.filter(range.contains).map { $0 - range.lowerBound })
    }
  }

  // MARK: Checkpoints

  private func save(_ walks: [Walk], _ found: [[Network]], to writer: any ArtifactWriter) throws {
    for (name, walk) in zip(["dense", "pruned"], walks) { try walk.states.write(to: writer, as: "\(name)/states") }
    try writer.vector("count", found.map { Int32($0.count) }, axis: "part")
    let all = found.flatMap { $0 }
    try writer.vector("kept", all.map(\.kept), axis: "network")
    try writer.vector("preserved", all.map(\.preserved), axis: "network")
    try writer.vector("readable", all.map(\.readable), axis: "network")
  }

  private func restored(_ walks: [Walk], _ saved: any ArtifactReader) throws -> [[Network]] {
    for (name, walk) in zip(["dense", "pruned"], walks) { try walk.states.read(from: saved, as: "\(name)/states") }
    let kept = try saved.array("kept", as: Double.self)
    let preserved = try saved.array("preserved", as: Double.self)
    let readable = try saved.array("readable", as: Double.self)
    var start = 0
    return try saved.array("count", as: Int32.self).map { count in
      defer { start += Int(count) }
      return (start..<(start + Int(count))).map {
        Network(kept: kept[$0], preserved: preserved[$0], readable: readable[$0])
      }
    }
  }
}
