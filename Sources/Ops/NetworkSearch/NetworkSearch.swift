import Kernel
import Numerics
import Transformer

/// One search for networks at work. The model is walked layer by layer and batches are cut into runs as they come; the
/// signals of a run are analysed and forgotten when they are complete. Layers that are analysed together need their
/// signals at the same time: then the model is walked once per run, and only signals still needed are held.
struct NetworkSearch {
  let activations: Activations
  let model: Model
  let corpus: Corpus
  let module: Module
  let sites: [Site]
  let runs: [TokenRun]
  /// The layers of each analysis.
  let parts: [[Int]]
  /// Whether each layer is analysed by itself, so that one walk serves all.
  let isLayerwise: Bool
  let finder: any NetworkFinder
  /// What tells these networks from those of other calls, but for the layers of a part.
  let recorded: [String: JSONValue]
  let context: any RunContext

  /// The signals of one neuron or unit.
  var signalNames: [String] {
    switch module {
    case .attention: (0..<model.configuration.queriesPerUnit).map { "\(Site.attentionHeads.rawValue):\($0)" }
    case .ffn: sites.map(\.rawValue)
    }
  }

  /// The networks of every part, found before or now.
  func found() throws -> [ArtifactReference] {
    var found = try parts.map { try context.existingChild(part: "layers", parameters: parameters($0)) }
    let missing = parts.indices.filter { found[$0] == nil }
    if sites.allSatisfy({ activations.kept(of: $0).contains(.values) }) {
      for part in missing { found[part] = try publishedFromValues(part) }
    } else if isLayerwise {
      let walk = ResumableWalk(network: model.network, sequences: corpus.sequences, context: context)
      let wanted = missing.map { parts[$0][0] }
      try walk.visit(wanted, of: activations.layers, pulse: { _ in try context.checkCancelled() }) { walk in
        guard let part = parts.firstIndex(of: [walk.layer]) else { return }
        found[part] = try publishedLayer(part, walk)
      }
    } else {
      for (part, reference) in try publishedTogether(missing) { found[part] = reference }
    }
    return found.compactMap { $0 }
  }

  /// What the networks of some layers depend on: all that was asked for, and which layers are analysed
  /// together.
  private func parameters(_ layers: [Int]) -> [String: JSONValue] {
    var parameters = recorded
    parameters["layers"] = .array(layers.map(JSONValue.integer))
    return parameters
  }

  /// Bytes at the peak beside a walk: a run's signals, and those of a batch that wait for its last site; and what is made of
  /// them, first the products of the run's tokens or of its signals with their eigenvectors, then the maps as they are found,
  /// on one scale and in order.
  ///
  /// - Parameters:
  ///   - run: tokens of the longest run, and of a batch.
  ///   - signals: of a part, and how many a unit has.
  ///   - heads: features of the heads that are read for them; 0 for neurons.
  ///   - directions: that are kept of them.
  ///   - between: bytes of what happens in these directions.
  static func bytes(
    run: (tokens: Int, batch: Int), signals: Int, perUnit: Int, heads: Int, directions: Int, components: Int,
    between: Int = 0
  ) -> Int {
    let side = min(run.tokens, signals)
    let basis = 8 * directions * signals
    let waiting = heads > 0 ? run.tokens * heads : run.batch * signals * (perUnit - 1) / max(1, perUnit)
    let tiles = 4 * 2 * run.tokens * min(1024, signals)
    return 4 * (run.tokens * signals + waiting) + tiles
      + max(
        8 * side * side + leadingEigenBytes(side, directions), 2 * basis,
        basis + max(between, 5 * 8 * components * signals))
  }

  // MARK: Signals

  private func publishedFromValues(_ part: Int) throws -> ArtifactReference {
    let values = try parts[part].map { layer in
      try sites.map { try activations.part($0, layer: layer).kept(\.values, .values).load() }
    }
    let results = LayerResults(self, layers: parts[part])
    for (index, run) in runs.enumerated() {
      try analyse(run: index, into: results, done: part * runs.count + index) {
        try values.map { try pieceSignals($0.map { $0.rows(run.tokens) }, run) }
      }
    }
    return try publish(results)
  }

  private func publishedLayer(_ part: Int, _ walk: Walk) throws -> ArtifactReference {
    let results = LayerResults(self, layers: parts[part])
    try look(walk, runs) { run, signals in
      try analyse(run: run, into: results, done: part * runs.count + run) { [try pieceSignals(signals, runs[run])] }
    }
    return try publish(results)
  }

