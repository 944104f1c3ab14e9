import Kernel
import Numerics

/// Says in rules when sets are active, how well the rules hold elsewhere, and where the sets are most active.
struct SetReader {
  let text: DescribedText
  /// Places shown of the strongest, and of each quarter of the rest.
  let contexts: Int
  let seed: Int
  let context: any RunContext
  private let reader: CourseReader

  /// Turned texts that tell how counts vary when events come in runs.
  private static let shifts = 50

  /// - Parameters:
  ///   - events: share of the tokens that are events.
  ///   - rules: most conditions of a description.
  init(_ text: DescribedText, events: Double, rules: Int, contexts: Int, seed: Int, _ context: any RunContext) {
    self.text = text
    self.contexts = contexts
    self.seed = seed
    self.context = context
    var stream = RandomStream(seed: seed, name: "describe shifts")
    reader = CourseReader(
      text.facts, text.halves, share: events, rules: rules,
      shifts: text.halves.shifts(SetReader.shifts, using: &stream))
  }

  /// - Parameters:
  ///   - layers: of the sets.
  ///   - place: of the layers among those that are described, by which places are drawn.
  func description(of layers: [Int], at place: Int, _ activity: Activity) throws -> LayerDescription {
    let sets = try activity.sets.indices.map { i in
      try context.checkCancelled()
      return try described(
        activity.sets[i], [activity.courses[i]] + activity.random.map { $0[i] }, isLabel: activity.isLabel, at: place)
    }
    return LayerDescription(
      layers: layers, sets: sets, facts: text.facts.map(\.fact.rawValue),
      kinds: text.facts.first { $0.fact == .kind }?.names ?? [], signals: activity.signals,
      courses: Matrix<Float>(Matrix<Double>(activity.courses)), fitTokens: text.halves.fit.count,
      starts: text.sequences.offsets, information: activity.information)
  }

  /// - Parameter courses: of the set, and of random ones in its place.
  private func described(_ set: SetDescription, _ courses: [[Double]], isLabel: Bool, at place: Int) throws
    -> SetDescription
  {
    let found = try Parallel.map(courses.count) { [reader] index in
      reader.description(
        of: courses[index], threshold: isLabel ? 0.5 : reader.threshold(of: courses[index]))
    }
    let (own, random) = (found[0], found.dropFirst())
    var set = set
    set.threshold = own.threshold
    set.rules = own.rules.map { rule in
      let fact = text.facts[rule.fact]
      return SetDescription.Rule(fact: fact.fact.rawValue, value: fact.names[Int(rule.level)], weight: rule.weight)
    }
    set.enriched = own.enriched.map { level, q in
      let fact = text.facts[level.fact]
      return SetDescription.Enriched(
        fact: fact.fact.rawValue, value: fact.names[level.level], delta: level.delta, z: level.z, q: q,
        inside: level.inside, all: level.all)
    }
    set.kindOdds = own.kindOdds
    set.auroc = own.auroc
    set.turned = reader.turnedAUROC(of: own.rules, courses[0], threshold: own.threshold)
    set.ceilingAUROC = own.ceiling.auroc
    set.r2 = own.ceiling.r2
    set.correlation = own.ceiling.correlation
    set.factShares = own.factShares
    set.nullAUROC = random.map(\.auroc)
    set.nullCeiling = random.map(\.ceiling.auroc)
    set.nullR2 = random.map(\.ceiling.r2)
    set.nullFactShares = random.map(\.factShares)
    set.contexts = places(courses[0], own.threshold, "\(place) \(set.name)")
    return set
  }

  /// The strongest events, one of a window, and samples from each quarter of the rest, strongest quarter first: tops alone
  /// mislead.
  private func places(_ course: [Double], _ threshold: Double, _ name: String) -> [SetDescription.Context] {
    let order = argsort(Array(course[text.halves.fit]), descending: true)
    let events = order.prefix { course[$0] > threshold }
    let rest = Array(order.dropFirst(events.count))
    var stream = RandomStream(seed: seed, name: "describe places of \(name)")
    let quarters = (0..<4).map { quarter -> [Int] in
      var rows = Array(rest[(quarter * rest.count / 4)..<((quarter + 1) * rest.count / 4)])
      stream.shuffle(&rows)
      return rows
    }
    return ([Array(events)] + quarters).enumerated().flatMap { quarter, rows in
      onePerWindow(rows).map { row in
        let (before, token, after) = text.snippet(row)
        let bytes = text.spans?[row]
        return SetDescription.Context(
          quarter: quarter, course: course[row], token: text.origin[row].token, start: bytes?.lowerBound ?? -1,
          end: bytes?.upperBound ?? -1, before: before, text: token, after: after)
      }
    }
  }

  private func onePerWindow(_ rows: [Int]) -> [Int] {
    var chosen: [Int] = []
    var seen: Set<Int> = []
    for row in rows where chosen.count < contexts {
      let window = text.halves.windows.firstIndex { $0.contains(row) } ?? 0
      if seen.insert(window).inserted { chosen.append(row) }
    }
    return chosen
  }
}
