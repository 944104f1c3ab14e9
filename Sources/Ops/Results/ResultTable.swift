import Kernel

/// A table of results: one row per report, one column per coordinate and metric.
public struct ResultTable: Artifact, InputValue {
  public static let type = ArtifactType("table")

  public enum Column: Sendable, Equatable {
    case numbers([Double])
    case words([String])

    public var count: Int {
      switch self {
      case .numbers(let values): return values.count
      case .words(let values): return values.count
      }
    }
  }

  /// Column names in order, label first.
  public let names: [String]
  public let columns: [Column]
  /// The columns that say which row it is (label, sweep coordinates), as opposed to what was measured.
  public let keys: [String]

  public var rows: Int { columns.first?.count ?? 0 }
  public var summary: String { "\(counted(rows, "row")) x \(counted(names.count, "column"))" }
  public static let fields = ["rows": "number of rows"]
  public func field(_ name: String) -> Literal? { name == "rows" ? .integer(rows) : nil }
  public subscript(_ name: String) -> Column? { names.firstIndex(of: name).map { columns[$0] } }

  public init(names: [String], columns: [Column], keys: [String]) {
    self.names = names
    self.columns = columns
    self.keys = keys
  }

  public func write(to writer: any ArtifactWriter) throws {
    for (name, column) in zip(names, columns) {
      switch column {
      case .numbers(let values): try writer.vector("columns/\(name)", values, axis: "row")
      case .words(let values): try writer.strings("columns/\(name)", values, axis: "row")
      }
    }
    try writer.text("column_order", JSONValue.array(names.map(JSONValue.string)).canonical)
    try writer.text("key_columns", JSONValue.array(keys.map(JSONValue.string)).canonical)
    let measured = zip(names, columns).first { !keys.contains($0.0) }
    if let measured, case .numbers(let values) = measured.1 {
      try writer.preview(title: measured.0, values: values.prefix(4096).map { Float($0) }, axis: "row")
    }
  }

  public init(from reader: any ArtifactReader) throws {
    func list(_ path: String) throws -> [String] {
      try JSONValue(parsing: reader.text(path)).arrayValue?.compactMap(\.stringValue) ?? []
    }
    let order = try list("column_order")
    keys = try list("key_columns")
    names = order
    columns = try order.map { name in
      if let values = try? reader.array("columns/\(name)", as: Double.self) { return .numbers(values) }
      return .words(try reader.strings("columns/\(name)"))
    }
  }
}
