import Kernel
import Numerics
import Transformer

/// One search for networks at work. Only the signals of one run of one layer are in memory: the model is walked layer
/// by layer, batches are cut into runs as they come, and a run is analysed and forgotten when it is complete.
struct NetworkSearch {
  let op: CanICA
  let model: Model
  let corpus: Corpus
  let sites: [Site]
  let runs: [TokenRun]
  let context: any RunContext

  init(_ op: CanICA, model: Model, corpus: Corpus, sites: [Site], runs: [TokenRun], context: any RunContext) {
    self.op = op
    self.model = model
    self.corpus = corpus
    self.sites = sites
    self.runs = runs
    self.context = context
  }

  /// The networks of every captured layer, found before or now.
  func layers() throws -> [ArtifactReference] {
    var found: [Int: ArtifactReference] = [:]
    for layer in op.activations.layers {
      found[layer] = try context.existingChild(part: "layer", parameters: parameters(layer))
    }
    let missing = op.activations.layers.filter { found[$0] == nil }
    if op.activations.keep.contains(.values) {
      for layer in missing { found[layer] = try published(fromValues: layer) }
    } else {
      let walk = ResumableWalk(network: model.network, sequences: corpus.sequences, context: context)
      try walk.visit(missing, of: op.activations.layers, pulse: { try progress($0, run: 0) }) { walk in
        found[walk.layer] = try published(from: walk)
      }
    }
    return op.activations.layers.compactMap { found[$0] }
  }

  private func parameters(_ layer: Int) -> [String: JSONValue] {
    [
      "layer": .integer(layer), "components": .integer(op.components), "per_run": .integer(op.perRun),
      "seed": .integer(op.seed), "reduce": .string(op.reduce.rawValue),
      "subject_components": op.subjectComponents.map(JSONValue.integer) ?? .null,
      "per_subject": .integer(op.perSubject), "ica": .string(op.ica.rawValue),
      "contrast": .string(op.contrast.rawValue), "algorithm": .string(op.algorithm.rawValue),
      "restarts": .integer(op.restarts), "tolerance": .number(op.tolerance), "iterations": .integer(op.iterations),
      "scale": .string(op.scale.rawValue), "key": .number(op.key), "keep": .string(op.keep.rawValue),
    ]
  }

  private func progress(_ layer: Int, run: Int) throws {
    let before = op.activations.layers.count { $0 < layer }
    try context.progress(before * runs.count + run, of: op.activations.layers.count * runs.count, "run")
  }

  // MARK: Signals

  private func published(fromValues layer: Int) throws -> ArtifactReference {
    let parts = try sites.map { site -> Matrix<Float> in
      guard let values = try op.activations.part(site, layer: layer).values?.load() else {
        throw Diagnostic("the capture keeps no values of \(site.rawValue) in layer \(layer)", argument: "activations")
      }
      return values
    }
    let results = LayerResults(self, layer: layer)
    for (index, run) in runs.enumerated() {
      let signals = parts.map { $0.rows(run.tokens) }
      try analyse(run: index, signals, into: results)
    }
    return try publish(results)
  }

  private func published(from walk: Walk) throws -> ArtifactReference {
    let layer = walk.layer
    let results = LayerResults(self, layer: layer)
    let cutter = RunCutter(sites: sites, runs: runs.map(\.tokens)) { run, signals in
      try analyse(run: run, signals, into: results)
    }
    try walk.step(
      sites: Set(sites),
      tap: { tap in
        if let place = firstNonFinite(tap.values) {
          let token = tap.rows.lowerBound + place
          let run = runs.firstIndex { $0.tokens.contains(token) }
          throw Diagnostic(
            "\(tap.site.rawValue) of layer \(layer)\(run.map { ", run \($0)," } ?? "") is not finite at token \(token)",
            argument: "activations")
        }
        try cutter.add(tap)
      }, pulse: { _ in try progress(layer, run: results.runs.count) })
    return try publish(results)
  }

