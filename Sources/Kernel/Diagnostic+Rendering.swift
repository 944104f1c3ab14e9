extension Source {
  /// Line and column of a byte offset, both from 1; columns count characters.
  public func position(of offset: Int) -> (line: Int, column: Int) {
    let offset = min(max(0, offset), text.utf8.count)
    // The first line that starts behind the offset.
    var (low, high) = (0, lineStarts.count)
    while low < high {
      let middle = (low + high) / 2
      if lineStarts[middle] <= offset { low = middle + 1 } else { high = middle }
    }
    let start = lineStarts[low - 1]
    return (low, (isASCII ? offset - start : bytes(start..<offset).count) + 1)
  }

  /// The text of a line (from 1) without its line end, and the byte offset of its start.
  func line(_ number: Int) -> (text: String, start: Int) {
    guard lineStarts.indices.contains(number - 1) else { return ("", 0) }
    let start = lineStarts[number - 1]
    let end = number < lineStarts.count ? lineStarts[number] - 1 : text.utf8.count
    let line = bytes(start..<end)
    return (line.hasSuffix("\r") ? String(line.dropLast()) : line, start)
  }

  /// The text of a range of bytes.
  func bytes(_ range: Range<Int>) -> String {
    let bytes = text.utf8
    let range = range.clamped(to: 0..<bytes.count)
    let start = bytes.index(bytes.startIndex, offsetBy: range.lowerBound)
    return String(decoding: bytes[start..<bytes.index(start, offsetBy: range.count)], as: UTF8.self)
  }
}

extension Span {
  /// `flap.prn:7`.
  public var place: String { "\(source.name):\(source.position(of: range.lowerBound).line)" }
  /// The source text it covers.
  public var text: String { source.bytes(range) }
}

extension Diagnostic {
  /// The error as the shell prints it: place and sentence, the line, carets under the span, the hint.
  ///
  ///     canica.prn:7:25: error: `canica` has no parameter `k`
  ///        7 | nets = canica acts      k=64 seed=0
  ///          |                         ^ did you mean `components`?
  public var rendered: String {
    let cell = coordinates.isEmpty ? "" : ", in the cell \(coordinates.written)"
    let (summary, hint) = ((self.summary + cell).printable, self.hint?.printable)
    guard let span else { return "error: \(summary)" + (hint.map { "\n  \($0)" } ?? "") }
    let (lineNumber, column) = span.source.position(of: span.range.lowerBound)
    let (line, lineStart) = span.source.line(lineNumber)
    let bytes = Array(line.utf8)
    let from = min(max(0, span.range.lowerBound - lineStart), bytes.count)
    let to = min(max(from, span.range.upperBound - lineStart), bytes.count)
    // Of a very long line the neighbourhood is enough.
    func text(_ slice: ArraySlice<UInt8>) -> String { String(decoding: slice, as: UTF8.self) }
    let before = text(bytes[..<from])
    let (here, after) = (text(bytes[from..<to]), text(bytes[to...]))
    let room = 200
    let head = expanded(before.count > room ? "..." + before.suffix(room) : before, startingAt: 0)
    let marked = expanded(here.count > room ? here.prefix(room) + "..." : here, startingAt: head.width)
    let tail = expanded(
      after.count > room ? after.prefix(room) + "..." : after, startingAt: head.width + marked.width)
    let number = String(lineNumber)
    let margin = String(repeating: " ", count: max(0, 4 - number.count))
    let carets = String(repeating: "^", count: max(1, marked.width))
    let gap = String(repeating: " ", count: head.width)
    return """
      \(span.source.name.printable):\(lineNumber):\(column): error: \(summary)
      \(margin)\(number) | \(head.text)\(marked.text)\(tail.text)
      \(String(repeating: " ", count: max(4, number.count))) | \(gap)\(carets)\(hint.map { " " + $0 } ?? "")
      """
  }

  /// Several errors of a check with the closing line.
  public static func rendered(_ diagnostics: [Diagnostic], statements: Int, limit: Int = 20) -> String {
    let shown = diagnostics.prefix(limit).map(\.rendered)
    let count = counted(diagnostics.count, "error")
    let more = diagnostics.count > limit ? ", the first \(limit) shown" : ""
    let checked = counted(statements, "statement")
    return (shown + ["nothing was run (checked \(checked), \(count)\(more))"]).joined(separator: "\n")
  }
}

/// The text with tabs expanded to stops of eight and control characters made visible, and its width in terminal columns.
private func expanded(_ text: String, startingAt column: Int) -> (text: String, width: Int) {
  var out = ""
  var width = 0
  for character in text {
    if character == "\t" {
      let spaces = 8 - (column + width) % 8
      out += String(repeating: " ", count: spaces)
      width += spaces
    } else if character.unicodeScalars.contains(where: \.isUnprintable) {
      out += "?"
      width += 1
    } else {
      out.append(character)
      width += displayWidth(character)
    }
  }
  return (out, width)
}

/// Columns a character takes on a terminal: 2 for wide East Asian ones and emoji, 0 for lone combining marks.
func displayWidth(_ character: Character) -> Int {
  guard let scalar = character.unicodeScalars.first else { return 0 }
  if scalar.properties.isEmojiPresentation { return 2 }
  switch scalar.properties.generalCategory {
  case .nonspacingMark, .enclosingMark, .format: return 0
  default: break
  }
  switch scalar.value {
  case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA000...0xA4CF,
    0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1FAFF,
    0x20000...0x3FFFD:
    return 2
  default: return 1
  }
}
