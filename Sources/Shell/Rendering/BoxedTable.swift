import Kernel

/// A table in a frame. One that is wider than the terminal goes on in further frames below, each with the columns again
/// that say what a row is; the values of a record go on in further lines. Rows that are left out are counted in a last line.
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
    var cells = table.humanTexts().prefix(shownRows).map { $0.map { BoxedTable.oneLine($0, frame) } }
    let header = table.columns.map { BoxedTable.oneLine($0, frame) }
    let numeric = header.indices.map(table.isNumeric)
    func widthsNeeded() -> [Int] {
      header.indices.map { column in
        max(DisplayWidth.of(header[column]), cells.map { DisplayWidth.of($0[column]) }.max() ?? 0, 1)
      }
    }
    var widths = widthsNeeded()
    if let width, table.isRecord, widths.count == 2, BoxedTable.total(widths) > width {
      let room = max(1, width - BoxedTable.total([min(widths[0], width / 2), 0]))
      cells = cells.flatMap { row in
        row[1].pieces(of: room).enumerated().map { [$0.offset == 0 ? row[0] : "", $0.element] }
      }
      widths = widthsNeeded()
    }
    var pages = [Page(columns: Array(header.indices), widths: widths)]
    if let width, BoxedTable.total(widths) > width {
      let cut = BoxedTable.shrunk(widths, numeric: numeric, to: width)
      pages =
        BoxedTable.total(cut) <= width
        ? [Page(columns: Array(header.indices), widths: cut)]
        : BoxedTable.pages(widths, keys: table.keyColumns, width: width)
    }

    func rule(_ page: Page, _ joints: (String, String, String)) -> String {
      joints.0 + page.widths.map { String(repeating: frame.horizontal, count: $0 + 2) }.joined(separator: joints.1)
        + joints.2 + "\n"
    }
    func line(_ page: Page, _ row: [String]) -> String {
      let padded = zip(page.columns, page.widths).map { column, width in
        DisplayWidth.padded(
          DisplayWidth.cut(row[column], to: width, mark: frame.mark), to: width, right: numeric[column])
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
      out += counted(table.rows.count - shownRows, "more row") + "\n"
    }
    text = out
  }

  /// Some columns in a frame of their own, and the room each has there.
  private struct Page {
    var columns: [Int]
    var widths: [Int]

    mutating func add(_ column: Int, _ width: Int) {
      columns.append(column)
      widths.append(width)
    }
  }

  /// Columns in frames that fit, one below the other. The keys come again in each as far as they take half the width, the
  /// first cut for that if it must be; what is too wide for any frame is cut.
  private static func pages(_ needed: [Int], keys: [Int], width: Int) -> [Page] {
    var head = Page(columns: [], widths: [])
    if let first = keys.first {
      let least = min(needed[first], width / 4)
      var others: [Int] = []
      for key in keys.dropFirst() where total([least] + (others + [key]).map { needed[$0] }) <= width / 2 {
        others.append(key)
      }
      head.add(first, max(1, min(needed[first], width / 2 - total(others.map { needed[$0] } + [0]))))
      for key in others { head.add(key, needed[key]) }
    }
    let repeated = head.columns
    var pages = [head]
    for column in needed.indices where !repeated.contains(column) {
      let last = pages[pages.count - 1]
      if last.columns.count > repeated.count, total(last.widths + [needed[column]]) > width { pages.append(head) }
      let room = width - total(pages[pages.count - 1].widths + [0])
      pages[pages.count - 1].add(column, max(1, min(needed[column], room)))
    }
    // What a frame has left goes to a first key that was cut.
    return pages.map { page in
      var page = page
      if let first = page.columns.first {
        page.widths[0] = min(needed[first], page.widths[0] + max(0, width - total(page.widths)))
      }
      return page
    }
  }

  private static func total(_ widths: [Int]) -> Int { widths.reduce(1) { $0 + $1 + 3 } }

  /// Columns of text taken down, the widest first, as far as needed and as long as they can be read.
  private static func shrunk(_ widths: [Int], numeric: [Bool], to width: Int) -> [Int] {
    var widths = widths
    var excess = total(widths) - width
    while excess > 0 {
      let candidates = widths.indices.filter { !numeric[$0] && widths[$0] > BoxedTable.readable }
      guard let widest = candidates.max(by: { widths[$0] < widths[$1] }) else { break }
      widths[widest] -= 1
      excess -= 1
    }
    return widths
  }

  private static func oneLine(_ text: String, _ frame: Frame) -> String {
    var line = String(text.map { $0.isNewline || $0 == "\t" ? " " : $0 })
    if frame.mark == Frame.ascii.mark { line = line.replacing("\u{B1}", with: "+-") }
    return line
  }
}
