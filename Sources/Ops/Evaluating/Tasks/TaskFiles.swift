import Foundation
import Kernel
import Transformer

/// The items of task files: JSON lines as the data sets publish them, or the archives of their authors, which are put
/// into the same fields first.
struct TaskFiles {
  /// What counts in a folder.
  static let patterns = ["*.jsonl", "*.csv", "*.lst"]

  /// The items of one task, or of one subject.
  struct Subtask {
    let task: Task
    let subject: String?
    var items: [(number: Int, place: String, item: TaskItem)]

    /// `piqa`, `mmlu_anatomy`.
    var name: String { subject.map { "\(task.name)_\($0)" } ?? task.name }
  }

  /// In the order of first occurrence.
  private(set) var subtasks: [Subtask] = []
  /// Examples by subject, from files called `…dev…` of the task that has them.
  private(set) var examples: [String: [TaskItem]] = [:]

  init(_ files: [ExternalFile]) throws {
    let paths = try files.flatMap { try $0.paths(matching: TaskFiles.patterns) }
    let labels = paths.filter { $0.hasSuffix(".lst") }
    guard paths.count > labels.count else { throw Diagnostic("there is no task file among the files given") }
    if let twice = paths.enumerated().first(where: { paths[..<$0].contains($1) }) {
      throw Diagnostic("\(twice.element) is given twice", argument: "tasks")
    }
    var seen: [String: String] = [:]
    var used: Set<String> = []
    for path in paths where !labels.contains(path) {
      var records = try TaskFiles.records(path)
      if let file = labels.first(where: { $0 == TaskFiles.labelFile(of: path) }) {
        records = try TaskFiles.labelled(records, file)
        used.insert(file)
      }
      let name = (path as NSString).lastPathComponent
      guard let first = records.first else { throw Diagnostic("\(name) holds no items") }
      guard let task = Task.all.first(where: { $0.recognises(first) }) else { throw TaskFiles.unknown(first) }
      if !task.isDivided, let other = seen.updateValue(name, forKey: task.name) {
        throw Diagnostic("\(task.name) is given twice: \(other) and \(name)")
      }
      try add(records, of: task, areExamples: task.isDivided && TaskFiles.isDev(name))
    }
    if let left = labels.first(where: { !used.contains($0) }) {
      throw Diagnostic("\((left as NSString).lastPathComponent) has no items beside it to label")
    }
    guard !subtasks.isEmpty else { throw Diagnostic("the task files hold examples only: give the items to score, too") }
  }

  private mutating func add(_ records: [Record], of task: Task, areExamples: Bool) throws {
    for record in records {
      guard task.recognises(record) else {
        let lacking = records[0].names.filter { record[$0] == nil }.map { "`\($0)`" }.joined(separator: ", ")
        throw Diagnostic(
          "\(record.place) is no item of \(task.name)"
            + (lacking.isEmpty ? "" : ": it lacks \(lacking), which line \(records[0].line) has"))
      }
      let item = try task.item(record)
      if areExamples {
        examples[item.subject ?? "", default: []].append(item)
        continue
      }
      let place =
        subtasks.firstIndex { $0.task.name == task.name && $0.subject == item.subject }
        ?? {
          subtasks.append(Subtask(task: task, subject: item.subject, items: []))
          return subtasks.count - 1
        }()
      subtasks[place].items.append((subtasks[place].items.count, record.place, item))
    }
  }

  private static func records(_ path: String) throws -> [Record] {
    let (name, bytes) = ((path as NSString).lastPathComponent, try readFile(path))
    return name.hasSuffix(".csv")
      ? try MMLUArchive.records(bytes, file: name) : try Record.lines(bytes, file: name).map(\.unified)
  }

  /// `mmlu_dev.jsonl`, `anatomy_dev.csv`
  static func isDev(_ name: String) -> Bool {
    name.split { !$0.isLetter && !$0.isNumber }.dropLast().last == "dev"
  }

  /// `dev.jsonl` is labelled by `dev-labels.lst`.
  private static func labelFile(of path: String) -> String {
    (path as NSString).deletingPathExtension + "-labels.lst"
  }

  private static func labelled(_ records: [Record], _ path: String) throws -> [Record] {
    let labels = String(decoding: try readFile(path), as: UTF8.self).split(whereSeparator: \.isWhitespace)
    guard labels.count == records.count else {
      throw Diagnostic(
        "\((path as NSString).lastPathComponent) has \(labels.count) labels for \(records.count) items")
    }
    return zip(records, labels).map { $0.adding("label", .text(String($1))) }
  }

  private static func unknown(_ record: Record) -> Diagnostic {
    if record.has("question", "choices", "answerKey") {
      return Diagnostic(
        "\(record.file) has the fields of arc_easy and arc_challenge, and its name says neither",
        hint: "call it arc_easy.jsonl or arc_challenge.jsonl", argument: "tasks")
    }
    let names = record.names.prefix(8).joined(separator: ", ")
    return Diagnostic(
      "\(record.file) is in the layout of no known task: its fields are \(names)",
      hint: "known are \(Task.all.map(\.name).joined(separator: ", "))", argument: "tasks")
  }
}

extension Record {
  func adding(_ name: String, _ value: JSON) -> Record {
    guard case .object(let members) = fields else { return self }
    var record = self
    record.fields = .object(members.filter { $0.key != ByteString(name) } + [JSON.Member(ByteString(name), value)])
    return record
  }

  /// The archives of ARC and OpenBookQA nest stem and choices in `question`. OpenBookQA numbers its items `8-376`.
  fileprivate var unified: Record {
    guard let question = self["question"], case .string(let stem)? = question["stem"],
      case .array(let items)? = question["choices"]
    else { return self }
    let id = if case .string(let id)? = self["id"] { id.text } else { "" }
    let isOpenBook = !id.isEmpty && id.allSatisfy { $0.isNumber || $0 == "-" }
    func column(_ name: ByteString) -> JSON { .array(items.map { $0[name] ?? .null }) }
    return adding(isOpenBook ? "question_stem" : "question", .string(stem))
      .adding("choices", .object([JSON.Member("text", column("text")), JSON.Member("label", column("label"))]))
  }
}
