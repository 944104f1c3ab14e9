import Kernel
import Numerics
import Transformer

/// Functional networks of a model (CanICA); one child object per layer, or per set of layers analysed together.
public struct Networks: Artifact, InputValue {
  public static let type = ArtifactType("networks")

  public let structure: Structure
  /// How the networks were sought.
  public let settings: Settings
  /// The layers they were sought in.
  public let layers: [Int]
  /// `networks.layer` objects.
  public let parts: [ArtifactReference]
  /// The layers of each part: one, or those that were analysed together.
  public let partLayers: [[Int]]
  /// max |z| of each neuron or unit over networks, runs and signals: `maxAbsZ[position in layers][unit]`. A unit is key
  /// in some network at threshold t exactly when this exceeds t.
  public let maxAbsZ: [[Float]]
  /// Sum of z² of each unit over networks, runs and signals.
  public let sumOfSquares: [[Float]]
  /// In how many networks of all runs each unit is key.
  public let memberships: [[Int32]]
  /// Share of the units that are key in each network, mean over runs: `keyShare[part][position in its layers][component]`.
  public let keyShare: [[[Double]]]
  /// Share of the networks of each part, over all runs, in which no unit is key.
  public let withoutKey: [Double]
  /// For each part, mean |correlation| of the networks of all later runs with those of the first, paired one to one; NaN
  /// for one run.
  public let stability: [Double]
  /// Of a sparse code, how well each part's explains its signals, mean over runs.
  let codes: [CodeFit?]
  /// Share of the runs of each part that converged.
  public let converged: [Double]
  /// Hashes of the calibration texts.
  public let calibration: [String]
  let open: @Sendable (ArtifactReference) throws -> any ArtifactReader

  /// The parameters of the search, as far as a reader of the result wants to know them.
  public struct Settings: Sendable, Equatable {
    public var components: Int
    public var runs: Int
    /// Samples in a run.
    public var perRun: Int
    public var seed: Int
    /// Sites whose signals stand side by side.
    public var sites: [String]
    /// Which layers were analysed together: "layer", "window:3", "global".
    public var scope: String
    var search: Search
    public var scale: String
    /// "maps" or "max".
    public var keep: String
    /// |z| above which a neuron is key in a network.
    public var key: Double

    /// The method and what it was told.
    enum Search: Sendable, Equatable {
      case independence(reduce: String, ica: String, contrast: String, algorithm: String)
      case code(SparseCodeSearch)
    }

    /// Sign and order of networks, which the mathematics leaves open.
    static let signRule = "the value of largest size is positive"
    static let orderRule = "falling share of the variance explained"

    /// What the networks are made of.
    var module: Module { sites.contains(Site.attentionHeads.rawValue) ? .attention : .ffn }
  }

  public var summary: String {
    "\(scopeTitle) x \(counted(settings.runs, "run")) x \(counted(settings.components, "network")), "
      + "\(percent(mean(converged))) converged" + (settings.runs > 1 ? ", stability \(formatted(mean(stability)))" : "")
  }

  /// "6 layers", "4 windows of 3 layers", "6 layers together"
  private var scopeTitle: String {
    switch partLayers.count {
    case layers.count: counted(layers.count, "layer")
    case 1: "\(layers.count) layers together"
    default: "\(partLayers.count) windows of \(partLayers[0].count) layers"
    }
  }

  public static let fields = [
    "k": "networks of a run", "runs": "number of runs", "layers": "number of layers",
    "converged": "share of the runs that converged",
    "without_key": "share of the networks in which no neuron is key",
    "stability": "mean |correlation| of later runs' networks with the first run's, paired one to one",
  ]
  public func field(_ name: String) -> Literal? {
    switch name {
    case "k": return .integer(settings.components)
    case "runs": return .integer(settings.runs)
    case "layers": return .integer(layers.count)
    case "converged": return .ratio(mean(converged))
    case "without_key": return .ratio(mean(withoutKey))
    case "stability": return settings.runs > 1 ? .number(mean(stability)) : nil
    default: return nil
    }
  }

