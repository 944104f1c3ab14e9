/// Everything a tokenizer is made of, read from a model folder.
struct TokenizerParts {
  let file: String
  let source: [UInt8]
  let style: Tokenizer.Style
  let pipeline: TokenizerPipeline
  let prefix: [Int32]
  let suffix: [Int32]
  let bos: Int32?
  let eos: Int32?

  init(folder: String) throws {
    try Checkpoint.requireFolder(folder)
    let settings = try Self.fields("tokenizer_config.json", in: folder)
    let config = try Self.fields("config.json", in: folder)
    if Checkpoint.exists(folder + "/tokenizer.json") {
      file = "tokenizer.json"
      source = try Checkpoint.bytes(file, in: folder)
      let root: JSON
      do {
        root = try JSON.parse(source)
      } catch let error as JSONError {
        throw CheckpointError.json(file: file, error)
      }
      let description = try TokenizerDescription(JSONFields(root, file: file))
      let pipeline = description.pipeline
      self.pipeline = pipeline
      style = description.style
      (prefix, suffix) = (description.prefix, description.suffix)
      bos = try Self.special("bos", settings, config) { pipeline.id(of: $0.bytes) }
      eos = try Self.special("eos", settings, config) { pipeline.id(of: $0.bytes) }
    } else if Checkpoint.exists(folder + "/tokenizer.model") {
      file = "tokenizer.model"
      source = try Checkpoint.bytes(file, in: folder)
      let read = try SentencePieceFile(source, file: file)
      let isChatGLM =
        try settings?.optionalText("tokenizer_class") == "ChatGLMTokenizer"
        || config?.optionalText("model_type") == "chatglm"
      style = isChatGLM ? .chatGLM : .sentencePiece
      var vocabulary = read.model.vocabulary
      bos = read.bos
      eos = read.eos
      if isChatGLM {
        // These have no text form: they are numbered after the pieces, and a text starts with two of them.
        let first = Int32(vocabulary.size)
        for (offset, name) in Self.chatGLMSpecials.enumerated() {
          vocabulary.insert(Array(name.utf8), id: first + Int32(offset))
        }
        prefix = [first + 1, first + 3]
        suffix = []
      } else {
        prefix = try settings?.optionalBool("add_bos_token") ?? true ? bos.map { [$0] } ?? [] : []
        suffix = try settings?.optionalBool("add_eos_token") ?? false ? eos.map { [$0] } ?? [] : []
      }
      pipeline = TokenizerPipeline(
        model: .sentencePiece(read.model), rawTokens: AddedTokenMatcher([]),
        normalizedTokens: AddedTokenMatcher([]), normalizer: nil, preTokenizer: nil, decoder: nil,
        vocabulary: vocabulary, addedTokens: [:])
    } else {
      throw TokenizerError.missing(folder: folder)
    }
  }

  private static let chatGLMSpecials = [
    "[MASK]", "[gMASK]", "[sMASK]", "sop", "eop", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>",
  ]

  /// A file of the folder that may be absent.
  private static func fields(_ file: String, in folder: String) throws -> JSONFields? {
    guard Checkpoint.exists(folder + "/" + file) else { return nil }
    return try JSONFields(try Checkpoint.json(file, in: folder), file: file)
  }

  /// The number of the `bos` or `eos` token: the text that tokenizer_config.json names, where null means that there is
  /// none, else the number in config.json, the first one if it is a list.
  private static func special(
    _ role: String, _ settings: JSONFields?, _ config: JSONFields?, _ id: (ByteString) -> Int32?
  ) throws -> Int32? {
    if let settings, settings.names(role + "_token") {
      switch settings[role + "_token"] {
      case .string(let text): return id(text)
      case .object?: return id(try settings.object(role + "_token").bytes("content"))
      default: return nil
      }
    }
    switch config?[role + "_token_id"] {
    case .integer(let number): return Int32(exactly: number)
    case .array(let numbers):
      if case .integer(let number)? = numbers.first { return Int32(exactly: number) }
      return nil
    default: return nil
    }
  }
}
