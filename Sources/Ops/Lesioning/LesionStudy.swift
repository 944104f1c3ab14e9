import Glibc
import Kernel
import Numerics
import Transformer

/// A study of lesions at work: a look at the dense model, random sets, the lesions themselves, and tests.
struct LesionStudy {
  let op: Lesion
  let lesions: [NamedLesion]
  let context: any RunContext
  let targets: LesionTargets
  private var network: LanguageModel { op.model.network }

  init(_ op: Lesion, lesions: [NamedLesion], _ context: any RunContext) {
    self.op = op
    self.lesions = lesions
    self.context = context
    targets = LesionTargets(op.text, labels: op.labels, by: op.by)
  }

  /// One set of units that goes through the model, and what it is for.
  private struct Trial {
    var lesion: Int
    /// nil for the lesion itself; else which random set.
    var draw: Int?
    /// Share of the layer that is out (mode=grow).
    var share: Double?
    var set: LesionSet
  }

  func result() throws -> Lesions {
    let survey = try LesionSurvey(network, targets.sequences, layers: Set(lesions.flatMap(\.layers)), context)
    let means = op.with == .mean ? survey.means : nil
    let trials = op.mode == .grow ? growing(survey) : try matched(survey)
    let isExact = op.how == .exact
    let outcomes = isExact ? try exact(trials.map(\.set), survey, means) : []
    let needed = Int((Double(lesions.count * targets.kinds.count) / 0.05).rounded(.up))
    let isOfNeurons = lesions.allSatisfy { $0.members.pieces.allSatisfy { $0.module == .ffn } }
    if !isExact, !isOfNeurons {
      throw Diagnostic("how=estimate is for neurons, and these are of attention", argument: "how")
    }
    let isTested = op.mode != .grow && !targets.kinds.isEmpty && op.nulls > 0
    // Random sets that are too few for a share of them to be small enough stand for a normal distribution.
    let isCounted = op.nulls >= needed
    var estimate: LesionEstimate?
    if !isExact {
      estimate = try LesionEstimate(
        network, targets, layers: Set(lesions.flatMap(\.layers)).sorted(), means: means, context)
    }
    var result = Lesions(
      noun: op.of.noun, mode: op.mode.rawValue, with: op.with.rawValue, how: op.how.rawValue,
      described: op.$of.references.map(\.content), kinds: targets.kinds, cellKinds: targets.cells.kind,
      classNulls: !isTested ? "none" : !isExact ? "estimate" : isCounted ? "exact" : "student", rows: [], pairs: [],
      randomPairs: [])
    if op.mode == .grow {
      result.rows = grown(trials, outcomes, estimate)
      return result
    }
    result.rows = try tested(trials, outcomes, estimate)
    if isTested {
      if isExact {
        try classTests(&result.rows, trials, outcomes, isCounted: isCounted)
        if !isCounted {
          context.warn(
            "\(lesions.count * targets.kinds.count) cells need \(needed) random sets to be counted, more than nulls=\(op.nulls): p of classes is Student's, with the mean and deviation of the random sets"
          )
        }
      } else {
        try classTests(
          &result.rows, estimate, survey, draws: min(max(needed, op.nulls), LesionStudy.mostDraws))
      }
      if isExact, targets.hasPassages {
        result.pairs = try dissociations(trials, outcomes, draw: nil)
        result.randomPairs = try dissociations(trials, outcomes, draw: 0)
        if result.pairs.isEmpty, lesions.count > 1 {
          context.warn("double dissociations need 16 passages of every class; some have fewer")
        }
      }
    }
    return result
  }

  /// Estimated random sets of one lesion, at most.
  private static let mostDraws = 9999

  // MARK: Sets

  /// Random sets in the place of lesions.
  private func random(_ survey: LesionSurvey) -> RandomLesions {
    RandomLesions(
      network: network, pools: survey.pools, isKept: op.mode == .only, match: op.match, seed: op.seed, noun: op.of.noun)
  }

  private func matched(_ survey: LesionSurvey) throws -> [Trial] {
    let random = random(survey)
    return try lesions.enumerated().flatMap { index, lesion -> [Trial] in
      try context.checkCancelled()
      return [Trial(lesion: index, set: lesion.members)]
        + (try (0..<op.nulls).map { Trial(lesion: index, draw: $0, set: try random.set(like: lesion, $0)) })
    }
  }

  /// Shares of a layer that `grow` takes out.
  private static let steps = (1...20).map { Double($0) / 20 }