  /// The networks of one layer; the first ones, where it was analysed with different neighbours.
  /// - Throws: when none were sought there.
  public func part(layer: Int) throws -> LayerNetworks {
    guard let index = partLayers.firstIndex(where: { $0.contains(layer) }) else {
      throw Diagnostic(
        "there are no networks of layer \(layer); those of layers \(layers.map(String.init).joined(separator: ", ")) exist"
      )
    }
    return try part(index)
  }

  func part(_ index: Int) throws -> LayerNetworks { try LayerNetworks(from: open(parts[index])) }

  init(
    structure: Structure, settings: Settings, layers: [Int], parts: [ArtifactReference], of found: [LayerNetworks],
    calibration: [String], open: @escaping @Sendable (ArtifactReference) throws -> any ArtifactReader
  ) {
    self.structure = structure
    self.settings = settings
    self.layers = layers
    self.parts = parts
    self.calibration = calibration
    self.open = open
    partLayers = found.map(\.layers)
    /// A number per unit of each layer, over all runs of all parts with the layer.
    func combined<Value>(_ values: (RunNetworks) -> [Value], _ combine: (Value, Value) -> Value) -> [[Value]] {
      layers.map { layer in
        let rows = found.filter { $0.layers.contains(layer) }.flatMap { part in
          part.runs.map { Array(values($0)[part.places(of: layer)]) }
        }
        return rows.dropFirst().reduce(rows.first ?? []) { zip($0, $1).map(combine) }
      }
    }
    maxAbsZ = combined(\.maxAbsZ, max)
    sumOfSquares = combined(\.sumOfSquares, +)
    memberships = combined(\.memberships, +)
    keyShare = found.map { part in
      part.sizes.indices.map { layer in
        (0..<settings.components).map { component in
          mean(part.runs.map { Double($0.keyUnits[layer][component]) }) / Double(max(1, part.sizes[layer]))
        }
      }
    }
    withoutKey = found.map { part in
      let isEmpty = part.runs.flatMap { run -> [Bool] in
        (0..<settings.components).map { component in run.keyUnits.allSatisfy { $0[component] == 0 } }
      }
      return mean(isEmpty.map { $0 ? 1 : 0 })
    }
    stability = found.map { mean($0.runs.dropFirst().map(\.similarity)) }
    codes = found.map { part in CodeFit(meanOf: part.runs.compactMap(\.code)) }
    converged = found.map { part in mean(part.runs.map { $0.hasConverged ? 1 : 0 }) }
  }
}

// MARK: - The file

extension Networks {
  public func write(to writer: any ArtifactWriter) throws {
    try structure.write(to: writer)
    try writer.scale("layer", (0..<Int64(structure.layers)).map { $0 }, meaning: "layer of the model")
    try writer.vector("found_in", layers.map(Int32.init), axis: "found", meaning: "layers with networks")
    for part in parts { try writer.child(part) }
    let axis = settings.module.axis
    try unitwise("max_abs_z", maxAbsZ, padding: .nan, "max |z| over networks, runs and signals", writer)
    try unitwise("sum_z2", sumOfSquares, padding: .nan, "sum of z^2 over networks, runs and signals", writer)
    try unitwise("memberships", memberships, padding: -1, "networks of all runs in which the \(axis) is key", writer)
    let rows = partLayers.indices.flatMap { part in partLayers[part].map { (part, $0) } }
    try writer.vector("stats/row_part", rows.map { Int32($0.0) }, axis: "row", meaning: "part of the row")
    try writer.vector("stats/row_layer", rows.map { Int32($0.1) }, axis: "row", meaning: "layer of the row")
    try writer.array(
      "stats/key_share", keyShare.flatMap { $0.flatMap { $0 } }, shape: [rows.count, settings.components],
      axes: ["row", "component"], meaning: "share of the \(axis)s with |z| above key, mean over runs")
    try writer.vector("stats/without_key", withoutKey, axis: "part", meaning: "share of networks without a key \(axis)")
    try writer.vector("stats/stability", stability, axis: "part", meaning: "mean |correlation| with the first run")
    try writer.vector("stats/converged", converged, axis: "part", meaning: "share of runs that converged")
    try CodeFit.write(codes, to: writer, axis: "part", in: "stats/")
    try settings.write(to: writer)
    try writer.calibration(calibration)
    try writer.preview(
      title: "share of key \(axis)s in each network", rows: keyShare.flatMap { $0.map { $0.map { Float($0) } } },
      axis: "component")
  }

