/// What the split patterns of tokenizers ask about a character.
enum CharacterClass {
  /// `\p{L}`
  case letter
  /// `\p{N}`: digits of any script, fractions, letter-like numbers
  case number
  /// `[\r\n]`
  case newline
  /// the rest of `\s`, which is Unicode's White_Space
  case space
  case other
}

/// The character that starts at `at`, in bytes known to be UTF-8, and how many bytes it takes.
@inline(__always)
func decodeScalar(_ bytes: UnsafePointer<UInt8>, _ at: Int) -> (scalar: UInt32, length: Int) {
  let lead = UInt32(bytes[at])
  if lead < 0x80 { return (lead, 1) }
  let second = UInt32(bytes[at + 1] & 0x3F)
  if lead < 0xE0 { return ((lead & 0x1F) << 6 | second, 2) }
  let third = UInt32(bytes[at + 2] & 0x3F)
  if lead < 0xF0 { return ((lead & 0xF) << 12 | second << 6 | third, 3) }
  return ((lead & 7) << 18 | second << 12 | third << 6 | UInt32(bytes[at + 3] & 0x3F), 4)
}

/// Bytes of the character that a lead byte begins.
@inline(__always)
func scalarLength(_ lead: UInt8) -> Int { lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4 }

/// The class and the length of the character that starts at `at`.
@inline(__always)
func classify(_ bytes: UnsafePointer<UInt8>, _ at: Int) -> (class: CharacterClass, length: Int) {
  let lead = bytes[at]
  if lead < 0x80 { return (asciiClass(lead), 1) }
  let (scalar, length) = decodeScalar(bytes, at)
  return (unicodeClass(scalar), length)
}

@inline(__always)
private func asciiClass(_ byte: UInt8) -> CharacterClass {
  switch byte {
  case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): .letter
  case UInt8(ascii: "0")...UInt8(ascii: "9"): .number
  case 0x0A, 0x0D: .newline
  case 0x20, 0x09, 0x0B, 0x0C: .space
  default: .other
  }
}

private func unicodeClass(_ code: UInt32) -> CharacterClass {
  guard let scalar = Unicode.Scalar(code) else { return .other }
  switch scalar.properties.generalCategory {
  case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: return .letter
  case .decimalNumber, .letterNumber, .otherNumber: return .number
  default: return scalar.properties.isWhitespace ? .space : .other
  }
}

/// The two overlapping sets of letters and marks that the tekken pattern tells apart.
struct LetterCase {
  /// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`
  let isCapital: Bool
  /// `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`
  let isSmall: Bool

  init(_ code: UInt32) {
    switch Unicode.Scalar(code)?.properties.generalCategory {
    case .uppercaseLetter, .titlecaseLetter: (isCapital, isSmall) = (true, false)
    case .lowercaseLetter: (isCapital, isSmall) = (false, true)
    case .modifierLetter, .otherLetter, .nonspacingMark, .spacingMark, .enclosingMark:
      (isCapital, isSmall) = (true, true)
    default: (isCapital, isSmall) = (false, false)
    }
  }
}

/// `\w` of the added-token rules: letters, marks, decimal digits, connectors, joiners.
func isWordCharacter(_ code: UInt32) -> Bool {
  guard let scalar = Unicode.Scalar(code) else { return false }
  if scalar.properties.isAlphabetic || scalar.properties.isJoinControl { return true }
  switch scalar.properties.generalCategory {
  case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: return true
  default: return false
  }
}

func isWhiteSpace(_ code: UInt32) -> Bool { Unicode.Scalar(code)?.properties.isWhitespace ?? false }

extension Unicode.GeneralCategory {
  /// The first letter of its two-letter name, as in `\p{L}`.
  var letter: UInt8 {
    switch self {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: UInt8(ascii: "L")
    case .nonspacingMark, .spacingMark, .enclosingMark: UInt8(ascii: "M")
    case .decimalNumber, .letterNumber, .otherNumber: UInt8(ascii: "N")
    case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
      .finalPunctuation, .otherPunctuation:
      UInt8(ascii: "P")
    case .mathSymbol, .currencySymbol, .modifierSymbol, .otherSymbol: UInt8(ascii: "S")
    case .spaceSeparator, .lineSeparator, .paragraphSeparator: UInt8(ascii: "Z")
    default: UInt8(ascii: "C")
    }
  }
}
