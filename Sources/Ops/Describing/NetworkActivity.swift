import Kernel
import Numerics
import Transformer

/// A network is active by its course; random sets are the maps with the units in another order.
struct NetworkActivity: ActivitySource {
  let networks: Networks
  let run: Int
  let course: Describe.Course
  let key: KeyRule
  let text: DescribedText
  let draws: RandomDraws
  let context: any RunContext
  private let signals: NetworkSignals

  init(
    _ networks: Networks, of configuration: Configuration, run: Int, course: Describe.Course, key: KeyRule,
    text: DescribedText, draws: RandomDraws, _ context: any RunContext
  ) {
    self.networks = networks
    self.run = run
    self.course = course
    self.key = key
    self.text = text
    self.draws = draws
    self.context = context
    signals = NetworkSignals(networks, configuration)
  }

  var module: Module? { signals.module }
  var parts: [[Int]] { networks.partLayers }

  var look: ((Walk) throws -> [Matrix<Float>])? {
    { walk in try signals.step(walk, texts: text.texts, pulse: { _ in try context.checkCancelled() }) }
  }

  func activity(of part: [Int], _ layers: [[Matrix<Float>]]) throws -> Activity {
    let own = try networks.part(networks.partLayers.firstIndex(of: part) ?? 0)
    let S = Matrix<Double>(try own.maps(run: run))
    let columns = NetworkSignals.columns(layers)
    let scaled = try text.texts.map { try signals.scaled(columns, $0) }
    func courses(_ S: Matrix<Double>) throws -> [[Double]] {
      let A =
        switch course {
        case .regression: try regressed(scaled, S)
        case .mean: means(of: own, columns, S)
        }
      // A map's sign is a convention; events are the peaks of the skewed side.
      return (0..<S.rows).map { i in
        let course = A.column(i)
        let sign = pole(Array(course[text.halves.fit]))
        return sign < 0 ? course.map { -$0 } : course
      }
    }
    var activity = Activity(sets: sets(of: own, S), signals: own.signals, courses: try courses(S))
    activity.random = try draws.map(own.title) { stream in
      var order = Array(0..<own.units)
      stream.shuffle(&order)
      return try courses(permuted(S, halves: own.signals.count, order: order))
    }
    let again = similarity(S, try foundAgain(S.rows, columns, rows: text.halves.fit, own.title))
    let other = similarity(S, try foundAgain(S.rows, columns, rows: text.halves.test, own.title))
    for i in activity.sets.indices {
      activity.sets[i].again = again[i]
      activity.sets[i].otherText = other[i]
    }
    return activity
  }

  /// Dual regression of the standardised signals on the maps, text by text.
  private func regressed(_ scaled: [ScaledSignals], _ S: Matrix<Double>) throws -> Matrix<Double> {
    let A = Matrix<Double>(rows: text.sequences.tokens.count, columns: S.rows)
    for (rows, Z) in zip(text.texts, scaled) { A.rows(rows).assign(try networkCourses(Z, maps: S)) }
    return A
  }

  /// The mean of the raw signals of the key units.
  private func means(of part: LayerNetworks, _ columns: [Matrix<Float>], _ S: Matrix<Double>) -> Matrix<Double> {
    let halves = part.signals.count
    let A = Matrix<Double>(rows: text.sequences.tokens.count, columns: S.rows)
    for i in 0..<S.rows {
      let units = key.units(of: S.row(i), halves: halves)
      let W = Matrix<Double>(rows: halves * part.units, columns: 1)
      for unit in units {
        for half in 0..<halves { W[half * part.units + unit, 0] = 1 / Double(halves * units.count) }
      }
      var start = 0
      for column in columns {
        let weights = Matrix<Float>(W.rows(start..<(start + column.columns)))
        A.columns(i..<(i + 1)).add(Matrix<Double>(column * weights))
        start += column.columns
      }
    }
    return A
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
      let units = key.units(of: z, halves: halves)
      var set = SetDescription(
        name: String(i),
        keys: places.map { range in units.filter(range.contains).map { Int32($0 - range.lowerBound) } },
        spread: squares.map { $0 / squares.reduce(0, +) }, threshold: .nan)
      set.keyZ = places.map { range in
        units.filter(range.contains).map { unit in (0..<halves).map { z[$0 * part.units + unit] } }
      }
      set.explained = part.runs[run].explained[i]
      return set
    }
  }

  /// Networks found anew from some rows, from the seed after the networks' own; nil where the rows do not hold so many.
  private func foundAgain(_ k: Int, _ columns: [Matrix<Float>], rows: Range<Int>, _ title: String) throws
    -> Matrix<Double>?
  {
    guard let finder = networks.settings.finder(seedsOn: 1, components: k, scale: signals.scale) else { return nil }
    do {
      return try finder.networks(
        of: columns.map { $0.rows(rows) }, subjects: [], name: "\(finder.method) \(title) run 0",
        progress: { try context.checkCancelled() }
      ).networks.z
    } catch is NetworkError { return nil }
  }

  private func similarity(_ S: Matrix<Double>, _ others: Matrix<Double>?) -> [Double] {
    others.map { matchNetworks(S, $0).similarity } ?? Array(repeating: .nan, count: S.rows)
  }
}
