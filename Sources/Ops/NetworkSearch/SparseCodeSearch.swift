import Kernel
import Numerics

/// What a code is told, as the result records it.
struct SparseCodeSearch: Sendable, Equatable {
  enum Decoder: String, Choice {
    case linear, deep

    var meaning: String {
      switch self {
      case .linear: "a few networks at a token, whose maps add up to the signals"
      case .deep: "a bottleneck between layers that are not linear; maps are regressions on it"
      }
    }

    /// Of Adam.
    var rate: Double { self == .linear ? 0.02 : 0.002 }
  }

  var decoder: Decoder
  /// Networks active at a token; all of a deep code.
  var active: Int
  /// Leading right singular vectors in whose coordinates the code sees the signals.
  var rank: Int
  var training: CodeTraining
  var restarts: Int
  /// Every so many windows one is held out.
  var hold: Int

  /// Seeds that stand apart, so that restarts of one search are not those of the next.
  func seed(ofRestart restart: Int) -> Int { training.seed &+ restart &* 1_000_003 }

  func write(to writer: any ArtifactWriter) throws {
    try writer.attribute("method", .string("autoencode"))
    try writer.attribute("decoder", .string(decoder.rawValue))
    try writer.attribute("active", .integer(active))
    try writer.attribute("rank", .integer(rank))
    try writer.attribute("epochs", .integer(training.epochs))
    try writer.attribute("batch", .integer(training.batch))
    try writer.attribute("rate", .number(training.rate))
    try writer.attribute("restarts", .integer(restarts))
    try writer.attribute("hold", .integer(hold))
  }

  /// Nil of networks found in another way.
  init?(from reader: any ArtifactReader) throws {
    guard let word = (try? reader.attribute("decoder"))?.stringValue, let decoder = Decoder(rawValue: word) else {
      return nil
    }
    func whole(_ name: String) throws -> Int { try reader.attribute(name).intValue ?? 0 }
    self.init(
      decoder: decoder, active: try whole("active"), rank: try whole("rank"),
      training: CodeTraining(
        epochs: try whole("epochs"), batch: try whole("batch"),
        rate: try reader.attribute("rate").doubleValue ?? decoder.rate, seed: try whole("seed")),
      restarts: try whole("restarts"), hold: try whole("hold"))
  }

  init(decoder: Decoder, active: Int, rank: Int, training: CodeTraining, restarts: Int, hold: Int) {
    self.decoder = decoder
    self.active = active
    self.rank = rank
    self.training = training
    self.restarts = restarts
    self.hold = hold
  }
}

/// A code of the signals of a run, and its networks on the scale of independent components.
struct SparseCodeFinder: NetworkFinder {
  let method = "autoencode"
  let components: Int
  let search: SparseCodeSearch
  let key: Double
  let keepsMaps: Bool
  let scale = SignalScale.zscore

  func networks(
    of signals: [Matrix<Float>], subjects: [Range<Int>], name: String, progress: @escaping () throws -> Void
  ) throws -> FoundNetworks {
    let Z = try ScaledSignals(signals, scale: scale, subjects: subjects)
    let shared = try leadingDirections(Z, atMost: search.rank, progress: progress)
    let all = Matrix<Float>(rows: Z.rows, columns: shared.B.rows)
    for columns in Z.tiles {
      all.add(Z.tile(columns) * Matrix<Float>(shared.B.columns(columns)).T)
      try progress()
    }
    let windows = subjects.isEmpty ? Parallel.ranges(Z.rows, of: 128) : subjects
    let held = windows.indices.filter { ($0 + 1) % search.hold == 0 }
    guard !held.isEmpty else { throw NetworkError.noneHeldOut(windows: windows.count, hold: search.hold) }
    func tokens(_ isHeld: Bool) -> [Int] {
      windows.indices.filter { held.contains($0) == isHeld }.flatMap { Array(windows[$0]) }
    }
    let X = all.gathering(rows: tokens(false))
    let other = all.gathering(rows: tokens(true))
    guard components <= X.rows / 2 else { throw NetworkError.tooManyComponents(asked: components, largest: X.rows / 2) }
    let data = CodeData(Z: Z, basis: shared.B, all: all, X: X, held: other, name: name, progress: progress)
    var fit = CodeFit()
    fit.rankKept = shared.explained.reduce(0, +)
    (fit.pcaActive, fit.pcaK) = try data.principalShares(search.decoder == .linear ? search.active : nil, components)
    switch search.decoder {
    case .linear: return try sparse(data, fit)
    case .deep: return try deep(data, fit)
    }
  }

  private func training(_ restart: Int) -> CodeTraining {
    var training = search.training
    training.seed = search.seed(ofRestart: restart)
    return training
  }

