import Numerics

/// How the networks of one run come out of its signals (CanICA pruning, section 3).
struct NetworkAnalysis {
  var components: Int
  var scale: SignalScale
  /// Directions kept of each subject before canonical correlations bring them together; nil where the samples of a run are
  /// stacked.
  var subjectComponents: Int?
  /// Nil for whitened principal components as they are.
  var rotation: Rotation?
  /// Size of z above which a unit counts as key in a network.
  var key: Double
  /// Whether maps and time courses are kept.
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

  /// - Parameters:
  ///   - signals: tokens × units, signal by signal and in each layer by layer.
  ///   - subjects: as rows of the run.
  ///   - name: of the random streams.
  func networks(
    of signals: [Matrix<Float>], subjects: [Range<Int>], name: String, progress: @escaping () throws -> Void
  ) throws -> (networks: FunctionalNetworks, unmixing: Unmixing, scaled: ScaledSignals) {
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
    return (functionalNetworks(whitened, W: found.W, signals: scaled), found, scaled)
  }
}
