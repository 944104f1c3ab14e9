import Kernel

/// What a model made of some prompts, and under which conditions.
public struct Texts: Artifact, InputValue {
  public static let type = ArtifactType("texts")

  struct Text: Sendable {
    let prompt: String
    /// What was added to it.
    let text: String
    let tokens: [Int32]
    /// log p of each token after those before it, in nats.
    let logLikelihoods: [Float]
  }

  let texts: [Text]
  /// Everything two of them must share to be compared.
  let conditions: [String: JSONValue]

  public var summary: String {
    "\(counted(texts.count, "text")), \(counted(tokens, "token"))"
  }

  private var tokens: Int { texts.reduce(0) { $0 + $1.tokens.count } }

  public static let fields = ["tokens": "number of tokens made", "texts": "number of texts"]
  public func field(_ name: String) -> Literal? {
    switch name {
    case "tokens": .integer(tokens)
    case "texts": .integer(texts.count)
    default: nil
    }
  }

  init(_ texts: [Text], conditions: [String: JSONValue]) {
    self.texts = texts
    self.conditions = conditions
  }

  public func write(to writer: any ArtifactWriter) throws {
    try writer.strings("text/prompt", texts.map(\.prompt), axis: "text")
    try writer.strings("text/continuation", texts.map(\.text), axis: "text")
    let counts = texts.map { Int64($0.tokens.count) }
    try writer.vector("text/tokens", counts, axis: "text", meaning: "tokens made")
    try writer.vector("token/id", texts.flatMap(\.tokens), axis: "token", meaning: "token id, text after text")
    let likelihoods = texts.flatMap(\.logLikelihoods)
    try writer.vector(
      "token/log_likelihood", likelihoods, axis: "token", meaning: "log-likelihood of each token", units: "nat")
    try writer.text("protocol", JSONValue.object(conditions).canonical)
    try writer.preview(
      title: "log-likelihood of each token", values: Array(likelihoods.prefix(4096)), axis: "token")
  }

  public init(from reader: any ArtifactReader) throws {
    let (prompts, contents) = (try reader.strings("text/prompt"), try reader.strings("text/continuation"))
    var ids = try reader.array("token/id", as: Int32.self)[...]
    var likelihoods = try reader.array("token/log_likelihood", as: Float.self)[...]
    let counts = try reader.array("text/tokens", as: Int64.self).map(Int.init)
    texts = prompts.indices.map { index in
      defer {
        ids = ids.dropFirst(counts[index])
        likelihoods = likelihoods.dropFirst(counts[index])
      }
      return Text(
        prompt: prompts[index], text: contents[index], tokens: Array(ids.prefix(counts[index])),
        logLikelihoods: Array(likelihoods.prefix(counts[index])))
    }
    conditions = try JSONValue(parsing: reader.text("protocol")).objectValue ?? [:]
  }
}
