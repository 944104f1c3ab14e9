import Testing

@testable import Transformer

/// Where the fixtures lie, and the folder of shared models beside the project when there is one.
enum TestFolder {
  static let root: String = #filePath.components(beforeLast: "Tests")

  static var fixtures: String { root + "Tests/Fixtures/" }

  static var shared: String? {
    ["../shared", "../../shared"].map { root + $0 }.first {
      ModelFiles.exists($0 + "/models/wiki-llama/tokenizer.json")
    }
  }
}

extension String {
  /// The part of a path before the last component of that name, with its slash.
  fileprivate func components(beforeLast name: String) -> String {
    var parts = split(separator: "/", omittingEmptySubsequences: false)
    while let last = parts.popLast(), last != name {}
    return parts.joined(separator: "/") + "/"
  }
}

/// Texts and the ids that the reference libraries give for them; see Tests/Fixtures/tokenizers/make_tokenizers.py.
struct TokenizerFixture {
  let tokenizer: Tokenizer
  let texts: [[UInt8]]
  let ids: [[Int32]]
  let withSpecial: [[Int32]]
  let decoded: [(ids: [Int32], text: ByteString, withoutSpecial: ByteString)]
  let size: Int

  init(_ name: String, in folder: String = TestFolder.fixtures + "tokenizers") throws {
    tokenizer = try Tokenizer(folder: folder + "/" + name)
    texts = try Self.list(ModelFiles(folder: folder).json("texts.json")).map { try Self.text($0).bytes }
    let expected = try JSONFields(ModelFiles(folder: folder + "/" + name).json("expected.json"), file: "expected.json")
    ids = try expected.array("ids").map(Self.numbers)
    withSpecial = try expected.array("with_special").map(Self.numbers)
    decoded = try expected.array("decoded").map { row in
      let parts = try Self.list(row)
      return (try Self.numbers(parts[0]), try Self.text(parts[1]), try Self.text(parts[2]))
    }
    size = try expected.integer("size")
  }

  private struct Malformed: Error {}

  private static func list(_ value: JSON) throws -> [JSON] {
    guard case .array(let elements) = value else { throw Malformed() }
    return elements
  }

  private static func text(_ value: JSON) throws -> ByteString {
    guard case .string(let text) = value else { throw Malformed() }
    return text
  }

  private static func numbers(_ value: JSON) throws -> [Int32] {
    try list(value).map {
      guard case .integer(let number) = $0 else { throw Malformed() }
      return Int32(number)
    }
  }
}

@Suite struct TokenizerTests {
  static let names = [
    "llama3", "qwen2", "gpt2", "llama2-legacy", "llama2-first", "llama2-always", "sentencepiece-llama",
    "sentencepiece-plain", "smollm", "tekken", "deepseek-llm", "deepseek-coder", "deepseek-3", "gpt2-files",
    "qwen2-files",
    "sentencepiece-side", "sentencepiece-legacy",
  ]

  @Test(arguments: names) func idsEqualTheReference(_ name: String) throws {
    let fixture = try TokenizerFixture(name)
    #expect(fixture.texts.count == 300)
    for (text, ids) in zip(fixture.texts, fixture.ids) {
      let found = try fixture.tokenizer.encode(text, addSpecial: false)
      #expect(found == ids, "\(String(decoding: text, as: UTF8.self).debugDescription)")
    }
    for (text, ids) in zip(fixture.texts, fixture.withSpecial) {
      #expect(try fixture.tokenizer.encode(text, addSpecial: true) == ids)
    }
  }

  @Test(arguments: names) func decodedTextEqualsTheReference(_ name: String) throws {
    let fixture = try TokenizerFixture(name)
    for (ids, text, withoutSpecial) in fixture.decoded {
      #expect(Array(fixture.tokenizer.decode(ids).utf8) == text.bytes, "\(ids)")
      #expect(Array(fixture.tokenizer.decode(ids, skipSpecial: true).utf8) == withoutSpecial.bytes, "\(ids)")
    }
  }

  @Test(arguments: names) func sizeEqualsTheReference(_ name: String) throws {
    let fixture = try TokenizerFixture(name)
    #expect(fixture.tokenizer.vocabularySize == fixture.size)
  }

  /// Words are remembered and taken one by one; one long piece must give the same tokens as its parts on their own.
  @Test(arguments: ["llama2-legacy", "llama2-first"]) func wordsGiveTheSameTokensAloneAndTogether(_ name: String) throws
  {
    let fixture = try TokenizerFixture(name)
    guard case .bytePair(let model) = fixture.tokenizer.pipeline.model else { return }
    #expect(model.staysInWords)
    for text in fixture.texts where !text.isEmpty {
      let marked = spaceMark + replacing([32], by: spaceMark, in: text)
      var queue = MergeQueue()
      var whole: [Int32] = []
      marked.withUnsafeBufferPointer { model.encode($0, using: &queue, into: &whole) }
      var encoder = PieceEncoder(.bytePair(model))
      var parts: [Int32] = []
      marked.withUnsafeBufferPointer { encoder.encode($0, into: &parts) }
      #expect(whole == parts)
    }
  }