  private func publishedTogether(_ missing: [Int]) throws -> [(Int, ArtifactReference)] {
    let results = missing.map { LayerResults(self, layers: parts[$0]) }
    for (index, run) in runs.enumerated() {
      let done = index * results.count
      if try results.allSatisfy({ try context.checkpoint(named: checkpointName($0, index)) != nil }) {
        for result in results { try analyse(run: index, into: result, done: done) { [] } }
        continue
      }
      let walk = try Walk(
        model.network, corpus.sequences[run.sequences], in: context.scratch, ranks: context.ranks)
      try walk.embed()
      let own = TokenRun(tokens: 0..<run.tokens.count, subjects: run.subjects, sequences: 0..<run.sequences.count)
      var held: [Int: [Matrix<Float>]] = [:]
      while let last = results.last?.layers.last, walk.layer <= last {
        let layer = walk.layer
        guard results.contains(where: { $0.layers.contains(layer) }) else {
          try walk.step(pulse: { _ in try context.checkCancelled() })
          continue
        }
        try look(walk, [own]) { _, signals in held[layer] = try pieceSignals(signals, run) }
        for (place, result) in results.enumerated() where result.layers.last == layer {
          try analyse(run: index, into: result, done: done + place) { result.layers.compactMap { held[$0] } }
        }
        held = held.filter { entry in
          results.contains { ($0.layers.last ?? 0) > layer && $0.layers.contains(entry.key) }
        }
      }
    }
    return try zip(missing, results).map { ($0, try publish($1)) }
  }

  /// Moves the walk on by a layer and hands over the signals of each run when they are complete, tokens × features for
  /// each site.
  private func look(_ walk: Walk, _ runs: [TokenRun], _ complete: @escaping (Int, [Matrix<Float>]) throws -> Void)
    throws
  {
    let layer = walk.layer
    let cutter = RunCutter(sites: sites, runs: runs.map(\.tokens), complete: complete)
    try walk.step(
      sites: Set(sites),
      tap: { tap in
        if let place = firstNonFinite(tap.values) {
          let token = tap.rows.lowerBound + place
          let run = runs.count > 1 ? runs.firstIndex { $0.tokens.contains(token) } : nil
          throw Diagnostic(
            "\(tap.site.rawValue) of layer \(layer)\(run.map { ", run \($0)," } ?? "") is not finite at token \(token)",
            argument: "activations")
        }
        try cutter.add(tap)
      }, pulse: { _ in try context.checkCancelled() })
  }

  /// The signals of neurons as they are; those of heads put together from their features.
  private func pieceSignals(_ signals: [Matrix<Float>], _ run: TokenRun) throws -> [Matrix<Float>] {
    guard module == .attention, let heads = signals.first else { return signals }
    return try headSignals(
      heads, perUnit: model.configuration.queriesPerUnit, size: model.configuration.headSize,
      scale: finder.scale, subjects: run.subjects)
  }

  private func publish(_ results: LayerResults) throws -> ArtifactReference {
    let reference = try context.child(
      LayerNetworks.self, part: "layers", parameters: parameters(results.layers)
    ) { results.networks }
    for run in runs.indices { context.discardCheckpoint(checkpointName(results, run)) }
    return reference
  }

  // MARK: One run

  private func checkpointName(_ results: LayerResults, _ run: Int) -> String {
    "layers-\(results.layers.map(String.init).joined(separator: "-"))-run-\(run)"
  }

  /// - Parameters:
  ///   - done: runs of parts analysed before.
  ///   - signals: for each layer its signals, tokens × units; asked for when the run was not analysed before.
  private func analyse(
    run index: Int, into results: LayerResults, done: Int, _ signals: () throws -> [[Matrix<Float>]]
  ) throws {
    let name = checkpointName(results, index)
    if let saved = try context.checkpoint(named: name) {
      try results.restore(index, from: saved)
      let isLast = try context.checkpoint(named: checkpointName(results, index + 1)) == nil
      if isLast { context.resumed(at: index + 1, of: runs.count, "run") }
      return
    }
    let pulse = { try context.progress(done, of: parts.count * runs.count, "run") }
    try pulse()
    try at("\(LayerNetworks.title(results.layers)), run \(index)") {
      // Signal by signal, and in each layer by layer.
      let layers = try signals()
      let columns = (layers.first?.indices ?? 0..<0).flatMap { signal in layers.map { $0[signal] } }
      try search(index, columns, results, pulse)
    }
    // The last run's results are about to be published with the part.
    if index + 1 < runs.count || !isLayerwise {
      try context.checkpoint(name) { try results.save(index, to: $0) }
    }
  }

  private func search(
    _ index: Int, _ signals: [Matrix<Float>], _ results: LayerResults, _ pulse: @escaping () throws -> Void
  ) throws {
    let found = try finder.networks(
      of: signals, subjects: runs[index].subjects,
      name: "\(finder.method) \(LayerNetworks.title(results.layers)) run \(index)", progress: pulse)
    results.add(index, found, key: finder.key)
  }
}
