import Kernel
import Numerics
import Transformer

/// How much each neuron matters to each token cluster: S of FANG, eq. 5.
public struct Affinity: Artifact, InputValue {
  public static let type = ArtifactType("affinity")

  public let structure: Structure
  /// `score[layer]`: clusters x neurons.
  public let score: [Matrix<Double>]
  /// Tokens counted in each cluster (last positions left out): `counts[layer][cluster]`.
  public let counts: [[Int64]]
  public let clusters: ArtifactReference
  public let calibration: [String]

  public var count: Int { score.first?.rows ?? 0 }
  public var summary: String {
    "\(counted(structure.layers, "layer")) x \(counted(count, "cluster")) x \(structure.units.ffn.max() ?? 0) neurons"
  }

  public init(
    structure: Structure, score: [Matrix<Double>], counts: [[Int64]], clusters: ArtifactReference,
    calibration: [String]
  ) {
    self.structure = structure
    self.score = score
    self.counts = counts
    self.clusters = clusters
    self.calibration = calibration
  }

  /// Mean over tokens of the summed sensitivity of a layer, for `allocate how=taylor`.
  public var sensitivity: [Double] {
    zip(score, counts).map { S, N in
      let total = (0..<S.rows).reduce(0.0) { $0 + Double(N[$1]) * S.row($1).reduce(0, +) }
      return total / Double(max(1, N.reduce(0, +)))
    }
  }

  public func write(to writer: any ArtifactWriter) throws {
    try structure.write(to: writer)
    for (layer, S) in score.enumerated() {
      try writer.array(
        "affinity/" + layerName(layer), S.values, shape: [S.rows, S.columns],
        axes: ["cluster", "neuron_\(S.columns)"], meaning: "mean |h dL/dh|")
    }
    try writer.array(
      "count", counts.flatMap { $0 }, shape: [counts.count, count], axes: ["layer", "cluster"], units: "token")
    try writer.child(clusters)
    try writer.calibration(calibration)
    if let S = score.first {
      try writer.preview(
        title: "affinity of layer 0", rows: (0..<S.rows).map { S.row($0).map { Float($0) } }, axis: "neuron",
        rowAxis: "cluster")
    }
  }

  public init(from reader: any ArtifactReader) throws {
    structure = try Structure(from: reader)
    score = try (0..<structure.layers).map { layer in
      let path = "affinity/" + layerName(layer)
      let shape = try reader.shape(path)
      return Matrix(rows: shape[0], columns: shape[1], values: try reader.array(path, as: Double.self))
    }
    let all = try reader.array("count", as: Int64.self)
    let k = all.count / max(1, structure.layers)
    counts = (0..<structure.layers).map { Array(all[($0 * k)..<(($0 + 1) * k)]) }
    clusters = try reader.onlyChild("clusters")
    calibration = try reader.calibration()
  }
}

/// Functional neuron groups: each neuron belongs to one cluster's group or to the shared group.
public struct Groups: Artifact, InputValue {
  public static let type = ArtifactType("groups")

  public let structure: Structure
  /// `group[layer][neuron]`; -1 = shared, exempt from pruning.
  public let group: [[Int32]]
  public let count: Int
  /// Prices that certify optimality, `[layer][cluster]`; absent unless assigned exactly.
  public let prices: [[Double]]?
  /// Total affinity of the assignment of each layer.
  public let objective: [Double]
  /// Mean affinity of each group's neurons to each cluster, the shared group last: (groups + 1) x clusters per layer.
  public let affinity: [Matrix<Double>]
  public let how: String
  /// The clusters the groups serve: group k belongs to cluster k.
  public let clusters: ArtifactReference
  public let calibration: [String]
  let open: @Sendable (ArtifactReference) throws -> any ArtifactReader

  /// The clusters the groups serve.
  public func loadClusters() throws -> Clusters { try Clusters(from: open(clusters)) }

  public var summary: String {
    let shared = (group.first ?? []).count { $0 < 0 }
    return "\(counted(structure.layers, "layer")) x \(counted(count, "group"))"
      + (shared > 0 ? " + \(shared) shared" : "") + ", \(how)"
  }
  public static let fields = ["k": "number of groups"]
  public func field(_ name: String) -> Literal? { name == "k" ? .integer(count) : nil }

  public init(
    structure: Structure, group: [[Int32]], count: Int, prices: [[Double]]?, objective: [Double],
    affinity: [Matrix<Double>], how: String, clusters: ArtifactReference, calibration: [String],
    open: @escaping @Sendable (ArtifactReference) throws -> any ArtifactReader
  ) {
    self.open = open
    self.structure = structure
    self.group = group
    self.count = count
    self.prices = prices
    self.objective = objective
    self.affinity = affinity
    self.how = how
    self.clusters = clusters
    self.calibration = calibration
  }

  /// Neurons of each group of a layer, ascending; the shared ones are in none.
  public func members(layer: Int) -> [[Int]] {
    var result = [[Int]](repeating: [], count: count)
    for (neuron, group) in group[layer].enumerated() where group >= 0 { result[Int(group)].append(neuron) }
    return result
  }

