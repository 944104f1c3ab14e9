import Kernel
import Numerics
import Transformer

/// Descriptions at work: a model is walked over both texts at once, and what is active in a layer is described when the
/// layer's signals, or those of the layers that belong together, have come.
struct DescribedLayers {
  let op: Describe
  let text: DescribedText
  let context: any RunContext
  private let reader: CourseReader
  private let parts: [[Int]]

  init(_ op: Describe, _ text: DescribedText, _ context: any RunContext) throws {
    self.op = op
    self.text = text
    self.context = context
    var stream = RandomStream(seed: op.seed, name: "describe shifts")
    reader = CourseReader(
      text.facts, text.halves, share: op.events.value, rules: op.rules,
      shifts: text.halves.shifts(DescribedLayers.shifts, using: &stream))
    let asked =
      try op.layers.ranges.isEmpty
      ? nil : op.layers.layers(of: op.model.configuration.layers, for: "layers")
    parts = op.networks.partLayers.filter { layers in asked?.contains(where: layers.contains) ?? true }
    if parts.isEmpty {
      throw Diagnostic("there are no \(op.networks.noun)s of these layers", argument: "layers")
    }
  }

  /// Turned texts that tell how counts vary when events come in runs.
  private static let shifts = 50

  /// What a part depends on: all that was asked for, and its layers instead of all.
  private func parameters(_ layers: [Int]) -> [String: JSONValue] {
    var parameters = op.recordedParameters
    parameters["layers"] = .array(layers.map(JSONValue.integer))
    return parameters
  }

  func described() throws -> [ArtifactReference] {
    var found = try parts.map { try context.existingChild(part: "layers", parameters: parameters($0)) }
    let missing = parts.indices.filter { found[$0] == nil }
    func publish(_ part: Int, _ make: () throws -> Activity) throws {
      try context.progress(part, of: parts.count, op.networks.noun)
      found[part] = try context.child(LayerDescription.self, part: "layers", parameters: parameters(parts[part])) {
        try description(part, at(LayerNetworks.title(parts[part]), argument: "networks") { try make() })
      }
    }
    if case .clusters(let clusters) = op.networks {
      for part in missing { try publish(part) { try activity(of: clusters, layer: parts[part][0]) } }
      return found.compactMap { $0 }
    }
    let wanted = Set(missing.flatMap { parts[$0] }).sorted()
    let walk = ResumableWalk(network: op.model.network, sequences: text.sequences, context: context)
    var held: [Int: [Matrix<Float>]] = [:]
    try walk.visit(wanted, of: Array(Set(parts.joined())).sorted(), pulse: { _ in try context.checkCancelled() }) {
      walk in
      let layer = walk.layer
      held[layer] = try signals(walk)
      for part in missing where parts[part].last == layer {
        try publish(part) {
          switch op.networks {
          case .networks(let networks): try activity(of: networks, part, parts[part].map { held[$0] ?? [] })
          case .groups(let groups): try activity(of: groups, layer: layer, held[layer]?.first)
          case .clusters: Activity()
          }
        }
      }
      held = held.filter { entry in
        missing.contains { (parts[$0].last ?? 0) > layer && parts[$0].contains(entry.key) }
      }
    }
    return found.compactMap { $0 }
  }

  /// Moves on by a layer and keeps what its networks or groups are made of.
  private func signals(_ walk: Walk) throws -> [Matrix<Float>] {
    func pulse(_: WalkProgress) throws { try context.checkCancelled() }
    if case .networks(let networks) = op.networks {
      return try NetworkSignals(networks, op.model.configuration).step(walk, texts: text.texts, pulse: pulse)
    }
    let layer = walk.layer
    let h = Matrix<Float>(
      rows: text.sequences.tokens.count, columns: op.model.configuration.units(.ffn, layer: layer))
    try walk.step(
      sites: [.activation],
      tap: { tap in
        try requireFinite(tap.values, tap.site, layer: layer, from: tap.rows.lowerBound, argument: "model")
        h.rows(tap.rows).assign(tap.values)
      }, pulse: pulse)
    return [h]
  }

