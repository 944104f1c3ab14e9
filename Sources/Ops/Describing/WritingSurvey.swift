import Kernel
import Numerics
import Transformer

/// What is asked of a set of units that writes into the residual stream.
struct WritingSet {
  let members: LesionSet
  /// By row of the text.
  let isEvent: [Bool]
  /// Rows of events at which the set is also taken out, rising.
  let checked: [Int]

  var events: Int { isEvent.count { $0 } }
}

/// Sets of some layers that belong together, all of one module.
struct WritingPart {
  let layers: [Int]
  let module: Module
  let sets: [WritingSet]
}

/// One walk through the dense model that sees what sets of units have at their events.
struct WritingSurvey {
  /// What was seen of a layer of a part, s h in the place of h where a norm comes behind the output map.
  struct Layer {
    /// Of every column of the unpruned model over all tokens.
    var moments: Moments
    /// Σ over a set's events: columns × sets.
    let inside: Matrix<Double>
    /// Of each set, at the checked events: events × columns of its units.
    let checked: [Matrix<Float>]
  }

  /// By part, layer after layer.
  let layers: [[Layer]]
  /// The residual stream that leaves the last block.
  let states: Matrix<Float>

  init(_ network: LanguageModel, _ sequences: Sequences, _ parts: [WritingPart], _ context: any RunContext) throws {
    let configuration = network.configuration
    var layers = parts.map { part in
      part.layers.map { layer in
        let width = part.module.site.width(configuration, layer: layer)
        return Layer(
          moments: Moments(columns: width), inside: Matrix(rows: width, columns: part.sets.count),
          checked: part.sets.map { set in
            Matrix(
              rows: set.checked.count,
              columns: set.members.columns(part.module, layer: layer, configuration).count)
          })
      }
    }
    let walk = try Walk(
      network, sequences, spillAbove: context.memoryLimit / 2, in: context.scratch, ranks: context.ranks)
    try walk.embed()
    while walk.layer < network.layers {
      let layer = walk.layer
      func pulse(_: WalkProgress) throws { try context.progress(layer, of: network.layers, "layer") }
      let here = parts.indices.filter { parts[$0].layers.contains(layer) }
      guard !here.isEmpty else {
        try walk.step(pulse: pulse)
        continue
      }
      let block = try network.loadBlock(layer)
      let outputs = PerModule { ModuleOutput(block, $0) }
      try walk.step(
        block, sites: Set(here.map { parts[$0].module.site }),
        tap: { tap in
          try requireFinite(tap.values, tap.site, layer: layer, from: tap.rows.lowerBound, argument: "model")
          let h = outputs[tap.site.module].scaled(tap.values)
          for index in here where parts[index].module == tap.site.module {
            let place = parts[index].layers.firstIndex(of: layer) ?? 0
            layers[index][place].add(h, of: parts[index], layer: layer, rows: tap.rows, configuration)
          }
        }, pulse: pulse)
    }
    self.layers = layers
    states = walk.states
  }
}

extension WritingSurvey.Layer {
  fileprivate mutating func add(
    _ h: Matrix<Float>, of part: WritingPart, layer: Int, rows: Range<Int>, _ configuration: Configuration
  ) {
    moments.add(h)
    let events = Matrix<Float>(rows: rows.count, columns: part.sets.count)
    for (i, set) in part.sets.enumerated() {
      for (row, t) in rows.enumerated() where set.isEvent[t] { events[row, i] = 1 }
    }
    accumulateProduct(h, events, into: inside)
    for (i, set) in part.sets.enumerated() {
      let places = set.checked.indices.filter { rows.contains(set.checked[$0]) }
      guard let first = places.first, let last = places.last else { continue }
      let columns = set.members.columns(part.module, layer: layer, configuration)
      checked[i].rows(first..<(last + 1)).assign(
        h.gathering(rows: places.map { set.checked[$0] - rows.lowerBound }).gathering(columns: columns))
    }
  }

  /// E[h | event] - E[h | else] of every column, for a set.
  func contrast(_ set: Int, events: Int) -> [Double] {
    let rest = moments.count - events
    return moments.mean.indices.map { j in
      let own = inside[j, set]
      return own / Double(max(1, events)) - (moments.mean[j] * Double(moments.count) - own) / Double(max(1, rest))
    }
  }
}

extension LesionSet {
  /// Columns of a module's output map that belong to the set's units.
  func columns(_ module: Module, layer: Int, _ configuration: Configuration) -> [Int] {
    Piece(layer: layer, module: module, units: units(module, layer: layer)).columns(configuration)
  }
}
