import Foundation
import Testing

@testable import Transformer

/// Many texts a kind, made by `make_tokenizers.py into FOLDER COUNT`; `make interop` names the folder.
@Suite(.enabled(if: tokenizerFolder != nil)) struct TokenizerInteropTests {
  @Test(arguments: TokenizerTests.names) func idsEqualTheReferenceOnManyTexts(_ name: String) throws {
    let fixture = try TokenizerFixture(name, in: try #require(tokenizerFolder))
    var different = 0
    for (text, ids) in zip(fixture.texts, fixture.ids) {
      if try fixture.tokenizer.encode(text, addSpecial: false) == ids { continue }
      different += 1
      if different <= 3 { Issue.record("\(String(decoding: text, as: UTF8.self).debugDescription) wants \(ids)") }
    }
    print("\(name): \(fixture.texts.count) texts, \(different) differ")
    #expect(different == 0)
  }
}

private let tokenizerFolder = ProcessInfo.processInfo.environment["PRN_TOKENIZERS"]
