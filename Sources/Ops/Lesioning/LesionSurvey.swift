import Kernel
import Numerics
import Transformer

/// A look at the model before anything is taken out.
struct LesionSurvey {
  /// By layer and module, the units with e_j = E[h_j²] ‖W_j‖² of each, and the mean of every column of h.
  private(set) var pools: [PerModule<UnitPool?>]
  private(set) var means: [PerModule<[Double]>]
  /// Loss of what follows each token.
  let losses: [Double]

  init(_ network: LanguageModel, _ sequences: Sequences, layers: Set<Int>, _ context: any RunContext) throws {
    let configuration = network.configuration
    let none = PerModule<[Double]>(attention: [], ffn: [])
    pools = Array(repeating: PerModule(attention: nil, ffn: nil), count: network.layers)
    means = Array(repeating: none, count: network.layers)
    let walk = try Walk(
      network, sequences, spillAbove: context.memoryLimit / 2, in: context.scratch, ranks: context.ranks)
    try walk.embed()
    while walk.layer < network.layers {
      let layer = walk.layer
      func pulse(_: WalkProgress) throws { try context.progress(layer, of: network.layers, "layer") }
      guard layers.contains(layer) else {
        try walk.step(pulse: pulse)
        continue
      }
      let block = try network.loadBlock(layer)
      var moments = PerModule { Moments(columns: $0.site.width(configuration, layer: layer)) }
      try walk.step(
        block, sites: Set(Module.allCases.map(\.site)),
        tap: { tap in
          try requireFinite(tap.values, tap.site, layer: layer, from: tap.rows.lowerBound, argument: "model")
          moments[tap.site.module].add(tap.values)
        }, pulse: pulse)
      for module in Module.allCases {
        let own = moments[module]
        pools[layer][module] = UnitPool(
          energy: network.energies(of: module, own, block.outputWeight(module)),
          available: network.leftUnits(module, layer: layer))
        means[layer][module] = own.mean
      }
    }
    losses = try network.losses(
      states: walk.states, sequences, ranks: context.ranks, pulse: { try context.checkCancelled() })
  }
}

extension LanguageModel {
  /// The energy of every unit of the unpruned model: e_j = E[h_j²] ‖W_j‖², summed over a unit's columns.
  ///
  /// - Parameters:
  ///   - moments: of h.
  ///   - W: d × columns.
  func energies(of module: Module, _ moments: Moments, _ W: Matrix<Float>) -> [Double] {
    let squares = moments.sumOfSquares.map { $0 / Double(max(1, moments.count)) }
    let energy = zip(squares, Matrix<Double>(W).columnMoments.sumOfSquares).map(*)
    let width = configuration.featuresPerUnit(module.output.columns)
    return Parallel.ranges(energy.count, of: width).map { energy[$0].reduce(0, +) }
  }
}
