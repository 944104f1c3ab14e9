import Kernel
import Numerics
import Transformer

/// How important each removable unit is, each whole block, or both; higher means keep.
public struct Scores: Artifact, InputValue {
  public static let type = ArtifactType("scores")

  public let structure: Structure
  /// One score per unit; the sum over the unit's columns where it owns several.
  /// NaN for what was not captured, or is pruned away already.
  public private(set) var score: PerUnit<Float>
  /// One score per block, where blocks are judged as a whole: NaN for one of which nothing is left, infinite for one that
  /// was not ranked.
  public let block: [Double]?
  /// The half of the blocks that `block` judges; nil: all of them.
  public let half: Module?
  /// The number of neighbouring blocks that `block` judges together, and that must go together; nil: each by itself.
  public let span: Int?
  /// Mean and standard deviation of the column scores of each layer, for ranking across layers (FLAP's AL-AM); absent
  /// where scores of different layers compare as they are.
  public let spread: [Module: [Spread]]?
  public let method: String
  /// Whether scores of different layers can be ranked together; false for orders of removal inside a layer.
  public let comparesLayers: Bool
  /// Whether attention units and neurons can be ranked together; if not, each module bears the rate by itself.
  public let comparesModules: Bool
  /// Weighting and grouping the scores were made with; a mask carries it on to the refit.
  public let grouping: Grouping
  /// Hashes of the calibration texts.
  public let calibration: [String]

  public struct Spread: Sendable, Equatable {
    public var mean: Double
    public var deviation: Double
  }

  /// Which neurons were judged together, and how the tokens were weighted for them.
  public struct Grouping: Sendable, Equatable {
    /// Content hash of the groups; empty when there are none.
    public var groups: String
    /// Canonical JSON of the weighting; empty when all tokens count alike.
    public var weighting: String
    public static let plain = Grouping(groups: "", weighting: "")
  }

  public var summary: String {
    let modules = score.modules()
    return "\(method), " + (modules.isEmpty ? counted(structure.layers, "block") : structure.summary(of: modules))
  }
  public static let fields = ["layers": "number of blocks"]
  public func field(_ name: String) -> Literal? { name == "layers" ? .integer(structure.layers) : nil }

  public init(
    structure: Structure, score: PerUnit<Float> = PerUnit(), block: [Double]? = nil, half: Module? = nil,
    span: Int? = nil, spread: [Module: [Spread]]? = nil, method: String, comparesLayers: Bool = true,
    comparesModules: Bool = true,
    grouping: Grouping = .plain, calibration: [String]
  ) {
    self.structure = structure
    self.score = score
    self.block = block.map { $0.enumerated().map { structure.isAbsent(half, layer: $0.offset) ? .nan : $0.element } }
    self.half = half
    self.span = span
    for module in score.modules() {
      for (layer, row) in structure.isLeft[module].enumerated() {
        for unit in row.indices where !row[unit] { self.score[module]?[layer][unit] = .nan }
      }
    }
    self.spread = spread
    self.method = method
    self.comparesLayers = comparesLayers
    self.comparesModules = comparesModules
    self.grouping = grouping
    self.calibration = calibration
  }

  /// The numbers by which units of different layers and modules are ranked together.
  public var comparable: PerUnit<Double> {
    var result = PerUnit<Double>()
    for module in score.modules() {
      guard let rows = score[module] else { continue }
      let columns = Double(structure.columnsPerUnit[module])
      result[module] = rows.enumerated().map { layer, row in
        guard let spread = spread?[module]?[layer] else { return row.map(Double.init) }
        return row.map { (Double($0) / columns - spread.mean) / spread.deviation }
      }
    }
    return result
  }

  public func write(to writer: any ArtifactWriter) throws {
    try structure.write(to: writer)
    try score.write("score", to: writer, padding: .nan, meaning: "importance, higher = keep")
    if let block { try writer.vector("block/score", block, axis: "layer", meaning: "importance, higher = keep") }
    if let half { try writer.attribute("half", .string(half.rawValue)) }
    if let span { try writer.attribute("span", .integer(span)) }
    for module in score.modules() {
      guard let spread = spread?[module] else { continue }
      try writer.vector(
        "\(module.rawValue)/column_mean", spread.map(\.mean), axis: "layer",
        meaning: "mean of score / columns_per_unit in the layer")
      try writer.vector(
        "\(module.rawValue)/column_deviation", spread.map(\.deviation), axis: "layer",
        meaning: "standard deviation of score / columns_per_unit in the layer")
    }
    try writer.attribute("higher_is", "keep")
    try writer.attribute("method", .string(method))
    try writer.attribute("compares_layers", .integer(comparesLayers ? 1 : 0))
    if !comparesModules { try writer.attribute("compares_modules", .integer(0)) }
    try writer.attribute("groups_content", .string(grouping.groups))
    try writer.attribute("weighting", .string(grouping.weighting))
    try writer.calibration(calibration)
    if let module = score.modules().last, let rows = score[module] {
      try writer.preview(title: "\(method) score of \(module.axis)s", rows: rows, axis: module.axis)
    } else if let block {
      try writer.preview(title: "\(method) score of blocks", values: block.map { Float($0) }, axis: "layer")
    }
  }

  public init(from reader: any ArtifactReader) throws {
    let structure = try Structure(from: reader)
    self.structure = structure
    score = try PerUnit("score", from: reader, counts: structure.units)
    block = reader.has("block/score") ? try reader.array("block/score", as: Double.self) : nil
    half = (try? reader.attribute("half"))?.stringValue.flatMap(Module.init(rawValue:))
    span = (try? reader.attribute("span"))?.intValue
    var spread: [Module: [Spread]] = [:]
    for module in Module.allCases where reader.has("\(module.rawValue)/column_mean") {
      let means = try reader.array("\(module.rawValue)/column_mean", as: Double.self)
      let deviations = try reader.array("\(module.rawValue)/column_deviation", as: Double.self)
      spread[module] = zip(means, deviations).map(Spread.init)
    }
    self.spread = spread.isEmpty ? nil : spread
    method = try reader.attribute("method").stringValue ?? ""
    comparesLayers = try reader.attribute("compares_layers").intValue == 1
    comparesModules = (try? reader.attribute("compares_modules"))?.intValue != 0
    grouping = Grouping(
      groups: try reader.attribute("groups_content").stringValue ?? "",
      weighting: try reader.attribute("weighting").stringValue ?? "")
    calibration = try reader.calibration()
  }
}

extension Scores.Spread {
  /// Mean and standard deviation (ddof 1) of a layer's column scores; deviation 0 when all are equal.
  init(_ scores: [Double]) {
    let deviation = scores.count > 1 ? standardDeviation(scores, ddof: 1) : 0
    // Equal numbers may leave rounding errors; a true spread is far above them.
    let size = scores.reduce(0) { max($0, abs($1)) }
    self.init(mean: scores.isEmpty ? 0 : Numerics.mean(scores), deviation: deviation > 1e-14 * size ? deviation : 0)
  }
}
