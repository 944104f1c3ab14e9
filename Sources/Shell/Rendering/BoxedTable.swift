import Kernel

/// A table in a frame, cut to the width of the terminal: wide text columns are shortened first, then columns on the
/// right are left out; what is missing is said in a last line.
struct BoxedTable {
  /// The characters of the frame.
  struct Frame: Sendable {
    var horizontal, vertical: String
    /// Left, middle and right joints of the top, header and bottom rules.
    var top, middle, bottom: (String, String, String)
    /// Says that a text was cut.
    var mark: String

    static let box = Frame(
      horizontal: "─", vertical: "│", top: ("┌", "┬", "┐"), middle: ("├", "┼", "┤"), bottom: ("└", "┴", "┘"), mark: "…")
    static let ascii = Frame(
      horizontal: "-", vertical: "|", top: ("+", "+", "+"), middle: ("+", "+", "+"), bottom: ("+", "+", "+"), mark: "~")
  }

  static let narrowest = 8

  let text: String

  init(_ table: TableData, width: Int?, rowLimit: Int?, frame: Frame) {
    let shownRows = min(table.rows.count, rowLimit ?? .max)
    let cells = table.humanTexts().prefix(shownRows).map { $0.map(BoxedTable.oneLine) }
    let header = table.columns.map(BoxedTable.oneLine)
    let numeric = header.indices.map(table.isNumeric)
    var widths = header.indices.map { column in
      max(DisplayWidth.of(header[column]), cells.map { DisplayWidth.of($0[column]) }.max() ?? 0, 1)
    }
    var shown = header.count
    if let width {
      BoxedTable.shrink(&widths, numeric: numeric, to: width)
      while shown > 1, BoxedTable.total(widths.prefix(shown)) > width { shown -= 1 }
      if shown == 1, let only = widths.first, BoxedTable.total([only]) > width { widths[0] = max(1, width - 4) }
    }

    func rule(_ joints: (String, String, String)) -> String {
      joints.0
        + widths.prefix(shown).map { String(repeating: frame.horizontal, count: $0 + 2) }.joined(separator: joints.1)
        + joints.2 + "\n"
    }
    func line(_ row: [String]) -> String {
      let padded = (0..<shown).map { column in
        DisplayWidth.padded(
          DisplayWidth.cut(row[column], to: widths[column], mark: frame.mark), to: widths[column],
          right: numeric[column])
      }
      return frame.vertical + " " + padded.joined(separator: " \(frame.vertical) ") + " " + frame.vertical + "\n"
    }
    var out = rule(frame.top) + line(header) + rule(frame.middle)
    for row in cells { out += line(row) }
    out += rule(frame.bottom)
    var missing: [String] = []
    if shownRows < table.rows.count { missing.append(BoxedTable.counted(table.rows.count - shownRows, "more row")) }
    if shown < header.count { missing.append(BoxedTable.counted(header.count - shown, "more column")) }
    if !missing.isEmpty { out += missing.joined(separator: ", ") + "\n" }
    text = out
  }

  private static func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

  private static func total(_ widths: some Collection<Int>) -> Int { widths.reduce(1) { $0 + $1 + 3 } }

  /// Takes columns of text down, the widest first, as far as needed and not below `narrowest`.
  private static func shrink(_ widths: inout [Int], numeric: [Bool], to width: Int) {
    var excess = total(widths) - width
    while excess > 0 {
      let candidates = widths.indices.filter { !numeric[$0] && widths[$0] > narrowest }
      guard let widest = candidates.max(by: { widths[$0] < widths[$1] }) else { return }
      widths[widest] -= 1
      excess -= 1
    }
  }

  private static func oneLine(_ text: String) -> String {
    String(text.map { $0.isNewline || $0 == "\t" ? " " : $0 })
  }
}
