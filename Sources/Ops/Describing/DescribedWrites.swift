import Kernel
import Numerics
import Transformer

/// What described sets write into the residual stream at their events, which words that makes likelier, and how much of
/// what the model does without them that direct path tells.
///
///     v = W[:, S] (E[h_S | event] - E[h_S | else]),     u = r W_U (g ∘ v) less its mean over the vocabulary
///
/// with r the mean of 1/rms of the final stream over the events.
struct DescribedWrites {
  let network: LanguageModel
  let module: Module
  let text: DescribedText
  /// Random sets of as much energy.
  let draws: RandomDraws
  /// Events of a set at which it is taken out, at most.
  let checks: Int
  /// Share of the tokens that are events.
  let share: Double
  /// What a part depends on, but for its layers.
  let parameters: [String: JSONValue]
  let context: any RunContext

  /// A `descriptions.writes` object for every part.
  func found(_ parts: [LayerDescription]) throws -> [ArtifactReference] {
    var found = try parts.map { try context.existingChild(part: "writes", parameters: parameters(of: $0)) }
    let missing = parts.indices.filter { found[$0] == nil }
    guard !missing.isEmpty else { return found.compactMap { $0 } }
    let windows = checkedWindows
    let asked = missing.map { index in
      WritingPart(
        layers: parts[index].layers, module: module,
        sets: parts[index].sets.indices.map { writingSet(parts[index], $0, in: windows) })
    }
    let survey = try WritingSurvey(network, fitSequences, asked, context)
    let unembedding = try Unembedding(network)
    for (place, index) in missing.enumerated() {
      try context.progress(place, of: missing.count, "layer")
      found[index] = try context.child(LayerWrites.self, part: "writes", parameters: parameters(of: parts[index])) {
        try writes(asked[place], survey.layers[place], survey.states, unembedding, windows)
      }
    }
    return found.compactMap { $0 }
  }

  private func parameters(of part: LayerDescription) -> [String: JSONValue] {
    parameters.merging(["layers": .array(part.layers.map(JSONValue.integer))]) { $1 }
  }

  private var fitSequences: Sequences { text.sequences[0..<text.halves.fitWindows.count] }

  /// Windows, evenly spread over the described text, that hold about as many events as are to be checked.
  private var checkedWindows: [Int] {
    let windows = text.halves.fitWindows
    let length = max(1, text.halves.fit.count / max(1, windows.count))
    let wanted = min(windows.count, Int((Double(checks) / (share * Double(length))).rounded(.up)))
    return (0..<wanted).map { $0 * windows.count / wanted }
  }

  private func writingSet(_ part: LayerDescription, _ index: Int, in windows: [Int]) -> WritingSet {
    let set = part.sets[index]
    let isEvent = part.courses.row(index).prefix(part.fitTokens).map { Double($0) > set.threshold }
    let events = windows.flatMap { window in text.halves.fitWindows[window].filter { isEvent[$0] } }
    let count = min(checks, events.count)
    return WritingSet(
      members: LesionSet(
        zip(part.layers, set.keys).map { LesionSet.Piece(layer: $0, module: module, units: $1.map(Int.init)) }),
      isEvent: isEvent, checked: (0..<count).map { events[$0 * events.count / count] })
  }

  private func writes(
    _ part: WritingPart, _ layers: [WritingSurvey.Layer], _ states: Matrix<Float>, _ unembedding: Unembedding,
    _ windows: [Int]
  ) throws -> LayerWrites {
    let norm = unembedding.frozenNorm
    let outputs = try part.layers.map { ModuleOutput(try network.loadBlock($0), module).weight }
    let energies = part.layers.indices.map { place in
      network.energies(of: module, layers[place].moments, outputs[place])
    }
    let pools = zip(part.layers, energies).map { layer, energy in
      UnitPool(energy: energy, available: network.leftUnits(module, layer: layer))
    }
    let title = LayerNetworks.title(part.layers)
    let random = try part.sets.enumerated().map { i, set in
      try draws.map("writes \(title) \(i)") { self.random(set, part.layers, pools, using: &$0) }
    }
    /// What a set of units writes at the events of another, or its own.
    func direction(_ members: LesionSet, at index: Int) -> [Float] {
      let v = Matrix<Float>(rows: 1, columns: network.configuration.hiddenSize)
      for (place, layer) in part.layers.enumerated() {
        let columns = members.columns(module, layer: layer, network.configuration)
        let contrast = layers[place].contrast(index, events: part.sets[index].events)
        let own = Matrix(rows: 1, columns: columns.count, values: columns.map { Float(contrast[$0]) })
        v.add(own * outputs[place].gathering(columns: columns).T)
      }
      return v.values
    }
    let scales = norm.scales(of: states)
    var result: [SetWrites] = []
    var directions: [[Float]] = []
    for (i, set) in part.sets.enumerated() {
      try context.checkCancelled()
      let events = set.isEvent.indices.filter { set.isEvent[$0] }
      let own = direction(set.members, at: i)
      result.append(
        SetWrites(
          stream: own,
          energies: set.members.pieces.flatMap { piece in
            let place = part.layers.firstIndex(of: piece.layer) ?? 0
            return piece.units.map {
              SetWrites.UnitEnergy(layer: piece.layer, unit: $0, energy: energies[place][$0])
            }
          }))
      let r = Float(mean(events.map { scales[$0] }))
      directions += ([own] + random[i].map { $0.map { direction($0, at: i) } ?? own.map { _ in .nan } })
        .map { $0.map { $0 * r } }
    }
    let effects = try unembedding.logits(norm.applied(to: Matrix(directions)))
    for i in result.indices where part.sets[i].members.units > 0 {
      let first = i * (1 + draws.count)
      let u = centred(effects.row(first))
      result[i].logits = u.map(Float.init)
      result[i].largest = u.map(abs).max() ?? .nan
      result[i].null = (1...draws.count).map { draw in
        random[i][draw - 1] == nil ? .nan : centred(effects.row(first + draw)).map(abs).max() ?? .nan
      }
      result[i].words = words(u)
    }
    let fidelity = try fidelities(part, layers, outputs, states, scales, unembedding, windows)
    for i in result.indices {
      if result[i].logits.isEmpty {
        result[i].logits = Array(repeating: 0, count: effects.columns)
        result[i].null = Array(repeating: .nan, count: draws.count)
      }
      (result[i].fidelity, result[i].checked) = (fidelity[i], part.sets[i].checked.count)
    }
    return LayerWrites(layers: part.layers, sets: result)
  }

