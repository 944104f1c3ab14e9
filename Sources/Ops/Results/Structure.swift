import Kernel
import Transformer

extension Module {
  /// Name of the axis over its structural units in files.
  var axis: String {
    switch self {
    case .attention: "unit"
    case .ffn: "neuron"
    }
  }
}

/// What can be removed from a model and how much each structural unit weighs. Every score and mask carries it, so that
/// rates are counted in parameters and a mask is never applied to another model.
public struct Structure: Sendable, Equatable {
  /// Content hash of the model artifact.
  public let model: String
  /// Structural units of each block: attention groups and neurons.
  public let units: PerModule<[Int]>
  /// Parameters that go with one unit: `d d_h (2g + 2)` of attention, `3d` of a gated feed-forward part.
  public let parametersPerUnit: PerModule<Int>
  /// Columns of the output map that belong to one unit: `g d_h` of attention, 1 of the feed-forward part.
  public let columnsPerUnit: PerModule<Int>
  /// Linear parameters of each block.
  public let blockParameters: [Int]
  /// Every parameter of the model.
  public let totalParameters: Int
  /// The rows and columns of the model's tensors that go with each unit.
  public let spans: [UnitSpan]

  public var layers: Int { blockParameters.count }

  public init(_ network: LanguageModel, model: String) {
    self.init(network.configuration, spans: network.unitSpans, model: model)
  }

  init(_ configuration: Configuration, spans: [UnitSpan], model: String) {
    self.model = model
    self.spans = spans
    let layers = 0..<configuration.layers
    units = PerModule { module in layers.map { configuration.units(module, layer: $0) } }
    parametersPerUnit = PerModule(configuration.parametersPerUnit)
    columnsPerUnit = PerModule { configuration.featuresPerUnit($0.output.columns) }
    blockParameters = layers.map(configuration.linearParameters)
    totalParameters = configuration.totalParameters
  }

  /// Columns of the output map that belong to some units.
  public func columns(_ module: Module, of units: [Int]) -> [Int] {
    let width = columnsPerUnit[module]
    return units.flatMap { ($0 * width)..<(($0 + 1) * width) }
  }

  /// Scores still to come: NaN for every unit of some modules.
  func unknown(of modules: [Module] = Module.allCases) -> PerUnit<Float> {
    PerUnit { module in modules.contains(module) ? units[module].map { Array(repeating: .nan, count: $0) } : nil }
  }

  /// "8 layers x (8 units, 704 neurons)"
  var summary: String {
    func span(_ counts: [Int]) -> String {
      let (low, high) = (counts.min() ?? 0, counts.max() ?? 0)
      return low == high ? "\(low)" : "\(low)-\(high)"
    }
    let sizes = Module.allCases.map { "\(span(units[$0])) \($0.axis)s" }
    return "\(layers) layers x (\(sizes.joined(separator: ", ")))"
  }

  func write(to writer: any ArtifactWriter) throws {
    for module in Module.allCases {
      try writer.vector(
        "structure/\(module.axis)s", units[module].map(Int32.init), axis: "layer", meaning: module.meaning)
    }
    try writer.vector(
      "structure/block_parameters", blockParameters.map(Int64.init), axis: "layer",
      meaning: "linear parameters of the block")
    try writer.attribute("model_content", .string(model))
    for module in Module.allCases {
      try writer.attribute("\(module.axis)_parameters", .integer(parametersPerUnit[module]))
    }
    try writer.attribute("columns_per_unit", .integer(columnsPerUnit.attention))
    try writer.attribute("total_parameters", .integer(totalParameters))
    try writeSpans(to: writer)
  }

