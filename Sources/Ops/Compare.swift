import Kernel

struct Compare: Op {
  static let name = "compare"
  static let summary = "Put reports or texts of one protocol side by side, or measure how far masks or scores agree."
  static let reference: String? = "bootstrap of Efron and Tibshirani 1993; exact test of McNemar 1947"
  static let revision = 2
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
  @Input("the value the others are measured against", named: true) var baseline: Labelled<Value>?
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
    let rows = values.enumerated().map { index, given in
      Labelling(
        label: given.label, coordinates: given.coordinates, value: given.value, failure: given.failure, at: index)
    }
    let base = baseline.map { ($0.label ?? "baseline", $0.value) }
    if rows.contains(where: { $0.value?.texts != nil }) || base?.1.texts != nil {
      return try TextComparison.table(
        rows.compactMap { row in row.value?.texts.map { (row.label, $0) } },
        baseline: base.flatMap { label, value in value.texts.map { (label, $0) } })
    }
    if rows.contains(where: { $0.value?.mask != nil }) || base?.1.mask != nil {
      return try Agreement.table(
        rows.compactMap { row in row.value?.mask.map { (row.label, $0) } },
        baseline: base.flatMap { label, value in value.mask.map { (label, $0) } })
    }
    if rows.contains(where: { $0.value?.scores != nil }) || base?.1.scores != nil {
      return try Agreement.table(
        rows.compactMap { row in row.value?.scores.map { (row.label, $0) } },
        baseline: base.flatMap { label, value in value.scores.map { (label, $0) } })
    }
    let reports = rows.map { row in
      ReportComparison.Row(
        label: row.label, coordinates: row.coordinates, report: row.value?.report, failure: row.failure)
    }
    let comparison = try ReportComparison(
      reports, baseline: base.flatMap { label, value in value.report.map { (label, $0) } }, seed: seed)
    if let warning = comparison.overlapWarning { context.warn(warning) }
    return comparison.table
  }

  /// A value on its way into a row.
  private struct Labelling {
    let label: String
    let coordinates: [(name: String, value: Literal)]
    let value: Value?
    let failure: String?

    /// Called by the label given, else the place in the sweep, else the row number.
    init(
      label: String?, coordinates: [(name: String, value: Literal)], value: Value?, failure: String?, at index: Int
    ) {
      let place = coordinates.map { "\($0.name)=\($0.value.rendered)" }.joined(separator: " ")
      self.label = coordinates.isEmpty ? label ?? "\(index + 1)" : label.map { "\($0) \(place)" } ?? place
      self.coordinates = coordinates
      self.value = value
      self.failure = failure
    }
  }
}