  private func growing(_ survey: LesionSurvey) -> [Trial] {
    lesions.enumerated().flatMap { index, lesion in
      let orders =
        [(nil as Int?, lesion.order)]
        + (0..<min(op.nulls, 3)).map { draw in
          var stream = RandomLesions.stream(op.seed, lesion, draw)
          var order = lesion.order
          stream.shuffle(&order)
          return (draw, order)
        }
      return orders.flatMap { draw, order in
        LesionStudy.steps.map { share in
          let count = Int((share * Double(order.count)).rounded(.up))
          return Trial(lesion: index, draw: draw, share: share, set: LesionSet(Array(order.prefix(count))))
        }
      }
    }
  }

  // MARK: Through the model

  /// What every set changes, exactly. Sets whose states fit into memory together go through the model together.
  private func exact(
    _ sets: [LesionSet], _ survey: LesionSurvey, _ means: [PerModule<[Double]>]?
  ) throws -> [LesionOutcome] {
    let cellCount = targets.cells.kind.count
    var outcomes = sets.map { _ in LesionOutcome(cells: Array(repeating: 0, count: cellCount)) }
    let cells = Dictionary(
      uniqueKeysWithValues: try Set(sets.compactMap { $0.pieces.first?.layer }).map {
        ($0, try targets.cell(layer: $0))
      })
    let longest = targets.sequences.longest
    let chunks = Parallel.ranges(targets.windows, of: max(1, WindowProtocol.chunkTokens / max(1, longest)))
    // Late layers first: their lesions cross the fewest blocks.
    let order = sets.indices.sorted {
      (-(sets[$0].pieces.first?.layer ?? 0), $0) < (-(sets[$1].pieces.first?.layer ?? 0), $1)
    }
    let chunkTokens = chunks.map { targets.sequences.offsets[$0.upperBound] - targets.sequences.offsets[$0.lowerBound] }
    let stateBytes = 4 * network.configuration.hiddenSize * max(1, chunkTokens.max() ?? 1)
    let perGroup = max(1, min(256, context.memoryLimit / 2 / stateBytes - 2))
    let groups = Parallel.ranges(order.count, of: perGroup).map { Array(order[$0]) }
    let total = chunks.count * sets.count
    var done = 0
    for (c, chunk) in chunks.enumerated() {
      let part = targets.sequences[chunk]
      let base = targets.sequences.offsets[chunk.lowerBound]
      let share = Double(chunkTokens[c]) / Double(max(1, targets.sequences.tokens.count))
      for (g, group) in groups.enumerated() {
        let name = "lesions-\(c)-\(g)-\(group.count)"
        if let saved = try context.checkpoint(named: name) {
          try restore(group, from: saved, &outcomes)
          done += group.count
          context.resumed(at: done, of: total, "lesion")
          continue
        }
        let walk = LesionWalk(network: network, means: means, context: context)
        try walk.run(
          group.map { sets[$0] }, on: part,
          energies: { place, energy in outcomes[group[place]].energy += share * energy },
          pulse: { try context.progress(done, of: total, "lesion") },
          finish: { place, states in
            let index = group[place]
            let losses = try network.losses(states: states, part, pulse: { try context.checkCancelled() })
            if let bad = losses.firstIndex(where: { !$0.isFinite }) {
              throw Diagnostic("a lesion leaves a loss that is no number at token \(base + bad)", argument: "model")
            }
            let cell = cells[sets[index].pieces[0].layer] ?? []
            for (t, loss) in losses.enumerated() {
              let change = loss - survey.losses[base + t]
              outcomes[index].total += change
              if cell[base + t] >= 0 { outcomes[index].cells[Int(cell[base + t])] += change }
            }
            done += 1
            try context.progress(done, of: total, "lesion")
          })
        try context.checkpoint(name) { try save(group.map { outcomes[$0] }, to: $0) }
      }
    }
    return outcomes
  }

  /// What is known of some lesions after this and the earlier stretches of the text.
  private func save(_ now: [LesionOutcome], to writer: any ArtifactWriter) throws {
    try writer.vector("total", now.map(\.total), axis: "lesion")
    try writer.vector("energy", now.map(\.energy), axis: "lesion")
    try writer.array(
      "cells", now.flatMap(\.cells), shape: [now.count, now.first?.cells.count ?? 0], axes: ["lesion", "cell"])
  }

