/// Reads `vocab.json` and `merges.txt`, the older form of byte-level tokenizers. They do not say how text is cut: that
/// is known from the class that reads them. Both together are turned into what tokenizer.json would hold.
enum VocabularyFiles {
  static let vocabulary = "vocab.json"
  static let merges = "merges.txt"
  /// The token that both classes take for the end of a text unless told otherwise.
  private static let end = ByteString("<|endoftext|>")

  static func fields(_ files: ModelFiles, _ settings: JSONFields?, _ config: JSONFields?) throws -> JSONFields {
    let vocabulary = try files.json(vocabulary)
    let lines = try files.bytes(merges).split(separator: UInt8(ascii: "\n"))
    let rows = lines.map { $0.last == UInt8(ascii: "\r") ? $0.dropLast() : $0 }
      .filter { !$0.isEmpty && !$0.starts(with: "#version".utf8) }
    let prefixesSpace = try settings?.optionalBool("add_prefix_space") ?? false
    let name = try settings?.optionalText("tokenizer_class") ?? config?.optionalText("model_type") ?? "absent"
    func stage(_ type: String, _ members: [(String, JSON)]) -> JSON {
      .object([JSON.Member("type", .text(type))] + members.map { JSON.Member(ByteString($0.0), $0.1) })
    }
    func byteLevel(cuts: Bool) -> JSON {
      stage("ByteLevel", [("add_prefix_space", .bool(prefixesSpace)), ("use_regex", .bool(cuts))])
    }
    let normalizer: JSON
    let preTokenizer: JSON
    switch name {
    case "GPT2Tokenizer", "GPT2TokenizerFast", "gpt2":
      normalizer = .null
      preTokenizer = byteLevel(cuts: true)
    case "Qwen2Tokenizer", "Qwen2TokenizerFast", "qwen2", "qwen3":
      normalizer = stage("NFC", [])
      let pattern = JSON.object([JSON.Member("Regex", .text(SplitPattern.qwen2Text))])
      preTokenizer = stage(
        "Sequence",
        [
          (
            "pretokenizers",
            .array([
              stage("Split", [("pattern", pattern), ("behavior", .text("Isolated"))]), byteLevel(cuts: false),
            ])
          )
        ])
    default:
      throw TokenizerError.unsupported(file: "vocab.json without tokenizer.json", part: "tokenizer class", type: name)
    }
    let members: [(String, JSON)] = [
      ("normalizer", normalizer), ("pre_tokenizer", preTokenizer), ("decoder", stage("ByteLevel", [])),
      (
        "model", stage("BPE", [("vocab", vocabulary), ("merges", .array(rows.map { .string(ByteString(Array($0))) }))])
      ),
      ("added_tokens", .array(try endToken(vocabulary))),
    ]
    return try JSONFields(.object(members.map { JSON.Member(ByteString($0.0), $0.1) }), file: Self.vocabulary)
  }

  private static func endToken(_ vocabulary: JSON) throws -> [JSON] {
    guard let id = vocabulary[end] else { return [] }
    return [
      .object([
        JSON.Member("id", id), JSON.Member("content", .string(end)), JSON.Member("special", .bool(true)),
      ])
    ]
  }
}
