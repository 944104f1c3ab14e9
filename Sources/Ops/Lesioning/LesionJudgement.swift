import Glibc
import Kernel
import Numerics
import Transformer

/// What lesions changed, each held against random sets in its place.
struct LesionJudgement {
  let lesions: [NamedLesion]
  let targets: LesionTargets
  /// Every lesion followed by its random sets.
  let trials: [LesionTrial]
  let changes: Changes

  /// What the trials changed.
  enum Changes {
    /// Through the model, of every trial.
    case exact([LesionOutcome])
    /// By its derivative.
    case estimated(LesionEstimate)
  }

  /// Of every lesion its change and that of random sets, in all, by energy, and by class.
  func rows() throws -> [Lesions.Row] {
    var rows = try lesions.indices.map { index -> Lesions.Row in
      let lesion = lesions[index]
      var row = Lesions.Row(layers: lesion.layers, name: lesion.name, units: lesion.members.units)
      row.counts = try targets.counts(lesion)
      let own = trials.indices.filter { trials[$0].lesion == index }
      switch changes {
      case .exact(let outcomes): fill(&row, own.map { outcomes[$0] })
      case .estimated(let estimate): fill(&row, own.map { estimate.change(trials[$0].set) })
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

  /// - Parameter outcomes: of the lesion, then of its random sets.
  private func fill(_ row: inout Lesions.Row, _ outcomes: [LesionOutcome]) {
    let (n, cells, counts) = (Double(max(1, targets.targets)), targets.cells, row.counts)
    let (observed, random) = (outcomes[0], outcomes.dropFirst())
    row.change = observed.total / n
    row.sums = observed.cells
    row.byKind = cells.byKind(observed.cells, counts)
    row.energy = observed.energy
    row.null = random.map { $0.total / n }
    row.nullEnergy = random.map(\.energy)
    row.nullByKind = random.map { cells.byKind($0.cells, counts) }
  }

  private func fill(_ row: inout Lesions.Row, _ estimates: [(total: Double, byKind: [Double])]) {
    row.estimate = estimates[0].total
    row.change = row.estimate
    row.byKind = estimates[0].byKind
    row.null = estimates.dropFirst().map(\.total)
    row.nullByKind = estimates.dropFirst().map(\.byKind)
    row.sums = Array(repeating: 0, count: targets.cells.kind.count)
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

  /// Every step of growing lesions, with as large a part of random orders.
  func grown() -> [Lesions.Row] {
    let n = Double(max(1, targets.targets))
    func change(_ place: Int) -> Double {
      switch changes {
      case .exact(let outcomes): outcomes[place].total / n
      case .estimated(let estimate): estimate.change(trials[place].set).total
      }
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

extension LesionTargets {
  /// Targets of each cell, for a lesion.
  func counts(_ lesion: NamedLesion) throws -> [Double] {
    var counts = [Double](repeating: 0, count: cells.kind.count)
    for cell in try cell(layer: lesion.members.pieces[0].layer) where cell >= 0 { counts[Int(cell)] += 1 }
    return counts
  }
}
