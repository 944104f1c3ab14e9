import Kernel
import Numerics
import Transformer

/// What a search has found of one layer so far, or of layers analysed together.
final class LayerResults {
  let layers: [Int]
  let sizes: [Int]
  private(set) var runs: [RunNetworks] = []
  /// (runs · components) × (signals · units) and components × tokens, filled run by run; nil with `keep=max`.
  let maps: Matrix<Float>?
  let courses: Matrix<Float>?
  /// Of the first run, with which the others are compared.
  private var first: Matrix<Double>?
  private let module: Module
  private let signals: [String]
  private let components: Int
  private let tokens: [Range<Int>]
  private var units: Int { sizes.reduce(0, +) }

  init(_ search: NetworkSearch, layers: [Int]) {
    self.layers = layers
    module = search.module
    signals = search.signalNames
    sizes = layers.map { search.activations.structure.units[search.module][$0] }
    components = search.finder.components
    let lengths = search.runs.map(\.tokens.count)
    tokens = lengths.indices.map { run in
      let start = lengths[..<run].reduce(0, +)
      return start..<(start + lengths[run])
    }
    let keepsMaps = search.finder.keepsMaps
    maps = keepsMaps ? Matrix(rows: lengths.count * components, columns: signals.count * sizes.reduce(0, +)) : nil
    courses = keepsMaps ? Matrix(rows: components, columns: lengths.reduce(0, +)) : nil
  }

  func add(_ run: Int, _ found: FoundNetworks, key: Double) {
    let (networks, z) = (found.networks, found.networks.z)
    if let first {
      let match = matchNetworks(first, z)
      runs.append(stats(found, key, similarity: mean(match.similarity)))
    } else {
      // In the precision in which it is saved, so that a resumed search compares the same numbers.
      first = Matrix<Double>(Matrix<Float>(z))
      runs.append(stats(found, key, similarity: 1))
    }
    map(run)?.assign(Matrix<Float>(z))
    course(run)?.assign(Matrix<Float>(networks.courses).T)
  }

  private func map(_ run: Int) -> Matrix<Float>? { maps?.rows((run * components)..<((run + 1) * components)) }
  private func course(_ run: Int) -> Matrix<Float>? { courses?.columns(tokens[run]) }

  private func stats(_ found: FoundNetworks, _ key: Double, similarity: Double) -> RunNetworks {
    let (networks, z) = (found.networks, found.networks.z)
    let (units, halves) = (self.units, signals.count)
    var memberships = [Int32](repeating: 0, count: units)
    var keyUnits = sizes.map { _ in [Int32](repeating: 0, count: components) }
    for i in 0..<z.rows {
      let values = z.row(i)
      var j = 0
      for layer in sizes.indices {
        for _ in 0..<sizes[layer] {
          // A unit is key in a network when any of its signals is.
          if (0..<halves).contains(where: { abs(values[$0 * units + j]) > key }) {
            memberships[j] += 1
            keyUnits[layer][i] += 1
          }
          j += 1
        }
      }
    }
    return RunNetworks(
      explained: networks.explained, kurtosis: networks.kurtosis, keyUnits: keyUnits,
      maxAbsZ: keyNeuronScores(z, halves: halves, .maximum).map { Float($0) },
      sumOfSquares: keyNeuronScores(z, halves: halves, .sumOfSquares).map { Float($0) }, memberships: memberships,
      tokens: found.signals.rows, iterations: found.iterations, change: found.change, hasConverged: found.hasConverged,
      restart: found.restart, reseeds: found.reseeds, dead: found.signals.dead.count, similarity: similarity,
      code: found.code)
  }

  /// What is published when all runs are in.
  var networks: LayerNetworks {
    LayerNetworks(
      layers: layers, module: module, sizes: sizes, signals: signals, runs: runs, maps: maps, courses: courses)
  }

  // MARK: Checkpoints

  func save(_ run: Int, to writer: any ArtifactWriter) throws {
    let part = LayerNetworks(
      layers: layers, module: module, sizes: sizes, signals: signals, runs: [runs[run]],
      maps: map(run) ?? (run == 0 ? first.map { Matrix<Float>($0) } : nil), courses: course(run)?.copy())
    try part.write(to: writer)
  }

  func restore(_ run: Int, from reader: any ArtifactReader) throws {
    let part = try LayerNetworks(from: reader)
    runs += part.runs
    guard part.hasMaps else { return }
    let z = try part.maps(run: 0)
    if run == 0 { first = Matrix<Double>(z) }
    map(run)?.assign(z)
    if let course = course(run) { course.assign(try part.courses(run: 0)) }
  }
}
