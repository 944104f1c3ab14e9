import Foundation
import Kernel
import Testing

@testable import Ops

/// What lm-evaluation-harness says of a few items of each task and of two pages, on the bundled model
/// (Fixtures/tasks/make.py).
private struct Harness: Decodable {
  let bos: String
  let shots: Int
  let length: Int
  let tasks: [String: TaskRun]

  struct TaskRun: Decodable {
    let figures: [String: Double]
    let items: [Item]
  }
  struct Item: Decodable {
    let pairs: [[String]]?
    let log_likelihoods: [Double]
  }

  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Fixtures/tasks").path
  static func runs() throws -> [Harness] {
    let data = try Data(contentsOf: URL(fileURLWithPath: folder + "/expected.json"))
    return try JSONDecoder().decode([Harness].self, from: data)
  }
  static func files(_ names: String...) -> [ExternalFile] {
    names.map { ExternalFile(path: folder + "/" + $0, content: "") }
  }
  /// The items of every task, without examples.
  static func all() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
      .filter { $0.hasSuffix(".jsonl") && !TaskFiles.isDev($0) }.map { folder + "/" + $0 }
  }
}

@Suite struct HarnessTests {
  /// Byte for byte: context, continuation, order of the choices.
  @Test func promptsAreTheHarnesses() throws {
    let runs = try Harness.runs()
    let files = try TaskFiles([ExternalFile(path: Harness.folder, content: "")])
    #expect(Set(files.subtasks.map(\.name)) == Set(runs[0].tasks.keys))
    for (run, shots) in [(runs[0], 0), (runs[2], 2)] {
      for part in files.subtasks {
        guard let expected = run.tasks[part.name] else { continue }
        let examples = Array((files.examples[part.subject ?? ""] ?? []).prefix(shots))
        let preamble = part.subject.map { Task.preamble(subject: $0, examples: examples) } ?? ""
        #expect(part.items.count == expected.items.count)
        for (own, item) in zip(part.items, expected.items) {
          let pairs = own.item.prompts.map { [preamble + $0.context, $0.continuation] }
          #expect(
            pairs.map { $0.map { Array($0.utf8) } } == item.pairs?.map { $0.map { Array($0.utf8) } }, "\(own.place)")
        }
      }
    }
  }

  /// Log-likelihoods to single precision; choices, accuracies and standard errors with no tolerance but rounding.
  @Test(arguments: 0..<3) func itemsAreScoredAsTheHarnessDoes(_ index: Int) throws {
    let run = try Harness.runs()[index]
    let paths =
      try run.shots == 0 ? Harness.all() : [Harness.folder + "/mmlu.jsonl", Harness.folder + "/mmlu_dev.jsonl"]
    let report: Report = try ScriptBench().value(
      "r",
      "m = load DATA/tiny-llama\nr = eval m tasks=[\(paths.joined(separator: ", "))] bos=\(run.bos) shots=\(run.shots)")
    let items = try #require(report.evidence.items)
    for (task, expected) in run.tasks {
      let place = try #require(items.subtasks.firstIndex { $0.name == task })
      let own = items.items.filter { $0.subtask == place }
      #expect(own.count == expected.items.count)
      for (item, other) in zip(own, expected.items) {
        for (a, b) in zip(item.logLikelihoods, other.log_likelihoods) {
          #expect(abs(a - b) <= 1e-4 * abs(b), "\(task)")
        }
      }
      for (name, value) in expected.figures where !name.hasSuffix("_stderr") {
        let found = try #require(report.measurements.first { $0.name == "\(task).\(name)" })
        #expect(abs(found.value - value) < 1e-12, "\(task) \(name)")
        if let error = expected.figures[name + "_stderr"] { #expect(abs(found.standardError - error) < 1e-12) }
      }
    }
  }

  /// The first of equals wins, and the place of a choice among others must not decide in the last bit.
  @Test func equalChoicesTie() throws {
    let bench = ScriptBench()
    let words = "the of and in to was is for on as by at it from his that with an were are".split(separator: " ")
    let items = (0..<60).map { i in
      let (question, w) = ((0..<7).map { words[(i * 7 + $0 * 3) % 20] }.joined(separator: " "), words[i * 3 % 20])
      return """
        {"id": "\(i)", "question": "\(question)", "choices": {"text": ["\(w)", "\(w)", "\(w) \(w)", "\(w)"], "label": ["A", "B", "C", "D"]}, "answerKey": "A"}
        """
    }
    try FileManager.default.createDirectory(atPath: bench.folder, withIntermediateDirectories: true)
    let path = bench.folder + "/arc_challenge.jsonl"
    try items.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
    let report: Report = try bench.value("r", "m = load DATA/tiny-llama\nr = eval m tasks=\(path)")
    for item in try #require(report.evidence.items).items {
      #expect(Set([0, 1, 3].map { item.logLikelihoods[$0] }).count == 1)
      #expect(item.chosen == 0 || item.chosen == 2)
    }
  }

  @Test(arguments: 3..<5) func pagesAreScoredAsTheHarnessDoes(_ index: Int) throws {
    let run = try Harness.runs()[index]
    let report: Report = try ScriptBench().value(
      "r",
      "m = load DATA/tiny-llama\np = text \(Harness.folder)/pages.txt model=m join=pages\n"
        + "r = eval m p length=\(run.length) bos=\(run.bos)")
    let pages = try #require(report.evidence.pages)
    let expected = try #require(run.tasks["wikitext"])
    #expect(pages.loss.count == expected.items.count)
    for (loss, item) in zip(pages.loss, expected.items) {
      #expect(abs(loss + item.log_likelihoods[0]) <= 1e-5 * loss)
    }
    for (name, value) in expected.figures {
      let found = try #require(report.measurements.first { $0.name == name })
      #expect(abs(found.value / value - 1) < 1e-5, "\(name)")
    }
    // ln(word perplexity) / ln(token perplexity) is tokens per word.
    func logarithm(_ name: String) throws -> Double {
      log(try #require(report.measurements.first { $0.name == name }).value)
    }
    let ratio = pages.tokens.reduce(0, +) / pages.words.reduce(0, +)
    #expect(try abs(logarithm("word_perplexity") / logarithm("token_perplexity") - ratio) < 1e-9)
  }

  @Test func theMeansWeighTasksAlike() throws {
    func item(_ subtask: Int, right: Bool, perCharacter: Bool?) -> TaskItems.Item {
      TaskItems.Item(
        subtask: subtask, number: 0, gold: 0, logLikelihoods: right ? [-4, -5] : [-5, -4],
        characters: perCharacter.map { $0 ? [100, 1] : [1, 100] })
    }
    let items = TaskItems(
      subtasks: [
        .init(name: "piqa", task: "piqa", isNormalised: true),
        .init(name: "mmlu_anatomy", task: "mmlu", isNormalised: false),
        .init(name: "mmlu_virology", task: "mmlu", isNormalised: false),
      ],
      items: [
        item(0, right: true, perCharacter: true), item(0, right: false, perCharacter: true),
        item(1, right: true, perCharacter: nil), item(1, right: false, perCharacter: nil),
        item(2, right: false, perCharacter: nil), item(2, right: false, perCharacter: nil),
      ])
    let measured = Metric.all.flatMap { $0.measured(in: .items(items)) }
    let values = Dictionary(uniqueKeysWithValues: measured.map { ($0.name, $0.value) })
    #expect(
      values == [
        "mean.acc": 0.375, "piqa.acc": 0.5, "mmlu.acc": 0.25, "mmlu_anatomy.acc": 0.5, "mmlu_virology.acc": 0,
        "mean.acc_norm_else_acc": 0.625, "piqa.acc_norm": 1,
      ])
    // The error of a mean of independent tasks: √(Σ se²) / tasks.
    let errors = Dictionary(uniqueKeysWithValues: measured.map { ($0.name, $0.standardError) })
    let mean =
      ((errors["piqa.acc"] ?? 0) * (errors["piqa.acc"] ?? 0) + (errors["mmlu.acc"] ?? 0) * (errors["mmlu.acc"] ?? 0))
      .squareRoot() / 2
    #expect(abs((errors["mean.acc"] ?? 0) - mean) < 1e-15)
  }
}