  /// One row per tensor: unit u of `module` takes the positions from `start + u width` on of `axis`.
  private func writeSpans(to writer: any ArtifactWriter) throws {
    try writer.strings("structure/tensor/name", spans.map(\.tensor), axis: "tensor")
    try writer.strings("structure/tensor/module", spans.map(\.module.rawValue), axis: "tensor")
    func column(_ name: String, _ value: KeyPath<UnitSpan, Int>, _ meaning: String) throws {
      try writer.vector(
        "structure/tensor/\(name)", spans.map { Int32($0[keyPath: value]) }, axis: "tensor", meaning: meaning)
    }
    try column("layer", \.layer, "the block it belongs to")
    try column("axis", \.axis, "0 = rows, 1 = columns of the stored tensor")
    try column("start", \.start, "where unit 0 begins")
    try column("width", \.width, "positions of one unit")
  }

  init(from reader: any ArtifactReader) throws {
    func number(_ name: String) throws -> Int { try reader.attribute(name).intValue ?? 0 }
    model = try reader.attribute("model_content").stringValue ?? ""
    units = try PerModule { try reader.array("structure/\($0.axis)s", as: Int32.self).map(Int.init) }
    blockParameters = try reader.array("structure/block_parameters", as: Int64.self).map(Int.init)
    parametersPerUnit = try PerModule { try number("\($0.axis)_parameters") }
    columnsPerUnit = PerModule(attention: try number("columns_per_unit"), ffn: 1)
    totalParameters = try number("total_parameters")
    let names = try reader.strings("structure/tensor/name")
    let modules = try reader.strings("structure/tensor/module")
    func column(_ name: String) throws -> [Int] {
      try reader.array("structure/tensor/\(name)", as: Int32.self).map(Int.init)
    }
    let (layer, axis, start, width) = (
      try column("layer"), try column("axis"), try column("start"), try column("width")
    )
    spans = names.indices.map { index in
      UnitSpan(
        layer: layer[index], module: Module(rawValue: modules[index]) ?? .ffn, tensor: names[index],
        axis: axis[index], start: start[index], width: width[index])
    }
  }
}

extension Module {
  fileprivate var meaning: String {
    switch self {
    case .attention: "attention units of the block"
    case .ffn: "neurons of the block"
    }
  }
}

/// One value per structural unit: `values[module][layer][unit]`; a module that is not covered is nil.
public typealias PerUnit<Value> = PerModule<[[Value]]?>

extension PerModule {
  /// Covers no module yet.
  public init<Element>() where Value == [[Element]]? { self.init(attention: nil, ffn: nil) }

  /// The modules that are covered.
  public func modules<Element>() -> [Module] where Value == [[Element]]? { Module.allCases.filter { self[$0] != nil } }

  public func mapUnits<Element, Other>(_ change: (Element) throws -> Other) rethrows -> PerUnit<Other>
  where Value == [[Element]]? {
    try map { rows in try rows?.map { try $0.map(change) } }
  }

  /// Writes `<module>/<name>` as [layer, unit], short rows filled up with `padding`.
  func write<Element: ArtifactElement>(
    _ name: String, to writer: any ArtifactWriter, padding: Element, meaning: String
  ) throws where Value == [[Element]]? {
    for module in Module.allCases {
      guard let rows = self[module] else { continue }
      let width = rows.map(\.count).max() ?? 0
      let padded = rows.flatMap { $0 + Array(repeating: padding, count: width - $0.count) }
      try writer.array(
        "\(module.rawValue)/\(name)", padded, shape: [rows.count, width], axes: ["layer", module.axis],
        meaning: meaning)
    }
  }

  /// Reads what `write` wrote, rows cut to the structure's counts.
  init<Element: ArtifactElement>(_ name: String, from reader: any ArtifactReader, structure: Structure) throws
  where Value == [[Element]]? {
    self.init()
    for module in Module.allCases where reader.has("\(module.rawValue)/\(name)") {
      let path = "\(module.rawValue)/\(name)"
      let shape = try reader.shape(path)
      let values = try reader.array(path, as: Element.self)
      self[module] = (0..<structure.layers).map { layer in
        let start = layer * shape[1]
        return Array(values[start..<(start + structure.units[module][layer])])
      }
    }
  }
}
