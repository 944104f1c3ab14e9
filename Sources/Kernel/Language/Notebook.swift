/// A script as a reader sees it: cells with titles, prose and code.
///
/// A line `# %% TITLE` begins a cell, `# %% [markdown] TITLE` one of prose. In both the comments that follow the line at
/// once are prose; what comes after them is code, its own comments included.
public struct Notebook: Sendable, Equatable {
  public struct Cell: Sendable, Equatable {
    /// Empty for what stands before the first mark.
    public var title: String
    public var isMarkdown: Bool
    /// Whether a `# %%` line begins it.
    public var hasMark: Bool
    /// The comments under the title, without their `#`.
    public var prose: [String]
    /// Without blank lines at its ends.
    public var code: [String]
    /// The line of the first line of code, from 1.
    public var codeLine: Int
    /// The lines of the cell, from 1.
    public var lines: Range<Int>
  }

  public var cells: [Cell] = []

  public init(_ source: Source) {
    let text = source.text.separatedLines.map(String.init)
    var starts = Lexer(source).cells.map { (cell: $0, line: source.position(of: $0.range.lowerBound).line) }
    // Nothing stands before a mark on the first line.
    if starts.count > 1, starts[1].line == 1 { starts.removeFirst() }
    for (index, start) in starts.enumerated() {
      let end = index + 1 < starts.count ? starts[index + 1].line : text.count + 1
      var line = start.line
      var cell = Cell(
        title: start.cell.title, isMarkdown: start.cell.isMarkdown, hasMark: false, prose: [], code: [], codeLine: line,
        lines: line..<end)
      func at(_ line: Int) -> String { line < end ? text[line - 1] : "" }
      let isMarked = at(line).hasPrefix("# %%") || at(line).hasPrefix("#%%")
      cell.hasMark = isMarked
      if isMarked || at(line).hasPrefix("#!") { line += 1 }
      while isMarked, at(line).hasPrefix("#") {
        let comment = at(line).dropFirst()
        cell.prose.append(String(comment.first == " " ? comment.dropFirst() : comment))
        line += 1
      }
      var last = end - 1
      while line <= last, at(line).allSatisfy(\.isWhitespace) { line += 1 }
      while last >= line, at(last).allSatisfy(\.isWhitespace) { last -= 1 }
      cell.codeLine = line
      if line <= last { cell.code = Array(text[(line - 1)..<last]) }
      if isMarked || !cell.code.isEmpty || starts.count == 1 { cells.append(cell) }
    }
  }

  /// The cell that a number, counted from 1, or the beginning of a title names.
  public func cell(named wanted: String) -> Cell? {
    if let number = Int(wanted) { return cells.indices.contains(number - 1) ? cells[number - 1] : nil }
    return cells.first { !$0.title.isEmpty && $0.title.lowercased().hasPrefix(wanted.lowercased()) }
  }

  /// The index of the cell a line lies in.
  public func cell(ofLine line: Int) -> Int? { cells.firstIndex { $0.lines.contains(line) } }
}

extension String {
  /// Its lines, whichever way they end.
  var separatedLines: [Substring] { split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" } }
}
