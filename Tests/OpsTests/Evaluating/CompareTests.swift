import Foundation
import Kernel
import Numerics
import Testing

@testable import Ops

private let start = """
  m = load DATA/tiny-llama
  held = text DATA/test.txt model=m samples=24 length=32 take=order
  cal = text DATA/calibration.txt model=m samples=4 length=32
  acts = capture m cal sites=attn.heads,ffn.act keep=moments
  a = mask (flap acts) rate=20%
  b = mask (score acts how=random) rate=20%
  p = prune m a
  dense = eval m held
  cut = eval p held

  """

@Suite struct CompareTests {
  private func table(_ text: String) throws -> ResultTable { try ScriptBench().value("t", start + text) }
  private func refusal(_ text: String) -> String? {
    do {
      _ = try table(text)
      return nil
    } catch {
      return (error as? Diagnostic)?.summary
    }
  }
  private func numbers(_ table: ResultTable, _ name: String) -> [Double] {
    if case .numbers(let values)? = table[name] { values } else { [] }
  }

  @Test func differencesArePairedAndTheirIntervalIsSeeded() throws {
    let table = try table("t = compare [dense: dense, cut: cut] baseline=dense")
    let (difference, error) = (numbers(table, "nll_minus_baseline")[1], numbers(table, "nll_minus_baseline_stderr")[1])
    let (low, high) = (numbers(table, "nll_minus_baseline_low")[1], numbers(table, "nll_minus_baseline_high")[1])
    // The bootstrap's interval is about 1.96 standard errors to either side.
    #expect(low < difference && difference < high)
    #expect(abs((high - low) / (3.92 * error) - 1) < 0.15)
    let values = numbers(table, "token_perplexity")
    #expect(abs(difference - (log(values[1]) - log(values[0]))) < 1e-12)
    let again = try self.table("t = compare [dense: dense, cut: cut] baseline=dense")
    #expect(numbers(again, "nll_minus_baseline_low")[1] == low)
    let other = try self.table("t = compare [dense: dense, cut: cut] baseline=dense seed=1")
    #expect(numbers(other, "nll_minus_baseline_low")[1] != low)
  }

