import Kernel
import Transformer

/// What is kept: one flag per attention unit and neuron, 1 = keep.
public struct Mask: Artifact, InputValue {
  public static let type = ArtifactType("mask")

  public let structure: Structure
  /// true = keep. A module without entry is kept whole; what the model does not have any more is not kept.
  public private(set) var keep: PerUnit<Bool>
  /// The rate asked for; nil for masks made by a threshold or by combining others.
  public let requested: Double?
  /// The score at which the cut fell, as `Scores.comparable` has it, where one cut was made.
  public let threshold: Double?
  /// How the scores were grouped; nil after masks of different groupings were combined.
  public let grouping: Scores.Grouping?
  public let calibration: [String]

  public init(
    structure: Structure, keep: PerUnit<Bool>, requested: Double?, threshold: Double? = nil, grouping: Scores.Grouping?,
    calibration: [String]
  ) {
    self.structure = structure
    self.keep = keep
    for module in keep.modules() {
      self.keep[module] = zip(keep[module] ?? [], structure.isLeft[module]).map { zip($0, $1).map { $0 && $1 } }
    }
    self.requested = requested
    self.threshold = threshold
    self.grouping = grouping
    self.calibration = calibration
  }

  /// The units of a block that go: those the model still has and the mask does not keep.
  func dropped(_ module: Module, layer: Int) -> [Int] {
    guard let flags = keep[module]?[layer] else { return [] }
    return structure.left(module, layer: layer).filter { !flags[$0] }
  }

  /// The blocks that go as a whole.
  public var removedBlocks: [Int] { structure.removedBlocks { dropped($0, layer: $1).count } }

  /// Parameters that go.
  public var removedParameters: Int {
    keep.modules().reduce(0) { sum, module in
      (0..<structure.layers).reduce(sum) {
        let left = structure.left(module, layer: $1).count
        return $0 + structure.parameters(of: dropped(module, layer: $1).count, among: left, module, layer: $1)
      }
    }
  }
  /// Share of the linear parameters of the blocks that goes.
  public var blockRate: Double { Double(removedParameters) / Double(structure.blockParameters.reduce(0, +)) }
  /// Share of all parameters of the model that goes.
  public var totalRate: Double { Double(removedParameters) / Double(structure.totalParameters) }
  /// Share of the linear parameters of the unpruned model's blocks that is gone then; more than `blockRate` when the
  /// model was pruned before.
  public var unprunedRate: Double {
    let whole = structure.unprunedBlockParameters
    return Double(whole - structure.blockParameters.reduce(0, +) + removedParameters) / Double(whole)
  }

  public var summary: String {
    let before = unprunedRate > blockRate ? ", \(percent(unprunedRate)) of the unpruned blocks are gone then" : ""
    let whole = removedBlocks
    let depth = whole.isEmpty ? "" : ", \(blockList(whole)) as a whole"
    return "removes \(percent(blockRate)) of the blocks, \(percent(totalRate)) of the model\(depth)\(before), "
      + structure.summary(of: keep.modules())
  }

  public static let fields = [
    "rate": "share of the block parameters removed", "total_rate": "share of all parameters removed",
    "unpruned_rate": "share of the unpruned model's block parameters that is gone then",
    "threshold": "standardised score at which the cut fell", "layers": "number of blocks",
  ]
  public func field(_ name: String) -> Literal? {
    switch name {
    case "rate": return .ratio(blockRate)
    case "total_rate": return .ratio(totalRate)
    case "unpruned_rate": return .ratio(unprunedRate)
    case "threshold": return threshold.map { .number($0) }
    case "layers": return .integer(structure.layers)
    default: return nil
    }
  }

  /// The pruning that applies this mask without compensation.
  public var pruning: Pruning {
    Pruning(
      blocks: (0..<structure.layers).map { layer in
        BlockPruning { module in
          var flags = [Bool](repeating: true, count: structure.units[module][layer])
          for unit in dropped(module, layer: layer) { flags[unit] = false }
          return BranchPruning(keep: flags)
        }
      })
  }

  public func write(to writer: any ArtifactWriter) throws {
    try structure.write(to: writer)
    try keep.mapUnits { $0 ? UInt8(1) : 0 }.write("keep", to: writer, padding: 0, meaning: "1 = keep, 0 = drop")
    for module in keep.modules() {
      guard let rows = keep[module] else { continue }
      try writer.annotate("\(module.rawValue)/keep", "flag_values", [0, 1])
      try writer.annotate("\(module.rawValue)/keep", "flag_meanings", "drop keep")
      try writer.vector(
        "\(module.rawValue)/kept", rows.map { row in Int32(row.count { $0 }) }, axis: "layer",
        meaning: "\(module.unitName)s kept")
    }
    try writer.attribute("rate_actual", .number(blockRate))
    try writer.attribute("rate_total", .number(totalRate))
    try writer.attribute("rate_unpruned", .number(unprunedRate))
    if !removedBlocks.isEmpty {
      try writer.vector(
        "removed_blocks", removedBlocks.map(Int32.init), axis: "removed", meaning: "blocks that go as a whole")
    }
    if let requested { try writer.note("rate_requested", .number(requested)) }
    if let threshold { try writer.note("threshold", .number(threshold)) }
    try writer.attribute("has_record", .integer(grouping == nil ? 0 : 1))
    try writer.attribute("groups_content", .string(grouping?.groups ?? ""))
    try writer.attribute("weighting", .string(grouping?.weighting ?? ""))
    try writer.calibration(calibration)
    if let module = keep.modules().last, let rows = keep[module] {
      let flags = rows.map { $0.map { Float($0 ? 1 : 0) } }
      try writer.preview(title: "kept \(module.axis)s", rows: flags, axis: module.axis)
    }
  }

  public init(from reader: any ArtifactReader) throws {
    let structure = try Structure(from: reader)
    self.structure = structure
    keep = try PerUnit<UInt8>("keep", from: reader, counts: structure.units).mapUnits { $0 == 1 }
    requested = try? reader.attribute("rate_requested").doubleValue
    threshold = try? reader.attribute("threshold").doubleValue
    let isOfOneScoring = try reader.attribute("has_record").intValue == 1
    grouping =
      isOfOneScoring
      ? Scores.Grouping(
        groups: try reader.attribute("groups_content").stringValue ?? "",
        weighting: try reader.attribute("weighting").stringValue ?? "") : nil
    calibration = try reader.calibration()
  }
}

extension Mask {
  /// Warns of layers of which a mask that nobody ranked keeps nothing.
  func warnOfEmptiedLayers(_ context: any RunContext) {
    for module in keep.modules() {
      let emptied = (0..<structure.layers).filter { layer in
        let left = structure.left(module, layer: layer)
        return !left.isEmpty && dropped(module, layer: layer) == left
      }
      if emptied.isEmpty { continue }
      context.warn("the mask keeps nothing of \(module.site.rawValue) in \(layerList(emptied))")
    }
  }
}

/// "block 3" or "blocks 3, 5, 6"
func blockList(_ blocks: [Int]) -> String { list("block", blocks) }

/// "layer 3" or "layers 3, 5, 6"
func layerList(_ layers: [Int]) -> String { list("layer", layers) }

private func list(_ noun: String, _ numbers: [Int]) -> String {
  "\(noun)\(numbers.count == 1 ? "" : "s") \(numbers.map(String.init).joined(separator: ", "))"
}
