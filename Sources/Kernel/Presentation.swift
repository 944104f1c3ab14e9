/// What a value looks like to a reader. Result types adopt it beside `Artifact`; the shell decides on boxes, tabs or SVG.
public protocol Showable: Artifact {
  /// Which parameters of `show` its table obeys, besides `rows`; others are refused.
  static var tableParameters: Set<String> { get }
  /// Which of `x`, `y`, `by` and `layers` its figure obeys; others are refused.
  static var figureParameters: Set<String> { get }
  /// What `show … by=` can set apart: labels, tasks.
  static var groupings: [String] { get }
  /// Whether it is nothing but its table, so that a sweep of such shows the rows of all.
  static var isTable: Bool { get }
  /// Which of its fields a plot of many such values draws; nil: the first number that differs among them.
  static var quantity: String? { get }
  /// What `show` prints. nil: `show` prints the summary line.
  func table(_ request: ShowRequest) throws -> TableData?
  /// What `export x to=….csv` writes: the shown table, unless a program wants more of the value than a reader.
  func exportedTable(_ request: ShowRequest) throws -> TableData?
  /// What `plot` draws.
  /// - Throws: `Diagnostic` naming the option at fault (a column that does not exist).
  func figure(_ request: PlotRequest) throws -> Figure
}

extension Showable {
  public static var tableParameters: Set<String> { [] }
  public static var figureParameters: Set<String> { [] }
  public static var groupings: [String] { [] }
  public static var isTable: Bool { false }
  public static var quantity: String? { nil }
  public func table(_ request: ShowRequest) throws -> TableData? { nil }
  public func exportedTable(_ request: ShowRequest) throws -> TableData? { try table(request) }
  public func figure(_ request: PlotRequest) throws -> Figure {
    throw Diagnostic("a value of type \(Self.type.name) has no plot", hint: "try `show \(request.name)`", kind: .usage)
  }
}

/// What the user asked to see.
public struct ShowRequest: Sendable {
  /// The variable's name as the user typed it.
  public var name: String
  /// `layers=`: nil means all.
  public var layers: Positions?
  /// `by=`: one of the value's `groupings`.
  public var by: String?
  /// `network=`: a layer and a network in it, such as `0:3`.
  public var network: String?
  public init(name: String, layers: Positions? = nil, by: String? = nil, network: String? = nil) {
    self.network = network
    self.name = name
    self.layers = layers
    self.by = by
  }
}

/// What the user asked to have drawn.
public struct PlotRequest: Sendable {
  public var name: String
  /// Key of the artifact, for the picture's description.
  public var key: String?
  /// Columns of a table: horizontal, vertical, and the one that splits lines.
  public var x: String?
  public var y: String?
  public var by: String?
  public var layers: Positions?

  public init(
    name: String, key: String? = nil, x: String? = nil, y: String? = nil, by: String? = nil,
    layers: Positions? = nil
  ) {
    self.name = name
    self.key = key
    self.x = x
    self.y = y
    self.by = by
    self.layers = layers
  }

}

/// Rows and columns to be shown or written, with what each number is.
public struct TableData: Sendable, Equatable {
  public enum Cell: Sendable, Equatable {
    case missing
    case text(String)
    case bool(Bool)
    case integer(Int)
    case number(Double)
    /// A number with its standard error, which a person sees and a program finds elsewhere.
    case measured(Double, error: Double)
    /// 0.2 shows as 20% to a person and as 0.2 to a program.
    case ratio(Double)
    case bytes(Int)
    case seconds(Double)
  }

  public var columns: [String]
  /// One cell per column in each row.
  public var rows: [[Cell]]
  /// Names with their values: a program reads `name<TAB>value` lines, so no header is printed into a pipe.
  public var isRecord: Bool
  /// The columns that say what a row is; empty for the first and the columns of text behind it.
  public var keys: [String]

  public init(columns: [String], rows: [[Cell]], isRecord: Bool = false, keys: [String] = []) {
    self.columns = columns
    self.rows = rows
    self.isRecord = isRecord
    self.keys = keys
  }

  /// A name-and-value table: the metrics of a report.
  public init(record: [(name: String, value: Cell)]) {
    self.init(columns: ["name", "value"], rows: record.map { [.text($0.name), $0.value] }, isRecord: true)
  }
}