  private func restore(_ group: [Int], from reader: any ArtifactReader, _ outcomes: inout [LesionOutcome]) throws {
    let (total, energy) = (try reader.array("total", as: Double.self), try reader.array("energy", as: Double.self))
    let cells = try reader.array("cells", as: Double.self)
    let width = cells.count / max(1, group.count)
    for (place, index) in group.enumerated() {
      outcomes[index] = LesionOutcome(
        total: total[place], cells: Array(cells[(place * width)..<((place + 1) * width)]), energy: energy[place])
    }
  }

  // MARK: Tests

  private func counts(_ lesion: NamedLesion) throws -> [Double] {
    var counts = [Double](repeating: 0, count: targets.cells.kind.count)
    for cell in try targets.cell(layer: lesion.members.pieces[0].layer) where cell >= 0 { counts[Int(cell)] += 1 }
    return counts
  }

  private func tested(_ trials: [Trial], _ outcomes: [LesionOutcome], _ estimate: LesionEstimate?) throws
    -> [Lesions.Row]
  {
    let n = Double(max(1, targets.targets))
    let cells = targets.cells
    var rows = try lesions.indices.map { index -> Lesions.Row in
      let lesion = lesions[index]
      var row = Lesions.Row(layers: lesion.layers, name: lesion.name, units: lesion.members.units)
      let own = trials.indices.filter { trials[$0].lesion == index }
      let counts = try counts(lesion)
      row.counts = counts
      let estimates = own.map { estimate?.change(trials[$0].set) }
      row.estimate = estimates.first.flatMap { $0?.total } ?? .nan
      if outcomes.isEmpty {
        row.change = row.estimate
        row.byKind = estimates.first.flatMap { $0?.byKind } ?? []
        row.null = estimates.dropFirst().map { $0?.total ?? .nan }
        row.sums = Array(repeating: 0, count: cells.kind.count)
      } else {
        let observed = outcomes[own[0]]
        row.change = observed.total / n
        row.sums = observed.cells
        row.byKind = cells.byKind(observed.cells, counts)
        row.energy = observed.energy
        row.null = own.dropFirst().map { outcomes[$0].total / n }
        row.nullEnergy = own.dropFirst().map { outcomes[$0].energy }
        row.nullByKind = own.dropFirst().map { cells.byKind(outcomes[$0].cells, counts) }
      }
      let known = row.byKind.filter { !$0.isNaN }
      row.specificity = row.byKind.map { $0 - mean(known) }
      if row.null.count > 1 { row.z = standing(row.change, row.null) }
      if !row.null.isEmpty { row.p = exceedance(row.change, row.null) }
      return row
    }
    let corrected = holm(rows.map { $0.p.isNaN ? 1 : $0.p })
    for index in rows.indices where !rows[index].p.isNaN { rows[index].holm = corrected[index] }
    adjustForEnergy(&rows)
    return rows
  }

  /// z of what is left when the line of the change on log energy, over the random sets of the layer, is taken off.
  private func adjustForEnergy(_ rows: inout [Lesions.Row]) {
    for layers in rows.map(\.layers).uniqued {
      let own = rows.indices.filter { rows[$0].layers == layers && !rows[$0].nullEnergy.isEmpty }
      let (x, y) = (own.flatMap { rows[$0].nullEnergy.map(logEnergy) }, own.flatMap { rows[$0].null })
      guard x.count > 2 else { continue }
      let line = Line(x, y)
      for index in own {
        let null = zip(rows[index].nullEnergy, rows[index].null).map { line.residual(logEnergy($0), $1) }
        rows[index].energyShare = line.r2
        if null.count > 1 {
          rows[index].adjusted = standing(line.residual(logEnergy(rows[index].energy), rows[index].change), null)
        }
      }
    }
  }

  private func logEnergy(_ energy: Double) -> Double { log(max(energy, .leastNormalMagnitude)) }

  /// Specificity against exact random sets.
  private func classTests(
    _ rows: inout [Lesions.Row], _ trials: [Trial], _ outcomes: [LesionOutcome], isCounted: Bool
  ) throws {
    let cells = targets.cells
    for index in rows.indices {
      let own = trials.indices.filter { trials[$0].lesion == index }.dropFirst()
      let null = own.map { cells.specificity(outcomes[$0].cells, rows[index].counts) }
      rows[index].kindZ = targets.kinds.indices.map { c in standing(rows[index].specificity[c], null.map { $0[c] }) }
      rows[index].kindP = targets.kinds.indices.map { c in
        let (observed, random) = (rows[index].specificity[c], null.map { $0[c] })
        return isCounted ? exceedanceTwoSided(observed, random) : studentTwoSided(observed, random)
      }
    }
    correctClasses(&rows)
  }

