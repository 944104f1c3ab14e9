import Kernel

struct Compare: Op {
  static let name = "compare"
  static let summary = "Put reports or texts of one protocol side by side, or measure how far masks or scores agree."
  static let reference: String? = "bootstrap of Efron and Tibshirani 1993; exact test of McNemar 1947"
  static let revision = 3
  static let example = """
    m = load ./data/tiny-llama
    held = text ./data/test.txt model=m
    dense = eval m held length=128
    show (compare [dense: dense])
    """

  /// What can be compared: values of one of these types.
  enum Value: InputValue {
    case report(Report)
    case texts(Texts)
    case mask(Mask)
    case scores(Scores)

    static var accepts: [ArtifactType] { [Report.type, Texts.type, Mask.type, Scores.type] }
    static var arity: InputArity { .one }

    init(_ inputs: [BoundInput]) throws {
      switch inputs.first?.type.name {
      case Texts.type.name: self = .texts(try Texts(inputs))
      case Mask.type.name: self = .mask(try Mask(inputs))
      case Scores.type.name: self = .scores(try Scores(inputs))
      default: self = .report(try Report(inputs))
      }
    }

    var report: Report? { if case .report(let report) = self { report } else { nil } }
    var texts: Texts? { if case .texts(let texts) = self { texts } else { nil } }
    var mask: Mask? { if case .mask(let mask) = self { mask } else { nil } }
    var scores: Scores? { if case .scores(let scores) = self { scores } else { nil } }
  }

  @Input("reports, texts, masks or scores, with labels or from a sweep") var values: [Labelled<Value?>]
  @Input(
    "the value the others are measured against: a label of the list, else a variable",
    named: true) var baseline: Labelled<Value>?
  @Param("seed of the bootstrap of differences from the baseline", in: .atLeast(0)) var seed = 0

  init() {}

  func check() throws -> NoFacts {
    let types = ($values.givenTypes + $baseline.givenTypes).map(\.name).uniqued
    guard types.count <= 1 else {
      throw Diagnostic("compare takes values of one type, not \(types.joined(separator: " and "))", kind: .usage)
    }
    if seed != 0, !$baseline.isGiven || types != [Report.type.name] {
      throw Diagnostic(
        "seed= has no effect here: only differences of reports from a baseline= are drawn again", argument: "seed",
        kind: .usage)
    }
    return NoFacts()
  }

  func estimate(within limit: Int) throws -> Resources {
    // What is compared is there. Of each mask or score it is flags and ranks of the units, of each report what the losses of
    // its windows are averaged from.
    let all = values.compactMap(\.value) + (baseline.map { [$0.value] } ?? [])
    let numbers = all.map { value in
      (value.mask?.structure ?? value.scores?.structure)?.unitCount ?? value.report?.evidence.windows?.loss.count ?? 0
    }
    return Resources(memory: 32 * numbers.reduce(0, +))
  }

  func run(_ context: any RunContext) throws -> ResultTable {
    let rows = values.enumerated().map { Row($1, at: $0) }
    let base = baseline.map { Row(label: $0.label ?? "baseline", value: $0.value, content: $0.content) }
    // In a table with a row for each value, a baseline that is none of them comes first.
    let isAmong = base.map { base in rows.contains { $0.content == base.content } } ?? true
    let all = isAmong ? rows : base.map { [$0] + rows } ?? rows
    switch all.lazy.compactMap(\.value).first {
    case .texts?:
      return try TextComparison.table(all.compactMap { $0.compared(\.texts) }, baseline: base?.value?.texts)
    case .mask?:
      return try Agreement.table(rows.compactMap { $0.compared(\.mask) }, baseline: base?.compared(\.mask))
    case .scores?:
      return try Agreement.table(rows.compactMap { $0.compared(\.scores) }, baseline: base?.compared(\.scores))
    case .report?, nil:
      let reports = all.map { row in
        ReportComparison.Row(
          label: row.label, coordinates: row.coordinates, report: row.value?.report, failure: row.failure)
      }
      let comparison = try ReportComparison(reports, baseline: base?.value?.report, seed: seed)
      if let warning = comparison.overlapWarning { context.warn(warning) }
      return comparison.table
    }
  }

  /// A value on its way into a row.
  private struct Row {
    let label: String
    let coordinates: [(name: String, value: Literal)]
    let value: Value?
    let failure: String?
    /// Hash of what the value holds.
    let content: String?

    init(label: String, value: Value?, content: String?) {
      (self.label, self.value, self.content) = (label, value, content)
      coordinates = []
      failure = nil
    }

    /// Called by the label given, else the place in the sweep, else the row number.
    init(_ given: Labelled<Value?>, at index: Int) {
      let place = given.coordinates.map { "\($0.name)=\($0.value.rendered)" }.joined(separator: " ")
      label = given.coordinates.isEmpty ? given.label ?? "\(index + 1)" : given.label.map { "\($0) \(place)" } ?? place
      (coordinates, value, failure, content) = (given.coordinates, given.value, given.failure, given.content)
    }

    func compared<T>(_ part: KeyPath<Value, T?>) -> Compared<T>? {
      value?[keyPath: part].map { Compared(label: label, content: content, value: $0) }
    }
  }
}

/// A value that is compared with others: what it is called, and the hash of what it holds.
struct Compared<Value> {
  let label: String
  let content: String?
  let value: Value
}
