import CZlib
import Foundation
import Kernel
import Testing
import Transformer

@testable import Ops

/// What `text` makes of files.
@Suite struct TextTests {
  let folder = NSTemporaryDirectory() + "prn-text-\(UUID().uuidString)"

  init() throws { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }

  private func write(_ name: String, _ bytes: [UInt8]) throws -> String {
    let path = folder + "/" + name
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    return path
  }
  private func write(_ name: String, _ text: String) throws -> String { try write(name, Array(text.utf8)) }

  private func corpus(_ call: String) throws -> Corpus {
    try ScriptBench().value("c", "m = load DATA/tiny-llama\nc = text \(call) model=m")
  }
  private func spelled(_ corpus: Corpus) throws -> String {
    try Tokenizer(folder: ScriptBench.data + "/tiny-llama").decode(corpus.tokens, skipSpecial: true)
  }
  private func refusal(_ call: String) -> String? {
    do {
      _ = try corpus(call)
      return nil
    } catch {
      return (error as? Diagnostic)?.summary
    }
  }

  @Test func recordsFilesAndFoldersAreSetApartByAnEmptyLine() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let plain = try write("a.txt", "One.\nTwo.")
    let records = try write("b.jsonl", "{\"text\": \"Th\\u0072ee.\", \"url\": \"x\"}\n\n{\"text\": \"Four.\"}\n")
    #expect(try spelled(corpus(plain)) == "One.\nTwo.")
    #expect(try spelled(corpus(records)) == "Three.\n\nFour.")
    #expect(try spelled(corpus("\(records) \(plain)")) == "Three.\n\nFour.\n\nOne.\nTwo.")
    #expect(try spelled(corpus(folder)) == "One.\nTwo.\n\nThree.\n\nFour.")
    #expect(try corpus(plain).textHash == SHA256.hex(of: "One.\nTwo."))
    #expect(try spelled(corpus(try write("mark.jsonl", "\u{FEFF}{\"text\": \"Five.\"}\n"))) == "Five.")
    let bad = try write("c.jsonl", "{\"text\": \"a\"}\n{\"body\": \"b\"}\n")
    #expect(refusal(bad) == "c.jsonl line 2 has no field `text`")
    let broken = try write("e.txt", [0x61, 0x0A, 0x62, 0xFF])
    for call in ["\(plain) \(broken)", "\(plain) \(broken) join=papers"] {
      #expect(refusal(call) == "\(broken) is not UTF-8: byte 3, in line 2")
    }
    #expect(refusal(try write("d.jsonl", "[1]\n")) == "d.jsonl line 1 is a list, not an object")
  }

  @Test func shardsAreReadAsDownloadedAndCutOnesAreRefused() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let lines = (0..<2000).map { "{\"text\": \"Record \($0).\"}\n" }
    let (first, second) = (gzipped(lines[..<1000].joined()), gzipped(lines[1000...].joined()))
    let plain = try corpus(try write("x.json", lines.joined()))
    #expect(try corpus(try write("one.json.gz", gzipped(lines.joined()))).tokens == plain.tokens)
    #expect(try corpus(try write("two.json.gz", first + second)).tokens == plain.tokens)
    let cut = try write("cut.json.gz", Array(first.dropLast(40)))
    #expect(refusal(cut)?.hasPrefix("cut.json.gz is cut short: the gzip data ends after ") == true)
    #expect(refusal(try write("head.json.gz", Array(first.prefix(5))))?.hasPrefix("head.json.gz is cut short") == true)
    var bent = first
    bent[bent.count / 2] ^= 0xFF
    #expect(refusal(try write("bent.json.gz", bent))?.contains("gzip data") == true)
  }

  /// A line of white space only is an empty row, as the published data set has it.
  @Test func papersJoinRows() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let path = try write("w.txt", " \n = A = \n \n b\n")
    #expect(try spelled(corpus("\(path) join=papers")) == "\n\n = A = \n\n\n\n\n b\n")
    #expect(try spelled(corpus("\(path) join=papers samples=1 length=2 take=order")).hasPrefix(" ") == true)
  }

  @Test(.enabled(if: FileManager.default.fileExists(atPath: TextTests.wikiText), "../shared is not here"))
  func theTestTextOfWikiTextHasTheTokensOfThePapersCode() throws {
    let bench = ScriptBench()
    let found: Corpus = try bench.value(
      "c", "m = load \(TextTests.shared)/models/wiki-llama\nc = text \(TextTests.wikiText) model=m join=papers")
    #expect(found.tokens.count == 411_819)
  }
  private static let shared = URL(fileURLWithPath: ScriptBench.data).deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("shared").path
  private static let wikiText = shared + "/data/wikitext-2/test.txt"

  @Test func pagesStartAtTitlesAndCountWordsAsPublished() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let path = try write("p.txt", " \n = One = \n \n a , b @-@ c \n = = Part = = \n d \n = Two = \n \" e \" ( f ) . \n")
    let found = try corpus("\(path) join=pages")
    #expect(found.pages == [.init(words: 16, bytes: 45), .init(words: 12, bytes: 26)])
    #expect(try spelled(found) == " = One =\n\na, b-c\n== Part ==\nd\n = Two =\n\"e\" (f).\n")
    #expect(
      refusal("\(path) join=pages samples=1 length=4")
        == "join= has no effect here: pages stay whole, and samples= cuts windows")
  }

  @Test func whatCannotTakeEffectIsRefused() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let path = try write("a.txt", "some words of text")
    let whole = "has no effect here: the text is cut into windows only with samples="
    #expect(refusal("\(path) length=4") == "length= \(whole)")
    #expect(refusal("\(path) take=order") == "take= \(whole)")
    #expect(refusal("\(path) seed=1") == "seed= \(whole)")
    #expect(refusal("\(path) samples=none length=4 take=order") == nil)
    #expect(
      refusal("\(path) samples=1 length=2 take=order seed=1")
        == "seed= has no effect here: windows in order have no random starts")
  }

  @Test func aTextMayBeOneWindowOrWhiteSpaceButNotNothing() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let path = try write("a.txt", "some words of text")
    let tokens = try corpus(path).tokens
    #expect(try corpus("\(path) samples=1 length=\(tokens.count) take=order").tokens == tokens)
    #expect(refusal("\(path) samples=1 length=\(tokens.count)")?.contains("shorter than one window") == true)
    #expect(try corpus(try write("space.txt", " \n\n ")).tokens.count > 1)
    let empty = try write("empty.txt", "")
    #expect(refusal(empty) == "\(empty) holds no text")
  }

  /// The length that fits the model: 512 positions.
  @Test func windowsFitTheModelWhenNoLengthIsGiven() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let path = try write("long.txt", String(repeating: "Words and more words. ", count: 500))
    #expect(try corpus("\(path) samples=2").tokens.count == 1024)
  }

  private func gzipped(_ text: String) -> [UInt8] {
    let bytes = Array(text.utf8)
    var stream = z_stream()
    deflateInit2_(&stream, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    defer { deflateEnd(&stream) }
    var result = [UInt8](repeating: 0, count: bytes.count + 1000)
    var input = bytes
    input.withUnsafeMutableBufferPointer { input in
      result.withUnsafeMutableBufferPointer { output in
        stream.next_in = input.baseAddress
        stream.avail_in = UInt32(input.count)
        stream.next_out = output.baseAddress
        stream.avail_out = UInt32(output.count)
        deflate(&stream, Z_FINISH)
      }
    }
    return Array(result.prefix(Int(stream.total_out)))
  }
}