  @Test func bytesOfTokensSpellTheText() throws {
    for name in ["llama3", "gpt2"] {
      let fixture = try TokenizerFixture(name)
      let text = Array("It's 1234 naïve 😀 words,\r\n  done".utf8)
      let ids = try fixture.tokenizer.encode(text, addSpecial: false)
      #expect(ids.flatMap { fixture.tokenizer.bytes(of: $0) } == text)
    }
    let llama = try TokenizerFixture("llama2-legacy").tokenizer
    let ids = try llama.encode("naïve 😀", addSpecial: false)
    #expect(ids.flatMap { llama.bytes(of: $0) } == Array(" naïve 😀".utf8))
  }

  @Test func stylesAreRecognised() throws {
    let styles = try Self.names.map { try TokenizerFixture($0).tokenizer.style }
    #expect(
      styles == [
        .llama3, .qwen2, .gpt2, .sentencePiece, .sentencePiece, .other, .sentencePiece, .sentencePiece, .gpt2,
        .other, .other, .other, .other, .gpt2, .qwen2, .sentencePiece, .sentencePiece,
      ])
  }

  @Test func exportersSeeKindsAndMerges() throws {
    let llama3 = try TokenizerFixture("llama3").tokenizer
    #expect(llama3.id(of: "<|begin_of_text|>").map { llama3.kind(of: $0) } == .control)
    #expect(llama3.merges.count == 620 - 256)
    let (left, right) = try #require(llama3.merges.first)
    #expect(llama3.id(of: ByteString(left.bytes + right.bytes)) != nil)
    #expect(llama3.token(0) == "!")
    #expect(llama3.token(-1) == nil)
    #expect(llama3.token(Int32(llama3.vocabularySize)) == nil)
    let piece = try TokenizerFixture("sentencepiece-llama").tokenizer
    #expect(piece.kind(of: 0) == .unknown)
    #expect(piece.kind(of: 1) == .control)
    #expect(piece.kind(of: 3) == .byte)
    #expect(piece.bos == 1)
    #expect(piece.eos == 2)
    #expect(piece.score(of: 400) < 0)
    #expect(piece.merges.isEmpty)
  }

  @Test func textThatIsNotUTF8IsNamedByItsByte() throws {
    let tokenizer = try TokenizerFixture("gpt2").tokenizer
    for (bytes, offset) in [([0x61, 0x80], 1), ([0xC0, 0xAF], 0), ([0x61, 0xED, 0xA0, 0x80], 1), ([0xF0, 0x9F], 0)] {
      let text = bytes.map { UInt8($0) }
      #expect(throws: TokenizerError.invalidUTF8(offset: offset)) { try tokenizer.encode(text, addSpecial: false) }
    }
  }

  /// Against `tokenizers.normalizers.NFC` 0.23.3, which has the tables of Unicode 9: the mark U+08D3 of Unicode 11 stands
  /// between a letter and its accent as if it were a letter itself.
  @Test func compositionEqualsTheReference() {
    let cases: [(String, String)] = [
      ("e\u{301}", "\u{e9}"), ("a\u{323}\u{302}", "\u{1ead}"), ("a\u{8d3}\u{301}", "a\u{8d3}\u{301}"),
      ("\u{1112}\u{1161}\u{11ab}", "\u{d55c}"), ("\u{958}", "\u{915}\u{93c}"), ("\u{212b}x", "\u{c5}x"),
      ("\u{1d15e}", "\u{1d157}\u{1d165}"), ("q\u{307}\u{323}", "q\u{323}\u{307}"), ("plain", "plain"), ("", ""),
    ]
    for (text, composed) in cases {
      #expect(Normalizer.nfc.apply(Array(text.utf8)) == Array(composed.utf8))
    }
  }

  /// Without the heap a single piece of a megabyte would take minutes.
  @Test func onePieceOfAMegabyteIsFast() throws {
    for name in ["llama2-always", "sentencepiece-plain"] {
      let tokenizer = try TokenizerFixture(name).tokenizer
      let text = [UInt8](String(repeating: "network of neurons ", count: 55_000).utf8)
      let clock = ContinuousClock()
      var count = 0
      let time = try clock.measure { count = try tokenizer.encode(text, addSpecial: false).count }
      #expect(count > 0)
      #expect(time < .seconds(20))
    }
  }
}