  /// As many other units of as much energy; nil where there are not so many.
  private func random(_ set: WritingSet, _ layers: [Int], _ pools: [UnitPool], using stream: inout RandomStream)
    -> LesionSet?
  {
    var pieces: [LesionSet.Piece] = []
    for piece in set.members.pieces {
      guard let place = layers.firstIndex(of: piece.layer),
        let units = pools[place].set(like: piece.units, .energy, using: &stream)
      else { return nil }
      pieces.append(LesionSet.Piece(layer: piece.layer, module: module, units: units))
    }
    return LesionSet(pieces)
  }

  private func centred(_ values: [Float]) -> [Double] {
    let values = values.map(Double.init)
    let center = mean(values)
    return values.map { $0 - center }
  }

  /// Words shown of each end.
  private static let shown = 10

  private func words(_ u: [Double]) -> [SetWrites.Word] {
    let order = argsort(u, descending: true).filter(text.isWord)
    let count = min(DescribedWrites.shown, order.count / 2)
    return (order.prefix(count) + order.suffix(count).reversed()).map { id in
      SetWrites.Word(token: id, text: text.spelled(Int32(id)), effect: u[id])
    }
  }

  /// Correlation over the vocabulary of the mean change of the logits at the checked events when a set is taken out, with
  /// what its direct path alone would change, the final norm's divisors kept.
  private func fidelities(
    _ part: WritingPart, _ layers: [WritingSurvey.Layer], _ outputs: [Matrix<Float>], _ states: Matrix<Float>,
    _ scales: [Double], _ unembedding: Unembedding, _ windows: [Int]
  ) throws -> [Double] {
    let tried = part.sets.indices.filter { !part.sets[$0].checked.isEmpty && part.sets[$0].members.units > 0 }
    var fidelity = [Double](repeating: .nan, count: part.sets.count)
    if tried.isEmpty { return fidelity }
    let changes = tried.map { i in
      let checked = part.sets[i].checked
      let sum = Matrix<Float>(rows: checked.count, columns: states.columns)
      for (place, layer) in part.layers.enumerated() {
        let columns = part.sets[i].members.columns(module, layer: layer, network.configuration)
        sum.add(layers[place].checked[i] * outputs[place].gathering(columns: columns).T)
      }
      sum.scaleRows(by: checked.map { Float(-scales[$0]) })
      return columnMeans(sum)
    }
    let direct = try unembedding.logits(unembedding.frozenNorm.applied(to: Matrix(changes)))
    let whole = try unembedding.logits(Matrix(lesioned(tried.map { part.sets[$0] }, states, unembedding, windows)))
    for (row, i) in tried.enumerated() {
      fidelity[i] = correlation(direct.row(row).map(Double.init), whole.row(row).map(Double.init))
    }
    return fidelity
  }

  /// What a set's absence changes of the normed final stream, on the average over its checked events.
  private func lesioned(
    _ sets: [WritingSet], _ states: Matrix<Float>, _ unembedding: Unembedding, _ windows: [Int]
  ) throws -> [[Float]] {
    let ranges = windows.map { text.halves.fitWindows[$0] }
    // Where each row of the described text stands among the rows of these windows.
    let places = Dictionary(uniqueKeysWithValues: ranges.joined().enumerated().map { ($1, $0) })
    let plan = LesionRounds(
      network: network, sets: sets.map(\.members),
      sequences: Sequences(ranges.map { Array(text.sequences.tokens[$0]) }), means: nil, context: context)
    let changes = sets.map { Matrix<Float>(rows: $0.checked.count, columns: states.columns) }
    let total = plan.passes
    var done = 0
    for round in plan.rounds {
      try plan.run(
        round, pulse: { try context.progress(done, of: total, "lesion") },
        finish: { index, found in
          let rows = sets[index].checked.indices.filter { place in
            let row = (places[sets[index].checked[place]] ?? 0) - round.base
            return found.rows > row && row >= 0
          }
          guard let first = rows.first, let last = rows.last else { return }
          let before = unembedding.normalized(states.gathering(rows: rows.map { sets[index].checked[$0] }))
          let after = unembedding.normalized(
            found.gathering(rows: rows.map { (places[sets[index].checked[$0]] ?? 0) - round.base }))
          changes[index].rows(first..<(last + 1)).assign(after - before)
          done += 1
          try context.progress(done, of: total, "lesion")
        })
    }
    return changes.map(columnMeans)
  }

  private func columnMeans(_ X: Matrix<Float>) -> [Float] { X.columnMoments.mean.map(Float.init) }
}
