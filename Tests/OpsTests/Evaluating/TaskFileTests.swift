import Foundation
import Kernel
import Testing

@testable import Ops

/// Every layout gives the same questions, and what does not fit is named.
@Suite struct TaskFileTests {
  private func parts(_ files: [(name: String, text: String)]) throws -> [TaskFiles.Subtask] {
    let folder = NSTemporaryDirectory() + "prn-tasks-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try TaskFiles(
      files.map { file in
        let path = folder + "/" + file.name
        try file.text.write(toFile: path, atomically: true, encoding: .utf8)
        return ExternalFile(path: path, content: "")
      }
    ).subtasks
  }

  private func asked(_ parts: [TaskFiles.Subtask]) -> [[String]] {
    parts.map { part in
      [part.name]
        + part.items.flatMap { $0.item.prompts.map { "\($0.context)|\($0.continuation)" } + ["\($0.item.gold)"] }
    }
  }

  private func refusal(_ files: [(name: String, text: String)]) -> String? {
    do {
      _ = try parts(files)
      return nil
    } catch {
      return (error as? Diagnostic)?.summary
    }
  }

  @Test func archivesOfARCAndOpenBookQAAskTheSame() throws {
    let archive = """
      {"id": "Mercury_1", "question": {"stem": "Why?", "choices": [{"text": "so", "label": "1"}, {"text": "no", "label": "2"}]}, "answerKey": "2"}
      """
    let published = """
      {"id": "Mercury_1", "question": "Why?", "choices": {"text": ["so", "no"], "label": ["1", "2"]}, "answerKey": "2"}
      """
    let expected = [["arc_challenge", "Question: Why?\nAnswer:| so", "Question: Why?\nAnswer:| no", "1"]]
    #expect(try asked(parts([("ARC-Challenge-Test.jsonl", archive)])) == expected)
    #expect(try asked(parts([("arc_challenge.jsonl", published)])) == expected)
    let book = archive.replacing("Mercury_1", with: "8-376").replacing("\"2\"}\n", with: "\" 2\"}\n")
    #expect(try asked(parts([("test.jsonl", book)])) == [["openbookqa", "Why?| so", "Why?| no", "1"]])
  }

  @Test func labelsMayStandInAFileBesideTheItems() throws {
    let items =
      #"{"goal": "eat", "sol1": "a", "sol2": "b"}"# + "\n" + #"{"goal": "run", "sol1": "c", "sol2": "d"}"# + "\n"
    let found = try parts([("dev.jsonl", items), ("dev-labels.lst", "1\n0\n")])
    #expect(found[0].items.map(\.item.gold) == [1, 0])
    #expect(
      refusal([("dev.jsonl", items)]) == "dev.jsonl line 1 has no right answer among its choices: `label` is missing")
    #expect(refusal([("dev.jsonl", items), ("dev-labels.lst", "1\n")]) == "dev-labels.lst has 1 labels for 2 items")
    #expect(
      refusal([("valid.jsonl", items), ("dev-labels.lst", "1\n0\n")])?.hasSuffix("`label` is missing") == true)
  }

  @Test func mmluIsReadFromTheTablesOfItsAuthors() throws {
    let table = "\"Which, of\n\"\"these\"\"?\",a,b,c,d,C\r\nShort?,1,2,3,4,A\n"
    let found = try parts([("college_biology_test.csv", table), ("college_biology_dev.csv", "E?,p,q,r,s,B\n")])
    #expect(
      asked(found).map { $0.prefix(2) } == [
        ["mmlu_college_biology", "Which, of\n\"these\"?\nA. a\nB. b\nC. c\nD. d\nAnswer:| A"]
      ])
    #expect(found[0].items.map(\.item.gold) == [2, 0])
    #expect(refusal([("x_test.csv", "a,b\n")]) == "x_test.csv line 1 has 2 columns, not 6")
    #expect(refusal([("x_test.csv", "\"a,b\n")]) == "x_test.csv ends inside the quotes of line 1")
  }

  @Test func boolqTakesNumbersTruthAndText() throws {
    let items = ["1", "true", "\"1\""].map { #"{"question": "q", "passage": "p", "label": \#($0)}"# }
    #expect(try parts([("val.jsonl", items.joined(separator: "\n"))])[0].items.map(\.item.gold) == [1, 1, 1])
  }

  @Test func whatDoesNotFitIsNamed() {
    #expect(
      refusal([("x.jsonl", #"{"a": 1, "b": 2}"#)]) == "x.jsonl is in the layout of no known task: its fields are a, b")
    #expect(
      refusal([("test.jsonl", #"{"question": "q", "choices": {"text": ["a"], "label": ["A"]}, "answerKey": "A"}"#)])
        == "test.jsonl has the fields of arc_easy and arc_challenge, and its name says neither")
    #expect(
      refusal([("h.jsonl", #"{"activity_label": "a", "ctx_a": "b", "ctx_b": "c", "endings": ["d"], "label": ""}"#)])
        == "h.jsonl line 1 has no right answer among its choices: `label` is ``")
    #expect(
      refusal([("p.jsonl", #"{"goal": "a", "sol1": "b", "sol2": "c", "label": 2}"#)])
        == "p.jsonl line 1 has no right answer among its choices: `label` is 2")
    #expect(
      refusal([("p.jsonl", #"{"goal": "a", "sol1": "b", "sol2": "c", "label": 1}"# + "\n" + #"{"goal""#)])
        == "p.jsonl line 2 is not JSON: the text ends too early (byte 7)")
    #expect(refusal([("p.jsonl", "\n")]) == "p.jsonl holds no items")
    #expect(
      refusal([("w.jsonl", #"{"sentence": "none", "option1": "a", "option2": "b", "answer": "1"}"#)])
        == "w.jsonl line 1: `sentence` has no gap `_`")
    let piqa = #"{"goal": "a", "sol1": "b", "sol2": "c", "label": 1}"#
    #expect(refusal([("a.jsonl", piqa), ("b.jsonl", piqa)]) == "piqa is given twice: a.jsonl and b.jsonl")
  }

  /// Python's `capitalize` lowers the rest; double spaces go once; a bracket closes on its line.
  @Test func hellaswagIsCleanedAsTheHarnessDoes() throws {
    let item = """
      {"activity_label": "Éclair", "ctx_a": "[header] One [title] two   three [open\\nx]", "ctx_b": "élan VITAL", "endings": [" [step] go  "], "label": "0"}
      """
    #expect(
      try asked(parts([("h.jsonl", item)])) == [
        ["hellaswag", "Éclair: One. two  three [open\nx] Élan vital|  go", "0"]
      ])
  }

  @Test func anItemWithoutAFieldOfTheOthersIsNamed() {
    let whole = #"{"question": "q", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "A"}"#
    let withheld = whole.replacingOccurrences(of: #", "answerKey": "A""#, with: "")
    #expect(
      refusal([("arc_easy.jsonl", whole + "\n" + withheld)])
        == "arc_easy.jsonl line 2 is no item of arc_easy: it lacks `answerKey`, which line 1 has")
  }
}
