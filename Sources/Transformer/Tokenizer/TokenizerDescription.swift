/// Reads `tokenizer.json`. Whatever this file does not know is refused by name: a stage left out would give other
/// tokens without a word.
struct TokenizerDescription {
  let pipeline: TokenizerPipeline
  let style: Tokenizer.Style
  let prefix: [Int32]
  let suffix: [Int32]

  /// - Parameter beside: tokens that other files add to the vocabulary.
  init(_ root: JSONFields, beside: SideTokens? = nil) throws {
    let file = root.file
    let normalizer = try root.optionalObject("normalizer").map(Self.normalizer)
    let preTokenizer = try root.optionalObject("pre_tokenizer").map(Self.preTokenizer)
    let decoder = try root.optionalObject("decoder").map(Self.decoder)
    guard let modelFields = try root.optionalObject("model") else { throw TokenizerError.noVocabulary(file: file) }
    let model = try Self.model(modelFields)

    var added: [AddedToken] = try beside?.tokens(model.vocabulary) ?? []
    for fields in try root.optionalObjects("added_tokens") ?? [] {
      let token = try AddedToken(fields, id: .integer(fields.integer("id")), normalizer: normalizer)
      if token.content.bytes.isEmpty { continue }
      let known = model.vocabulary.id(of: token.content.bytes) ?? added.first { $0.content == token.content }?.id
      if let known, known != token.id {
        throw TokenizerError.conflict(file: file, token: token.content, ids: [Int(known), Int(token.id)])
      }
      added.append(token)
    }
    pipeline = TokenizerPipeline(
      .bytePair(model), added, normalizer: normalizer, preTokenizer: preTokenizer, decoder: decoder)

    (prefix, suffix) = try Self.template(root.optionalObject("post_processor"))
    for id in prefix + suffix where pipeline.token(id) == nil {
      throw TokenizerError.missingToken(file: file, token: "post-processor's \(id)")
    }
    style = Self.style(preTokenizer, model)
  }

  private static func style(_ preTokenizer: PreTokenizer?, _ model: BytePairModel) -> Tokenizer.Style {
    var stages: [PreTokenizer] = []
    if case .sequence(let inner) = preTokenizer { stages = inner } else if let preTokenizer { stages = [preTokenizer] }
    for stage in stages {
      switch stage {
      case .split(.cl100k(digits: 3)): return .llama3
      case .split(.cl100k): return .qwen2
      case .split(.gpt2), .byteLevel(_, cuts: true): return .gpt2
      default: break
      }
    }
    return model.fallsBackToBytes ? .sentencePiece : .other
  }

  /// The number of a token, or an error naming the token.
  static func tokenID(_ value: JSON, of token: ByteString, _ file: String) throws -> Int32 {
    guard case .integer(let number) = value, 0...Vocabulary.idLimit ~= number else {
      throw TokenizerError.id(file: file, token: token)
    }
    return Int32(number)
  }
}

extension TokenizerDescription {
  private static func unsupported(_ part: String, _ fields: JSONFields, _ option: String? = nil) throws
    -> TokenizerError
  {
    let type = try fields.text("type")
    return .unsupported(file: fields.file, part: part, type: option.map { "\(type) with \($0)" } ?? type)
  }

  private static func normalizer(_ fields: JSONFields) throws -> Normalizer {
    switch try fields.text("type") {
    case "NFC": return .nfc
    case "Prepend": return .prepend(try fields.bytes("prepend").bytes)
    case "Replace":
      let (pattern, replacement) = try replacement(fields, "normalizer")
      return .replace(pattern, by: replacement)
    case "Strip":
      return .strip(
        left: try fields.optionalBool("strip_left") ?? true, right: try fields.optionalBool("strip_right") ?? true)
    case "Sequence":
      return .sequence(try (fields.optionalObjects("normalizers") ?? []).map(normalizer))
    default: throw try unsupported("normalizer", fields)
    }
  }

  /// The text and its replacement of a `Replace` stage; a regular expression is refused.
  private static func replacement(_ fields: JSONFields, _ part: String) throws -> ([UInt8], [UInt8]) {
    guard let pattern = try fields.object("pattern").optionalBytes("String") else {
      throw try unsupported(part, fields, "a regular expression")
    }
    return (pattern.bytes, try fields.bytes("content").bytes)
  }