  @Test func accuraciesAreTestedItemByItem() throws {
    let tasks = "tasks=[DATA/../Tests/Fixtures/tasks/piqa.jsonl, DATA/../Tests/Fixtures/tasks/winogrande.jsonl]"
    let bench = ScriptBench()
    let text = start + "x = eval m \(tasks)\ny = eval p \(tasks)\nt = compare [x: x, y: y] baseline=x"
    let table: ResultTable = try bench.value("t", text)
    let reports = try ["x", "y"].map { try bench.value($0, text, as: Report.self) }
    let items = try reports.map { try #require($0.evidence.items).items.filter { $0.subtask == 1 } }
    let gained = zip(items[0], items[1]).count { $0.acc == 0 && $1.acc == 1 }
    let lost = zip(items[0], items[1]).count { $0.acc == 1 && $1.acc == 0 }
    #expect(gained + lost > 0)
    #expect(numbers(table, "winogrande.acc_mcnemar_p") == [1, signTest(gained, lost)])
    #expect(numbers(table, "winogrande.acc_minus_baseline")[1] == Double(gained - lost) / Double(items[0].count))
    #expect(table["mean.acc_mcnemar_p"] == nil)
  }

  @Test func unlikeProtocolsAreRefusedByName() {
    #expect(
      refusal("t = compare [x: dense, y: eval m held length=16]")
        == "the reports were made under different protocols: context: 32 vs 16")
    let piqa = "DATA/../Tests/Fixtures/tasks/piqa.jsonl"
    #expect(
      refusal("t = compare [x: eval m tasks=\(piqa), y: eval m tasks=\(piqa) bos=legacy]")
        == "the reports were made under different protocols: bos: tokenizer vs legacy")
    #expect(refusal("t = compare [x: dense, y: eval m tasks=\(piqa)]") == "the reports are of different kinds")
    #expect(
      refusal("t = compare [x: eval m tasks=\(piqa), y: eval m tasks=DATA/../Tests/Fixtures/tasks/boolq.jsonl]")
        == "the reports are of different tasks")
    #expect(
      refusal("t = compare [x: eval m tasks=\(piqa), y: eval m tasks=\(piqa) limit=2]")
        == "the reports were made under different protocols: limit: null vs 2")
    #expect(refusal("t = compare [dense: dense, a: a]") == "compare takes values of one type, not report and mask")
    #expect(refusal("t = compare [dense: dense] seed=1")?.hasPrefix("seed= has no effect here") == true)
  }

  @Test func loopVariablesMayBeCalledLikeColumns() throws {
    let table = try table(
      "t = compare (for label in 10%,20%, token_perplexity in 1,2 { eval (prune m (mask (flap acts) rate=label)) held })"
    )
    #expect(table.names.prefix(4) == ["label", "for_label", "for_token_perplexity", "token_perplexity"])
    #expect(numbers(table, "for_label") == [0.1, 0.1, 0.2, 0.2])
  }

  @Test func masksOverlapLayerByLayer() throws {
    let table = try table("t = compare [a: a, b: b, same: a] baseline=a")
    #expect(table.keys == ["label", "layer"])
    let kept = numbers(table, "ffn_kept")
    // The baseline is not compared with itself, but with what is the same under another name.
    #expect(kept.count == 14)
    #expect(kept[7...].allSatisfy { $0 == 1 })
    #expect(kept[..<7].allSatisfy { $0 > 0.3 && $0 < 0.9 })
    #expect(numbers(table, "layer")[6].isNaN)
    #expect(refusal("t = compare [a: a]") == "there are no two values to compare")
  }

  @Test func aBaselineThatIsAmongTheValuesByItsContentHasNoRowOfItsOwn() throws {
    func labels(_ text: String) throws -> [String] {
      if case .words(let labels)? = try table(text)["label"] { return labels }
      return []
    }
    #expect(try labels("t = compare [whole: dense, cut: cut] baseline=dense") == ["whole", "cut"])
    #expect(try labels("t = compare [cut: cut] baseline=dense") == ["dense", "cut"])
    let texts = "x = generate m \"A\" tokens=2\ny = generate p \"A\" tokens=2\n"
    #expect(try labels(texts + "t = compare [whole: x, cut: y] baseline=x") == ["whole", "cut"])
    #expect(try labels(texts + "t = compare [cut: y] baseline=x") == ["x", "cut"])
  }

  @Test func scoresCorrelateByRank() throws {
    let table = try table("s = flap acts\nt = compare [x: s, y: s, z: flap acts metric=wifn]")
    #expect(numbers(table, "ffn")[..<7].allSatisfy { abs($0 - 1) < 1e-12 })
    #expect(numbers(table, "ffn")[7...].allSatisfy { abs($0) < 1 })
  }

  /// Not a flag one must ask for: eval says it, and compare again.
  @Test func calibrationOnTheTestTextIsSaidAlsoOfAPart() throws {
    let folder = NSTemporaryDirectory() + "prn-overlap-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let parts = try ["calibration", "test"].map {
      String(
        decoding: try Data(contentsOf: URL(fileURLWithPath: "\(ScriptBench.data)/\($0).txt")).prefix(8000),
        as: UTF8.self)
    }
    try parts.joined().write(toFile: folder + "/mixed.txt", atomically: true, encoding: .utf8)
    let bench = ScriptBench()
    let _: ResultTable = try bench.value(
      "t",
      start + "mixed = text \(folder)/mixed.txt model=m\nr = eval p mixed length=64\nt = compare [cut: r]\n"
        + "whole = text DATA/calibration.txt model=m samples=2 length=32\nw = eval p whole")
    #expect(bench.warnings.count == 3)
    #expect(bench.warnings[0].hasSuffix("% of the test text stands in a text the model was calibrated on"))
    #expect(
      bench.warnings[1]
        == "calibration and test text overlap: a model was calibrated on the text it is tested on (cut)")
    #expect(bench.warnings[2] == "the model was calibrated on the text it is tested on")
  }
}
