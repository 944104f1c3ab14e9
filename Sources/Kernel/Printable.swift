extension String {
  /// The text as a terminal may be given it. What would move the cursor, change colours or turn the direction of
  /// writing is spelled out, `\u{1b}`: names of files, words of a model's configuration and texts come from others.
  /// Line ends and tabs stay.
  public var printable: String {
    guard unicodeScalars.contains(where: \.isUnprintable) else { return self }
    var out = ""
    for scalar in unicodeScalars {
      if scalar.isUnprintable {
        out += "\\u{\(String(scalar.value, radix: 16))}"
      } else {
        out.unicodeScalars.append(scalar)
      }
    }
    return out
  }
}

extension Unicode.Scalar {
  /// Controls other than line end and tab, marks of direction, and separators of lines that terminals do not agree on.
  var isUnprintable: Bool {
    switch value {
    case 0x09, 0x0A: false
    case 0x00..<0x20, 0x7F..<0xA0, 0x061C, 0x200B, 0x200E...0x200F, 0x2028...0x202E, 0x2060...0x206F, 0xFEFF,
      0xFFF9...0xFFFB,
      0xE0000...0xE007F:
      true
    default: false
    }
  }
}
