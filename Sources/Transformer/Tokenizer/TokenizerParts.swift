/// Everything a tokenizer is made of, read from a model folder.
struct TokenizerParts {
  let file: String
  let style: Tokenizer.Style
  let pipeline: TokenizerPipeline
  let prefix: [Int32]
  let suffix: [Int32]
  let bos: Int32?
  let eos: Int32?

  init(_ files: ModelFiles) throws {
    guard let file = Self.file(in: files) else { throw TokenizerError.missing(folder: files.path) }
    let settings = try files.fields("tokenizer_config.json")
    let config = try files.fields("config.json")
    self.file = file
    if file == "tokenizer.model" {
      let read = try SentencePieceFile(files.bytes(file), file: file)
      let isChatGLM =
        try settings?.optionalText("tokenizer_class") == "ChatGLMTokenizer"
        || config?.optionalText("model_type") == "chatglm"
      style = isChatGLM ? .chatGLM : .sentencePiece
      let model = try read.model.prefixed(settings)
      let own = isChatGLM ? Self.chatGLMTokens(after: model.vocabulary) : model.controlTokens
      pipeline = TokenizerPipeline(
        .sentencePiece(model), own + (try SideTokens(files).tokens(model.vocabulary, own)))
      bos = try Self.special("bos", settings, nil, pipeline) ?? read.bos
      eos = try Self.special("eos", settings, nil, pipeline) ?? read.eos
      if isChatGLM {
        // A text starts with [gMASK] and sop.
        (prefix, suffix) = ([own[1].id, own[3].id], [])
      } else {
        prefix = try settings?.optionalBool("add_bos_token") ?? true ? bos.map { [$0] } ?? [] : []
        suffix = try settings?.optionalBool("add_eos_token") ?? false ? eos.map { [$0] } ?? [] : []
      }
      return
    }
    let description =
      file == VocabularyFiles.vocabulary
      ? try TokenizerDescription(VocabularyFiles.fields(files, settings, config), beside: SideTokens(files))
      : try TokenizerDescription(JSONFields(files.json(file, dialect: .strict), file: file))
    pipeline = description.pipeline
    style = description.style
    bos = try Self.special("bos", settings, config, pipeline)
    eos = try Self.special("eos", settings, config, pipeline)
    suffix = description.suffix
    let addsBOS = try file == VocabularyFiles.vocabulary && settings?.optionalBool("add_bos_token") ?? false
    prefix = addsBOS ? bos.map { [$0] } ?? [] : description.prefix
  }

  /// The file that holds the vocabulary, the newest form first; nil when there is none.
  static func file(in files: ModelFiles) -> String? {
    ["tokenizer.json", "tokenizer.model", VocabularyFiles.vocabulary].first(where: files.contains)
  }

  /// ChatGLM3's own tokens are numbered after the pieces and have no text form.
  private static func chatGLMTokens(after vocabulary: Vocabulary) -> [AddedToken] {
    let names: [ByteString] = [
      "[MASK]", "[gMASK]", "[sMASK]", "sop", "eop", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>",
    ]
    return names.enumerated().map {
      AddedToken($1, id: Int32(vocabulary.size + $0), isSpecial: true, written: [])
    }
  }

  /// The number of the `bos` or `eos` token: the text that tokenizer_config.json names, where null means that there is
  /// none, else the number in config.json, the first one if it is a list.
  private static func special(
    _ role: String, _ settings: JSONFields?, _ config: JSONFields?, _ pipeline: TokenizerPipeline
  ) throws -> Int32? {
    if let settings, settings.names(role + "_token") {
      switch settings[role + "_token"] {
      case .string(let text): return pipeline.id(of: text.bytes)
      case .object?: return pipeline.id(of: try settings.object(role + "_token").bytes("content").bytes)
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
