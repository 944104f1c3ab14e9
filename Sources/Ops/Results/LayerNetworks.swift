import Kernel
import Numerics
import Transformer

/// The functional networks of one layer, or of layers analysed together, run by run.
public struct LayerNetworks: Artifact {
  public static let type = ArtifactType("networks.layer")

  /// One layer, or those that were analysed together.
  public let layers: [Int]
  public let module: Module
  /// Units (neurons, or attention units) of each of the layers.
  public let sizes: [Int]
  /// The signals of a unit: gate and up, or up alone; the query heads of a unit.
  public let signals: [String]
  public let runs: [RunNetworks]
  /// (runs · components) × (signals · units) and components × tokens of all runs; nil when not kept or still on disk.
  private let z: Matrix<Float>?
  private let timecourse: Matrix<Float>?
  private let stored: (any ArtifactReader)?

  public var components: Int { runs.first?.explained.count ?? 0 }
  /// Whether maps and time courses were kept (`keep=maps`).
  public var hasMaps: Bool { z != nil || stored != nil }
  /// Units of all the layers, one layer after the other.
  public var units: Int { sizes.reduce(0, +) }
  public var summary: String { "\(title), \(counted(runs.count, "run")) x \(counted(components, "network"))" }

  /// "layer 3" or "layers 2-4"
  var title: String { LayerNetworks.title(layers) }
  static func title(_ layers: [Int]) -> String {
    layers.count == 1 ? "layer \(layers[0])" : "layers \(layers.first ?? 0)-\(layers.last ?? 0)"
  }

  /// Where the units of one layer stand among those of all.
  func places(of layer: Int) -> Range<Int> {
    let index = layers.firstIndex(of: layer) ?? 0
    let start = sizes[..<index].reduce(0, +)
    return start..<(start + sizes[index])
  }

  /// - Parameters:
  ///   - maps: (runs · components) × (signals · units), run after run.
  ///   - courses: components × tokens of all runs.
  init(
    layers: [Int], module: Module, sizes: [Int], signals: [String], runs: [RunNetworks], maps: Matrix<Float>?,
    courses: Matrix<Float>?
  ) {
    self.layers = layers
    self.module = module
    self.sizes = sizes
    self.signals = signals
    self.runs = runs
    z = maps
    timecourse = courses
    stored = nil
  }

