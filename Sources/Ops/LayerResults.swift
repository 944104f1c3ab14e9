import Kernel
import Numerics

/// What a search has found of one layer so far.
final class LayerResults {
  let layer: Int
  let neurons: Int
  private(set) var runs: [RunNetworks] = []
  /// (runs · components) × signals and components × tokens, filled run by run; nil with `keep=max`.
  let maps: Matrix<Float>?
  let courses: Matrix<Float>?
  /// Of the first run, with which the others are compared.
  private var first: Matrix<Double>?
  private let components: Int
  private let halves: Int
  private let tokens: [Range<Int>]

  init(_ search: NetworkSearch, layer: Int) {
    self.layer = layer
    neurons = search.op.activations.structure.neurons[layer]
    components = search.op.components
    halves = search.sites.count
    let lengths = search.runs.map(\.tokens.count)
    tokens = lengths.indices.map { run in
      let start = lengths[..<run].reduce(0, +)
      return start..<(start + lengths[run])
    }
    let keepsMaps = search.op.keep == .maps
    maps = keepsMaps ? Matrix(rows: lengths.count * components, columns: halves * neurons) : nil
    courses = keepsMaps ? Matrix(rows: components, columns: lengths.reduce(0, +)) : nil
  }

  func add(_ run: Int, _ networks: FunctionalNetworks, _ found: Unmixing, signals scaled: ScaledSignals, key: Double)
    throws
  {
    let z = networks.z
    if let first {
      let match = try matchNetworks(first, z)
      runs.append(stats(networks, found, scaled, key, similarity: mean(match.similarity)))
    } else {
      // In the precision in which it is saved, so that a resumed search compares the same numbers.
      first = Matrix<Double>(Matrix<Float>(z))
      runs.append(stats(networks, found, scaled, key, similarity: 1))
    }
    map(run)?.assign(Matrix<Float>(z))
    course(run)?.assign(timeCourses(z, scaled).T)
  }

  private func map(_ run: Int) -> Matrix<Float>? { maps?.rows((run * components)..<((run + 1) * components)) }
  private func course(_ run: Int) -> Matrix<Float>? { courses?.columns(tokens[run]) }

  private func stats(
    _ networks: FunctionalNetworks, _ found: Unmixing, _ scaled: ScaledSignals, _ key: Double, similarity: Double
  ) -> RunNetworks {
    let z = networks.z
    // A neuron is key in a network when any of its signals is.
    let keyNeurons = (0..<z.rows).map { i -> Int32 in
      let values = z.row(i)
      return Int32((0..<neurons).count { j in (0..<halves).contains { abs(values[$0 * neurons + j]) > key } })
    }
    var memberships = [Int32](repeating: 0, count: neurons)
    for i in 0..<z.rows {
      let values = z.row(i)
      for j in 0..<neurons where (0..<halves).contains(where: { abs(values[$0 * neurons + j]) > key }) {
        memberships[j] += 1
      }
    }
    return RunNetworks(
      explained: networks.explained, kurtosis: networks.kurtosis, keyNeurons: keyNeurons,
      maxAbsZ: keyNeuronScores(z, halves: halves, .maximum).map { Float($0) },
      sumOfSquares: keyNeuronScores(z, halves: halves, .sumOfSquares).map { Float($0) }, memberships: memberships,
      tokens: scaled.rows, iterations: found.iterations, change: found.change, hasConverged: found.hasConverged,
      restart: found.restart, reseeds: found.reseeds, dead: scaled.dead.count, similarity: similarity)
  }

  /// Z zᵀ / N, tokens × components.
  private func timeCourses(_ z: Matrix<Double>, _ scaled: ScaledSignals) -> Matrix<Float> {
    let sum = Matrix<Double>(rows: scaled.rows, columns: z.rows)
    for columns in scaled.tiles { sum.add(Matrix<Double>(scaled.tile(columns) * Matrix<Float>(z.columns(columns)).T)) }
    sum.scale(by: 1 / Double(scaled.columns))
    return Matrix<Float>(sum)
  }

  // MARK: Checkpoints

  func save(_ run: Int, to writer: any ArtifactWriter) throws {
    let part = LayerNetworks(
      layer: layer, sites: (0..<halves).map { "signal \($0)" }, neurons: neurons, runs: [runs[run]],
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
