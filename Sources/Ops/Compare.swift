import Kernel
import Numerics

struct Compare: Op {
  static let name = "compare"
  static let summary = "Put reports of one protocol side by side."
  static let example = """
    m = load ./data/tiny-llama
    held = text ./data/test.txt model=m
    dense = eval m held length=128
    show (compare [dense: dense])
    """

  @Input("reports, with labels or from a sweep") var reports: [Labelled<Report?>]
  @Input("the report the others are measured against", named: true) var baseline: Labelled<Report>?

  init() {}

  /// One row to be: a report, or why there is none.
  private struct Row {
    var label: String
    var coordinates: [(name: String, value: Literal)]
    var report: Report?
    var failure: String?
  }

  func run(_ context: any RunContext) throws -> ResultTable {
    var rows = reports.enumerated().map { index, given in
      Row(
        label: Compare.label(given.label, given.coordinates, at: index), coordinates: given.coordinates,
        report: given.value, failure: given.failure)
    }
    let base = baseline?.value.evidence.windows?.loss
    if let baseline, !rows.contains(where: { $0.report?.evidence.windows?.loss == base }) {
      rows.insert(Row(label: baseline.label ?? "baseline", coordinates: [], report: baseline.value), at: 0)
    }
    let found = rows.compactMap(\.report)
    guard let first = found.first else { throw Diagnostic("compare needs at least one report", argument: "reports") }
    for other in found.dropFirst() { try checkLike(first, other) }
    if found.contains(where: \.calibrationOverlap) {
      context.warn("calibration and test text overlap: a model was calibrated on the text it is tested on")
    }
    return table(rows, base)
  }

  /// - Throws: naming the first field in which the protocols differ.
  private func checkLike(_ a: Report, _ b: Report) throws {
    guard a.conditions != b.conditions else { return }
    let names = Set(a.conditions.keys).union(b.conditions.keys).sorted()
    // The context says more than the number of windows that follows from it.
    let order = ["context"] + names.filter { $0 != "context" }
    guard let name = order.first(where: { a.conditions[$0] != b.conditions[$0] }) else { return }
    func shown(_ report: Report) -> String {
      let value = report.conditions[name]
      return value?.stringValue.map { String($0.prefix(12)) } ?? value?.canonical ?? "none"
    }
    if name == "corpus" {
      throw Diagnostic(
        "the reports are of different texts or windows", hint: "evaluate both on the same corpus with the same length=",
        argument: "reports")
    }
    throw Diagnostic(
      "the reports were made under different protocols: \(name): \(shown(a)) vs \(shown(b))", argument: "reports")
  }

  private func table(_ rows: [Row], _ base: [Double]?) -> ResultTable {
    var names = ["label"]
    var columns: [ResultTable.Column] = [.words(rows.map(\.label))]
    func add(_ name: String, _ column: ResultTable.Column) {
      names.append(name)
      columns.append(column)
    }
    for name in distinct(rows.flatMap { $0.coordinates.map(\.name) }) {
      add(name, column(rows.map { row in row.coordinates.first { $0.name == name }?.value }))
    }
    let keys = names
    func metric(_ row: Row, _ name: String) -> Report.Measurement? {
      row.report?.measurements.first { $0.name == name }
    }
    let metrics = distinct(rows.flatMap { $0.report?.measurements.map(\.name) ?? [] })
    for name in metrics { add(name, .numbers(rows.map { metric($0, name)?.value ?? .nan })) }
    for name in metrics { add(name + "_stderr", .numbers(rows.map { metric($0, name)?.standardError ?? .nan })) }
    if let base {
      // Windows are the same text for both, so their differences say more than the two errors do.
      let differences = rows.map { row in row.report?.evidence.windows.map { zip($0.loss, base).map(-) } }
      add("nll_minus_baseline", .numbers(differences.map { $0.map(mean) ?? .nan }))
      add("nll_minus_baseline_stderr", .numbers(differences.map { $0.map(standardError) ?? .nan }))
    }
    if rows.contains(where: { $0.failure != nil }) { add("error", .words(rows.map { $0.failure ?? "" })) }
    return ResultTable(names: names, columns: columns, keys: keys)
  }

  private func distinct(_ names: [String]) -> [String] {
    names.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }

  /// The label given, else the place in the sweep, else the row number.
  private static func label(
    _ label: String?, _ coordinates: [(name: String, value: Literal)], at index: Int
  ) -> String {
    if coordinates.isEmpty { return label ?? "\(index + 1)" }
    let place = coordinates.map { "\($0.name)=\($0.value.rendered)" }.joined(separator: " ")
    return label.map { "\($0) \(place)" } ?? place
  }

  private func column(_ values: [Literal?]) -> ResultTable.Column {
    let numbers = values.map { value -> Double? in
      switch value {
      case .integer(let number): return Double(number)
      case .number(let number), .ratio(let number): return number
      case nil: return .nan
      default: return nil
      }
    }
    if numbers.allSatisfy({ $0 != nil }) { return .numbers(numbers.compactMap { $0 }) }
    return .words(values.map { $0?.rendered ?? "" })
  }
}

/// The standard error of the mean.
func standardError(_ values: [Double]) -> Double {
  guard values.count > 1 else { return 0 }
  let center = values.reduce(0, +) / Double(values.count)
  let spread = values.reduce(0) { $0 + ($1 - center) * ($1 - center) } / Double(values.count - 1)
  return (spread / Double(values.count)).squareRoot()
}