  private static func preTokenizer(_ fields: JSONFields) throws -> PreTokenizer {
    switch try fields.text("type") {
    case "Sequence":
      return .sequence(try (fields.optionalObjects("pretokenizers") ?? []).map(preTokenizer))
    case "Split":
      guard let text = try fields.object("pattern").optionalBytes("Regex") else {
        throw try unsupported("pre-tokenizer", fields, "a plain text")
      }
      guard let pattern = SplitPattern(text: text) else { throw TokenizerError.pattern(file: fields.file, text) }
      let behavior = try fields.text("behavior")
      // Where a pattern matches every character, cutting at matches and keeping only matches are the same.
      switch (behavior, try fields.optionalBool("invert") ?? false) {
      case ("Isolated", _): return .split(pattern)
      case ("Removed", true) where pattern.matchesEverything: return .split(pattern)
      default: throw try unsupported("pre-tokenizer", fields, "behavior \(behavior)")
      }
    case "ByteLevel":
      return .byteLevel(
        prefixesSpace: try fields.optionalBool("add_prefix_space") ?? true,
        cuts: try fields.optionalBool("use_regex") ?? true)
    case "Metaspace":
      let (mark, prefix) = try metaspace(fields)
      return .metaspace(mark: mark, prefix: prefix, cuts: try fields.optionalBool("split") ?? true)
    case "Digits":
      return .digits(individually: try fields.optionalBool("individual_digits") ?? false)
    default: throw try unsupported("pre-tokenizer", fields)
    }
  }

  private static func metaspace(_ fields: JSONFields) throws -> ([UInt8], PreTokenizer.Prefix) {
    let mark = try fields.optionalBytes("replacement")?.bytes ?? spaceMark
    if mark.isEmpty || scalarLength(mark[0]) != mark.count {
      throw fields.error("replacement", "must be one character")
    }
    guard let name = try fields.optionalText("prepend_scheme") else {
      return (mark, try fields.optionalBool("add_prefix_space") ?? true ? .always : .never)
    }
    guard let prefix = PreTokenizer.Prefix(rawValue: name) else {
      throw fields.error("prepend_scheme", "must be always, first or never")
    }
    return (mark, prefix)
  }

  private static func decoder(_ fields: JSONFields) throws -> TokenDecoder {
    switch try fields.text("type") {
    case "ByteLevel": return .byteLevel
    case "ByteFallback": return .byteFallback
    case "Fuse": return .fuse
    case "Replace":
      let (pattern, replacement) = try replacement(fields, "decoder")
      return .replace(pattern, by: replacement)
    case "Strip":
      return .strip(
        character: try fields.bytes("content").bytes, left: try fields.optionalInteger("start") ?? 0,
        right: try fields.optionalInteger("stop") ?? 0)
    case "Metaspace":
      let (mark, prefix) = try metaspace(fields)
      return .metaspace(mark: mark, dropsFirst: prefix != .never)
    case "Sequence":
      return .sequence(try (fields.optionalObjects("decoders") ?? []).map(decoder))
    default: throw try unsupported("decoder", fields)
    }
  }

  /// What stands before and after a single text.
  private static func template(_ fields: JSONFields?) throws -> (prefix: [Int32], suffix: [Int32]) {
    guard let fields else { return ([], []) }
    switch try fields.text("type") {
    case "ByteLevel": return ([], [])
    case "Sequence":
      var result: (prefix: [Int32], suffix: [Int32]) = ([], [])
      for stage in try fields.optionalObjects("processors") ?? [] {
        let inner = try template(stage)
        result = (inner.prefix + result.prefix, result.suffix + inner.suffix)
      }
      return result
    case "TemplateProcessing":
      let specials = try fields.optionalObject("special_tokens")
      var result: (prefix: [Int32], suffix: [Int32]) = ([], [])
      var isAfterText = false
      for part in try fields.optionalObjects("single") ?? [] {
        if try part.optionalObject("Sequence") != nil {
          if isAfterText { throw try unsupported("post-processor", fields, "the text twice") }
          isAfterText = true
          continue
        }
        let name = try part.object("SpecialToken").bytes("id")
        guard let ids = specials?.members.first(where: { $0.key == name })?.value["ids"], case .array(let values) = ids
        else { throw TokenizerError.missingToken(file: fields.file, token: name.description) }
        let numbers = try values.map { try tokenID($0, of: name, fields.file) }
        if isAfterText { result.suffix += numbers } else { result.prefix += numbers }
      }
      if !isAfterText { throw try unsupported("post-processor", fields, "no place for the text") }
      return result
    default: throw try unsupported("post-processor", fields)
    }
  }
}

