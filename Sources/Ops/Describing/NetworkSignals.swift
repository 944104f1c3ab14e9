import Kernel
import Numerics
import Transformer

/// The signals that networks are made of, looked at again on any text.
struct NetworkSignals {
  let module: Module
  let sites: [Site]
  let configuration: Configuration
  /// How signals are put on one scale, text by text.
  let scale: SignalScale

  init(_ networks: Networks, _ configuration: Configuration) {
    module = networks.settings.module
    sites = networks.settings.sites.compactMap(Site.init(rawValue:))
    self.configuration = configuration
    scale = networks.settings.scale == SignalScale.center.rawValue ? .center : .zscore
  }

  /// Moves the walk on by a layer.
  ///
  /// - Parameter texts: rows that are put on one scale together.
  /// - Returns: tokens × units for each signal of a unit, as wide as in the unpruned model.
  func step(_ walk: Walk, texts: [Range<Int>], pulse: (WalkProgress) throws -> Void) throws -> [Matrix<Float>] {
    let layer = walk.layer
    let rows = walk.sequences.tokens.count
    let found = sites.map { Matrix<Float>(rows: rows, columns: $0.width(configuration, layer: layer)) }
    try walk.step(
      sites: Set(sites),
      tap: { tap in
        try requireFinite(tap.values, tap.site, layer: layer, from: tap.rows.lowerBound, argument: "model")
        if let place = sites.firstIndex(of: tap.site) { found[place].rows(tap.rows).assign(tap.values) }
      }, pulse: pulse)
    guard module == .attention, let heads = found.first else { return found }
    let (units, perUnit) = (configuration.units(.attention, layer: layer), configuration.queriesPerUnit)
    let signals = (0..<perUnit).map { _ in Matrix<Float>(rows: rows, columns: units) }
    for text in texts {
      let own = try headSignals(heads.rows(text), perUnit: perUnit, size: configuration.headSize, scale: scale)
      for (signal, part) in zip(signals, own) { signal.rows(text).assign(part) }
    }
    return signals
  }

  /// The signals of some layers side by side, signal by signal, as maps have them.
  static func columns(_ layers: [[Matrix<Float>]]) -> [Matrix<Float>] {
    (layers.first?.indices ?? 0..<0).flatMap { signal in layers.map { $0[signal] } }
  }

  /// Bytes of the signals of all layers of a part, as `step` gives them.
  static func bytes(_ networks: Networks, _ configuration: Configuration, tokens: Int) -> Int {
    let sites = networks.settings.sites.compactMap(Site.init(rawValue:))
    return networks.partLayers.map { layers in
      layers.reduce(0) { sum, layer in
        sites.reduce(sum) { $0 + 4 * tokens * $1.width(configuration, layer: layer) }
      }
    }.max() ?? 0
  }

  /// Standardised signals of one text.
  func scaled(_ columns: [Matrix<Float>], _ text: Range<Int>) throws -> ScaledSignals {
    try ScaledSignals(columns.map { $0.rows(text) }, scale: scale)
  }
}
