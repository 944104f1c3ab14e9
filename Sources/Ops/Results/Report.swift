import Kernel

/// What an evaluation measured, and the protocol under which it did.
public struct Report: Artifact, InputValue {
  public static let type = ArtifactType("report")

  public struct Metric: Sendable, Equatable {
    public var name: String
    public var value: Double
    /// Standard error over windows or items.
    public var standardError: Double
  }

  public let metrics: [Metric]
  /// Mean negative log-likelihood of each window, nats per target.
  public let windowLoss: [Double]
  /// Targets scored in each window.
  public let windowTargets: [Int32]
  /// Corpus, tokenizer, context length: everything two reports must share to be compared.
  public let conditions: [String: JSONValue]
  /// Whether the model was calibrated on the text it is tested on.
  public let calibrationOverlap: Bool

  public var summary: String { metrics.map { "\($0.name) \(formatted($0.value))" }.joined(separator: ", ") }

  public static let fields = [
    "token_perplexity": "exp of the mean negative log-likelihood per target",
    "calibration_overlap": "whether the model was calibrated on the text it was tested on",
  ]
  public func field(_ name: String) -> Literal? {
    if name == "calibration_overlap" { return .bool(calibrationOverlap) }
    return metrics.first { $0.name == name }.map { .number($0.value) }
  }

  public init(
    metrics: [Metric], windowLoss: [Double], windowTargets: [Int32], conditions: [String: JSONValue],
    calibrationOverlap: Bool
  ) {
    self.metrics = metrics
    self.windowLoss = windowLoss
    self.windowTargets = windowTargets
    self.conditions = conditions
    self.calibrationOverlap = calibrationOverlap
  }

  public func write(to writer: any ArtifactWriter) throws {
    try writer.strings("metric/name", metrics.map(\.name), axis: "metric")
    try writer.vector("metric/value", metrics.map(\.value), axis: "metric")
    try writer.vector("metric/stderr", metrics.map(\.standardError), axis: "metric", meaning: "standard error")
    try writer.vector(
      "window/nll", windowLoss, axis: "window", meaning: "mean negative log-likelihood", units: "nat/token")
    try writer.vector("window/tokens", windowTargets, axis: "window", meaning: "targets scored")
    let text = JSONValue.object(conditions).canonical
    try writer.text("protocol", text)
    try writer.attribute("protocol_sha256", .string(SHA256.hex(of: text)))
    try writer.attribute("calibration_overlap", .integer(calibrationOverlap ? 1 : 0))
    try writer.preview(
      title: "mean negative log-likelihood per window", values: windowLoss.prefix(4096).map { Float($0) },
      axis: "window")
  }

  public init(from reader: any ArtifactReader) throws {
    let names = try reader.strings("metric/name")
    let values = try reader.array("metric/value", as: Double.self)
    let errors = try reader.array("metric/stderr", as: Double.self)
    metrics = zip(names, zip(values, errors)).map { Metric(name: $0, value: $1.0, standardError: $1.1) }
    windowLoss = try reader.array("window/nll", as: Double.self)
    windowTargets = try reader.array("window/tokens", as: Int32.self)
    conditions = try JSONValue(parsing: reader.text("protocol")).objectValue ?? [:]
    calibrationOverlap = try reader.attribute("calibration_overlap").intValue == 1
  }
}
