extension String {
  /// The text with lines broken between words at `width` columns. What goes on stands below where the line's last
  /// column begins: behind the widest gap, else behind its indentation; a line that begins deep is a second column itself.
  func wrapped(at width: Int) -> String {
    split(separator: "\n", omittingEmptySubsequences: false).map { line in
      DisplayWidth.of(String(line)) <= width ? String(line) : String.broken(String(line), at: width)
    }.joined(separator: "\n")
  }

  /// The text cut into pieces of at most `width` columns: behind a space or `/` where the piece has one, else anywhere.
  func pieces(of width: Int) -> [String] {
    var pieces: [String] = []
    var rest = Substring(self)
    while DisplayWidth.of(String(rest)) > width {
      let most = max(1, DisplayWidth.cut(String(rest), to: width, mark: "").count)
      var piece = rest.prefix(most)
      if rest.dropFirst(most).first != " ", let end = piece.lastIndex(where: { $0 == " " || $0 == "/" }) {
        piece = piece[...end]
      }
      rest = rest[piece.endIndex...].drop { $0 == " " }
      pieces.append(String(piece))
    }
    return rest.isEmpty && !pieces.isEmpty ? pieces : pieces + [String(rest)]
  }

  private static func broken(_ line: String, at width: Int) -> String {
    let indent = line.prefix { $0 == " " }
    var hang = hangingIndent(of: line)
    if hang > width / 2 { hang = indent.count + 2 }
    var lines: [String] = []
    var current = String(indent)
    var isBegun = false
    for word in line.dropFirst(indent.count).split(separator: " ", omittingEmptySubsequences: false) {
      let longer = isBegun ? current + " " + word : current + word
      if isBegun, DisplayWidth.of(longer) > width {
        lines.append(current)
        current = String(repeating: " ", count: hang) + word
      } else {
        current = longer
      }
      isBegun = true
    }
    return (lines + [current]).joined(separator: "\n")
  }

  /// Where the second column of `  name=   meaning` begins.
  private static func hangingIndent(of line: String) -> Int {
    let characters = Array(line)
    let start = characters.prefix { $0 == " " }.count
    var index = start
    while index + 1 < characters.count {
      if characters[index] == " ", characters[index + 1] == " " {
        while index < characters.count, characters[index] == " " { index += 1 }
        return index
      }
      index += 1
    }
    return start > 8 ? start : start + 2
  }
}
