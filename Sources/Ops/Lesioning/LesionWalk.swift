import Kernel
import Numerics
import Transformer

/// Many lesioned copies of a model going over the same text at once.
///
/// Up to the layer of its lesion a copy is the dense model; there it leaves the dense stream,
///
///     x ← x - W[:, S] (h_S - m_S),        m = 0, or the means of h
///
/// and all copies that have left cross each later layer while its weights are in memory. This is what a forward pass of
/// the masked model gives, for half of its cost on average.
struct LesionWalk {
  let network: LanguageModel
  /// By layer and module, means that stand in place of what is taken out; nil for zeros.
  let means: [PerModule<[Double]>]?
  let context: any RunContext

  /// - Parameters:
  ///   - part: windows of text.
  ///   - energies: gets the mean of ‖W_S h_S‖² over the tokens where each lesion starts.
  ///   - finish: gets each lesion's place and the states that leave its last block.
  func run(
    _ lesions: [LesionSet], on part: Sequences, energies: (Int, Double) throws -> Void,
    pulse: () throws -> Void, finish: (Int, Matrix<Float>) throws -> Void
  ) throws {
    let dense = try Walk(network, part, ranks: context.ranks)
    try dense.embed()
    var live: [(place: Int, walk: Walk)] = []
    let last = lesions.compactMap { $0.pieces.first?.layer }.max() ?? -1
    for layer in 0..<network.layers {
      let block = try network.loadBlock(layer)
      for (place, walk) in live {
        try walk.step(try lesioned(block, lesions[place]), pulse: { _ in try pulse() })
      }
      guard layer <= last else { continue }
      for module in Module.allCases {
        let starting = lesions.indices.filter {
          lesions[$0].pieces.first?.layer == layer && lesions[$0].pieces.first?.module == module
        }
        let new = try branches(dense, block, module, lesions, starting, energies, pulse)
        for (place, walk) in new {
          for later in Module.allCases.drop(while: { $0 != module }).dropFirst() {
            try walk.run(
              later, of: try lesioned(block, lesions[place]), advancing: true, pulse: { _ in try pulse() })
          }
          live.append((place, walk))
        }
      }
    }
    for (place, walk) in live { try finish(place, walk.states) }
  }

  /// Moves the dense walk past a module, and lets the lesions that start there leave it.
  private func branches(
    _ dense: Walk, _ block: Block, _ module: Module, _ lesions: [LesionSet], _ starting: [Int],
    _ energies: (Int, Double) throws -> Void, _ pulse: () throws -> Void
  ) throws -> [(Int, Walk)] {
    if starting.isEmpty {
      try dense.run(module, of: block, advancing: true, pulse: { _ in try pulse() })
      return []
    }
    let configuration = network.configuration
    let width = module.site.width(configuration, layer: block.layer)
    let H = Matrix<Float>(rows: dense.sequences.tokens.count, columns: width)
    // Where the norm comes after the output map, what is taken out changes what it divides by.
    let isNormed = configuration.family.normsOutput
    var early: [Int: Walk] = [:]
    if isNormed {
      for place in starting {
        let walk = try dense.branched()
        try walk.run(module, of: lesioned(block, lesions[place]), advancing: true, pulse: { _ in try pulse() })
        early[place] = walk
      }
    }
    try dense.run(
      module, of: block, advancing: true, sites: [module.site], tap: { H.rows($0.rows).assign($0.values) },
      pulse: { _ in try pulse() })
    let W = block.outputWeight(module)
    return try starting.map { place in
      try pulse()
      let columns = lesions[place].pieces[0].columns(configuration)
      let (h, w) = (H.gathering(columns: columns), W.gathering(columns: columns))
      let change = h * w.T
      try energies(place, meanSquare(change))
      if let walk = early[place] { return (place, walk) }
      let walk = try dense.branched()
      let stream = walk.states.columns(0..<change.columns)
      if let means {
        let mean = means[block.layer][module]
        h.addToRows(columns.map { Float(-mean[$0]) })
        stream.add(h * w.T, scaledBy: -1)
      } else {
        stream.add(change, scaledBy: -1)
      }
      return (place, walk)
    }
  }

  /// The mean over rows of the sum of squares.
  private func meanSquare(_ X: Matrix<Float>) -> Double {
    X.columnMoments.sumOfSquares.reduce(0, +) / Double(max(1, X.rows))
  }

  /// A block without what a lesion takes out of it, with what stands in its place.
  private func lesioned(_ block: Block, _ lesion: LesionSet) throws -> Block {
    guard lesion.pieces.contains(where: { $0.layer == block.layer }) else { return block }
    let configuration = network.configuration
    return block.pruned(
      by: BlockPruning { module in
        let units = lesion.units(module, layer: block.layer)
        var pruning = BlockPruning.keepingAll(configuration, layer: block.layer)[module]
        for unit in units { pruning.keep[unit] = false }
        if let means, !units.isEmpty {
          let columns = LesionSet.Piece(layer: block.layer, module: module, units: units).columns(configuration)
          let W = Matrix<Double>(block.outputWeight(module).gathering(columns: columns))
          let mean = Matrix(
            rows: columns.count, columns: 1, values: columns.map { means[block.layer][module][$0] })
          pruning.bias = (W * mean).values.map { Float($0) }
        }
        return pruning
      })
  }
}

extension LesionSet.Piece {
  /// Columns of the module's output map that belong to the units.
  func columns(_ configuration: Configuration) -> [Int] {
    units.flatMap { unit in
      let width = configuration.featuresPerUnit(module.output.columns)
      return (unit * width)..<((unit + 1) * width)
    }
  }
}
