import Kernel
import Transformer

/// The parts of a block that can be removed.
public enum Module: String, CaseIterable, Sendable {
  /// Attention units: a key-value group with its query heads.
  case attention
  /// Neurons of the feed-forward part.
  case ffn

  /// Where the inputs of the module's last linear map are seen.
  var site: Site { self == .attention ? .attentionHeads : .activation }
  /// Name of the axis over its units in files.
  var axis: String { self == .attention ? "unit" : "neuron" }
}

/// What can be removed from a model and how much each piece weighs. Every score and mask carries it, so that rates
/// are counted in parameters and a mask is never applied to another model.
public struct Structure: Sendable, Equatable {
  /// Content hash of the model artifact.
  public let model: String
  /// Attention units of each block.
  public let units: [Int]
  /// Neurons of each block.
  public let neurons: [Int]
  /// Parameters that go with one unit: `d d_h (2g + 2)`.
  public let unitParameters: Int
  /// Parameters that go with one neuron: `3d` with a gate.
  public let neuronParameters: Int
  /// Columns of the output projection that belong to one unit: `g d_h`.
  public let columnsPerUnit: Int
  /// Linear parameters of each block.
  public let blockParameters: [Int]
  /// Every parameter of the model.
  public let totalParameters: Int

  public var layers: Int { units.count }

  public init(_ configuration: Configuration, model: String) {
    self.model = model
    let layers = 0..<configuration.layers
    units = layers.map(configuration.units)
    neurons = layers.map(configuration.neurons)
    unitParameters = configuration.parametersPerUnit
    neuronParameters = configuration.parametersPerNeuron
    columnsPerUnit = configuration.queriesPerUnit * configuration.headSize
    blockParameters = layers.map(configuration.linearParameters)
    totalParameters = configuration.totalParameters
  }

  public func count(_ module: Module, layer: Int) -> Int { module == .attention ? units[layer] : neurons[layer] }
  public func counts(_ module: Module) -> [Int] { module == .attention ? units : neurons }
  public func parameters(_ module: Module) -> Int { module == .attention ? unitParameters : neuronParameters }
  /// Columns of the module's last linear map that one piece owns.
  public func columns(_ module: Module) -> Int { module == .attention ? columnsPerUnit : 1 }

  /// "8 layers x (8 units, 704 neurons)"
  var summary: String {
    func span(_ counts: [Int]) -> String {
      let (low, high) = (counts.min() ?? 0, counts.max() ?? 0)
      return low == high ? "\(low)" : "\(low)-\(high)"
    }
    return "\(layers) layers x (\(span(units)) units, \(span(neurons)) neurons)"
  }

  func write(to writer: any ArtifactWriter) throws {
    try writer.vector("structure/units", units.map(Int32.init), axis: "layer", meaning: "attention units of the block")
    try writer.vector("structure/neurons", neurons.map(Int32.init), axis: "layer", meaning: "neurons of the block")
    try writer.vector(
      "structure/block_parameters", blockParameters.map(Int64.init), axis: "layer",
      meaning: "linear parameters of the block")
    try writer.attribute("model_content", .string(model))
    try writer.attribute("unit_parameters", .integer(unitParameters))
    try writer.attribute("neuron_parameters", .integer(neuronParameters))
    try writer.attribute("columns_per_unit", .integer(columnsPerUnit))
    try writer.attribute("total_parameters", .integer(totalParameters))
  }

  init(from reader: any ArtifactReader) throws {
    func number(_ name: String) throws -> Int { try reader.attribute(name).intValue ?? 0 }
    model = try reader.attribute("model_content").stringValue ?? ""
    units = try reader.array("structure/units", as: Int32.self).map(Int.init)
    neurons = try reader.array("structure/neurons", as: Int32.self).map(Int.init)
    blockParameters = try reader.array("structure/block_parameters", as: Int64.self).map(Int.init)
    unitParameters = try number("unit_parameters")
    neuronParameters = try number("neuron_parameters")
    columnsPerUnit = try number("columns_per_unit")
    totalParameters = try number("total_parameters")
  }
}

/// One value per removable piece: `values[module][layer][piece]`; a module that is not covered is absent.
public struct PerPiece<Value: Sendable>: Sendable {
  public var attention: [[Value]]?
  public var ffn: [[Value]]?

  public init(attention: [[Value]]? = nil, ffn: [[Value]]? = nil) {
    self.attention = attention
    self.ffn = ffn
  }

  public subscript(_ module: Module) -> [[Value]]? {
    get { module == .attention ? attention : ffn }
    set { if module == .attention { attention = newValue } else { ffn = newValue } }
  }

  public var modules: [Module] { Module.allCases.filter { self[$0] != nil } }

  public func map<Other: Sendable>(_ change: (Value) throws -> Other) rethrows -> PerPiece<Other> {
    var result = PerPiece<Other>()
    for module in modules { result[module] = try self[module]?.map { try $0.map(change) } }
    return result
  }
}

extension PerPiece: Equatable where Value: Equatable {}

extension PerPiece where Value: ArtifactElement {
  /// Writes `<module>/<name>` as [layer, piece], short rows filled up with `padding`.
  func write(_ name: String, to writer: any ArtifactWriter, padding: Value, meaning: String) throws {
    for module in modules {
      guard let rows = self[module] else { continue }
      let width = rows.map(\.count).max() ?? 0
      let padded = rows.flatMap { $0 + Array(repeating: padding, count: width - $0.count) }
      try writer.array(
        "\(module.rawValue)/\(name)", padded, shape: [rows.count, width], axes: ["layer", module.axis],
        meaning: meaning)
    }
  }

  /// Reads what `write` wrote, rows cut to the structure's counts.
  init(_ name: String, from reader: any ArtifactReader, structure: Structure) throws {
    self.init()
    for module in Module.allCases where reader.has("\(module.rawValue)/\(name)") {
      let path = "\(module.rawValue)/\(name)"
      let shape = try reader.shape(path)
      let values = try reader.array(path, as: Value.self)
      self[module] = (0..<structure.layers).map { layer in
        let start = layer * shape[1]
        return Array(values[start..<(start + structure.count(module, layer: layer))])
      }
    }
  }
}
