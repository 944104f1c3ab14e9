import Testing

@testable import Transformer

/// A LLaMA-3-like tokenizer of 4096 tokens over real text. Numbers by `tokenizers` 0.23.3; see make_tokenizers.py.
@Suite(.enabled(if: TestFolder.shared != nil, "there is no folder ../shared")) struct TokenizerWikiTextTests {
  @Test func idsOfWikiTextEqualTheReference() throws {
    let shared = try #require(TestFolder.shared)
    let tokenizer = try Tokenizer(folder: shared + "/models/wiki-llama")
    let file = try ModelFiles(folder: shared + "/data/wikitext-2").bytes("test.txt")
    let text = String(decoding: file.prefix(200_000), as: UTF8.self)
    let ids = try tokenizer.encode(text, addSpecial: true)
    #expect(ids.count == 66002)
    #expect(Array(ids.prefix(8)) == [0, 222, 200, 671, 508, 80, 2854, 570])
    #expect(Array(ids.suffix(8)) == [559, 324, 87, 432, 1072, 304, 300, 738])
    var digest: UInt64 = 0xCBF2_9CE4_8422_2325
    for id in ids {
      for shift in stride(from: 0, to: 32, by: 8) {
        digest = (digest ^ UInt64((UInt32(bitPattern: id) >> UInt32(shift)) & 0xFF)) &* 0x100_0000_01B3
      }
    }
    #expect(digest == 0x2649_1B4F_E7BC_D384)
    #expect(tokenizer.decode(ids, skipSpecial: true) == text)
    #expect(tokenizer.bos == 0)
    #expect(tokenizer.eos == 1)
    #expect(tokenizer.prefix == [0])
    #expect(tokenizer.vocabularySize == 4096)
  }

  /// In a release build this takes about a tenth of the bound.
  @Test func wholeWikiTextIsFast() throws {
    let shared = try #require(TestFolder.shared)
    let tokenizer = try Tokenizer(folder: shared + "/models/wiki-llama")
    let file = try ModelFiles(folder: shared + "/data/wikitext-2").bytes("test.txt")
    let clock = ContinuousClock()
    var ids: [Int32] = []
    let time = try clock.measure { ids = try tokenizer.encode(file, addSpecial: false) }
    print("wikitext: \(file.count) bytes, \(ids.count) tokens, \(time)")
    #expect(time < .seconds(3))
  }
}
