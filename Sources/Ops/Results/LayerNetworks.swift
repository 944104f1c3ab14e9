import Kernel
import Numerics

/// The functional networks of one layer, run by run.
public struct LayerNetworks: Artifact {
  public static let type = ArtifactType("networks.layer")

  public let layer: Int
  /// The sites whose signals stand side by side: gate and up, or up alone.
  public let sites: [String]
  public let neurons: Int
  public let runs: [RunNetworks]
  /// (runs · components) × (signals · neurons) and components × tokens of all runs; nil when not kept or still on disk.
  private let z: Matrix<Float>?
  private let timecourse: Matrix<Float>?
  private let stored: (any ArtifactReader)?

  public var components: Int { runs.first?.explained.count ?? 0 }
  /// Whether maps and time courses were kept (`keep=maps`).
  public var hasMaps: Bool { z != nil || stored != nil }
  public var summary: String { "layer \(layer), \(runs.count) runs x \(components) networks" }

  /// - Parameters:
  ///   - maps: (runs · components) × (signals · neurons), run after run.
  ///   - courses: components × tokens of all runs.
  init(
    layer: Int, sites: [String], neurons: Int, runs: [RunNetworks], maps: Matrix<Float>?, courses: Matrix<Float>?
  ) {
    self.layer = layer
    self.sites = sites
    self.neurons = neurons
    self.runs = runs
    z = maps
    timecourse = courses
    stored = nil
  }

  /// The maps of one run, components × (signals · neurons), signals one after the other.
  /// - Throws: when they were not kept.
  public func maps(run: Int) throws -> Matrix<Float> {
    if let z { return z.rows((run * components)..<((run + 1) * components)) }
    let maps = Matrix<Float>(rows: components, columns: sites.count * neurons)
    try kept().read("z", rows: run..<(run + 1), into: maps)
    return maps
  }

  /// The time courses of one run, components × tokens.
  /// - Throws: when they were not kept.
  public func courses(run: Int) throws -> Matrix<Float> {
    let first = runs[..<run].reduce(0) { $0 + $1.tokens }
    let range = first..<(first + runs[run].tokens)
    if let timecourse { return timecourse.columns(range) }
    let all = Matrix<Float>(rows: components, columns: runs.reduce(0) { $0 + $1.tokens })
    try kept().read("timecourse", rows: 0..<components, into: all)
    return all.columns(range).copy()
  }

  private func kept() throws -> any ArtifactReader {
    guard let stored else {
      throw Diagnostic("the maps of layer \(layer) were not kept", hint: "find the networks with keep=maps")
    }
    return stored
  }

  public func write(to writer: any ArtifactWriter) throws {
    try writer.attribute("layer", .integer(layer))
    try writer.attribute("site", .string(sites.joined(separator: ",")))
    try writer.attribute("neurons", .integer(neurons))
    try writer.attribute("maps", .integer(hasMaps ? 1 : 0))
    try z?.withUnsafePointer { pointer, _ in
      try writer.array(
        "z", UnsafeBufferPointer(start: pointer, count: z?.count ?? 0),
        shape: [runs.count, components, sites.count, neurons], axes: ["run", "component", "signal", "neuron"],
        meaning: "strength of the neuron in the network", units: "sd")
    }
    try timecourse?.withUnsafePointer { pointer, _ in
      try writer.array(
        "timecourse", UnsafeBufferPointer(start: pointer, count: timecourse?.count ?? 0),
        shape: [components, timecourse?.columns ?? 0], axes: ["component", "token"],
        meaning: "mean of signal times z: how strongly each token drives each network", units: nil)
    }
    func perComponent<Value: ArtifactElement>(_ path: String, _ meaning: String, _ values: (RunNetworks) -> [Value])
      throws
    {
      try writer.array(
        path, runs.flatMap(values), shape: [runs.count, components], axes: ["run", "component"], meaning: meaning)
    }
    func perNeuron<Value: ArtifactElement>(_ path: String, _ meaning: String, _ values: (RunNetworks) -> [Value]) throws
    {
      try writer.array(
        path, runs.flatMap(values), shape: [runs.count, neurons], axes: ["run", "neuron"], meaning: meaning)
    }
    func perRun<Value: ArtifactElement>(_ path: String, _ meaning: String, _ value: (RunNetworks) -> Value) throws {
      try writer.vector(path, runs.map(value), axis: "run", meaning: meaning)
    }
    try perComponent("explained", "share of the variance of the signals", \.explained)
    try perComponent("stats/kurtosis", "excess kurtosis of the map", \.kurtosis)
    try perComponent("stats/n_key", "neurons with |z| above key", \.keyNeurons)
    try perNeuron("max_abs_z", "max |z| over networks and signals", \.maxAbsZ)
    try perNeuron("sum_z2", "sum of z^2 over networks and signals", \.sumOfSquares)
    try perNeuron("memberships", "networks in which the neuron is key", \.memberships)
    try perRun("search/tokens", "tokens of the run") { Int64($0.tokens) }
    try perRun("search/iterations", "steps of FastICA") { Int32($0.iterations) }
    try perRun("search/change", "largest turn of a network in the last step", \.change)
    try perRun("search/converged", "1 = the turn fell below the tolerance") { UInt8($0.hasConverged ? 1 : 0) }
    try perRun("search/restart", "start that won") { Int32($0.restart) }
    try perRun("search/reseeds", "fresh starts after overflow") { Int32($0.reseeds) }
    try perRun("search/dead", "signals without variance") { Int32($0.dead) }
    try perRun(
      "search/similarity", "mean |correlation| with the networks of the first run, paired one to one", \.similarity)
    try writer.preview(
      title: "max |z| of each neuron in layer \(layer)", rows: runs.map(\.maxAbsZ), axis: "neuron", rowAxis: "run")
  }