  // MARK: What is active where

  /// Courses of some networks, and of random sets in their place.
  struct Activity {
    var sets: [SetDescription] = []
    /// Course of each set, at every row of the text.
    var courses: [[Double]] = []
    /// `random[draw][set]`
    var random: [[[Double]]] = []
    /// Whether a course is 1 at events and 0 elsewhere.
    var isLabel = false
    var information: [Double]?
  }

  private func activity(of networks: Networks, _ part: Int, _ layers: [[Matrix<Float>]]) throws -> Activity {
    let own = try networks.part(networks.partLayers.firstIndex(of: parts[part]) ?? 0)
    let S = Matrix<Double>(try own.maps(run: op.run))
    let signals = NetworkSignals(networks, op.model.configuration)
    let columns = NetworkSignals.columns(layers)
    let scaled = try text.texts.map { try signals.scaled(columns, $0) }
    let halves = own.signals.count
    func courses(_ S: Matrix<Double>) throws -> [[Double]] {
      let A = Matrix<Double>(rows: text.sequences.tokens.count, columns: S.rows)
      switch op.course {
      case .regression:
        for (rows, Z) in zip(text.texts, scaled) { A.rows(rows).assign(try networkCourses(Z, maps: S)) }
      case .mean:
        for i in 0..<S.rows {
          let units = op.key.units(of: S.row(i), halves: halves)
          let W = Matrix<Double>(rows: halves * own.units, columns: 1)
          for unit in units {
            for half in 0..<halves { W[half * own.units + unit, 0] = 1 / Double(halves * units.count) }
          }
          var start = 0
          for column in columns {
            let weights = Matrix<Float>(W.rows(start..<(start + column.columns)))
            A.columns(i..<(i + 1)).add(Matrix<Double>(column * weights))
            start += column.columns
          }
        }
      }
      // A map's sign is a convention; events are the peaks of the skewed side.
      return (0..<S.rows).map { i in
        let course = A.column(i)
        let sign = pole(Array(course[text.halves.fit]))
        return sign < 0 ? course.map { -$0 } : course
      }
    }
    var activity = Activity(sets: sets(of: own, S), courses: try courses(S))
    for draw in 0..<op.nulls {
      try context.checkCancelled()
      var stream = RandomStream(seed: op.seed, name: "describe \(own.title) random \(draw)")
      var order = Array(0..<own.units)
      stream.shuffle(&order)
      activity.random.append(try courses(permuted(S, halves: halves, order: order)))
    }
    let again = try found(again: networks, S.rows, columns, signals, rows: text.halves.fit, own.title)
    let other = try found(again: networks, S.rows, columns, signals, rows: text.halves.test, own.title)
    for i in activity.sets.indices {
      activity.sets[i].again = similarity(S, again)[i]
      activity.sets[i].otherText = similarity(S, other)[i]
    }
    return activity
  }

  private func sets(of part: LayerNetworks, _ S: Matrix<Double>) -> [SetDescription] {
    let halves = part.signals.count
    return (0..<S.rows).map { i in
      let z = S.row(i)
      let places = part.layers.map { part.places(of: $0) }
      let squares = places.map { range in
        (0..<halves).reduce(0.0) { sum, half in
          range.reduce(sum) { $0 + z[half * part.units + $1] * z[half * part.units + $1] }
        }
      }
      let units = op.key.units(of: z, halves: halves)
      return SetDescription(
        name: String(i),
        keys: places.map { range in units.filter(range.contains).map { Int32($0 - range.lowerBound) } },
        spread: squares.map { $0 / squares.reduce(0, +) }, threshold: .nan)
    }
  }

