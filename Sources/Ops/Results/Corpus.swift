import Kernel
import Transformer

/// Tokens of a text: whole, cut into windows, or page by page.
public struct Corpus: Artifact, InputValue {
  public static let type = ArtifactType("corpus")

  /// How long a page is as it was published, before it was detokenised.
  public struct PageSize: Sendable, Equatable {
    public let words: Int
    public let bytes: Int
  }

  /// Every token of every window or page, one after the other.
  public let tokens: [Int32]
  /// First token of each window or page, and the end: one more than there are.
  public let starts: [Int]
  /// Hash of the file the tokens come from, to notice calibration on the text that is tested.
  public let textHash: String
  public let tokenizerHash: String
  /// Whether this is text for `eval` to cut, as opposed to windows already cut.
  public let isWhole: Bool
  /// The size of each page; nil for running text. The tokens of pages have nothing added around them.
  public let pages: [PageSize]?

  /// The bytes of the text that each token stands for, empty for what the tokenizer adds around a text. nil when lines
  /// were joined, for pages, or when the tokens do not spell the text.
  public let spans: [Range<Int>]?

  public var windows: Int { starts.count - 1 }
  public var sequences: Sequences { Sequences(zip(starts, starts.dropFirst()).map { Array(tokens[$0..<$1]) }) }
  public var summary: String {
    let count = pages.map { counted($0.count, "page") } ?? counted(windows, "window")
    return isWhole && pages == nil ? "\(tokens.count) tokens" : "\(count), \(tokens.count) tokens"
  }

  public static let fields = ["tokens": "number of tokens", "windows": "number of windows or pages"]
  public func field(_ name: String) -> Literal? {
    switch name {
    case "tokens": return .integer(tokens.count)
    case "windows": return .integer(windows)
    default: return nil
    }
  }

  public init(
    tokens: [Int32], starts: [Int], textHash: String, tokenizerHash: String, isWhole: Bool,
    pages: [PageSize]? = nil, spans: [Range<Int>]? = nil
  ) {
    self.tokens = tokens
    self.starts = starts
    self.textHash = textHash
    self.tokenizerHash = tokenizerHash
    self.isWhole = isWhole
    self.pages = pages
    self.spans = spans
  }

  /// The tokens of window or page `index`.
  public subscript(index: Int) -> ArraySlice<Int32> { tokens[starts[index]..<starts[index + 1]] }

  public func write(to writer: any ArtifactWriter) throws {
    try writer.vector("tokens", tokens, axis: "token", meaning: "token id")
    try writer.vector(
      "doc_start", starts.map(Int64.init), axis: "doc_bound", meaning: "first token of each window, then the end")
    if let pages {
      try writer.vector("page/words", pages.map { Int64($0.words) }, axis: "page", meaning: "words as published")
      try writer.vector("page/bytes", pages.map { Int64($0.bytes) }, axis: "page", meaning: "bytes as published")
    }
    try writer.attribute("text_sha256", .string(textHash))
    try writer.attribute("tokenizer_sha256", .string(tokenizerHash))
    try writer.attribute("whole", .integer(isWhole ? 1 : 0))
    if let spans {
      try writer.vector(
        "byte/start", spans.map { Int64($0.lowerBound) }, axis: "token", meaning: "first byte in the text")
      try writer.vector(
        "byte/end", spans.map { Int64($0.upperBound) }, axis: "token", meaning: "byte after the last one in the text")
    }
    try writer.preview(title: "token ids", values: tokens.prefix(4096).map(Float.init), axis: "token")
  }

  public init(from reader: any ArtifactReader) throws {
    tokens = try reader.array("tokens", as: Int32.self)
    starts = try reader.array("doc_start", as: Int64.self).map(Int.init)
    textHash = try reader.attribute("text_sha256").stringValue ?? ""
    tokenizerHash = try reader.attribute("tokenizer_sha256").stringValue ?? ""
    isWhole = try reader.attribute("whole").intValue == 1
    spans =
      reader.has("byte/start")
      ? try zip(reader.array("byte/start", as: Int64.self), reader.array("byte/end", as: Int64.self))
        .map { Int($0)..<Int($1) } : nil
    pages =
      reader.has("page/words")
      ? try zip(
        reader.array("page/words", as: Int64.self), reader.array("page/bytes", as: Int64.self)
      ).map { PageSize(words: Int($0), bytes: Int($1)) } : nil
  }
}

extension Corpus {
  /// The bytes of the text that the tokens are of, read again from where it was.
  /// - Parameter reference: of this corpus.
  /// - Throws: when it is no longer there.
  func text(_ reference: ArtifactReference, _ context: any RunContext) throws -> [UInt8] {
    let path = try context.open(reference).source(content: textHash)
    return try TextFiles([ExternalFile(path: path, content: textHash)]).whole
  }

  /// Token numbers mean something only to the tokenizer they come from.
  /// - Parameter argument: what the op calls this text.
  /// - Throws: `Diagnostic` when the model's folder holds another one.
  func requireTokenizer(of model: Model, argument: String = "corpus") throws {
    guard let own = try? Text.tokenizerHash(model.network.checkpoint.files), own != tokenizerHash else { return }
    throw Diagnostic(
      "the corpus was made with another tokenizer than the model's", hint: "make it with `text … model=` this model",
      argument: argument)
  }

  /// - Parameter argument: what the op calls this text.
  /// - Throws: `Diagnostic` when the model has another tokenizer, or takes no sequence so long as one of these.
  func requireWindows(of model: Model, argument: String = "corpus") throws {
    try requireTokenizer(of: model, argument: argument)
    let (longest, limit) = (sequences.longest, model.configuration.positions)
    guard longest > limit else { return }
    throw Diagnostic(
      "the text has a sequence of \(longest) tokens, and the model takes \(limit)",
      hint: pages == nil ? "cut it into windows: `text … samples=32 length=\(limit)`" : nil, argument: argument)
  }
}
