/// How many columns text takes on a terminal.
enum DisplayWidth {
  static func of(_ text: String) -> Int { text.reduce(0) { $0 + of($1) } }

  static func of(_ character: Character) -> Int {
    guard let first = character.unicodeScalars.first else { return 0 }
    if first.value < 0x20 || (0x7F..<0xA0).contains(first.value) { return 0 }
    if first.value < 0x300 { return 1 }
    if first.properties.generalCategory == .nonspacingMark || first.properties.generalCategory == .format { return 0 }
    return isWide(first.value) ? 2 : 1
  }

  /// The longest start of `text` that fits `width`, with a mark where something was cut off.
  static func cut(_ text: String, to width: Int, mark: String) -> String {
    guard of(text) > width else { return text }
    let room = max(0, width - of(mark))
    var (used, out) = (0, "")
    for character in text {
      let columns = of(character)
      if used + columns > room { break }
      used += columns
      out.append(character)
    }
    return out + (width >= of(mark) ? mark : "")
  }

  static func padded(_ text: String, to width: Int, right: Bool) -> String {
    let gap = String(repeating: " ", count: max(0, width - of(text)))
    return right ? gap + text : text + gap
  }

  /// East Asian wide and emoji blocks.
  private static func isWide(_ value: UInt32) -> Bool {
    switch value {
    case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA000...0xA4CF,
      0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F,
      0x1F680...0x1F6FF, 0x1F900...0x1F9FF, 0x20000...0x3FFFD:
      return true
    default: return false
    }
  }
}
