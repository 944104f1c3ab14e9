import Kernel

/// What a model costs, and the speeds of the single runs.
public struct Costs: Sendable {
  /// Weights in the number types of the checkpoint.
  let bytes: Int
  let parameters: Int
  /// Multiply-accumulates for one token of a prompt, on the average.
  let macsPerToken: Int
  let peakBytes: Int
  /// Tokens per second of each run: of a prompt, and one by one after it.
  let prefill: [Double]
  let decode: [Double]
}

// MARK: - The file

extension Costs {
  func write(to writer: any ArtifactWriter) throws {
    try writer.vector("run/prefill", prefill, axis: "run", meaning: "tokens of a prompt read at once", units: "token/s")
    try writer.vector("run/decode", decode, axis: "run", meaning: "tokens made one by one", units: "token/s")
    try writer.attribute("bytes", .integer(bytes))
    try writer.attribute("parameters", .integer(parameters))
    try writer.attribute("macs_per_token", .integer(macsPerToken))
    try writer.attribute("peak_bytes", .integer(peakBytes))
    try writer.preview(title: "tokens made per second, by run", values: decode.map { Float($0) }, axis: "run")
  }

  init(from reader: any ArtifactReader) throws {
    func number(_ name: String) throws -> Int { try reader.attribute(name).intValue ?? 0 }
    self.init(
      bytes: try number("bytes"), parameters: try number("parameters"), macsPerToken: try number("macs_per_token"),
      peakBytes: try number("peak_bytes"), prefill: try reader.array("run/prefill", as: Double.self),
      decode: try reader.array("run/decode", as: Double.self))
  }
}