  private func publish(_ results: LayerResults) throws -> ArtifactReference {
    let reference = try context.child(LayerNetworks.self, part: "layer", parameters: parameters(results.layer)) {
      LayerNetworks(
        layer: results.layer, sites: sites.map(\.rawValue), neurons: results.neurons, runs: results.runs,
        maps: results.maps, courses: results.courses)
    }
    for run in runs.indices { context.discardCheckpoint("layer-\(results.layer)-run-\(run)") }
    return reference
  }

  // MARK: One run

  private func analyse(run index: Int, _ signals: [Matrix<Float>], into results: LayerResults) throws {
    let name = "layer-\(results.layer)-run-\(index)"
    if let saved = try context.checkpoint(named: name) {
      try results.restore(index, from: saved)
      let isLast = try context.checkpoint(named: "layer-\(results.layer)-run-\(index + 1)") == nil
      if isLast { context.resumed(at: index + 1, of: runs.count, "run") }
      return
    }
    try progress(results.layer, run: index)
    do {
      try search(index, signals, results)
    } catch let problem as NetworkError {
      throw Diagnostic("layer \(results.layer), run \(index): \(problem)", argument: "activations")
    }
    // The last run's results are about to be published with the layer.
    if index + 1 < runs.count { try context.checkpoint(name) { try results.save(index, to: $0) } }
  }

  private func search(_ index: Int, _ signals: [Matrix<Float>], _ results: LayerResults) throws {
    let run = runs[index]
    let pulse = { try progress(results.layer, run: index) }
    let scaled = try ScaledSignals(signals, scale: op.scale.signalScale, subjects: run.subjects)
    let subspace =
      op.reduce == .concat
      ? try sharedSubspace(scaled, components: op.components, progress: pulse)
      : try canonicalSubspace(
        scaled, subjects: run.subjects, subjectComponents: op.subjectComponents ?? op.components,
        components: op.components, progress: pulse)
    let whitened = try Ops.whitened(subspace.B)
    let found =
      op.ica == .none
      ? Unmixing(W: .identity(op.components), iterations: 0, change: 0, hasConverged: true, restart: 0, reseeds: 0)
      : try unmixing(
        whitened, contrast: op.contrast, order: op.algorithm, restarts: op.restarts, seed: op.seed,
        name: "canica layer \(results.layer) run \(index)", tolerance: op.tolerance,
        maximumIterations: op.iterations, progress: pulse)
    let networks = functionalNetworks(whitened, W: found.W, signals: scaled)
    try results.add(index, networks, found, signals: scaled, key: op.key)
  }
}

/// The signals of one run, put together from the batches of a walk.
final class RunCutter {
  private let sites: [Site]
  private let runs: [Range<Int>]
  private let complete: (Int, [Matrix<Float>]) throws -> Void
  /// What the sites before the last showed of the current batch.
  private var batch: [Matrix<Float>] = []
  private var run = 0
  private var signals: [Matrix<Float>] = []

  /// - Parameters:
  ///   - sites: in the order in which a block reaches them.
  ///   - runs: rows of each run, rising.
  ///   - complete: gets each run when its last row has come; tokens × features for each site.
  init(sites: [Site], runs: [Range<Int>], complete: @escaping (Int, [Matrix<Float>]) throws -> Void) {
    self.sites = sites
    self.runs = runs
    self.complete = complete
  }

  func add(_ tap: Tap) throws {
    guard tap.site == sites.last else { return batch.append(tap.values.copy()) }
    let shown = batch + [tap.values]
    batch = []
    while run < runs.count, runs[run].lowerBound < tap.rows.upperBound {
      let wanted = runs[run]
      if signals.isEmpty { signals = shown.map { Matrix(rows: wanted.count, columns: $0.columns) } }
      let rows = wanted.clamped(to: tap.rows)
      let (from, to) = (tap.rows.lowerBound, wanted.lowerBound)
      for (target, source) in zip(signals, shown) {
        target.rows((rows.lowerBound - to)..<(rows.upperBound - to))
          .assign(source.rows((rows.lowerBound - from)..<(rows.upperBound - from)))
      }
      guard wanted.upperBound <= tap.rows.upperBound else { return }
      let finished = signals
      signals = []
      try complete(run, finished)
      run += 1
    }
  }
}
