/// The tokenizer of a GGUF file as the files that it was made from: tokenizer.json for byte-level models, tokenizer.model
/// for SentencePiece ones, and tokenizer_config.json.
struct GGUFVocabulary {
  /// By name; made when they are asked for, since a vocabulary is large. Empty when the file has none.
  let files: [String: @Sendable () throws -> [UInt8]]

  /// - Parameter rows: of the embedding.
  /// - Throws: `GGUFError` or `TokenizerError` naming what is not known.
  init(_ header: GGUFHeader, rows: Int) throws {
    guard let model = try header.text("tokenizer.ggml.model"), model != "none" else {
      files = [:]
      return
    }
    let vocabulary = try Self.tokens(header, rows: rows)
    let pre = try header.text("tokenizer.ggml.pre") ?? "default"
    let settings = try Self.settings(header, vocabulary, pre: pre, model: model)
    switch model {
    case "llama":
      guard ["default", "chatglm-spm"].contains(pre) else { throw Self.unsupported(header, pre) }
      let spaces = try header.flag("tokenizer.ggml.add_space_prefix") ?? true
      guard case .numbers(let scores)? = header.metadata["tokenizer.ggml.scores"], scores.count >= vocabulary.count
      else {
        throw GGUFError.missing(file: header.file, key: "tokenizer.ggml.scores")
      }
      let pieces = pre == "chatglm-spm" ? vocabulary.prefix { $0.text != "[MASK]" } : vocabulary[...]
      let special = ["bos", "eos"].map { role in try? header.integer("tokenizer.ggml.\(role)_token_id") }
      files = [
        "tokenizer.model": {
          SentencePieceFile.serialized(
            pieces.map { ($0.text.bytes, scores[$0.id], $0.kind) }, prefixesSpace: spaces,
            bos: special[0] ?? nil, eos: special[1] ?? nil)
        },
        "tokenizer_config.json": { JSON.object(settings).serialized(indented: true) },
      ]
    case "gpt2":
      guard case .texts(let merges)? = header.metadata["tokenizer.ggml.merges"] else {
        throw GGUFError.missing(file: header.file, key: "tokenizer.ggml.merges")
      }
      guard let cut = Cut.all.first(where: { $0.names.contains(pre) }) else { throw Self.unsupported(header, pre) }
      let before =
        try header.flag("tokenizer.ggml.add_bos_token") ?? cut.addsStart
        ? try header.integer("tokenizer.ggml.bos_token_id") : nil
      let after =
        try header.flag("tokenizer.ggml.add_eos_token") ?? false
        ? try header.integer("tokenizer.ggml.eos_token_id") : nil
      let spaces = try header.flag("tokenizer.ggml.add_space_prefix") ?? false
      files = [
        "tokenizer.json": {
          cut.description(vocabulary, merges, before: before, after: after, prefixesSpace: spaces).serialized()
        },
        "tokenizer_config.json": { JSON.object(settings).serialized(indented: true) },
      ]
    default: throw TokenizerError.unsupported(file: header.file, part: "tokenizer", type: model)
    }
  }

  private static func unsupported(_ header: GGUFHeader, _ pre: String) -> TokenizerError {
    .unsupported(file: header.file, part: "way of cutting text", type: pre)
  }

  struct Token: Sendable {
    let id: Int
    let text: ByteString
    let kind: TokenKind
  }

