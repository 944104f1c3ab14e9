import Kernel
import Numerics
import Transformer

/// Functional networks of every layer of a model (CanICA); one child object per layer.
public struct Networks: Artifact, InputValue {
  public static let type = ArtifactType("networks")

  public let structure: Structure
  /// How the networks were sought.
  public let recipe: Recipe
  /// The layers they were sought in.
  public let layers: [Int]
  /// `parts[position in layers]`, `networks.layer` objects.
  public let parts: [ArtifactReference]
  /// max |z| of each neuron over networks, runs and signals: `maxAbsZ[position in layers][neuron]`. A neuron is key in
  /// some network at threshold t exactly when this exceeds t.
  public let maxAbsZ: [[Float]]
  /// Sum of z² of each neuron over networks, runs and signals.
  public let sumOfSquares: [[Float]]
  /// In how many networks of all runs each neuron is key.
  public let memberships: [[Int32]]
  /// Share of the neurons that are key in each network, mean over runs: layers × components.
  public let keyShare: [[Double]]
  /// Mean |correlation| of the networks of all later runs with those of the first, paired one to one; NaN for one run.
  public let stability: [Double]
  /// Share of the runs of each layer that converged.
  public let converged: [Double]
  /// Hashes of the calibration texts.
  public let calibration: [String]
  let open: @Sendable (ArtifactReference) throws -> any ArtifactReader

  /// The parameters of the search, as far as a reader of the result wants to know them.
  public struct Recipe: Sendable, Equatable {
    public var components: Int
    public var runs: Int
    /// Samples in a run.
    public var perRun: Int
    public var seed: Int
    /// Sites whose signals stand side by side.
    public var sites: [String]
    public var reduce: String
    public var ica: String
    public var contrast: String
    public var algorithm: String
    public var scale: String
    /// "maps" or "max".
    public var keep: String
    /// |z| above which a neuron is key in a network.
    public var key: Double

    /// Sign and order of networks, which the mathematics leaves open.
    static let signRule = "the value of largest size is positive"
    static let orderRule = "falling share of the variance explained"
  }

  public var summary: String {
    "\(layers.count) layers x \(recipe.runs) runs x \(recipe.components) networks, "
      + "\(percent(mean(converged))) converged" + (recipe.runs > 1 ? ", stability \(formatted(mean(stability)))" : "")
  }

  public static let fields = [
    "k": "networks of a run", "runs": "number of runs", "layers": "number of layers",
    "converged": "share of the runs that converged",
    "stability": "mean |correlation| of later runs' networks with the first run's, paired one to one",
  ]
  public func field(_ name: String) -> Literal? {
    switch name {
    case "k": return .integer(recipe.components)
    case "runs": return .integer(recipe.runs)
    case "layers": return .integer(layers.count)
    case "converged": return .ratio(mean(converged))
    case "stability": return recipe.runs > 1 ? .number(mean(stability)) : nil
    default: return nil
    }
  }

  /// The networks of one layer.
  /// - Throws: when none were sought there.
  public func part(layer: Int) throws -> LayerNetworks {
    guard let index = layers.firstIndex(of: layer) else {
      throw Diagnostic(
        "there are no networks of layer \(layer); those of layers \(layers.map(String.init).joined(separator: ", ")) exist"
      )
    }
    return try LayerNetworks(from: open(parts[index]))
  }

  init(
    structure: Structure, recipe: Recipe, layers: [Int], parts: [ArtifactReference], of found: [LayerNetworks],
    calibration: [String], open: @escaping @Sendable (ArtifactReference) throws -> any ArtifactReader
  ) {
    self.structure = structure
    self.recipe = recipe
    self.layers = layers
    self.parts = parts
    self.calibration = calibration
    self.open = open
    maxAbsZ = found.map { layer in
      layer.runs.dropFirst().reduce(layer.runs[0].maxAbsZ) { zip($0, $1.maxAbsZ).map(max) }
    }
    sumOfSquares = found.map { layer in
      layer.runs.dropFirst().reduce(layer.runs[0].sumOfSquares) { zip($0, $1.sumOfSquares).map(+) }
    }
    memberships = found.map { layer in
      layer.runs.dropFirst().reduce(layer.runs[0].memberships) { zip($0, $1.memberships).map(+) }
    }
    keyShare = found.map { layer in
      (0..<recipe.components).map { component in
        mean(layer.runs.map { Double($0.keyNeurons[component]) }) / Double(max(1, layer.neurons))
      }
    }
    stability = found.map { mean($0.runs.dropFirst().map(\.similarity)) }
    converged = found.map { layer in mean(layer.runs.map { $0.hasConverged ? 1 : 0 }) }
  }
}

// MARK: - The file

