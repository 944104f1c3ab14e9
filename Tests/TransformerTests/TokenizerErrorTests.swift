import Testing

@testable import Transformer

@Suite struct TokenizerErrorTests {
  private let small = #""vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]"#

  private func message(_ json: String, config: [String: String] = [:]) throws -> String {
    let folder = try ScratchFolder()
    try folder.write(Array(json.utf8), to: "tokenizer.json")
    for (name, text) in config { try folder.write(Array(text.utf8), to: name) }
    do {
      _ = try Tokenizer(folder: folder.path)
      return ""
    } catch { return "\(error)" }
  }

  @Test func unknownPartsAreRefusedByName() throws {
    func expect(_ json: String, _ wanted: String) throws {
      #expect(try message(json) == "tokenizer.json: " + wanted)
    }
    try expect(#"{"model":{"type":"Unigram","vocab":[]}}"#, "the model `Unigram` is not supported")
    try expect(#"{"model":{"type":"WordPiece","vocab":{}}}"#, "the model `WordPiece` is not supported")
    try expect(
      "{\"model\":{\"type\":\"BPE\",\"dropout\":0.1,\(small)}}", "the model `BPE with dropout` is not supported")
    try expect("{\"normalizer\":{\"type\":\"NFKC\"},\"model\":{\(small)}}", "the normalizer `NFKC` is not supported")
    try expect(
      "{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"a\"},\"content\":\"\"},\"model\":{\(small)}}",
      "the normalizer `Replace with a regular expression` is not supported")
    try expect(
      "{\"pre_tokenizer\":{\"type\":\"Whitespace\"},\"model\":{\(small)}}",
      "the pre-tokenizer `Whitespace` is not supported")
    try expect(
      "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"x+\"},\"behavior\":\"Isolated\"},\"model\":{\(small)}}",
      "text is cut by a pattern that is not supported: x+")
    try expect("{\"decoder\":{\"type\":\"CTC\"},\"model\":{\(small)}}", "the decoder `CTC` is not supported")
    try expect(
      "{\"post_processor\":{\"type\":\"BertProcessing\"},\"model\":{\(small)}}",
      "the post-processor `BertProcessing` is not supported")
  }

  @Test func damagedVocabulariesAreExplained() throws {
    #expect(try message("{}") == "tokenizer.json has no vocabulary")
    #expect(try message(#"{"model":{"type":"BPE","vocab":{},"merges":[]}}"#) == "tokenizer.json has no vocabulary")
    #expect(try message("[]") == "tokenizer.json must be an object")
    #expect(try message("{") == "tokenizer.json is not valid JSON: the text ends too early (byte 1)")
    #expect(try message(#"{"model":{"vocab":{"a":-1},"merges":[]}}"#).contains("token `a` is not a whole number"))
    #expect(
      try message(#"{"model":{"vocab":{"a":99999999999},"merges":[]}}"#).contains("token `a` is not a whole number"))
    #expect(
      try message(#"{"model":{"vocab":{"a":0},"merges":["a b"]}}"#)
        == "tokenizer.json: merge 0 names a token that is not in the vocabulary: `b`")
    #expect(try message(#"{"model":{"vocab":{"a":0,"b":1},"merges":["a b"]}}"#).contains("two tokens with a whole"))
    #expect(
      try message(#"{"model":{"vocab":{"a":0},"merges":["a"]}}"#) == "tokenizer.json: merge 0 does not name two tokens")
    #expect(
      try message("{\"added_tokens\":[{\"id\":7,\"content\":\"a\"}],\"model\":{\(small)}}")
        == "tokenizer.json: token `a` has the numbers 0 and 7")
    #expect(
      try message("{\"model\":{\"unk_token\":\"<unk>\",\(small)}}")
        == "tokenizer.json: the unknown token is not in the vocabulary")
    #expect(try message("{\"model\":{\(small)}}") == "")
  }

  @Test func missingFilesAreNamed() throws {
    let folder = try ScratchFolder()
    #expect(throws: TokenizerError.missing(folder: folder.path)) { try Tokenizer(folder: folder.path) }
    #expect(throws: CheckpointError.noFolder("/none/here")) { try Tokenizer(folder: "/none/here") }
  }

  @Test func damagedModelsAreRefused() throws {
    let bytes = try ModelFiles(folder: TestFolder.fixtures + "tokenizers/sentencepiece-llama").bytes("tokenizer.model")
    func open(_ bytes: [UInt8]) throws {
      let folder = try ScratchFolder()
      try folder.write(bytes, to: "tokenizer.model")
      _ = try Tokenizer(folder: folder.path)
    }
    try open(bytes)
    #expect(throws: TokenizerError.noVocabulary(file: "tokenizer.model")) { try open([]) }
    // Cut anywhere, the file is refused or, at the end of a field, still a model; it never crashes.
    for length in stride(from: 1, to: bytes.count, by: 97) { try? open(Array(bytes[..<length])) }
    for position in stride(from: 0, to: bytes.count, by: 53) {
      var damaged = bytes
      damaged[position] ^= 0xFF
      try? open(damaged)
    }
    // A normaliser's table of replacements: field 3, field 2.
    let charsmap = bytes + [0x1A, 3, 0x12, 1, 0x41]
    #expect(throws: TokenizerError.unsupported(file: "tokenizer.model", part: "normaliser", type: "identity")) {
      try open(charsmap)
    }
  }

  @Test func beginAndEndComeFromTheSettings() throws {
    func tokenizer(_ settings: String?, _ config: String?) throws -> Tokenizer {
      let folder = try ScratchFolder()
      try folder.write(Array("{\"model\":{\(small)}}".utf8), to: "tokenizer.json")
      if let settings { try folder.write(Array(settings.utf8), to: "tokenizer_config.json") }
      if let config { try folder.write(Array(config.utf8), to: "config.json") }
      return try Tokenizer(folder: folder.path)
    }
    #expect(try tokenizer(nil, nil).bos == nil)
    #expect(try tokenizer(nil, #"{"bos_token_id":1,"eos_token_id":[2,1]}"#).bos == 1)
    #expect(try tokenizer(nil, #"{"bos_token_id":1,"eos_token_id":[2,1]}"#).eos == 2)
    #expect(try tokenizer(#"{"bos_token":"b","eos_token":{"content":"ab"}}"#, #"{"bos_token_id":0}"#).bos == 1)
    #expect(try tokenizer(#"{"bos_token":"b","eos_token":{"content":"ab"}}"#, nil).eos == 2)
    #expect(try tokenizer(#"{"bos_token":null}"#, #"{"bos_token_id":0}"#).bos == nil)
  }

  /// ChatGLM3's own tokens follow the pieces and have no text form; two of them start every text.
  @Test func chatGLMTextsStartWithItsTwoTokens() throws {
    let bytes = try ModelFiles(folder: TestFolder.fixtures + "tokenizers/sentencepiece-llama").bytes("tokenizer.model")
    let folder = try ScratchFolder()
    try folder.write(bytes, to: "tokenizer.model")
    try folder.write(Array("{\"model_type\":\"chatglm\"}".utf8), to: "config.json")
    let tokenizer = try Tokenizer(folder: folder.path)
    let plain = try tokenizer.encode("a network", addSpecial: false)
    #expect(try tokenizer.encode("a network", addSpecial: true) == [621, 623] + plain)
    #expect(tokenizer.token(621) == "[gMASK]")
    #expect(tokenizer.token(623) == "sop")
    #expect(tokenizer.vocabularySize == 629)
    #expect(tokenizer.style == .chatGLM)
    #expect(tokenizer.kind(of: 621) == .control)
  }
}