  /// The tokens, without those at the end that only fill the embedding.
  private static func tokens(_ header: GGUFHeader, rows: Int) throws -> [Token] {
    guard case .texts(let texts)? = header.metadata["tokenizer.ggml.tokens"] else {
      throw GGUFError.missing(file: header.file, key: "tokenizer.ggml.tokens")
    }
    guard texts.count <= rows else {
      throw GGUFError.value(
        file: header.file, key: "tokenizer.ggml.tokens",
        problem: "has \(texts.count) tokens for \(rows) rows of the embedding")
    }
    var kinds: [Int32] = []
    if case .integers(let given)? = header.metadata["tokenizer.ggml.token_type"] { kinds = given }
    let tokens = try texts.enumerated().map { id, text in
      guard text.bytes.withUnsafeBufferPointer({ firstInvalidUTF8($0) }) == nil else {
        throw GGUFError.value(
          file: header.file, key: "tokenizer.ggml.tokens", problem: "has a token that is not UTF-8: number \(id)")
      }
      let kind = id < kinds.count ? TokenKind(rawValue: Int(kinds[id])) : .normal
      return Token(id: id, text: text, kind: kind ?? .normal)
    }
    let filling = tokens.reversed().prefix { $0.kind == .unused && $0.text == "[PAD\($0.id)]" }
    return Array(tokens.dropLast(filling.count))
  }

  private static func settings(
    _ header: GGUFHeader, _ tokens: [Token], pre: String, model: String
  ) throws -> [JSON.Member] {
    let isSentencePiece = model == "llama"
    let isChatGLM = pre == "chatglm-spm"
    var members = [
      JSON.Member(
        "tokenizer_class",
        .text(isChatGLM ? "ChatGLMTokenizer" : isSentencePiece ? "LlamaTokenizer" : "PreTrainedTokenizerFast"))
    ]
    for (role, key) in [("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding")] {
      guard let id = try header.integer("tokenizer.ggml.\(key)_token_id"), tokens.indices.contains(id) else { continue }
      members.append(JSON.Member("\(role)_token", .string(tokens[id].text)))
    }
    if isSentencePiece {
      // llama.cpp puts a space behind every token of its own, as older versions of transformers do.
      members.append(JSON.Member("legacy", .bool(true)))
      let (start, end) = ("tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token")
      members.append(JSON.Member("add_bos_token", .bool(try header.flag(start) ?? true)))
      members.append(JSON.Member("add_eos_token", .bool(try header.flag(end) ?? false)))
    }
    if let template = try header.text("tokenizer.chat_template") {
      members.append(JSON.Member("chat_template", .text(template)))
    }
    return members
  }
}

/// A way in which byte-level tokenizers cut text, by llama.cpp's names of it, in the terms of tokenizer.json.
private struct Cut: Sendable {
  let names: [String]
  /// What cuts text before it is put into the alphabet of bytes.
  let stages: [JSON]
  /// The last stage cuts by GPT-2's pattern, too.
  var cutsLast = false
  var composes = false
  /// A word that is a token as a whole is not taken apart.
  var ignoresMerges = false
  /// Texts start with the token for it unless the file says otherwise.
  var addsStart = false

  static let all = [
    Cut(
      names: ["llama-bpe", "llama3", "llama-v3"], stages: [split(SplitPattern.llama3Text)], ignoresMerges: true,
      addsStart: true),
    Cut(names: ["smaug-bpe"], stages: [split(SplitPattern.llama3Text)]),
    // The tokenizers that the name stands for compose characters first, which llama.cpp does not.
    Cut(names: ["qwen2"], stages: [split(SplitPattern.qwen2Text)], composes: true),
    Cut(names: ["tekken"], stages: [split(SplitPattern.tekkenText)], ignoresMerges: true),
    Cut(names: ["gpt-2"], stages: [], cutsLast: true),
    Cut(names: ["smollm"], stages: [stage("Digits", [("individual_digits", .bool(true))])], cutsLast: true),
  ]

  private static func stage(_ type: String, _ members: [(String, JSON)] = []) -> JSON {
    .object([JSON.Member("type", .text(type))] + members.map { JSON.Member(ByteString($0.0), $0.1) })
  }

  private static func split(_ pattern: String) -> JSON {
    stage(
      "Split",
      [
        ("pattern", .object([JSON.Member("Regex", .text(pattern))])), ("behavior", .text("Isolated")),
        ("invert", .bool(false)),
      ])
  }

