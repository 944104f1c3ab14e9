/// The lines that steps leave on standard error: name, what it is, size, and how it went.
struct StepColumns {
  // They widen when something longer comes, within reason.
  private var nameWidth = 8
  private var whatWidth = 56

  /// - Parameter width: columns of the terminal, where a step takes one line however narrow it is; nil where there is none.
  mutating func line(_ name: String, _ what: String, _ bytes: Int, _ tail: String, width: Int?) -> String {
    nameWidth = max(nameWidth, min(DisplayWidth.of(name), 32))
    let room = width.map { max(16, $0 - nameWidth - DisplayWidth.of(tail) - 16) } ?? .max
    let what = DisplayWidth.cut(what, to: room, mark: "~")
    whatWidth = max(whatWidth, min(DisplayWidth.of(what), 80))
    return DisplayWidth.padded(name, to: nameWidth, right: false) + "  "
      + DisplayWidth.padded(what, to: min(whatWidth, room), right: false) + "  "
      + DisplayWidth.padded(NumberText.bytes(bytes), to: 8, right: true) + "   " + tail
  }
}