  /// Networks found anew from some rows, from the seed after the networks' own; nil where the rows do not hold so many.
  private func found(
    again networks: Networks, _ k: Int, _ columns: [Matrix<Float>], _ signals: NetworkSignals, rows: Range<Int>,
    _ title: String
  ) throws -> Matrix<Double>? {
    let settings = networks.settings
    guard let contrast = Contrast(rawValue: settings.contrast), let order = UnmixingOrder(rawValue: settings.algorithm)
    else { return nil }
    let analysis = NetworkAnalysis(
      components: k, scale: signals.scale,
      rotation: settings.ica == CanICA.Analysis.none.rawValue
        ? nil
        : .init(
          contrast: contrast, order: order, restarts: 1, seed: settings.seed + 1, tolerance: 1e-4,
          maximumIterations: 300),
      key: settings.key, keepsMaps: false)
    do {
      return try analysis.networks(
        of: columns.map { $0.rows(rows) }, subjects: [], name: "canica \(title) run 0",
        progress: { try context.checkCancelled() }
      ).networks.z
    } catch is NetworkError { return nil }
  }

  private func similarity(_ S: Matrix<Double>, _ others: Matrix<Double>?) -> [Double] {
    others.map { matchNetworks(S, $0).similarity } ?? Array(repeating: .nan, count: S.rows)
  }

  /// A group is active by its share of the energy that goes into the stream, ‖W_g h_g‖² over the sum of all groups.
  private func activity(of groups: Groups, layer: Int, _ h: Matrix<Float>?) throws -> Activity {
    guard let h else { return Activity() }
    let W = try op.model.network.loadBlock(layer).outputWeight(.ffn)
    let own = groups.group[layer].map { $0 < 0 ? groups.count : Int($0) }
    let count = own.contains(groups.count) ? groups.count + 1 : groups.count
    func courses(_ group: [Int]) throws -> [[Double]] {
      let energy = try (0..<count).map { g -> [Double] in
        try context.checkCancelled()
        let members = group.indices.filter { group[$0] == g }
        let out = h.gathering(columns: members) * W.gathering(columns: members).T
        return (0..<out.rows).map { row in out.row(row).reduce(0.0) { $0 + Double($1) * Double($1) } }
      }
      let total = h.rows == 0 ? [] : (0..<h.rows).map { t in energy.reduce(0) { $0 + $1[t] } }
      return energy.map { zip($0, total).map { $1 > 0 ? $0 / $1 : 0 } }
    }
    var activity = Activity(courses: try courses(own))
    activity.sets = (0..<count).map { g in
      SetDescription(
        name: g == groups.count ? "shared" : String(g),
        keys: [own.indices.filter { own[$0] == g }.map { Int32($0) }], spread: [1], threshold: .nan)
    }
    for draw in 0..<op.nulls {
      var stream = RandomStream(seed: op.seed, name: "describe groups of layer \(layer) random \(draw)")
      var drawn = own
      stream.shuffle(&drawn)
      activity.random.append(try courses(drawn))
    }
    return activity
  }

  /// The event of a cluster is its label. Random sets are the labels with every window turned.
  private func activity(of clusters: Clusters, layer: Int) throws -> Activity {
    let own = try clusters.labels(layer: layer)
    let label = text.origin.map { own[$0.token] }
    var activity = Activity(isLabel: true)
    activity.courses = (0..<clusters.count).map { cluster in label.map { $0 == Int32(cluster) ? 1 : 0 } }
    activity.sets = (0..<clusters.count).map { cluster in
      SetDescription(name: clusters.kinds?.names[cluster] ?? String(cluster), keys: [[]], spread: [1], threshold: 0.5)
    }
    for draw in 0..<op.nulls {
      var stream = RandomStream(seed: op.seed, name: "describe clusters of layer \(layer) random \(draw)")
      let offsets = text.halves.shifts(1, using: &stream)[0]
      activity.random.append(activity.courses.map { text.halves.turned($0, by: offsets) })
    }
    let test = text.halves.test
    activity.information = text.facts.map {
      adjustedMutualInformation(Array(label[test]), Array($0.level[test]))
    }
    return activity
  }