extension Networks {
  public func write(to writer: any ArtifactWriter) throws {
    try structure.write(to: writer)
    try writer.scale("layer", (0..<Int64(structure.layers)).map { $0 }, meaning: "layer of the model")
    try writer.vector("found_in", layers.map(Int32.init), axis: "found", meaning: "layers with networks")
    for part in parts { try writer.child(part) }
    try neuronwise("max_abs_z", maxAbsZ, padding: .nan, "max |z| over networks, runs and signals", writer)
    try neuronwise("sum_z2", sumOfSquares, padding: .nan, "sum of z^2 over networks, runs and signals", writer)
    try neuronwise("memberships", memberships, padding: -1, "networks of all runs in which the neuron is key", writer)
    try writer.array(
      "stats/key_share", keyShare.flatMap { $0 }, shape: [layers.count, recipe.components],
      axes: ["found", "component"], meaning: "share of the neurons with |z| above key, mean over runs")
    try writer.vector("stats/stability", stability, axis: "found", meaning: "mean |correlation| with the first run")
    try writer.vector("stats/converged", converged, axis: "found", meaning: "share of runs that converged")
    try recipe.write(to: writer)
    try writer.text("calibration_texts", JSONValue.array(calibration.map(JSONValue.string)).canonical)
    try writer.preview(
      title: "share of key neurons in each network", rows: keyShare.map { $0.map { Float($0) } },
      axis: "component")
  }

  /// [layer, neuron], rows of layers without networks and ends of short rows filled with `padding`.
  private func neuronwise<Value: ArtifactElement>(
    _ name: String, _ rows: [[Value]], padding: Value, _ meaning: String, _ writer: any ArtifactWriter
  ) throws {
    let width = structure.neurons.max() ?? 0
    var values = [Value](repeating: padding, count: structure.layers * width)
    for (index, layer) in layers.enumerated() {
      values.replaceSubrange((layer * width)..<(layer * width + rows[index].count), with: rows[index])
    }
    try writer.array(name, values, shape: [structure.layers, width], axes: ["layer", "neuron"], meaning: meaning)
  }

  public init(from reader: any ArtifactReader) throws {
    let structure = try Structure(from: reader)
    self.structure = structure
    let layers = try reader.array("found_in", as: Int32.self).map(Int.init)
    self.layers = layers
    parts = try reader.children
    guard parts.count == layers.count else {
      throw Diagnostic("a networks object names \(parts.count) parts for \(layers.count) layers", kind: .store)
    }
    func neuronwise<Value: ArtifactElement>(_ name: String, _: Value.Type) throws -> [[Value]] {
      let width = try reader.shape(name)[1]
      let values = try reader.array(name, as: Value.self)
      return layers.map { Array(values[($0 * width)..<($0 * width + structure.neurons[$0])]) }
    }
    maxAbsZ = try neuronwise("max_abs_z", Float.self)
    sumOfSquares = try neuronwise("sum_z2", Float.self)
    memberships = try neuronwise("memberships", Int32.self)
    let recipe = try Recipe(from: reader)
    self.recipe = recipe
    let shares = try reader.array("stats/key_share", as: Double.self)
    keyShare = layers.indices.map { Array(shares[($0 * recipe.components)..<(($0 + 1) * recipe.components)]) }
    stability = try reader.array("stats/stability", as: Double.self)
    converged = try reader.array("stats/converged", as: Double.self)
    calibration =
      try JSONValue(parsing: reader.text("calibration_texts")).arrayValue?.compactMap(\.stringValue) ?? []
    open = { try reader.open($0) }
  }
}

extension Networks.Recipe {
  func write(to writer: any ArtifactWriter) throws {
    try writer.attribute("k", .integer(components))
    try writer.attribute("runs", .integer(runs))
    try writer.attribute("per_run", .integer(perRun))
    try writer.attribute("seed", .integer(seed))
    try writer.attribute("site", .string(sites.joined(separator: ",")))
    try writer.attribute("reduce", .string(reduce))
    try writer.attribute("ica", .string(ica))
    try writer.attribute("contrast", .string(contrast))
    try writer.attribute("algorithm", .string(algorithm))
    try writer.attribute("scale", .string(scale))
    try writer.attribute("keep", .string(keep))
    try writer.attribute("key", .number(key))
    try writer.attribute("sign_rule", .string(Self.signRule))
    try writer.attribute("order_rule", .string(Self.orderRule))
  }

  init(from reader: any ArtifactReader) throws {
    func number(_ name: String) throws -> Int { try reader.attribute(name).intValue ?? 0 }
    func word(_ name: String) throws -> String { try reader.attribute(name).stringValue ?? "" }
    components = try number("k")
    runs = try number("runs")
    perRun = try number("per_run")
    seed = try number("seed")
    sites = try word("site").split(separator: ",").map(String.init)
    reduce = try word("reduce")
    ica = try word("ica")
    contrast = try word("contrast")
    algorithm = try word("algorithm")
    scale = try word("scale")
    keep = try word("keep")
    key = try reader.attribute("key").doubleValue ?? 0
  }
}
