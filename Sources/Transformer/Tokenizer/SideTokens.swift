/// Tokens that stand in files beside `tokenizer.model` or `vocab.json`: `added_tokens_decoder` and the special tokens of
/// tokenizer_config.json, added_tokens.json and special_tokens_map.json.
struct SideTokens {
  /// The files it looks at.
  static let files = ["tokenizer_config.json", "added_tokens.json", "special_tokens_map.json"]

  private var listed: [(token: AddedToken, file: String)] = []
  /// Special tokens in the order in which transformers numbers those that have no number yet.
  private var special: [ByteString] = []

  init(_ source: ModelFiles) throws {
    let files = try Self.files.map { try source.fields($0) }
    if let listed = try files[0]?.optionalObject("added_tokens_decoder") {
      for member in listed.members {
        let fields = try listed.object(member.key.text)
        guard let number = Int(member.key.text) else {
          throw listed.error(member.key.text, "is not the number of a token")
        }
        try add(AddedToken(fields, id: .integer(number), normalizer: nil), file: listed.file)
      }
    }
    for member in files[1]?.members ?? [] {
      let id = try TokenizerDescription.tokenID(member.value, of: member.key, "added_tokens.json")
      add(AddedToken(member.key, id: id, isSpecial: false), file: "added_tokens.json")
    }
    for fields in [files[0], files[2]] {
      guard let fields else { continue }
      for role in ["bos", "eos", "unk", "sep", "pad", "cls", "mask"] {
        special += try [Self.content(fields[role + "_token"], fields)].compactMap { $0 }
      }
      for list in ["additional_special_tokens", "extra_special_tokens"] {
        guard case .array(let values)? = fields[list] else { continue }
        special += try values.compactMap { try Self.content($0, fields) }
      }
    }
  }

  private mutating func add(_ token: AddedToken, file: String) {
    if !token.content.bytes.isEmpty, !listed.contains(where: { $0.token.content == token.content }) {
      listed.append((token, file))
    }
  }

  /// The text of a special token, which is a text or an object that holds one.
  private static func content(_ value: JSON?, _ fields: JSONFields) throws -> ByteString? {
    switch value {
    case .string(let text): return text.bytes.isEmpty ? nil : text
    case .object: return try JSONFields(value ?? .null, file: fields.file).optionalBytes("content")
    default: return nil
    }
  }

  /// What the files add to a vocabulary. Special tokens that none of them numbers follow the others.
  ///
  /// - Parameter own: tokens that the tokenizer has besides its vocabulary.
  /// - Throws: `TokenizerError.conflict` for a token with two numbers.
  func tokens(_ vocabulary: Vocabulary, _ own: [AddedToken] = []) throws -> [AddedToken] {
    func known(_ content: ByteString) -> Int32? {
      vocabulary.id(of: content.bytes) ?? own.first { $0.content == content }?.id
    }
    for (token, file) in listed {
      if let known = known(token.content), known != token.id {
        throw TokenizerError.conflict(file: file, token: token.content, ids: [Int(known), Int(token.id)])
      }
    }
    var tokens = listed.map(\.token)
    var next = max(Int32(vocabulary.size), ((own + tokens).map(\.id).max() ?? -1) + 1)
    for content in special where !tokens.contains(where: { $0.content == content }) {
      let known = known(content)
      tokens.append(AddedToken(content, id: known ?? next, isSpecial: true))
      if known == nil { next += 1 }
    }
    return tokens
  }
}