  /// The maps of one run, components × (signals · units), signals one after the other.
  /// - Throws: when they were not kept.
  public func maps(run: Int) throws -> Matrix<Float> {
    if let z { return z.rows((run * components)..<((run + 1) * components)) }
    let maps = Matrix<Float>(rows: components, columns: signals.count * units)
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
      throw Diagnostic("the maps of \(title) were not kept", hint: "find the networks with keep=maps")
    }
    return stored
  }

  public func write(to writer: any ArtifactWriter) throws {
    try writer.attribute("signals", .string(signals.joined(separator: ",")))
    try writer.attribute("module", .string(module.rawValue))
    try writer.scale("layer", layers.map(Int64.init), meaning: "layer of the model")
    try writer.vector("sizes", sizes.map(Int32.init), axis: "layer", meaning: "\(module.axis)s of the layer")
    if layers.count > 1 {
      let owners = zip(layers, sizes).flatMap { [Int32](repeating: Int32($0), count: $1) }
      try writer.vector("layer_of", owners, axis: module.axis, meaning: "layer of the \(module.axis)")
    }
    try writer.attribute("maps", .integer(hasMaps ? 1 : 0))
    try z?.withUnsafePointer { pointer, _ in
      try writer.array(
        "z", UnsafeBufferPointer(start: pointer, count: z?.count ?? 0),
        shape: [runs.count, components, signals.count, units], axes: ["run", "component", "signal", module.axis],
        meaning: "strength of the \(module.axis) in the network", units: "sd")
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
    func perUnit<Value: ArtifactElement>(_ path: String, _ meaning: String, _ values: (RunNetworks) -> [Value]) throws {
      try writer.array(
        path, runs.flatMap(values), shape: [runs.count, units], axes: ["run", module.axis], meaning: meaning)
    }
    func perRun<Value: ArtifactElement>(_ path: String, _ meaning: String, _ value: (RunNetworks) -> Value) throws {
      try writer.vector(path, runs.map(value), axis: "run", meaning: meaning)
    }
    try perComponent("explained", "share of the variance of the signals", \.explained)
    try perComponent("stats/kurtosis", "excess kurtosis of the map", \.kurtosis)
    try writer.array(
      "stats/n_key", runs.flatMap { $0.keyUnits.flatMap { $0 } }, shape: [runs.count, layers.count, components],
      axes: ["run", "layer", "component"], meaning: "\(module.axis)s with |z| above key")
    try perUnit("max_abs_z", "max |z| over networks and signals", \.maxAbsZ)
    try perUnit("sum_z2", "sum of z^2 over networks and signals", \.sumOfSquares)
    try perUnit("memberships", "networks in which the \(module.axis) is key", \.memberships)
    try perRun("search/tokens", "tokens of the run") { Int64($0.tokens) }
    try perRun("search/iterations", "steps of the search, or epochs") { Int32($0.iterations) }
    try perRun("search/change", "largest turn of a network in the last step", \.change)
    try perRun("search/converged", "1 = the last step changed less than the tolerance") {
      UInt8($0.hasConverged ? 1 : 0)
    }
    try perRun("search/restart", "start that won") { Int32($0.restart) }
    try perRun("search/reseeds", "fresh starts after overflow") { Int32($0.reseeds) }
    try CodeFit.write(runs.map(\.code), to: writer, axis: "run", in: "search/")
    try perRun("search/dead", "signals without variance") { Int32($0.dead) }
    try perRun(
      "search/similarity", "mean |correlation| with the networks of the first run, paired one to one", \.similarity)
    try writer.preview(
      title: "max |z| of each \(module.axis), \(title)", rows: runs.map(\.maxAbsZ), axis: module.axis, rowAxis: "run")
  }

  public init(from reader: any ArtifactReader) throws {
    let layers = try reader.array("layer", as: Int64.self).map { Int($0) }
    self.layers = layers
    module = try Module(rawValue: reader.attribute("module").stringValue ?? "") ?? .ffn
    signals = try (reader.attribute("signals").stringValue ?? "").split(separator: ",").map(String.init)
    sizes = try reader.array("sizes", as: Int32.self).map { Int($0) }
    let units = sizes.reduce(0, +)
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
    let keyUnits = try split("stats/n_key", Int32.self, k)
    let maxAbsZ = try split("max_abs_z", Float.self, units)
    let sums = try split("sum_z2", Float.self, units)
    let memberships = try split("memberships", Int32.self, units)
    let tokens = try reader.array("search/tokens", as: Int64.self)
    let iterations = try reader.array("search/iterations", as: Int32.self)
    let change = try reader.array("search/change", as: Double.self)
    let converged = try reader.array("search/converged", as: UInt8.self)
    let restart = try reader.array("search/restart", as: Int32.self)
    let reseeds = try reader.array("search/reseeds", as: Int32.self)
    let dead = try reader.array("search/dead", as: Int32.self)
    let similarity = try reader.array("search/similarity", as: Double.self)
    let codes = try CodeFit.read(from: reader, tokens.count, in: "search/")
    runs = tokens.indices.map { run in
      RunNetworks(
        explained: explained[run], kurtosis: kurtosis[run],
        keyUnits: Array(keyUnits[(run * layers.count)..<((run + 1) * layers.count)]),
        maxAbsZ: maxAbsZ[run], sumOfSquares: sums[run], memberships: memberships[run], tokens: Int(tokens[run]),
        iterations: Int(iterations[run]), change: change[run], hasConverged: converged[run] == 1,
        restart: Int(restart[run]), reseeds: Int(reseeds[run]), dead: Int(dead[run]), similarity: similarity[run],
        code: codes[run])
    }
  }
}

/// The networks of one run, and how they were found.
public struct RunNetworks: Sendable {
  public var explained: [Double]
  public var kurtosis: [Double]
  /// Units with |z| above the key threshold: layer of the part, component.
  public var keyUnits: [[Int32]]
  public var maxAbsZ: [Float]
  public var sumOfSquares: [Float]
  /// Networks in which each unit is key.
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
  /// Of a sparse code, how well it explains the signals.
  var code: CodeFit?
}

extension ArtifactReader {
  /// Rows of the first axis of a dataset, into a matrix of as many numbers.
  func read(_ path: String, rows: Range<Int>, into matrix: Matrix<Float>) throws {
    try matrix.withUnsafeMutablePointer { pointer, _ in
      try read(path, rows: rows, into: UnsafeMutableBufferPointer(start: pointer, count: matrix.count))
    }
  }
}
