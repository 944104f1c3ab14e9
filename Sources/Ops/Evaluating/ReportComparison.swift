import Kernel
import Numerics

/// Reports of one protocol as a table: their figures, and what the same windows, pages or items say of the differences
/// from a baseline.
struct ReportComparison {
  /// One row: a report, or why there is none.
  struct Row {
    var label: String
    var coordinates: [(name: String, value: Literal)] = []
    var report: Report?
    var failure: String?
  }

  private let rows: [Row]
  private let baseline: Report?
  private let seed: Int

  /// - Throws: when there is no report, or two were made under different protocols.
  init(_ rows: [Row], baseline: Report?, seed: Int) throws {
    let found = rows.compactMap(\.report)
    guard let first = found.first else { throw Diagnostic("compare needs at least one report", argument: "values") }
    for other in found.dropFirst() { try first.requireProtocol(of: other) }
    self.rows = rows
    self.baseline = baseline
    self.seed = seed
  }

  /// Names the rows whose model was calibrated on the text it is tested on, wholly or in part.
  var overlapWarning: String? {
    let labels = rows.filter { $0.report?.overlaps == true }.map(\.label)
    guard !labels.isEmpty else { return nil }
    let named =
      labels.count > 3
      ? "\(labels.prefix(3).joined(separator: ", ")) and \(labels.count - 3) more" : labels.joined(separator: ", ")
    return "calibration and test text overlap: a model was calibrated on the text it is tested on (\(named))"
  }

  var table: ResultTable {
    var columns: [(name: String, column: ResultTable.Column)] = []
    // Subjects stay in their reports: a table has a column for each task.
    let names = rows.flatMap { $0.report?.figuresOfTasks ?? [] }.uniqued
    func measurement(_ row: Row, _ name: String) -> Report.Measurement? {
      row.report?.measurements.first { $0.name == name }
    }
    for name in names { columns.append((name, .numbers(rows.map { measurement($0, name)?.value ?? .nan }))) }
    for name in names {
      columns.append((name + "_stderr", .numbers(rows.map { measurement($0, name)?.standardError ?? .nan })))
    }
    if let baseline { for name in names { columns += differences(name, baseline) } }
    if rows.contains(where: { $0.report?.removed != nil }) {
      func share(_ value: KeyPath<Report.Removed, Double>) -> ResultTable.Column {
        .numbers(rows.map { row in row.report.map { $0.removed?[keyPath: value] ?? 0 } ?? .nan })
      }
      columns += [
        ("removed_of_blocks", share(\.ofBlocks)), ("removed_of_total", share(\.ofTotal)),
        ("removed_as", .words(rows.map { row in row.report.map { $0.removed?.inOwnTerms ?? "nothing" } ?? "" })),
      ]
    }
    if rows.contains(where: { $0.failure != nil }) { columns.append(("error", .words(rows.map { $0.failure ?? "" }))) }
    let keys = keyColumns(besides: Set(columns.map(\.name)))
    return ResultTable(
      names: (keys + columns).map(\.name), columns: (keys + columns).map(\.column), keys: keys.map(\.name))
  }

  /// The label and the sweep's coordinates. A loop variable called like another column is told apart.
  private func keyColumns(besides taken: Set<String>) -> [(name: String, column: ResultTable.Column)] {
    let coordinates = rows.flatMap { $0.coordinates.map(\.name) }.uniqued
    return [("label", .words(rows.map(\.label)))]
      + coordinates.map { name in
        let values = rows.map { row in row.coordinates.first { $0.name == name }?.value }
        return (taken.contains(name) || name == "label" ? "for_\(name)" : name, ResultTable.Column(values))
      }
  }

  /// How the average behind a figure differs from the baseline's, with its standard error, a 95 % interval and, for
  /// accuracies, the exact test; of a cost how many times the baseline's it is. Both sides are of the same windows, pages or items, so this says more than two errors do.
  private func differences(_ name: String, _ baseline: Report) -> [(name: String, column: ResultTable.Column)] {
    guard let (metric, base) = Metric.behind(name, in: baseline.evidence) else { return [] }
    if metric.kinds == [.costs] {
      let values = rows.map { row in row.report?.measurements.first { $0.name == name }?.value ?? .nan }
      let own = baseline.measurements.first { $0.name == name }?.value ?? .nan
      return [(name + "_over_baseline", .numbers(values.map { $0 / own }))]
    }
    let paired = rows.map { row in
      row.report.flatMap { Metric.behind(name, in: $0.evidence)?.samples.minus(base) }
    }
    let stream = RandomStream(seed: seed, name: "compare \(name)")
    let intervals = paired.map { $0.flatMap { $0.interval(stream) } }
    let start = (metric.average ?? name) + "_minus_baseline"
    func numbers(_ value: (Int) -> Double?) -> ResultTable.Column { .numbers(rows.indices.map { value($0) ?? .nan }) }
    var columns = [
      (start, numbers { paired[$0]?.ratio }), (start + "_stderr", numbers { paired[$0]?.standardError }),
      (start + "_low", numbers { intervals[$0]?.lowerBound }), (start + "_high", numbers { intervals[$0]?.upperBound }),
    ]
    if metric.isHigherBetter, base.weights.allSatisfy({ $0 == 1 }) {
      let tests = paired.map { $0.map { signTest($0.values.count { $0 > 0 }, $0.values.count { $0 < 0 }) } }
      columns.append((name + "_mcnemar_p", numbers { tests[$0] }))
    }
    return columns
  }
}

extension Report {
  /// Its figures, without those of the subjects of a task.
  fileprivate var figuresOfTasks: [String] {
    let subjects = Set(evidence.items?.subtasks.filter { $0.name != $0.task }.map(\.name) ?? [])
    return measurements.map(\.name).filter { name in
      !subjects.contains(name.split(separator: ".").dropLast().joined(separator: "."))
    }
  }

  /// - Throws: naming the first field in which the protocols differ.
  fileprivate func requireProtocol(of other: Report) throws {
    guard conditions != other.conditions else { return }
    let names = Set(conditions.keys).union(other.conditions.keys).sorted()
    // The context says more than the number of windows that follows from it.
    let order = ["context", "max_length", "limit", "tasks", "length", "tokens", "runs"] + names
    guard let name = order.first(where: { conditions[$0] != other.conditions[$0] }) else { return }
    let hints = [
      "corpus": "the reports are of different texts or windows", "items": "the reports are of different items",
      "tasks": "the reports are of different tasks",
    ]
    if let sentence = evidence.kind == other.evidence.kind ? hints[name] : "the reports are of different kinds" {
      throw Diagnostic(
        sentence, hint: name == "corpus" ? "evaluate both on the same corpus with the same length=" : nil,
        argument: "values")
    }
    func shown(_ report: Report) -> String {
      let value = report.conditions[name]
      return value?.stringValue.map { String($0.prefix(12)) } ?? value?.canonical ?? "none"
    }
    throw Diagnostic(
      "the reports were made under different protocols: \(name): \(shown(self)) vs \(shown(other))", argument: "values")
  }
}

extension ResultTable.Column {
  /// The values of a loop variable: numbers when all are, else words.
  init(_ values: [Literal?]) {
    let numbers = values.map { value -> Double? in
      guard let value else { return .nan }
      return value.quantity
    }
    self =
      numbers.allSatisfy { $0 != nil }
      ? .numbers(numbers.compactMap { $0 }) : .words(values.map { $0?.rendered ?? "" })
  }
}