  public init(from reader: any ArtifactReader) throws {
    layer = try reader.attribute("layer").intValue ?? 0
    sites = try (reader.attribute("site").stringValue ?? "").split(separator: ",").map(String.init)
    let neurons = try reader.attribute("neurons").intValue ?? 0
    self.neurons = neurons
    let hasMaps = try reader.attribute("maps").intValue == 1
    z = nil
    timecourse = nil
    stored = hasMaps ? reader : nil
    let k = try reader.shape("explained")[1]
    func split<Value: ArtifactElement>(_ path: String, _: Value.Type, _ width: Int) throws -> [[Value]] {
      let all = try reader.array(path, as: Value.self)
      return Parallel.ranges(all.count, of: max(1, width)).map { Array(all[$0]) }
    }
    let explained = try split("explained", Double.self, k)
    let kurtosis = try split("stats/kurtosis", Double.self, k)
    let keyNeurons = try split("stats/n_key", Int32.self, k)
    let maxAbsZ = try split("max_abs_z", Float.self, neurons)
    let sums = try split("sum_z2", Float.self, neurons)
    let memberships = try split("memberships", Int32.self, neurons)
    let tokens = try reader.array("search/tokens", as: Int64.self)
    let iterations = try reader.array("search/iterations", as: Int32.self)
    let change = try reader.array("search/change", as: Double.self)
    let converged = try reader.array("search/converged", as: UInt8.self)
    let restart = try reader.array("search/restart", as: Int32.self)
    let reseeds = try reader.array("search/reseeds", as: Int32.self)
    let dead = try reader.array("search/dead", as: Int32.self)
    let similarity = try reader.array("search/similarity", as: Double.self)
    runs = tokens.indices.map { run in
      RunNetworks(
        explained: explained[run], kurtosis: kurtosis[run], keyNeurons: keyNeurons[run],
        maxAbsZ: maxAbsZ[run], sumOfSquares: sums[run], memberships: memberships[run], tokens: Int(tokens[run]),
        iterations: Int(iterations[run]), change: change[run], hasConverged: converged[run] == 1,
        restart: Int(restart[run]), reseeds: Int(reseeds[run]), dead: Int(dead[run]), similarity: similarity[run])
    }
  }
}

/// The networks of one layer in one run, and how they were found.
public struct RunNetworks: Sendable {
  public var explained: [Double]
  public var kurtosis: [Double]
  /// Neurons with |z| above the key threshold, per component.
  public var keyNeurons: [Int32]
  public var maxAbsZ: [Float]
  public var sumOfSquares: [Float]
  /// Networks in which each neuron is key.
  public var memberships: [Int32]
  public var tokens: Int
  public var iterations: Int
  public var change: Double
  public var hasConverged: Bool
  public var restart: Int
  public var reseeds: Int
  /// Signals without variance, which are in no network.
  public var dead: Int
  /// Mean |correlation| with the first run's networks; 1 for the first.
  public var similarity: Double
}

extension ArtifactReader {
  /// Rows of the first axis of a dataset, into a matrix of as many numbers.
  func read(_ path: String, rows: Range<Int>, into matrix: Matrix<Float>) throws {
    try matrix.withUnsafeMutablePointer { pointer, _ in
      try read(path, rows: rows, into: UnsafeMutableBufferPointer(start: pointer, count: matrix.count))
    }
  }
}
