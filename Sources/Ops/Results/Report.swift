import Kernel

/// What an evaluation measured, and the protocol under which it did.
public struct Report: Artifact, InputValue {
  public static let type = ArtifactType("report")

  /// A figure with its standard error over windows, pages or items.
  public struct Measurement: Sendable, Equatable {
    public let name: String
    public let value: Double
    /// NaN where too few of them were seen to tell.
    public let standardError: Double
  }

  public let measurements: [Measurement]
  public let evidence: Evidence
  /// Corpus, tokenizer, context length: everything two reports must share to be compared.
  public let conditions: [String: JSONValue]
  /// Whether the model was calibrated on the text it is tested on.
  public let calibrationOverlap: Bool

  /// What the model lost, when it was pruned: different systems mean different things by one rate.
  public let removed: Removed?

  /// Shares of the unpruned model's parameters that are gone.
  public struct Removed: Sendable, Equatable {
    /// Of the linear maps of all blocks.
    public let ofBlocks: Double
    /// Of everything, embeddings and head included.
    public let ofTotal: Double
    /// As the system that removed it counts: directions, blocks, or units.
    public let inOwnTerms: String
  }

  /// The share of the test text that stands in other texts the model was calibrated on. It is found out only while those
  /// are where they were read, so it is no part of the value.
  public let sharedWithCalibration: Double

  /// Whether the model was calibrated on the test text, or on a part of it.
  var overlaps: Bool { calibrationOverlap || sharedWithCalibration > 0 }

  public var summary: String {
    let shown = measurements.prefix(4).map { measured in
      let error = measured.standardError
      return "\(measured.name) \(formatted(measured.value))" + (error > 0 ? " +- \(formatted(error, digits: 2))" : "")
    }.joined(separator: ", ")
    return shown + (measurements.count > 4 ? ", ..." : "") + (terms.isEmpty ? "" : " (\(terms))")
  }

  /// What must be quoted with the figures of pages and tasks: "max_length 1024, bos tokenizer".
  private var terms: String {
    guard evidence.kind != .windows else { return "" }
    return ["max_length", "bos", "shots", "limit", "length", "threads", "kernels"].compactMap { name in
      conditions[name].flatMap { $0 == .null ? nil : "\(name) \($0.stringValue ?? $0.canonical)" }
    }.joined(separator: ", ")
  }

  public static let fields = Dictionary(
    uniqueKeysWithValues: Metric.all.map { metric in
      (metric.scope.map { "\($0).\(metric.name)" } ?? metric.name, metric.meaning)
    } + [
      ("TASK.acc_norm_else_acc", "the papers' mean over tasks: acc_norm where a task has it, else acc"),
      ("calibration_overlap", "whether the model was calibrated on the text it was tested on"),
    ])
  public func field(_ name: String) -> Literal? {
    if name == "calibration_overlap" { return .bool(calibrationOverlap) }
    return measurements.first { $0.name == name }.map { .number($0.value) }
  }

  /// - Parameter metrics: which figures to make of the evidence.
  init(
    _ evidence: Evidence, metrics: [Metric], conditions: [String: JSONValue], calibrationOverlap: Bool,
    removed: Removed? = nil, sharedWithCalibration: Double = 0
  ) {
    self.removed = removed
    measurements = metrics.flatMap { $0.measured(in: evidence) }
    self.evidence = evidence
    self.conditions = conditions
    self.calibrationOverlap = calibrationOverlap
    self.sharedWithCalibration = sharedWithCalibration
  }

  public func write(to writer: any ArtifactWriter) throws {
    try writer.strings("metric/name", measurements.map(\.name), axis: "metric")
    try writer.vector("metric/value", measurements.map(\.value), axis: "metric")
    try writer.vector(
      "metric/stderr", measurements.map(\.standardError), axis: "metric",
      meaning: "standard error, not a number where too few samples tell")
    try evidence.write(to: writer)
    let text = JSONValue.object(conditions).canonical
    try writer.text("protocol", text)
    try writer.attribute("protocol_sha256", .string(SHA256.hex(of: text)))
    try writer.attribute("calibration_overlap", .integer(calibrationOverlap ? 1 : 0))
    if let removed {
      try writer.attribute("removed_of_blocks", .number(removed.ofBlocks))
      try writer.attribute("removed_of_total", .number(removed.ofTotal))
      try writer.attribute("removed_as", .string(removed.inOwnTerms))
    }
    if sharedWithCalibration > 0 { try writer.note("shared_with_calibration", .number(sharedWithCalibration)) }
  }

  public init(from reader: any ArtifactReader) throws {
    let names = try reader.strings("metric/name")
    let values = try reader.array("metric/value", as: Double.self)
    let errors = try reader.array("metric/stderr", as: Double.self)
    measurements = zip(names, zip(values, errors)).map { Measurement(name: $0, value: $1.0, standardError: $1.1) }
    evidence = try Evidence(from: reader)
    conditions = try JSONValue(parsing: reader.text("protocol")).objectValue ?? [:]
    calibrationOverlap = try reader.attribute("calibration_overlap").intValue == 1
    if let ofBlocks = (try? reader.attribute("removed_of_blocks"))?.doubleValue {
      removed = Removed(
        ofBlocks: ofBlocks, ofTotal: try reader.attribute("removed_of_total").doubleValue ?? 0,
        inOwnTerms: (try? reader.attribute("removed_as"))?.stringValue ?? "")
    } else {
      removed = nil
    }
    sharedWithCalibration = (try? reader.attribute("shared_with_calibration").doubleValue) ?? 0
  }
}
