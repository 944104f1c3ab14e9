import Numerics

// What can be said of a token from bytes and numbers alone, without a model.

/// A question about a token and what stands before it.
package enum ContextFact: String, CaseIterable, Sendable {
  /// Which token it is.
  case token
  /// Which token stands before it in its window.
  case previous
  /// What its bytes look like.
  case looks = "class"
  /// What the bytes before it look like.
  case previousLooks = "previous class"
  /// ⌊log₂⌋ of its place in the window, counted from 1.
  case position
  /// Tokens since the last one that holds a newline, 9 for more.
  case sinceNewline = "since newline"
  /// Whether the token occurred before in its window.
  case repeated
  /// The kind of text, by people's labels.
  case kind
}

/// The answers to one question: a level for every token.
package struct FactLevels: Sendable {
  package let fact: ContextFact
  /// -1 where there is no answer.
  package let level: [Int32]
  /// What each level is called.
  package let names: [String]
}

/// What bytes look like; the first that fits.
package enum TokenClass: String, CaseIterable, Sendable {
  case newline, space, digit, punctuation
  case capitals = "ALLCAPS"
  case capital = "Capital"
  case lower = "lower after space"
  case inside = "inside a word"
  case mixed, other

  package init(_ bytes: [UInt8]) {
    guard !bytes.isEmpty, let text = String(validating: bytes, as: UTF8.self) else {
      self = .other
      return
    }
    let scalars = Array(text.unicodeScalars.map(\.properties))
    let core = Array(scalars.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    let hasCase = core.allSatisfy { $0.isUppercase || $0.isLowercase }
    if bytes.contains(0x0A) {
      self = .newline
    } else if core.isEmpty {
      self = .space
    } else if core.allSatisfy({ $0.numericType != nil }) {
      self = .digit
    } else if core.allSatisfy({ !$0.isAlphabetic && $0.numericType == nil }) {
      self = .punctuation
    } else if hasCase, core.count > 1, core.allSatisfy(\.isUppercase) {
      self = .capitals
    } else if hasCase, core[0].isUppercase, core.dropFirst().allSatisfy(\.isLowercase) {
      self = .capital
    } else if hasCase, core.allSatisfy(\.isLowercase) {
      self = scalars[0].isWhitespace ? .lower : .inside
    } else if core.contains(where: { $0.isUppercase || $0.isLowercase }) {
      self = .mixed
    } else {
      self = .other
    }
  }
}

/// The levels of every fact for every token.
///
/// - Parameters:
///   - windows: ranges of `tokens`; a token knows nothing of other windows than its own.
///   - spell: the bytes of a token; none for one that stands for no text.
///   - kinds: names, and the kind of each token, -1 for none; nil without labels.
package func contextFacts(
  _ tokens: [Int32], windows: [Range<Int>], spell: (Int32) -> [UInt8], kinds: (names: [String], of: [Int32])?
) -> [FactLevels] {
  let met = Set(tokens).sorted()
  let number = Dictionary(uniqueKeysWithValues: met.enumerated().map { ($1, Int32($0)) })
  let spelled = met.map(spell)
  let token = tokens.map { number[$0] ?? -1 }
  let classes = TokenClass.allCases
  let classOf = spelled.map { bytes in Int32(classes.firstIndex(of: TokenClass(bytes)) ?? 0) }
  let endsLine = spelled.map { $0.contains(0x0A) }
  let count = tokens.count
  var (previous, previousLooks) = ([Int32](repeating: -1, count: count), [Int32](repeating: -1, count: count))
  var (position, since, repeated) = (previous, previous, previous)
  for window in windows {
    var seen: Set<Int32> = []
    var distance: Int32 = 0
    for (place, t) in window.enumerated() {
      if place > 0 {
        previous[t] = token[t - 1]
        previousLooks[t] = classOf[Int(token[t - 1])]
        distance = endsLine[Int(token[t - 1])] ? 0 : min(distance + 1, 9)
      }
      position[t] = Int32(Int.bitWidth - 1 - (place + 1).leadingZeroBitCount)
      since[t] = distance
      repeated[t] = seen.insert(token[t]).inserted ? 0 : 1
    }
  }
  let texts = spelled.map { readable($0) }
  let steps = (0...Int(position.max() ?? 0)).map { step in
    let first = 1 << step
    return step == 0 ? "the first" : "\(first) to \(2 * first - 1)"
  }
  var facts = [
    FactLevels(fact: .token, level: token, names: texts), FactLevels(fact: .previous, level: previous, names: texts),
    FactLevels(fact: .looks, level: token.map { classOf[Int($0)] }, names: classes.map(\.rawValue)),
    FactLevels(fact: .previousLooks, level: previousLooks, names: classes.map(\.rawValue)),
    FactLevels(fact: .position, level: position, names: steps),
    FactLevels(fact: .sinceNewline, level: since, names: (0...9).map { $0 < 9 ? "\($0)" : "9 or more" }),
    FactLevels(fact: .repeated, level: repeated, names: ["no", "yes"]),
  ]
  if let kinds { facts.append(FactLevels(fact: .kind, level: kinds.of, names: kinds.names)) }
  return facts
}

/// Bytes of a text as a line can show them: a newline as ⏎, other controls as pictures, and U+FFFD for bytes that are
/// no character.
package func readable(_ bytes: some Collection<UInt8>) -> String {
  var shown = String.UnicodeScalarView()
  for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
    switch scalar.value {
    case 0x0A: shown.append("⏎")
    case 0..<0x20: shown.append(Unicode.Scalar(0x2400 + scalar.value) ?? "\u{FFFD}")
    case 0x7F..<0xA0: shown.append("\u{FFFD}")
    default: shown.append(scalar)
    }
  }
  return String(shown)
}