  private static func byteLevel(cuts: Bool, prefixesSpace: Bool) -> JSON {
    stage(
      "ByteLevel",
      [("add_prefix_space", .bool(prefixesSpace)), ("trim_offsets", .bool(true)), ("use_regex", .bool(cuts))])
  }

  /// tokenizer.json.
  func description(
    _ tokens: [GGUFVocabulary.Token], _ merges: [ByteString], before: Int?, after: Int?, prefixesSpace: Bool
  ) -> JSON {
    func flags(_ names: [String]) -> [JSON.Member] { names.map { JSON.Member(ByteString($0), .bool(false)) } }
    let added = tokens.filter { $0.kind == .control || $0.kind == .userDefined }.map { token in
      JSON.object(
        [JSON.Member("id", .integer(token.id)), JSON.Member("content", .string(token.text))]
          + flags(["single_word", "lstrip", "rstrip", "normalized"])
          + [JSON.Member("special", .bool(token.kind == .control))])
    }
    let vocabulary = tokens.filter { $0.kind != .control && $0.kind != .userDefined }
      .map { JSON.Member($0.text, .integer($0.id)) }
    return .object([
      JSON.Member("version", .text("1.0")), JSON.Member("truncation", .null), JSON.Member("padding", .null),
      JSON.Member("added_tokens", .array(added)),
      JSON.Member("normalizer", composes ? Self.stage("NFC") : .null),
      JSON.Member(
        "pre_tokenizer",
        Self.stage(
          "Sequence",
          [("pretokenizers", .array(stages + [Self.byteLevel(cuts: cutsLast, prefixesSpace: prefixesSpace)]))])),
      JSON.Member("post_processor", processor(tokens, before, after)),
      JSON.Member("decoder", Self.byteLevel(cuts: true, prefixesSpace: true)),
      JSON.Member(
        "model",
        Self.stage(
          "BPE",
          [
            ("dropout", .null), ("unk_token", .null), ("continuing_subword_prefix", .null),
            ("end_of_word_suffix", .null), ("fuse_unk", .bool(false)), ("byte_fallback", .bool(false)),
            ("ignore_merges", .bool(ignoresMerges)), ("vocab", .object(vocabulary)),
            ("merges", .array(merges.map { .string($0) })),
          ])),
    ])
  }

  /// What stands around a text.
  private func processor(_ tokens: [GGUFVocabulary.Token], _ before: Int?, _ after: Int?) -> JSON {
    let plain = Self.byteLevel(cuts: true, prefixesSpace: true)
    func token(_ id: Int?) -> GGUFVocabulary.Token? { id.flatMap { tokens.indices.contains($0) ? tokens[$0] : nil } }
    let (first, last) = (token(before), token(after))
    let around = [first, last].compactMap { $0 }
    if around.isEmpty { return plain }
    func part(_ kind: String, _ id: ByteString, type: Int = 0) -> JSON {
      .object([
        JSON.Member(
          ByteString(kind), .object([JSON.Member("id", .string(id)), JSON.Member("type_id", .integer(type))]))
      ])
    }
    func template(_ texts: [(ByteString, Int)]) -> JSON {
      .array(
        texts.flatMap { text, type in
          [
            first.map { part("SpecialToken", $0.text, type: type) }, part("Sequence", text, type: type),
            last.map { part("SpecialToken", $0.text, type: type) },
          ].compactMap { $0 }
        })
    }
    var specials: [JSON.Member] = []
    for token in around where !specials.contains(where: { $0.key == token.text }) {
      specials.append(
        JSON.Member(
          token.text,
          .object([
            JSON.Member("id", .string(token.text)), JSON.Member("ids", .array([.integer(token.id)])),
            JSON.Member("tokens", .array([.string(token.text)])),
          ])))
    }
    let processing = Self.stage(
      "TemplateProcessing",
      [
        ("single", template([("A", 0)])), ("pair", template([("A", 0), ("B", 1)])),
        ("special_tokens", .object(specials)),
      ])
    return Self.stage("Sequence", [("processors", .array([plain, processing]))])
  }
}
