import Kernel
import Transformer

/// Tokens of a text, cut into windows or whole.
public struct Corpus: Artifact, InputValue {
  public static let type = ArtifactType("corpus")

  /// Every token of every window, one window after the other.
  public let tokens: [Int32]
  /// First token of each window, and the end: windows + 1 numbers.
  public let starts: [Int]
  /// Hash of the file the tokens come from, to notice calibration on the text that is tested.
  public let textHash: String
  public let tokenizerHash: String
  /// Whether this is one run of text for `eval` to cut, as opposed to windows already cut.
  public let isWhole: Bool

  public var windows: Int { starts.count - 1 }
  public var sequences: Sequences { Sequences(zip(starts, starts.dropFirst()).map { Array(tokens[$0..<$1]) }) }
  public var summary: String { isWhole ? "\(tokens.count) tokens" : "\(windows) windows, \(tokens.count) tokens" }

  public static let fields = ["tokens": "number of tokens", "windows": "number of windows"]
  public func field(_ name: String) -> Literal? {
    switch name {
    case "tokens": return .integer(tokens.count)
    case "windows": return .integer(windows)
    default: return nil
    }
  }

  public init(tokens: [Int32], starts: [Int], textHash: String, tokenizerHash: String, isWhole: Bool) {
    self.tokens = tokens
    self.starts = starts
    self.textHash = textHash
    self.tokenizerHash = tokenizerHash
    self.isWhole = isWhole
  }

  public func write(to writer: any ArtifactWriter) throws {
    try writer.vector("tokens", tokens, axis: "token", meaning: "token id")
    try writer.vector(
      "doc_start", starts.map(Int64.init), axis: "doc_bound", meaning: "first token of each window, then the end")
    try writer.attribute("text_sha256", .string(textHash))
    try writer.attribute("tokenizer_sha256", .string(tokenizerHash))
    try writer.attribute("whole", .integer(isWhole ? 1 : 0))
    try writer.preview(title: "token ids", values: tokens.prefix(4096).map(Float.init), axis: "token")
  }

  public init(from reader: any ArtifactReader) throws {
    tokens = try reader.array("tokens", as: Int32.self)
    starts = try reader.array("doc_start", as: Int64.self).map(Int.init)
    textHash = try reader.attribute("text_sha256").stringValue ?? ""
    tokenizerHash = try reader.attribute("tokenizer_sha256").stringValue ?? ""
    isWhole = try reader.attribute("whole").intValue == 1
  }
}
