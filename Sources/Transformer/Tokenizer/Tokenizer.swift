/// What a token is for; the numbers are those of SentencePiece and GGUF files.
public enum TokenKind: Int, Sendable {
  case normal = 1
  case unknown = 2
  case control = 3
  case userDefined = 4
  case unused = 5
  case byte = 6
}

/// Turns text into token numbers and back, from `tokenizer.json` of a model folder, or else from `tokenizer.model` or
/// `vocab.json` with `merges.txt`, and the files beside these that add tokens.
///
/// The oracle is the Hugging Face `tokenizers` library reading the same file, not `transformers`, which overrides parts
/// of the file for some models.
public final class Tokenizer: Sendable {
  /// How text is cut, for formats that want it by name.
  public enum Style: String, Sendable {
    case gpt2, llama3, qwen2, sentencePiece, chatGLM, other
  }

  /// The name of the file it was read from.
  public let file: String
  public let style: Style
  /// What starts a text, by tokenizer_config.json, else config.json; `nil` when the model has none.
  public let bos: Int32?
  /// What ends a text.
  public let eos: Int32?
  /// Tokens that `addSpecial` puts before and after a text.
  public let prefix: [Int32]
  public let suffix: [Int32]

  let pipeline: TokenizerPipeline

  /// The files of a model folder that may make up a tokenizer.
  public static let files =
    ["tokenizer.json", "tokenizer.model", VocabularyFiles.vocabulary, VocabularyFiles.merges] + SideTokens.files

  /// The files of a folder that decide which tokens a text has.
  public static func filesUsed(in files: ModelFiles) throws -> [String] {
    guard let file = TokenizerParts.file(in: files) else { throw TokenizerError.missing(folder: files.path) }
    if file == "tokenizer.json" { return [file] }
    let merges = file == VocabularyFiles.vocabulary ? [VocabularyFiles.merges] : []
    return [file] + merges + SideTokens.files.filter(files.contains)
  }

  /// Whether a model has a tokenizer at all; it can be pruned without one.
  public static func exists(in files: ModelFiles) -> Bool { TokenizerParts.file(in: files) != nil }

  /// Reads the tokenizer of a model.
  ///
  /// - Throws: `TokenizerError`, or `CheckpointError`, `FieldError` for files that cannot be read.
  public convenience init(_ files: ModelFiles) throws { try self.init(TokenizerParts(files)) }

  /// Reads a model folder.
  public convenience init(folder: String) throws { try self.init(ModelFiles(folder: folder)) }

  init(_ parts: TokenizerParts) {
    file = parts.file
    style = parts.style
    bos = parts.bos
    eos = parts.eos
    prefix = parts.prefix
    suffix = parts.suffix
    pipeline = parts.pipeline
  }

  /// One more than the highest token number. An embedding may have more rows than this.
  public var vocabularySize: Int { pipeline.vocabularySize }

  /// Bytes of the longest text: its normal form may be four times as long, and positions in it are 32-bit numbers.
  static let longestText = Int(Int32.max) / 4

  /// The tokens of a text.
  ///
  /// - Parameter addSpecial: adds what the file says belongs around a text, such as `<s>`.
  public func encode(_ text: String, addSpecial: Bool) throws -> [Int32] {
    try encode(Array(text.utf8), addSpecial: addSpecial)
  }

  /// - Throws: `TokenizerError.invalidUTF8` with the first byte at fault.
  public func encode(_ text: [UInt8], addSpecial: Bool) throws -> [Int32] {
    if text.count > Self.longestText { throw TokenizerError.textTooLong(bytes: text.count) }
    if let bad = text.withUnsafeBufferPointer({ firstInvalidUTF8($0) }) {
      throw TokenizerError.invalidUTF8(offset: bad)
    }
    let ids = pipeline.encode(text)
    return addSpecial ? prefix + ids + suffix : ids
  }

  /// The text of tokens; numbers without a token vanish, and bytes that are not UTF-8 become U+FFFD.
  ///
  /// - Parameter skipSpecial: leaves out tokens such as `<s>`.
  public func decode(_ ids: [Int32], skipSpecial: Bool = false) -> String {
    String(decoding: pipeline.decode(ids, skipSpecial: skipSpecial), as: UTF8.self)
  }

  /// The bytes that one token stands for, with spaces as spaces; empty for a number without a token.
  public func bytes(of id: Int32) -> [UInt8] { pipeline.bytes(of: id) }

  /// The token as the file writes it, `nil` for a number without a token.
  public func token(_ id: Int32) -> ByteString? { pipeline.token(id).map { ByteString(Array($0)) } }

  /// The number of a token as the file writes it.
  public func id(of token: ByteString) -> Int32? { pipeline.id(of: token.bytes) }

  public func kind(of id: Int32) -> TokenKind { pipeline.kind(of: id) }

  /// The SentencePiece score of a token, 0 for other models.
  public func score(of id: Int32) -> Float { pipeline.score(of: id) }

  /// The merges of a byte-pair model in order of rank; empty for `tokenizer.model`.
  public var merges: [(left: ByteString, right: ByteString)] { pipeline.merges }
}
