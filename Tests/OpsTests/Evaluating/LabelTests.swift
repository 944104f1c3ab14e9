import Foundation
import Kernel
import Testing

@testable import Ops

@Suite struct LabelTests {
  private func labels(_ table: String, of text: String) throws -> Labels {
    let path = NSTemporaryDirectory() + "prn-labels-\(UUID().uuidString).tsv"
    try table.write(toFile: path, atomically: true, encoding: .utf8)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try Labels(path, of: Array(text.utf8))
  }
  private func refusal(_ table: String, of text: String = "ab\ncd\n") -> String? {
    do {
      _ = try labels(table, of: text)
      return nil
    } catch {
      // Without the name of the temporary file.
      return (error as? Diagnostic)?.summary.replacing(#/^\S+ /#, with: "")
    }
  }

  @Test func spansAndLinesNameKinds() throws {
    let spans = try labels("start\tend\tkind\n0\t2\tx\n3\t5\ty\n", of: "ab\ncd\n")
    let tokens = [0..<1, 1..<2, 2..<3, 3..<5, 5..<6, 0..<0]
    #expect(spans.kinds(of: tokens) == [0, 0, -1, 1, -1, -1])
    #expect(spans.passages(of: tokens.reversed()) == [-1, -1, 1, -1, 0, 0])
    let lines = try labels("line\tkind\r\n1\tx\r\n3\tx\r\n", of: "ab\ncd\nef")
    #expect(lines.kinds == ["x"])
    #expect(try labels("\u{FEFF}line\tkind\n1\tx\n", of: "ab\n").kinds == ["x"])
    #expect(lines.kinds(of: [0..<1, 2..<3, 3..<4, 6..<7, 7..<8]) == [0, 0, -1, 0, 0])
    #expect(lines.passages(of: [0..<1, 7..<8]) == [0, 1])
  }

  @Test func whatDoesNotFitTheTextIsNamed() {
    #expect(refusal("start\tend\tkind\n0\t7\tx\n") == "line 2 labels bytes 0 to 7 of a text of 6 bytes")
    #expect(refusal("line\tkind\n3\tx\n") == "line 2 labels line 3 of a text of 2 lines")
    #expect(refusal("start\tend\tkind\n0\t3\tx\n2\t4\ty\n") == "line 3 labels some of what the line before labels")
    #expect(
      refusal("start\tend\tkind\n3\t5\tx\n0\t2\ty\n")
        == "line 3 labels what stands before that of the line before; labels follow the text")
    #expect(refusal("start\tend\tkind\n0\t3\n") == "line 2 is not `start end kind`")
    #expect(refusal("line\tkind\nx\ty\n") == "line 2 is not `line kind`")
    #expect(
      refusal("a\tb\n1\t2\n") == "starts with neither `start end kind` nor `line kind`, with tabs between")
  }

  private static let start = "m = load DATA/tiny-llama\nheld = text DATA/test.txt model=m\n"

  /// The kinds are sums over the same targets as the whole: with what is between them they add up to it.
  @Test func lossesByLabelAreThoseOfTheTargets() throws {
    let report: Report = try ScriptBench().value(
      "r", LabelTests.start + "r = eval m held length=128 labels=DATA/test.labels.tsv keep=tokens")
    let windows = try #require(report.evidence.windows)
    let (tokens, kinds) = (try #require(windows.tokens), try #require(windows.kinds))
    #expect(tokens.count == windows.loss.count * 127)
    let first = tokens[..<127].reduce(0.0) { $0 + Double($1) } / 127
    #expect(abs(first - windows.loss[0]) < 1e-6)
    #expect(Set(kinds.names) == ["recipe", "arithmetic", "list", "code", "weather", "dialogue", "story", "legal"])
    let (sum, count) = (kinds.loss.joined().reduce(0, +), kinds.targets.joined().reduce(0, +))
    // Between two passages stands one empty line.
    #expect(count > 0.97 * Double(tokens.count) && count < Double(tokens.count))
    #expect(sum < windows.loss.reduce(0, +) * 127)
    let code = try #require(report.measurements.first { $0.name == "code.nll" })
    #expect(abs(code.value - 1.154) < 1e-3)
    #expect(report.measurements[0].name == "token_perplexity")
  }

  @Test func labelsNeedATextAsItIs() throws {
    func refusal(_ text: String) -> String? {
      let outcome = try? ScriptBench().run(LabelTests.start + text)
      return outcome?.diagnostics.first?.summary
    }
    let labels = "labels=DATA/test.labels.tsv"
    #expect(
      refusal("c = text DATA/test.txt model=m join=papers\nr = eval m c length=128 \(labels)")
        == "labels= counts bytes of the text, and the tokens of this corpus do not spell it")
    #expect(
      refusal("c = text DATA/test.txt model=m join=pages\nr = eval m c \(labels)")
        == "labels= is for running text, and these are pages")
    #expect(refusal("r = eval m tasks=DATA/x.jsonl keep=tokens")?.isEmpty == false)
    #expect(
      refusal("r = eval m held metric=word_perplexity") == "word_perplexity is a figure of pages")
    #expect(refusal("r = eval m held metric=acc") == "acc is a figure of tasks")
    #expect(refusal("r = eval m held metric=nll") == "a loss by label needs labels=")
    #expect(
      refusal("r = eval m held metric=token_perplexity,token_perplexity") == "token_perplexity is asked for twice")
    #expect(refusal("r = eval m held limit=3") == "limit= counts items of tasks, and there are none")
    #expect(refusal("r = eval m held bos=legacy")?.hasPrefix("bos= has no effect on running text") == true)
    #expect(refusal("r = eval m") == "eval needs a text or tasks= to judge by")
    let piqa = "tasks=DATA/../Tests/Fixtures/tasks/piqa.jsonl"
    #expect(refusal("r = eval m held \(piqa)") == "a text and tasks= are judged each by itself")
    #expect(refusal("r = eval m \(piqa) \(labels)") == "labels= is for running text, and tasks have none")
    #expect(
      refusal("r = eval m tasks=DATA/../Tests/Fixtures/tasks/boolq.jsonl metric=acc_norm")
        == "none of the tasks defines acc_norm")
    #expect(
      refusal("r = eval m \(piqa) shots=2") == "shots= takes examples from a dev file, which piqa does not have")
    #expect(
      refusal("r = eval m tasks=DATA/../Tests/Fixtures/tasks/mmlu.jsonl shots=2")
        == "mmlu_anatomy has 0 examples, fewer than 2")
    #expect(
      refusal("r = eval m \(piqa) length=8")?.hasSuffix(" tokens; the model takes 8") == true)
  }
}