  /// [layer, unit], rows of layers without networks and ends of short rows filled with `padding`.
  private func unitwise<Value: ArtifactElement>(
    _ name: String, _ rows: [[Value]], padding: Value, _ meaning: String, _ writer: any ArtifactWriter
  ) throws {
    let width = structure.units[settings.module].max() ?? 0
    var values = [Value](repeating: padding, count: structure.layers * width)
    for (index, layer) in layers.enumerated() {
      values.replaceSubrange((layer * width)..<(layer * width + rows[index].count), with: rows[index])
    }
    try writer.array(
      name, values, shape: [structure.layers, width], axes: ["layer", settings.module.axis], meaning: meaning)
  }

  public init(from reader: any ArtifactReader) throws {
    let structure = try Structure(from: reader)
    self.structure = structure
    let layers = try reader.array("found_in", as: Int32.self).map(Int.init)
    self.layers = layers
    parts = try reader.children
    let settings = try Settings(from: reader)
    self.settings = settings
    let counts = structure.units[settings.module]
    func unitwise<Value: ArtifactElement>(_ name: String, _: Value.Type) throws -> [[Value]] {
      let width = try reader.shape(name)[1]
      let values = try reader.array(name, as: Value.self)
      return layers.map { Array(values[($0 * width)..<($0 * width + counts[$0])]) }
    }
    maxAbsZ = try unitwise("max_abs_z", Float.self)
    sumOfSquares = try unitwise("sum_z2", Float.self)
    memberships = try unitwise("memberships", Int32.self)
    let rowPart = try reader.array("stats/row_part", as: Int32.self).map { Int($0) }
    let rowLayer = try reader.array("stats/row_layer", as: Int32.self).map { Int($0) }
    let shares = try reader.array("stats/key_share", as: Double.self)
    let rows = parts.indices.map { part in rowPart.indices.filter { rowPart[$0] == part } }
    partLayers = rows.map { $0.map { rowLayer[$0] } }
    keyShare = rows.map { $0.map { Array(shares[($0 * settings.components)..<(($0 + 1) * settings.components)]) } }
    withoutKey = try reader.array("stats/without_key", as: Double.self)
    stability = try reader.array("stats/stability", as: Double.self)
    converged = try reader.array("stats/converged", as: Double.self)
    codes = try CodeFit.read(from: reader, parts.count, in: "stats/")
    calibration = try reader.calibration()
    open = { try reader.open($0) }
  }
}

extension Networks.Settings {
  func write(to writer: any ArtifactWriter) throws {
    try writer.attribute("k", .integer(components))
    try writer.attribute("runs", .integer(runs))
    try writer.attribute("per_run", .integer(perRun))
    try writer.attribute("seed", .integer(seed))
    try writer.attribute("site", .string(sites.joined(separator: ",")))
    try writer.attribute("scope", .string(scope))
    switch search {
    case .independence(let reduce, let ica, let contrast, let algorithm):
      try writer.attribute("reduce", .string(reduce))
      try writer.attribute("ica", .string(ica))
      try writer.attribute("contrast", .string(contrast))
      try writer.attribute("algorithm", .string(algorithm))
    case .code(let search): try search.write(to: writer)
    }
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
    scope = try word("scope")
    if let code = try SparseCodeSearch(from: reader) {
      search = .code(code)
    } else {
      search = .independence(
        reduce: try word("reduce"), ica: try word("ica"), contrast: try word("contrast"),
        algorithm: try word("algorithm"))
    }
    scale = try word("scale")
    keep = try word("keep")
    key = try reader.attribute("key").doubleValue ?? 0
  }
}
