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
  /// Structural units of each block: attention groups and neurons, those that were pruned away among them.
  public let units: PerModule<[Int]>
  /// Which of them the model still has.
  let isLeft: PerModule<[[Bool]]>
  /// Parameters that go with one unit of each block: `d d_h (2g + 2)` of attention, `3d` of a gated feed-forward part.
  public let parametersPerUnit: PerModule<[Int]>
  /// Parameters that go with the last unit of each block: keys and values, where attention units share them.
  let sharedParameters: PerModule<[Int]>
  /// Columns of the output map that belong to one unit: `g d_h` of attention, 1 of the feed-forward part.
  public let columnsPerUnit: PerModule<Int>
  /// Linear parameters that each block still has.
  public let blockParameters: [Int]
  /// Every parameter that the model still has.
  public let totalParameters: Int
  /// The rows and columns of the model's tensors that go with each unit.
  public let spans: [UnitSpan]

  public var layers: Int { blockParameters.count }
  /// Units of both modules in all blocks of the unpruned model.
  public var unitCount: Int { Module.allCases.reduce(0) { $0 + units[$1].reduce(0, +) } }

  public init(_ network: LanguageModel, model: String) {
    self.model = model
    spans = network.unitSpans
    let configuration = network.configuration
    let pruning = network.pruning.blocks.isEmpty ? .keepingAll(configuration) : network.pruning
    let layers = 0..<configuration.layers
    units = PerModule { module in layers.map { configuration.units(module, layer: $0) } }
    isLeft = PerModule { module in pruning.blocks.map { $0[module].keep } }
    // What is left of the stream at the ends of a unit; it is whole behind the last block.
    func left(_ parameters: Int) -> Int {
      parameters / configuration.hiddenSize * (network.slicedWidth ?? configuration.hiddenSize)
    }
    parametersPerUnit = PerModule { module in
      layers.map { left(configuration.parametersPerUnit(module, head: network.headSizes(layer: $0))) }
    }
    sharedParameters = PerModule { module in
      layers.map { left(configuration.sharedParameters(module, head: network.headSizes(layer: $0))) }
    }
    columnsPerUnit = PerModule { configuration.featuresPerUnit($0.output.columns) }
    blockParameters = layers.map {
      configuration.linearParameters(layer: $0) - pruning.removedParameters(layer: $0, configuration)
    }
    totalParameters = network.totalParameters
  }

  /// The units of a block that the model still has, by index.
  func left(_ module: Module, layer: Int) -> [Int] {
    let flags = isLeft[module][layer]
    return flags.indices.filter { flags[$0] }
  }

  /// Whether nothing is left of a block, or of one half of it.
  func isAbsent(_ half: Module? = nil, layer: Int) -> Bool {
    (half.map { [$0] } ?? Module.allCases).allSatisfy { !isLeft[$0][layer].contains(true) }
  }

  /// The blocks that lose all that is left of them.
  /// - Parameter dropped: how many units of a module and a block go, of those that are left.
  func removedBlocks(_ dropped: (Module, Int) -> Int) -> [Int] {
    (0..<layers).filter { layer in
      !isAbsent(layer: layer)
        && Module.allCases.allSatisfy { dropped($0, layer) == left($0, layer: layer).count }
    }
  }

  /// Linear parameters of all blocks before anything was pruned away.
  var unprunedBlockParameters: Int {
    Module.allCases.reduce(blockParameters.reduce(0, +)) { sum, module in
      isLeft[module].indices.reduce(sum) { sum, layer in
        let flags = isLeft[module][layer]
        return sum + parameters(of: flags.count { !$0 }, among: flags.count, module, layer: layer)
      }
    }
  }

  /// Parameters that go with some of the units of a module of a block.
  func parameters(of gone: Int, among units: Int, _ module: Module, layer: Int) -> Int {
    gone * parametersPerUnit[module][layer] + (gone > 0 && gone == units ? sharedParameters[module][layer] : 0)
  }

  /// Linear parameters that go with a block, or with one half of it.
  func parameters(of half: Module?, layer: Int) -> Int {
    guard let half else { return blockParameters[layer] }
    let units = left(half, layer: layer).count
    return parameters(of: units, among: units, half, layer: layer)
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
  func summary(of modules: [Module]) -> String {
    func span(_ counts: [Int]) -> String {
      let (low, high) = (counts.min() ?? 0, counts.max() ?? 0)
      return low == high ? "\(low)" : "\(low)-\(high)"
    }
    let sizes = modules.map { "\(span(isLeft[$0].map { $0.count { $0 } })) \($0.axis)s" }
    return "\(counted(layers, "layer")) x " + (sizes.count == 1 ? sizes[0] : "(\(sizes.joined(separator: ", ")))")
  }

  func write(to writer: any ArtifactWriter) throws {
    for module in Module.allCases {
      try writer.vector(
        "structure/\(module.axis)s", units[module].map(Int32.init), axis: "layer", meaning: module.meaning)
    }
    if isLeft.attention.joined().contains(false) || isLeft.ffn.joined().contains(false) {
      let flags = PerUnit<UInt8> { module in isLeft[module].map { $0.map { $0 ? 1 : 0 } } }
      try flags.write("left", to: writer, padding: 0, meaning: "1 = not yet pruned away")
    }
    try writer.vector(
      "structure/block_parameters", blockParameters.map(Int64.init), axis: "layer",
      meaning: "linear parameters of the block")
    try writer.attribute("model_content", .string(model))
    for module in Module.allCases {
      try write(parametersPerUnit[module], "\(module.axis)_parameters", to: writer)
    }
    if sharedParameters.attention.contains(where: { $0 > 0 }) {
      try write(sharedParameters.attention, "shared_parameters", to: writer)
    }
    try writer.attribute("columns_per_unit", .integer(columnsPerUnit.attention))
    try writer.attribute("total_parameters", .integer(totalParameters))
    try writeSpans(to: writer)
  }

  /// One number where it is that of all blocks, else one for each.
  private func write(_ numbers: [Int], _ name: String, to writer: any ArtifactWriter) throws {
    if let first = numbers.first, numbers.allSatisfy({ $0 == first }) {
      return try writer.attribute(name, .integer(first))
    }
    try writer.vector("structure/\(name)", numbers.map(Int64.init), axis: "layer")
  }

  /// One row per tensor: unit u of `module` takes the positions from `start + u width` on of `axis`.
  private func writeSpans(to writer: any ArtifactWriter) throws {
    try writer.strings("structure/tensor/name", spans.map(\.tensor), axis: "span")
    try writer.strings("structure/tensor/module", spans.map(\.module.rawValue), axis: "span")
    func column(_ name: String, _ value: KeyPath<UnitSpan, Int>, _ meaning: String) throws {
      try writer.vector(
        "structure/tensor/\(name)", spans.map { Int32($0[keyPath: value]) }, axis: "span", meaning: meaning)
    }
    try column("layer", \.layer, "the block it belongs to")
    try column("axis", \.axis, "0 = rows, 1 = columns of the stored tensor")
    try column("start", \.start, "where unit 0 begins")
    try column("width", \.width, "positions of one unit")
  }

  init(from reader: any ArtifactReader) throws {
    func number(_ name: String) throws -> Int { try reader.attribute(name).intValue ?? 0 }
    model = try reader.attribute("model_content").stringValue ?? ""
    let units = try PerModule { try reader.array("structure/\($0.axis)s", as: Int32.self).map(Int.init) }
    self.units = units
    let flags = try PerUnit<UInt8>("left", from: reader, counts: units)
    isLeft = PerModule { module in
      flags[module]?.map { $0.map { $0 == 1 } } ?? units[module].map { Array(repeating: true, count: $0) }
    }
    blockParameters = try reader.array("structure/block_parameters", as: Int64.self).map(Int.init)
    let layers = blockParameters.count
    func numbers(_ name: String, or fallback: Int? = nil) throws -> [Int] {
      let path = "structure/\(name)"
      if reader.has(path) { return try reader.array(path, as: Int64.self).map(Int.init) }
      let one = try fallback.map { (try? number(name)) ?? $0 } ?? number(name)
      return Array(repeating: one, count: layers)
    }
    parametersPerUnit = try PerModule { try numbers("\($0.axis)_parameters") }
    columnsPerUnit = PerModule(attention: try number("columns_per_unit"), ffn: 1)
    sharedParameters = PerModule(
      attention: try numbers("shared_parameters", or: 0), ffn: Array(repeating: 0, count: layers))
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

  /// Reads what `write` wrote, rows cut to the counts of units.
  init<Element: ArtifactElement>(_ name: String, from reader: any ArtifactReader, counts: PerModule<[Int]>) throws
  where Value == [[Element]]? {
    self.init()
    for module in Module.allCases where reader.has("\(module.rawValue)/\(name)") {
      let path = "\(module.rawValue)/\(name)"
      let shape = try reader.shape(path)
      let values = try reader.array(path, as: Element.self)
      self[module] = counts[module].enumerated().map { layer, count in
        Array(values[(layer * shape[1])..<(layer * shape[1] + count)])
      }
    }
  }
}