  // MARK: Descriptions

  private func description(_ part: Int, _ activity: Activity) throws -> LayerDescription {
    var sets = activity.sets
    let draws = activity.random.count
    for i in sets.indices {
      try context.checkCancelled()
      let courses = [activity.courses[i]] + activity.random.map { $0[i] }
      let thresholds = courses.map { activity.isLabel ? 0.5 : reader.threshold(of: $0) }
      let found = try Parallel.map(draws + 1) { [reader] index in
        reader.description(of: courses[index], threshold: thresholds[index])
      }
      let own = found[0]
      sets[i].threshold = own.threshold
      sets[i].rules = own.rules.map { rule in
        let fact = text.facts[rule.fact]
        return SetDescription.Rule(fact: fact.fact.rawValue, value: fact.names[Int(rule.level)], weight: rule.weight)
      }
      sets[i].enriched = own.enriched.map { level, q in
        let fact = text.facts[level.fact]
        return SetDescription.Enriched(
          fact: fact.fact.rawValue, value: fact.names[level.level], delta: level.delta, z: level.z, q: q,
          inside: level.inside, all: level.all)
      }
      sets[i].auroc = own.auroc
      sets[i].turned = reader.turnedAUROC(of: own.rules, courses[0], threshold: own.threshold)
      sets[i].ceilingAUROC = own.ceiling.auroc
      sets[i].r2 = own.ceiling.r2
      sets[i].correlation = own.ceiling.correlation
      sets[i].factShares = own.factShares
      sets[i].nullAUROC = found.dropFirst().map(\.auroc)
      sets[i].nullCeiling = found.dropFirst().map(\.ceiling.auroc)
      sets[i].nullR2 = found.dropFirst().map(\.ceiling.r2)
      sets[i].nullFactShares = found.dropFirst().map(\.factShares)
      sets[i].contexts = contexts(courses[0], own.threshold, "\(part) \(sets[i].name)")
    }
    let courses = Matrix<Float>(Matrix<Double>(activity.courses))
    return LayerDescription(
      layers: parts[part], sets: sets, facts: text.facts.map(\.fact.rawValue), courses: courses,
      fitTokens: text.halves.fit.count, starts: text.sequences.offsets, information: activity.information)
  }

  /// The strongest events, one of a window, and samples from each quarter of the rest, strongest quarter first: tops alone
  /// mislead.
  private func contexts(_ course: [Double], _ threshold: Double, _ name: String) -> [SetDescription.Context] {
    let order = argsort(Array(course[text.halves.fit]), descending: true)
    let events = order.prefix { course[$0] > threshold }
    let rest = Array(order.dropFirst(events.count))
    var stream = RandomStream(seed: op.seed, name: "describe places of \(name)")
    let quarters = (0..<4).map { quarter -> [Int] in
      var rows = Array(rest[(quarter * rest.count / 4)..<((quarter + 1) * rest.count / 4)])
      stream.shuffle(&rows)
      return rows
    }
    return ([Array(events)] + quarters).enumerated().flatMap { quarter, rows in
      onePerWindow(rows).map { row in
        let (before, token, after) = text.snippet(row)
        return SetDescription.Context(
          quarter: quarter, course: course[row], token: text.origin[row].token, bytes: text.spans?[row], before: before,
          text: token, after: after)
      }
    }
  }

  private func onePerWindow(_ rows: [Int]) -> [Int] {
    var chosen: [Int] = []
    var seen: Set<Int> = []
    for row in rows where chosen.count < op.contexts {
      let window = text.halves.windows.firstIndex { $0.contains(row) } ?? 0
      if seen.insert(window).inserted { chosen.append(row) }
    }
    return chosen
  }
}
