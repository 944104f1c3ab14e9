/// The lines that steps leave on standard error: name, what it is, size, and how it went.
struct StepColumns {
  // They widen when something longer comes, within reason.
  private var nameWidth = 8
  private var whatWidth = 56

  /// - Parameters:
  ///   - aside: what stands behind the tail unless the figure that `what` begins with needs its room.
  ///   - width: columns of the terminal, where a step takes one line however narrow it is; nil where there is none.
  mutating func line(
    _ name: String, _ what: String, _ bytes: Int, _ tail: String, aside: String = "", width: Int?
  ) -> String {
    nameWidth = max(nameWidth, min(DisplayWidth.of(name), 32))
    func room(_ tail: String) -> Int { width.map { max(16, $0 - nameWidth - DisplayWidth.of(tail) - 16) } ?? .max }
    let figure = what.prefix { $0 != "," }
    let tail = DisplayWidth.of(String(figure)) < room(tail + aside) ? tail + aside : tail
    let room = room(tail)
    let what = StepColumns.cut(what, to: room)
    whatWidth = max(whatWidth, min(DisplayWidth.of(what), 80))
    return DisplayWidth.padded(name, to: nameWidth, right: false) + "  "
      + DisplayWidth.padded(what, to: min(whatWidth, room), right: false) + "  "
      + DisplayWidth.padded(NumberText.bytes(bytes), to: 8, right: true) + "   " + tail
  }

  /// A number that does not fit is left out: the beginning of one is another number.
  private static func cut(_ text: String, to width: Int) -> String {
    guard DisplayWidth.of(text) > width else { return text }
    let kept = DisplayWidth.cut(text, to: width - 1, mark: "")
    let isWhole = text.dropFirst(kept.count).first == " "
    let word = kept.reversed().prefix { $0 != " " }
    let isNumber = word.contains(where: \.isNumber) || !word.contains(where: \.isLetter)
    guard !isWhole, isNumber, word.count < kept.count else { return kept + "~" }
    return kept.dropLast(word.count) + "~"
  }
}
