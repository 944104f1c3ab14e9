import Kernel

/// The forms a table can take as text.
enum TableFormat: String, CaseIterable, Sendable {
  case box, ascii, tsv, csv, md, json

  /// What `export x to=…` writes, by the file's extension.
  init?(path: String) {
    guard let dot = path.lastIndex(of: ".") else { return nil }
    switch path[path.index(after: dot)...].lowercased() {
    case "tsv", "txt": self = .tsv
    case "csv": self = .csv
    case "md": self = .md
    case "json": self = .json
    default: return nil
    }
  }
}

extension TableData {
  /// The table as text ending in a newline.
  /// - Parameters:
  ///   - width: columns of the terminal, for `box` and `ascii`; nil does not cut.
  ///   - rowLimit: rows shown in `box` and `ascii`; the others are counted in a last line.
  func text(_ format: TableFormat, width: Int? = nil, rowLimit: Int? = nil) -> String {
    switch format {
    case .box: return BoxedTable(self, width: width, rowLimit: rowLimit, frame: .box).text
    case .ascii: return BoxedTable(self, width: width, rowLimit: rowLimit, frame: .ascii).text
    case .tsv: return separated(by: "\t", header: !isRecord, quote: TableData.escapedForTabs)
    case .csv: return separated(by: ",", header: true, quote: TableData.quotedForCommas)
    case .md: return markdown
    case .json: return json.canonical + "\n"
    }
  }

  /// A list of objects, one per row; of a record, one object.
  var json: JSONValue {
    if isRecord {
      let members = rows.map { ($0.first?.machineText ?? "", $0.count > 1 ? $0[1].json : .null) }
      return .object(Dictionary(members, uniquingKeysWith: { $1 }))
    }
    return .array(
      rows.map { .object(Dictionary(zip(columns, $0.map(\.json)), uniquingKeysWith: { first, _ in first })) })
  }

  private func separated(by separator: String, header: Bool, quote: (String) -> String) -> String {
    var out = ""
    if header { out += columns.map(quote).joined(separator: separator) + "\n" }
    for row in rows { out += row.map { quote($0.machineText) }.joined(separator: separator) + "\n" }
    return out
  }

  private var markdown: String {
    let texts = humanTexts()
    let marks = columns.indices.map { isNumeric(column: $0) ? "---:" : "---" }
    func line(_ cells: [String]) -> String {
      "| "
        + cells.map { $0.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|") }
        .joined(separator: " | ") + " |\n"
    }
    return line(columns) + line(marks) + texts.map(line).joined()
  }

  /// One line per record whatever the cell holds.
  private static func escapedForTabs(_ text: String) -> String {
    guard text.utf8.contains(where: { $0 == 9 || $0 == 10 || $0 == 13 || $0 == 92 }) else { return text }
    var out = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\t": out += "\\t"
      case "\n": out += "\\n"
      case "\r": out += "\\r"
      case "\\": out += "\\\\"
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out
  }

  private static func quotedForCommas(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: { ",\"\n\r".unicodeScalars.contains($0) }) else { return text }
    return "\"" + text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
  }
}

extension TableData {
  /// The cells as a person reads them: one number of decimals per column where the magnitudes allow it.
  func humanTexts() -> [[String]] {
    let decimals = columns.indices.map(commonDecimals)
    return rows.map { row in row.enumerated().map { $1.humanText(decimals: isRecord ? nil : decimals[$0]) } }
  }

  func isNumeric(column: Int) -> Bool {
    rows.contains { $0[column].isNumber } && rows.allSatisfy { $0[column].isNumber || $0[column] == .missing }
  }

  /// The columns that say what a row is, by their places.
  var keyColumns: [Int] {
    if !keys.isEmpty { return columns.indices.filter { keys.contains(columns[$0]) } }
    return columns.indices.prefix(1) + columns.indices.dropFirst().prefix { !isNumeric(column: $0) }
  }

  /// Decimals that give the largest number of a column five significant digits; nil when the smallest would vanish.
  private func commonDecimals(column: Int) -> Int? {
    let sizes = rows.compactMap { row -> Double? in
      guard case .number(let value) = row[column], value.isFinite, value != 0 else { return nil }
      return abs(value)
    }
    guard let largest = sizes.max(), let smallest = sizes.min() else { return nil }
    if largest < 1e7, sizes.allSatisfy({ $0 == $0.rounded() }) { return 0 }
    let exponent = Int(largest.logarithm10.rounded(.down))
    let decimals = min(6, max(0, 4 - exponent))
    guard exponent < 7, smallest.logarithm10 > Double(-decimals) else { return nil }
    return decimals
  }
}

extension TableData.Cell {
  /// A time where there is one.
  init(seconds: Double?) { self = seconds.map(Self.seconds) ?? .missing }

  var isNumber: Bool {
    switch self {
    case .integer, .number, .measured, .ratio, .bytes, .seconds: return true
    case .missing, .text, .bool: return false
    }
  }

  /// Exact and without units, for programs.
  var machineText: String {
    switch self {
    case .missing: return ""
    case .text(let value): return value
    case .bool(let value): return value ? "true" : "false"
    case .integer(let value), .bytes(let value): return String(value)
    case .number(let value), .measured(let value, _), .ratio(let value), .seconds(let value):
      return NumberText.exact(value)
    }
  }

  func humanText(decimals: Int?) -> String {
    switch self {
    case .missing: return ""
    case .text(let value): return value
    case .bool(let value): return value ? "yes" : "no"
    case .integer(let value): return String(value)
    case .number(let value): return NumberText.number(value, decimals: decimals)
    case .measured(let value, let error):
      let number = NumberText.number(value, decimals: decimals)
      guard error > 0, error.isFinite else { return number }
      return "\(number) ± \(error < 10 ? NumberText.significant(error, 2) : NumberText.number(error, decimals: 0))"
    case .ratio(let value): return NumberText.percent(value)
    case .bytes(let value): return NumberText.bytes(value)
    case .seconds(let value): return NumberText.duration(value)
    }
  }

  var json: JSONValue {
    switch self {
    case .missing: return .null
    case .text(let value): return .string(value)
    case .bool(let value): return .bool(value)
    case .integer(let value), .bytes(let value): return .integer(value)
    case .number(let value), .measured(let value, _), .ratio(let value), .seconds(let value):
      return value.isFinite ? .number(value) : .null
    }
  }
}