extension TokenizerDescription {
  private static func model(_ fields: JSONFields) throws -> BytePairModel {
    let file = fields.file
    let type = try fields.optionalText("type") ?? (fields.names("merges") ? "BPE" : "without a type")
    if type != "BPE" { throw TokenizerError.unsupported(file: file, part: "model", type: type) }
    if let dropout = try fields.optionalDouble("dropout"), dropout != 0 {
      throw TokenizerError.unsupported(file: file, part: "model", type: "BPE with dropout")
    }
    for option in ["continuing_subword_prefix", "end_of_word_suffix"] {
      if let text = try fields.optionalBytes(option), !text.bytes.isEmpty {
        throw TokenizerError.unsupported(file: file, part: "model", type: "BPE with \(option)")
      }
    }
    guard case .object(let members)? = fields["vocab"], !members.isEmpty else {
      throw TokenizerError.noVocabulary(file: file)
    }
    var vocabulary = Vocabulary(capacity: members.count)
    for member in members {
      vocabulary.insert(member.key.bytes, id: try tokenID(member.value, of: member.key, file))
    }
    let unknown = try fields.optionalBytes("unk_token").map { text in
      guard let id = vocabulary.id(of: text.bytes) else {
        throw TokenizerError.missingToken(file: file, token: "unknown")
      }
      return id
    }
    let (table, pairs, crossesWords) = try merges(try fields.optionalArray("merges") ?? [], vocabulary, file)
    let ignoresMerges = try fields.optionalBool("ignore_merges") ?? false
    return BytePairModel(
      vocabulary: vocabulary, merges: table, pairs: pairs,
      fallsBackToBytes: try fields.optionalBool("byte_fallback") ?? false, ignoresMerges: ignoresMerges,
      unknown: unknown, fusesUnknown: try fields.optionalBool("fuse_unk") ?? false,
      byteIDs: (0..<256).map { vocabulary.id(of: byteToken(UInt8($0))) ?? -1 },
      staysInWords: !crossesWords && !ignoresMerges && vocabulary.id(of: spaceMark) != nil)
  }

  private static func merges(
    _ elements: [JSON], _ vocabulary: Vocabulary, _ file: String
  ) throws -> (table: MergeTable, pairs: [(left: Int32, right: Int32)], crossesWords: Bool) {
    var table = MergeTable(capacity: elements.count)
    var pairs: [(left: Int32, right: Int32)] = []
    pairs.reserveCapacity(elements.count)
    var crossesWords = false
    var joined: [UInt8] = []
    for (rank, element) in elements.enumerated() {
      func problem(_ problem: String) -> TokenizerError { .merge(file: file, number: rank, problem: problem) }
      let parts: [ArraySlice<UInt8>]
      switch element {
      case .string(let text):
        parts = text.bytes.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
      case .array(let both):
        parts = both.compactMap { if case .string(let text) = $0 { text.bytes[...] } else { nil } }
      default: throw problem("is \(element.kind), not two tokens")
      }
      guard parts.count == 2 else { throw problem("does not name two tokens") }
      func id(_ token: ArraySlice<UInt8>, _ role: String) throws -> Int32 {
        guard let id = token.withUnsafeBufferPointer({ vocabulary.id(of: $0) }) else {
          throw problem("names \(role) that is not in the vocabulary: `\(printable(Array(token)))`")
        }
        return id
      }
      let left = try id(parts[0], "a token")
      let right = try id(parts[1], "a token")
      joined.removeAll(keepingCapacity: true)
      joined.append(contentsOf: parts[0])
      joined.append(contentsOf: parts[1])
      table.insert(left, right, rank: UInt32(rank), id: try id(joined[...], "two tokens with a whole"))
      pairs.append((left, right))
      if !crossesWords, joined.withUnsafeBufferPointer({ $0.hasInnerMark(spaceMark) }) { crossesWords = true }
    }
    return (table, pairs, crossesWords)
  }
}
