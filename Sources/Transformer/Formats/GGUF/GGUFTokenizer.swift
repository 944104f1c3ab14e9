/// What a GGUF file says of the tokenizer, in the terms of llama.cpp.
struct GGUFTokenizer {
  let metadata: [GGUFWriter.Entry]

  /// - Throws: `ModelError.cannotExport` when llama.cpp would cut text in other tokens.
  init(_ files: ModelFiles, rows count: Int) throws {
    let tokenizer: Tokenizer
    do { tokenizer = try Tokenizer(files) } catch TokenizerError.missing {
      metadata = [("tokenizer.ggml.model", .text("none"))]
      return
    }
    let kind = try Self.kind(of: tokenizer)
    guard tokenizer.vocabularySize <= count else {
      throw ModelError.cannotExport(
        reason:
          "as=gguf cannot write this model: its tokenizer has \(tokenizer.vocabularySize) tokens and its embedding \(count) rows"
      )
    }
    // An embedding may have more rows than there are tokens; llama.cpp wants a token for each.
    let ids = (0..<count).map(Int32.init)
    var entries: [GGUFWriter.Entry] = [
      ("tokenizer.ggml.model", .text(kind.model)), ("tokenizer.ggml.pre", .text(kind.pre)),
      ("tokenizer.ggml.tokens", .texts(ids.map { tokenizer.token($0) ?? ByteString("[PAD\($0)]") })),
      ("tokenizer.ggml.token_type", .integers(ids.map { Int32(tokenizer.kind(of: $0).rawValue) })),
    ]
    if kind.model == "llama" {
      entries.append(("tokenizer.ggml.scores", .numbers(Self.scores(tokenizer, ids))))
      entries.append(("tokenizer.ggml.add_space_prefix", .flag(tokenizer.prefixesSpace)))
      if let unknown = ids.first(where: { tokenizer.kind(of: $0) == .unknown }) {
        entries.append(("tokenizer.ggml.unknown_token_id", .count(Int(unknown))))
      }
    } else {
      let merges = tokenizer.merges.map { ByteString($0.left.bytes + [UInt8(ascii: " ")] + $0.right.bytes) }
      entries.append(("tokenizer.ggml.merges", .texts(merges)))
    }
    // What stands before a text is its start, where nothing else names one.
    if let bos = tokenizer.bos ?? tokenizer.prefix.first {
      entries.append(("tokenizer.ggml.bos_token_id", .count(Int(bos))))
    }
    if let eos = tokenizer.eos { entries.append(("tokenizer.ggml.eos_token_id", .count(Int(eos)))) }
    entries.append(("tokenizer.ggml.add_bos_token", .flag(!tokenizer.prefix.isEmpty && tokenizer.style != .chatGLM)))
    entries.append(("tokenizer.ggml.add_eos_token", .flag(!tokenizer.suffix.isEmpty)))
    if let template = try Self.chatTemplate(in: files) { entries.append(("tokenizer.chat_template", .text(template))) }
    metadata = entries
  }

  /// llama.cpp's names of the model and of the pattern by which text is cut.
  private static func kind(of tokenizer: Tokenizer) throws -> (model: String, pre: String) {
    switch tokenizer.style {
    case .sentencePiece:
      if case .sentencePiece(let model) = tokenizer.pipeline.model, model.removesExtraSpaces || !model.fallsBackToBytes
      {
        throw ModelError.cannotExport(
          reason: model.removesExtraSpaces
            ? "as=gguf cannot write this model: \(tokenizer.file) drops spaces of the text, which llama.cpp keeps"
            : "as=gguf cannot write this model: \(tokenizer.file) has no tokens for bytes, which llama.cpp needs")
      }
      return ("llama", "default")
    case .chatGLM: return ("llama", "chatglm-spm")
    case .gpt2: return ("gpt2", tokenizer.cutsDigits ? "smollm" : "gpt-2")
    // Both names mean the same pattern; under the first, whole words that are tokens are not taken apart.
    case .llama3: return ("gpt2", tokenizer.ignoresMerges ? "llama-bpe" : "smaug-bpe")
    case .qwen2: return ("gpt2", "qwen2")
    default:
      throw ModelError.cannotExport(
        reason:
          "as=gguf cannot write this model: llama.cpp has no name for the way in which \(tokenizer.file) cuts text")
    }
  }

  /// SentencePiece joins the pair whose whole scores highest. tokenizer.json lists the pairs in that order instead; what
  /// none of them makes comes last.
  private static func scores(_ tokenizer: Tokenizer, _ ids: [Int32]) -> [Float] {
    let merges = tokenizer.merges
    if merges.isEmpty { return ids.map(tokenizer.score) }
    var scores = [Float](repeating: -Float(merges.count + 1), count: ids.count)
    for (rank, merge) in merges.enumerated().reversed() {
      guard let id = tokenizer.id(of: ByteString(merge.left.bytes + merge.right.bytes)) else { continue }
      scores[Int(id)] = -Float(rank + 1)
    }
    return scores
  }

  /// The template of chats: a file of its own, or a text in tokenizer_config.json, the one called `default` of several.
  private static func chatTemplate(in files: ModelFiles) throws -> String? {
    let (own, settings) = ("chat_template.jinja", "tokenizer_config.json")
    if files.contains(own) { return String(decoding: try files.bytes(own), as: UTF8.self) }
    switch try files.fields(settings)?["chat_template"] {
    case .string(let text)?: return text.text
    case .array(let named)?:
      let chosen = named.first { $0["name"] == .text("default") } ?? named.first
      if case .string(let text)? = chosen?["template"] { return text.text }
      return nil
    default: return nil
    }
  }
}

extension Tokenizer {
  /// Whether a word that is a token as a whole is not taken apart.
  var ignoresMerges: Bool {
    if case .bytePair(let model) = pipeline.model { return model.ignoresMerges }
    return false
  }

  /// Whether a space is put before a text.
  var prefixesSpace: Bool {
    switch pipeline.model {
    case .sentencePiece(let model): model.prefix != .never
    case .bytePair(let model) where model.fallsBackToBytes:
      pipeline.encode([UInt8(ascii: "a")]).first.flatMap(token)?.bytes.starts(with: spaceMark) ?? false
    case .bytePair: pipeline.encode([UInt8(ascii: "a")]) == pipeline.encode(Array(" a".utf8))
    }
  }

  /// Whether every digit is a piece of its own.
  var cutsDigits: Bool {
    guard case .sequence(let stages)? = pipeline.preTokenizer else { return false }
    return stages.contains(.digits(individually: true))
  }
}
