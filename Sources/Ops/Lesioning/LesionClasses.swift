import Kernel
import Numerics
import Transformer

/// Whether lesions matter to some class of targets more than to the others: tests against random sets, and double
/// dissociations of two lesions.
struct LesionClasses {
  let lesions: [NamedLesion]
  let targets: LesionTargets
  let context: any RunContext

  /// Specificity against random sets that went through the model.
  ///
  /// - Parameters:
  ///   - random: of each lesion, what its random sets changed.
  ///   - isCounted: whether there are enough of them for a share to be small; else they stand for a normal distribution.
  func test(_ rows: inout [Lesions.Row], random: [[LesionOutcome]], isCounted: Bool) {
    for index in rows.indices {
      let null = random[index].map { targets.cells.specificity($0.cells, rows[index].counts) }
      judge(&rows[index], rows[index].specificity, null, by: isCounted ? exceedanceTwoSided : studentTwoSided)
    }
    correct(&rows)
  }

  /// Specificity by estimates, of the lesion as of random sets: like is compared with like.
  func test(_ rows: inout [Lesions.Row], _ estimate: LesionEstimate, random: RandomLesions, draws: Int) throws {
    @Sendable func specificity(_ set: LesionSet) -> [Double] {
      let change = estimate.change(set).byKind
      let center = mean(change.filter { !$0.isNaN })
      return change.map { $0 - center }
    }
    for index in rows.indices {
      try context.progress(index, of: rows.count, "lesion")
      let lesion = lesions[index]
      let blocks = Parallel.ranges(draws, of: 128)
      let null = try Parallel.map(blocks.count) { block in
        try blocks[block].map { specificity(try random.set(like: lesion, $0)) }
      }.flatMap { $0 }
      judge(&rows[index], specificity(lesion.members), null, by: exceedanceTwoSided)
    }
    correct(&rows)
  }

  private func judge(
    _ row: inout Lesions.Row, _ observed: [Double], _ null: [[Double]], by p: (Double, [Double]) -> Double
  ) {
    row.kindZ = targets.kinds.indices.map { c in standing(observed[c], null.map { $0[c] }) }
    row.kindP = targets.kinds.indices.map { c in p(observed[c], null.map { $0[c] }) }
  }

  private func correct(_ rows: inout [Lesions.Row]) {
    let q = benjaminiHochberg(rows.flatMap(\.kindP).map { $0.isNaN ? 1 : $0 })
    let width = targets.kinds.count
    for index in rows.indices { rows[index].kindQ = Array(q[(index * width)..<((index + 1) * width)]) }
  }

  /// Pairs of lesions of the same layers; none where a class has too few passages.
  ///
  /// - Parameters:
  ///   - outcomes: of every lesion, or of one random set of each.
  ///   - draw: which random set; nil for the lesions themselves.
  func dissociations(_ outcomes: [LesionOutcome], draw: Int?, seed: Int) throws -> [Lesions.Pair] {
    guard outcomes.count == lesions.count else { return [] }
    var pairs: [Lesions.Pair] = []
    for i in lesions.indices {
      let counts = try targets.counts(lesions[i])
      for j in lesions.indices where j > i && lesions[i].layers == lesions[j].layers {
        try context.checkCancelled()
        var stream = RandomStream(seed: seed, name: "lesion pair \(i) \(j) \(draw.map(String.init) ?? "")")
        guard
          let found = doubleDissociation(
            targets.cells, (outcomes[i].cells, outcomes[j].cells), counts: counts, using: &stream)
        else { return [] }
        pairs.append(Lesions.Pair(first: i, second: j, found: found, q: 1))
      }
    }
    for (index, q) in benjaminiHochberg(pairs.map(\.found.p)).enumerated() { pairs[index].q = q }
    return pairs
  }
}