  /// Specificity by estimates, of the lesion as of random sets: like is compared with like.
  private func classTests(
    _ rows: inout [Lesions.Row], _ estimate: LesionEstimate?, _ survey: LesionSurvey, draws: Int
  ) throws {
    guard let estimate else { return }
    @Sendable func specificity(_ set: LesionSet) -> [Double] {
      let change = estimate.change(set).byKind
      let center = mean(change.filter { !$0.isNaN })
      return change.map { $0 - center }
    }
    let kinds = targets.kinds.count
    let random = random(survey)
    for index in rows.indices {
      try context.progress(index, of: rows.count, "lesion")
      let observed = specificity(lesions[index].members)
      // Random sets of the exact study are the first ones.
      let lesion = lesions[index]
      let blocks = Parallel.ranges(draws, of: 128)
      let null = try Parallel.map(blocks.count) { block in
        try blocks[block].map { specificity(try random.set(like: lesion, $0)) }
      }.flatMap { $0 }
      rows[index].kindZ = (0..<kinds).map { c in standing(observed[c], null.map { $0[c] }) }
      rows[index].kindP = (0..<kinds).map { c in exceedanceTwoSided(observed[c], null.map { $0[c] }) }
    }
    correctClasses(&rows)
  }

  private func correctClasses(_ rows: inout [Lesions.Row]) {
    let q = benjaminiHochberg(rows.flatMap(\.kindP).map { $0.isNaN ? 1 : $0 })
    let width = targets.kinds.count
    for index in rows.indices { rows[index].kindQ = Array(q[(index * width)..<((index + 1) * width)]) }
  }

  /// Pairs of lesions of the same layers.
  /// - Parameter draw: nil for the lesions themselves, else one random set of each.
  private func dissociations(_ trials: [Trial], _ outcomes: [LesionOutcome], draw: Int?) throws -> [Lesions.Pair] {
    let cells = targets.cells
    let places = lesions.indices.compactMap { index in
      trials.firstIndex { $0.lesion == index && $0.draw == draw }
    }
    guard places.count == lesions.count else { return [] }
    var pairs: [Lesions.Pair] = []
    for i in lesions.indices {
      let counts = try counts(lesions[i])
      for j in lesions.indices where j > i && lesions[i].layers == lesions[j].layers {
        try context.checkCancelled()
        var stream = RandomStream(seed: op.seed, name: "lesion pair \(i) \(j) \(draw.map(String.init) ?? "")")
        guard
          let found = doubleDissociation(
            cells, (outcomes[places[i]].cells, outcomes[places[j]].cells), counts: counts, using: &stream)
        else { return [] }
        pairs.append(Lesions.Pair(first: i, second: j, found: found, q: 1))
      }
    }
    for (index, q) in benjaminiHochberg(pairs.map(\.found.p)).enumerated() { pairs[index].q = q }
    return pairs
  }

  // MARK: Growing lesions

  private func grown(_ trials: [Trial], _ outcomes: [LesionOutcome], _ estimate: LesionEstimate?) -> [Lesions.Row] {
    let n = Double(max(1, targets.targets))
    func change(_ place: Int) -> Double {
      outcomes.isEmpty ? estimate?.change(trials[place].set).total ?? .nan : outcomes[place].total / n
    }
    return trials.indices.filter { trials[$0].draw == nil }.map { place in
      let trial = trials[place]
      let lesion = lesions[trial.lesion]
      var row = Lesions.Row(layers: lesion.layers, name: lesion.name, units: trial.set.units)
      row.share = trial.share ?? .nan
      row.change = change(place)
      row.null = trials.indices.filter {
        trials[$0].lesion == trial.lesion && trials[$0].share == trial.share && trials[$0].draw != nil
      }.map(change)
      return row
    }
  }
}

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
    let walk = try Walk(network, sequences, spillAbove: context.memoryLimit / 2, in: context.scratch)
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
        let norms = Matrix<Double>(block.outputWeight(module)).columnMoments.sumOfSquares
        let squares = zip(own.sumOfSquares, norms).map { $0 / Double(max(1, own.count)) * $1 }
        let width = configuration.featuresPerUnit(module.output.columns)
        let energy = Parallel.ranges(squares.count, of: width).map { squares[$0].reduce(0, +) }
        pools[layer][module] = UnitPool(energy: energy, available: network.keptUnits(module, layer: layer))
        means[layer][module] = own.mean
      }
    }
    losses = try network.losses(states: walk.states, sequences, pulse: { try context.checkCancelled() })
  }
}