  public func write(to writer: any ArtifactWriter) throws {
    try structure.write(to: writer)
    try PerUnit<Int32>(attention: nil, ffn: group).write(
      "group", to: writer, padding: -2, meaning: "group of the neuron, -1 = shared")
    try writer.vector("objective", objective, axis: "layer", meaning: "total affinity of the assignment")
    try writer.array(
      "affinity", affinity.flatMap(\.values), shape: [affinity.count, count + 1, affinity.first?.columns ?? 0],
      axes: ["layer", "group", "context"], meaning: "mean affinity of the group, shared last, to the cluster")
    if let prices {
      try writer.array(
        "prices", prices.flatMap { $0 }, shape: [prices.count, count], axes: ["layer", "cluster"],
        meaning: "prices certifying that no exchange improves the assignment")
    }
    try writer.attribute("k", .integer(count))
    try writer.attribute("how", .string(how))
    try writer.child(clusters)
    try writer.calibration(calibration)
    try writer.preview(title: "group of each neuron", rows: group.map { $0.map(Float.init) }, axis: "neuron")
  }

  public init(from reader: any ArtifactReader) throws {
    let structure = try Structure(from: reader)
    self.structure = structure
    group = try PerUnit<Int32>("group", from: reader, counts: structure.units).ffn ?? []
    objective = try reader.array("objective", as: Double.self)
    let count = try reader.attribute("k").intValue ?? 0
    self.count = count
    let shape = try reader.shape("affinity")
    let means = try reader.array("affinity", as: Double.self)
    let block = shape[1] * shape[2]
    affinity = (0..<shape[0]).map {
      Matrix(rows: shape[1], columns: shape[2], values: Array(means[($0 * block)..<(($0 + 1) * block)]))
    }
    if reader.has("prices") {
      let all = try reader.array("prices", as: Double.self)
      prices = (0..<structure.layers).map { Array(all[($0 * count)..<(($0 + 1) * count)]) }
    } else {
      prices = nil
    }
    how = try reader.attribute("how").stringValue ?? ""
    clusters = try reader.onlyChild("clusters")
    open = { try reader.open($0) }
    calibration = try reader.calibration()
  }
}

/// How much each block may lose (FANG, adaptive sparsity allocation).
public struct Rates: Artifact, InputValue {
  public static let type = ArtifactType("rates")

  public let structure: Structure
  /// Share of the linear parameters of each block that goes.
  public let rate: [Double]
  /// The same for each kind of linear map, where those differ.
  public let roles: [LinearRole: [Double]]
  /// What the rates were derived from: functional complexity, outliers or sensitivity of each block.
  public let complexity: [Double]
  public let target: Double
  public let how: String
  public let calibration: [String]

  /// Parameter-weighted mean of the rates: what will really be removed.
  public var mean: Double {
    let weights = structure.blockParameters.map(Double.init)
    return zip(rate, weights).reduce(0) { $0 + $1.0 * $1.1 } / weights.reduce(0, +)
  }
  public var summary: String {
    "\(how), \(counted(rate.count, "layer")), \(percent(rate.min() ?? 0)) to \(percent(rate.max() ?? 0)), mean \(percent(mean))"
  }
  public static let fields = ["rate": "mean rate over the block parameters"]
  public func field(_ name: String) -> Literal? { name == "rate" ? .ratio(mean) : nil }

  public init(
    structure: Structure, rate: [Double], roles: [LinearRole: [Double]] = [:], complexity: [Double], target: Double,
    how: String, calibration: [String]
  ) {
    self.roles = roles
    self.structure = structure
    self.rate = rate
    self.complexity = complexity
    self.target = target
    self.how = how
    self.calibration = calibration
  }

  public func write(to writer: any ArtifactWriter) throws {
    try structure.write(to: writer)
    try writer.vector("rate", rate, axis: "layer", meaning: "share of the block's linear parameters removed")
    for role in LinearRole.allCases {
      guard let rates = roles[role] else { continue }
      try writer.vector("role/\(role.rawValue)", rates, axis: "layer", meaning: "share of the map's parameters removed")
    }
    try writer.vector("complexity", complexity, axis: "layer", meaning: "what the rates were derived from")
    try writer.attribute("target", .number(target))
    try writer.attribute("how", .string(how))
    try writer.calibration(calibration)
    try writer.preview(title: "rate of each block", values: rate.map { Float($0) }, axis: "layer")
  }

  public init(from reader: any ArtifactReader) throws {
    structure = try Structure(from: reader)
    rate = try reader.array("rate", as: Double.self)
    var roles: [LinearRole: [Double]] = [:]
    for role in LinearRole.allCases where reader.has("role/\(role.rawValue)") {
      roles[role] = try reader.array("role/\(role.rawValue)", as: Double.self)
    }
    self.roles = roles
    complexity = try reader.array("complexity", as: Double.self)
    target = try reader.attribute("target").doubleValue ?? 0
    how = try reader.attribute("how").stringValue ?? ""
    calibration = try reader.calibration()
  }
}
