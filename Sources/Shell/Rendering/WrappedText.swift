extension String {
  /// The text with lines broken between words at `width` columns. What goes on stands below where the line's last
  /// column begins: behind the widest gap, else behind its indentation.
  func wrapped(at width: Int) -> String {
    split(separator: "\n", omittingEmptySubsequences: false).map { line in
      DisplayWidth.of(String(line)) <= width ? String(line) : String.broken(String(line), at: width)
    }.joined(separator: "\n")
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
    return start + 2
  }
}
