import Kernel

/// A table in a frame. One that is wider than the terminal goes on in further frames below, each with the columns again
/// that say what a row is; rows that are left out are counted in a last line.
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

  /// A text cut to so many columns can still be told from others.
  static let readable = 24

  let text: String

  init(_ table: TableData, width: Int?, rowLimit: Int?, frame: Frame) {
    let shownRows = min(table.rows.count, rowLimit ?? .max)
    let cells = table.humanTexts().prefix(shownRows).map { $0.map { BoxedTable.oneLine($0, frame) } }
    let header = table.columns.map { BoxedTable.oneLine($0, frame) }
    let numeric = header.indices.map(table.isNumeric)
    var widths = header.indices.map { column in
      max(DisplayWidth.of(header[column]), cells.map { DisplayWidth.of($0[column]) }.max() ?? 0, 1)
    }
    var pages = [Array(header.indices)]
    if let width {
      BoxedTable.shrink(&widths, numeric: numeric, to: width, least: BoxedTable.readable)
      if BoxedTable.total(widths) > width {
        pages = BoxedTable.pages(&widths, numeric: numeric, width: width)
      }
    }

    func rule(_ page: [Int], _ joints: (String, String, String)) -> String {
      joints.0 + page.map { String(repeating: frame.horizontal, count: widths[$0] + 2) }.joined(separator: joints.1)
        + joints.2 + "\n"
    }
    func line(_ page: [Int], _ row: [String]) -> String {
      let padded = page.map { column in
        DisplayWidth.padded(
          DisplayWidth.cut(row[column], to: widths[column], mark: frame.mark), to: widths[column],
          right: numeric[column])
      }
      return frame.vertical + " " + padded.joined(separator: " \(frame.vertical) ") + " " + frame.vertical + "\n"
    }
    var out = ""
    for page in pages {
      out += rule(page, frame.top) + line(page, header) + rule(page, frame.middle)
      for row in cells { out += line(page, row) }
      out += rule(page, frame.bottom)
    }
    if shownRows < table.rows.count {
      let more = table.rows.count - shownRows
      out += "\(more) more row\(more == 1 ? "" : "s")\n"
    }
    text = out
  }

  /// Columns in tables that fit, one below the other. The leading columns of text, which say what a row is, come again in
  /// each as far as they take half the width; what is too wide for any is cut.
  private static func pages(_ widths: inout [Int], numeric: [Bool], width: Int) -> [[Int]] {
    var names = 0
    while names < widths.count - 1, !numeric[names] {
      if names == 0 { widths[0] = min(widths[0], max(1, width / 2 - 4)) }
      guard total(widths.prefix(names + 1)) <= max(width / 2, 5) else { break }
      names += 1
    }
    let room = width - total(widths.prefix(names)) - 3
    var pages: [[Int]] = []
    for column in widths.indices.dropFirst(names) {
      widths[column] = max(1, min(widths[column], room))
      if let page = pages.last, total(page.map { widths[$0] }) + widths[column] + 3 <= width {
        pages[pages.count - 1].append(column)
      } else {
        pages.append(Array(0..<names) + [column])
      }
    }
    return pages
  }

  private static func total(_ widths: some Collection<Int>) -> Int { widths.reduce(1) { $0 + $1 + 3 } }

  /// Takes columns of text down, the widest first, as far as needed and not below `least`.
  private static func shrink(_ widths: inout [Int], numeric: [Bool], to width: Int, least: Int) {
    var excess = total(widths) - width
    while excess > 0 {
      let candidates = widths.indices.filter { !numeric[$0] && widths[$0] > least }
      guard let widest = candidates.max(by: { widths[$0] < widths[$1] }) else { return }
      widths[widest] -= 1
      excess -= 1
    }
  }

  private static func oneLine(_ text: String, _ frame: Frame) -> String {
    var line = String(text.map { $0.isNewline || $0 == "\t" ? " " : $0 })
    if frame.mark == Frame.ascii.mark { line = line.replacing("\u{B1}", with: "+-") }
    return line
  }
}
