import Kernel
import Numerics
import Transformer

/// How important each removable unit is; higher means keep.
public struct Scores: Artifact, InputValue {
  public static let type = ArtifactType("scores")

  public let structure: Structure
  /// One score per unit; the sum over the unit's columns where it owns several.
  /// NaN for what was not captured, or is pruned away already.
  public private(set) var score: PerUnit<Float>
  /// Mean and standard deviation of the column scores of each layer, for ranking across layers (FLAP's AL-AM); absent
  /// where scores of different layers compare as they are.
  public let spread: [Module: [Spread]]?
  public let method: String
  /// Whether scores of different layers can be ranked together; false for orders of removal inside a layer.
  public let comparesLayers: Bool
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

  public var summary: String { "\(method), \(structure.summary)" }
  public static let fields = ["layers": "number of blocks"]
  public func field(_ name: String) -> Literal? { name == "layers" ? .integer(structure.layers) : nil }

  public init(
    structure: Structure, score: PerUnit<Float>, spread: [Module: [Spread]]? = nil, method: String,
    comparesLayers: Bool = true, grouping: Grouping = .plain, calibration: [String]
  ) {
    self.structure = structure
    self.score = score
    for module in score.modules() {
      for (layer, row) in structure.isLeft[module].enumerated() {
        for unit in row.indices where !row[unit] { self.score[module]?[layer][unit] = .nan }
      }
    }
    self.spread = spread
    self.method = method
    self.comparesLayers = comparesLayers
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
    for module in score.modules() {
      guard let spread = spread?[module] else { continue }
      try writer.vector("\(module.rawValue)/column_mean", spread.map(\.mean), axis: "layer")
      try writer.vector("\(module.rawValue)/column_deviation", spread.map(\.deviation), axis: "layer")
    }
    try writer.attribute("higher_is", "keep")
    try writer.attribute("method", .string(method))
    try writer.attribute("compares_layers", .integer(comparesLayers ? 1 : 0))
    try writer.attribute("groups_content", .string(grouping.groups))
    try writer.attribute("weighting", .string(grouping.weighting))
    try writer.text("calibration_texts", JSONValue.array(calibration.map(JSONValue.string)).canonical)
    if let module = score.modules().last, let rows = score[module] {
      try writer.preview(title: "\(method) score of \(module.axis)s", rows: rows, axis: module.axis)
    }
  }

  public init(from reader: any ArtifactReader) throws {
    let structure = try Structure(from: reader)
    self.structure = structure
    score = try PerUnit("score", from: reader, counts: structure.units)
    var spread: [Module: [Spread]] = [:]
    for module in Module.allCases where reader.has("\(module.rawValue)/column_mean") {
      let means = try reader.array("\(module.rawValue)/column_mean", as: Double.self)
      let deviations = try reader.array("\(module.rawValue)/column_deviation", as: Double.self)
      spread[module] = zip(means, deviations).map(Spread.init)
    }
    self.spread = spread.isEmpty ? nil : spread
    method = try reader.attribute("method").stringValue ?? ""
    comparesLayers = try reader.attribute("compares_layers").intValue == 1
    grouping = Grouping(
      groups: try reader.attribute("groups_content").stringValue ?? "",
      weighting: try reader.attribute("weighting").stringValue ?? "")
    calibration =
      try JSONValue(parsing: reader.text("calibration_texts")).arrayValue?.compactMap(\.stringValue) ?? []
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