  /// The code of least loss on the training tokens.
  private func best<Trained>(_ share: (Trained) -> Double, _ train: (CodeTraining) throws -> Trained) rethrows
    -> (trained: Trained, fvu: Double, restart: Int)
  {
    var best: (trained: Trained, fvu: Double, restart: Int)?
    for restart in 0..<max(1, search.restarts) {
      let trained = try train(training(restart))
      let fvu = share(trained)
      if best.map({ fvu < $0.fvu }) ?? true { best = (trained, fvu, restart) }
    }
    guard let best else { preconditionFailure("at least one start") }
    return best
  }

  private func sparse(_ data: CodeData, _ empty: CodeFit) throws -> FoundNetworks {
    let found = try best({ trained in data.variance.own { trained.code.decoded(trained.code.codes($0)) } }) {
      try trainedSparseCode(
        data.X, held: data.held, components: components, active: search.active, $0, name: data.name,
        progress: data.progress)
    }
    let code = found.trained.code
    let (networks, order) = try correlatedNetworks(Matrix<Double>(code.D) * data.basis, signals: data.Z)
    let c = code.codes(data.all)
    var fit = empty
    fit.fvu = found.fvu
    fit.fvuHeld = data.variance.held { code.decoded(code.codes($0)) }
    fit.dead = Double(found.trained.dead)
    fit.activeShare = order.map { i in
      Double((0..<c.rows).count { c[$0, i] > 0 }) / Double(max(1, c.rows))
    }
    return result(networks, data, fit, epochs: found.trained.epochs, gain: found.trained.gain, restart: found.restart)
  }

  private func deep(_ data: CodeData, _ empty: CodeFit) throws -> FoundNetworks {
    // Inputs of size 1, whatever the scale of the signals.
    let size = (data.variance.perToken / Double(data.X.columns)).squareRoot()
    let (X, held) = (data.X.copy(), data.held.copy())
    for part in [X, held] where size > 0 { part.scale(by: Float(1 / size)) }
    let variance = VarianceShare(X, held: held, X.columnMoments.mean)
    let found = try best({ trained in variance.own { trained.code.decoded($0) } }) {
      try trainedDeepCode(X, held: held, components: components, $0, name: data.name, progress: data.progress)
    }
    let all = data.all.copy()
    if size > 0 { all.scale(by: Float(1 / size)) }
    let (networks, _) = try correlatedNetworks(
      regressedMaps(found.trained.code.codes(all), signals: data.Z), signals: data.Z)
    var fit = empty
    fit.fvu = found.fvu
    fit.fvuHeld = variance.held { found.trained.code.decoded($0) }
    fit.dead = 0
    return result(networks, data, fit, epochs: found.trained.epochs, gain: found.trained.gain, restart: found.restart)
  }

  private func result(
    _ networks: FunctionalNetworks, _ data: CodeData, _ fit: CodeFit, epochs: Int, gain: Double, restart: Int
  ) -> FoundNetworks {
    FoundNetworks(
      networks: networks, signals: data.Z, iterations: epochs, change: gain,
      hasConverged: gain < CodeTraining.patience.share, restart: restart, reseeds: 0, code: fit)
  }
}

/// The signals of a run as a code sees them.
private struct CodeData {
  let Z: ScaledSignals
  /// rank×N, orthonormal.
  let basis: Matrix<Double>
  /// Z Pᵀ of all tokens, of those that are learned from, and of those held out.
  let all: Matrix<Float>
  let X: Matrix<Float>
  let held: Matrix<Float>
  let name: String
  let progress: () throws -> Void
  let variance: VarianceShare

  init(
    Z: ScaledSignals, basis: Matrix<Double>, all: Matrix<Float>, X: Matrix<Float>, held: Matrix<Float>, name: String,
    progress: @escaping () throws -> Void
  ) {
    self.Z = Z
    self.basis = basis
    self.all = all
    self.X = X
    self.held = held
    self.name = name
    self.progress = progress
    variance = VarianceShare(X, held: held, X.columnMoments.mean)
  }

  /// Held out, what so many principal components of the training tokens leave unexplained.
  func principalShares(_ active: Int?, _ components: Int) throws -> (active: Double, k: Double) {
    let count = min(X.columns, X.rows - 1, max(active ?? 1, components))
    let found = try principalComponents(columns: X.columns, count: count) { look in try look(X, 0..<X.rows) }
    func share(_ count: Int) -> Double {
      let axes = Matrix<Float>(found.axes.columns(0..<min(count, found.axes.columns)))
      return variance.held { A in
        let Y = A.copy()
        Y.addToRows(found.mean.map { Float($0) }, scaledBy: -1)
        let decoded = (Y * axes) * axes.T
        decoded.addToRows(found.mean.map { Float($0) })
        return decoded
      }
    }
    return (active.map(share) ?? .nan, share(components))
  }
}
