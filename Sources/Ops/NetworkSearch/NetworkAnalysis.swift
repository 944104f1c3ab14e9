import Numerics

/// How the networks of one run come out of its signals.
protocol NetworkFinder {
  /// What it is called where random streams are named.
  var method: String { get }
  /// Networks of a run.
  var components: Int { get }
  var scale: SignalScale { get }
  /// Size of z above which a unit counts as key in a network.
  var key: Double { get }
  /// Whether maps and time courses are kept.
  var keepsMaps: Bool { get }

  /// - Parameters:
  ///   - signals: tokens × units, signal by signal and in each layer by layer.
  ///   - subjects: as rows of the run.
  ///   - name: of the random streams.
  func networks(
    of signals: [Matrix<Float>], subjects: [Range<Int>], name: String, progress: @escaping () throws -> Void
  ) throws -> FoundNetworks
}

/// Networks, and how they were found.
struct FoundNetworks {
  var networks: FunctionalNetworks
  var signals: ScaledSignals
  /// Steps or epochs, and the change in the last.
  var iterations: Int
  var change: Double
  var hasConverged: Bool
  /// Which start won, and fresh starts after overflow.
  var restart: Int
  var reseeds: Int
  var code: CodeFit?
}

/// Independent components of the signals (CanICA pruning, section 3).
struct NetworkAnalysis: NetworkFinder {
  let method = "canica"
  var components: Int
  var scale: SignalScale
  /// Directions kept of each subject before canonical correlations bring them together; nil where the samples of a run are
  /// stacked.
  var subjectComponents: Int?
  /// Nil for whitened principal components as they are.
  var rotation: Rotation?
  var key: Double
  var keepsMaps: Bool

  /// How whitened components are turned towards independence.
  struct Rotation {
    var contrast: Contrast
    var order: UnmixingOrder
    var restarts: Int
    var seed: Int
    var tolerance: Double
    var maximumIterations: Int
  }

  func networks(
    of signals: [Matrix<Float>], subjects: [Range<Int>], name: String, progress: @escaping () throws -> Void
  ) throws -> FoundNetworks {
    let scaled = try ScaledSignals(signals, scale: scale, subjects: subjects)
    let subspace =
      try subjectComponents.map {
        try canonicalSubspace(
          scaled, subjects: subjects, subjectComponents: $0, components: components, progress: progress)
      } ?? sharedSubspace(scaled, components: components, progress: progress)
    let whitened = try Ops.whitened(subspace.B)
    let found =
      try rotation.map {
        try unmixing(
          whitened, contrast: $0.contrast, order: $0.order, restarts: $0.restarts, seed: $0.seed, name: name,
          tolerance: $0.tolerance, maximumIterations: $0.maximumIterations, progress: progress)
      } ?? Unmixing(W: .identity(components), iterations: 0, change: 0, hasConverged: true, restart: 0, reseeds: 0)
    return FoundNetworks(
      networks: functionalNetworks(whitened, W: found.W, signals: scaled), signals: scaled,
      iterations: found.iterations, change: found.change, hasConverged: found.hasConverged, restart: found.restart,
      reseeds: found.reseeds)
  }
}

extension Networks.Settings {
  /// The search that the networks came from, with another seed and one start; nil when it is not known any more.
  func finder(seedsOn more: Int, components: Int, scale: SignalScale) -> (any NetworkFinder)? {
    switch search {
    case .independence(_, let ica, let contrast, let algorithm):
      guard let contrast = Contrast(rawValue: contrast), let order = UnmixingOrder(rawValue: algorithm) else {
        return nil
      }
      return NetworkAnalysis(
        components: components, scale: scale,
        rotation: ica == CanICA.Analysis.none.rawValue
          ? nil
          : .init(
            contrast: contrast, order: order, restarts: 1, seed: seed + more, tolerance: 1e-4, maximumIterations: 300),
        key: key, keepsMaps: false)
    case .code(var search):
      search.training.seed += more
      search.restarts = 1
      return SparseCodeFinder(components: components, search: search, key: key, keepsMaps: false)
    }
  }
}
