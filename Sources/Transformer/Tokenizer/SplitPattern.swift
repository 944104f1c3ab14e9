/// The regular expressions that published tokenizers cut text with, each as a hand-written scanner.
///
/// A general engine is slow and differs in details, so a pattern is recognised by its exact text, or as a run of one set
/// of characters, and anything else is refused. What a pattern leaves between its matches is a piece, too.
enum SplitPattern: Sendable, Equatable {
  /// GPT-2.
  case gpt2
  /// LLaMA-3, numbers in groups of at most three digits, and Qwen2, one digit at a time.
  case cl100k(digits: Int)
  /// Mistral Nemo and later: a word also ends where a capital follows a small letter.
  case tekken
  /// DeepSeek 3 and what was distilled from it, once numbers and Chinese and Japanese characters are cut out.
  case deepSeek
  case run(RunPattern)
  /// `\s+$`
  case trailingSpace

  private static let contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
  private static let letters = "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
  private static let rest = " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

  static let llama3Text = "\(contractions)|\(letters)|\\p{N}{1,3}|\(rest)"
  static let qwen2Text = "\(contractions)|\(letters)|\\p{N}|\(rest)"
  private static let capitals = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
  private static let smalls = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
  private static let before = "[^\\r\\n\\p{L}\\p{N}]?"
  static let tekkenText =
    "\(before)\(capitals)*\(smalls)+|\(before)\(capitals)+\(smalls)*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|"
    + "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
  static let deepSeekText =
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
    + " ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
  static let gpt2Text = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

  /// - Returns: `nil` for a pattern this file does not know.
  init?(text: ByteString) {
    // Some files hold the line ends themselves.
    let lineEnds: [UInt8: [UInt8]] = [0x0D: Array("\\r".utf8), 0x0A: Array("\\n".utf8)]
    let text = ByteString(text.bytes.flatMap { lineEnds[$0] ?? [$0] })
    switch text {
    case ByteString(Self.llama3Text): self = .cl100k(digits: 3)
    case ByteString(Self.qwen2Text): self = .cl100k(digits: 1)
    case ByteString(Self.gpt2Text): self = .gpt2
    case ByteString(Self.tekkenText): self = .tekken
    case ByteString(Self.deepSeekText): self = .deepSeek
    case "\\s+$": self = .trailingSpace
    default:
      guard let run = RunPattern(text: text.text) else { return nil }
      self = .run(run)
    }
  }

  /// Whether it matches any text, so that nothing lies between its matches.
  var matchesEverything: Bool {
    switch self {
    case .gpt2, .cl100k, .tekken: true
    case .deepSeek, .run, .trailingSpace: false
    }
  }

  /// Where the piece ends that starts at `start`.
  @inline(__always)
  func end(in bytes: UnsafePointer<UInt8>, from start: Int, count: Int) -> Int {
    switch self {
    case .gpt2: gpt2End(bytes, start, count)
    case .cl100k(let digits): cl100kEnd(bytes, start, count, digits: digits)
    case .tekken: tekkenEnd(bytes, start, count)
    case .deepSeek: deepSeekEnd(bytes, start, count)
    case .run(let pattern): pattern.end(in: bytes, from: start, count: count)
    case .trailingSpace: trailingSpaceEnd(bytes, start, count)
    }
  }
}

private func cl100kEnd(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ count: Int, digits: Int) -> Int {
  if bytes[start] == UInt8(ascii: "'"), let end = contraction(bytes, start + 1, count, ignoringCase: true) {
    return end
  }
  let (kind, length) = classify(bytes, start)
  let next = start + length
  switch kind {
  case .letter:
    return runEnd(of: .letter, bytes, next, count)
  case .number:
    var end = next
    for _ in 1..<max(digits, 1) where end < count {
      let (kind, length) = classify(bytes, end)
      if kind != .number { break }
      end += length
    }
    return end
  case .newline:
    return whiteSpaceEnd(bytes, start, count, stopsAtNewline: true)
  case .space, .other:
    if next < count {
      let following = classify(bytes, next)
      if following.class == .letter { return runEnd(of: .letter, bytes, next + following.length, count) }
      if kind == .space, bytes[start] == UInt8(ascii: " "), following.class == .other {
        return newlinesEnd(bytes, runEnd(of: .other, bytes, next, count), count)
      }
    }
    if kind == .other { return newlinesEnd(bytes, runEnd(of: .other, bytes, next, count), count) }
    return whiteSpaceEnd(bytes, start, count, stopsAtNewline: true)
  }
}

private func tekkenEnd(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ count: Int) -> Int {
  let (kind, length) = classify(bytes, start)
  // One character before the word, if it is no letter, number or line end; a mark may also belong to the word.
  let starts = kind == .space || kind == .other ? [start + length, start] : [start]
  for first in starts { if let end = endInSmalls(bytes, first, count) { return end } }
  for first in starts {
    let end = caseRunEnd(bytes, first, count) { $0.isCapital }
    if end > first { return end }
  }
  switch kind {
  case .number, .letter: return start + length
  case .newline: return whiteSpaceEnd(bytes, start, count, stopsAtNewline: true)
  case .space, .other:
    let first = bytes[start] == UInt8(ascii: " ") ? start + 1 : start
    var end = runEnd(of: .other, bytes, first, count)
    if end == first { return whiteSpaceEnd(bytes, start, count, stopsAtNewline: true) }
    while end < count, bytes[end] == 0x0A || bytes[end] == 0x0D || bytes[end] == UInt8(ascii: "/") { end += 1 }
    return end
  }
}

/// Capitals, then at least one small letter; letters without case and marks are both, and the last of them is given back
/// when no other small letter follows.
private func endInSmalls(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ count: Int) -> Int? {
  var at = start
  var afterLastSmall: Int?
  while at < count {
    let (scalar, length) = decodeScalar(bytes, at)
    let letterCase = LetterCase(scalar)
    guard letterCase.isCapital else { break }
    at += length
    if letterCase.isSmall { afterLastSmall = at }
  }
  let end = caseRunEnd(bytes, at, count) { $0.isSmall }
  return end > at ? end : afterLastSmall
}

private func caseRunEnd(
  _ bytes: UnsafePointer<UInt8>, _ start: Int, _ count: Int, _ belongs: (LetterCase) -> Bool
) -> Int {
  var end = start
  while end < count {
    let (scalar, length) = decodeScalar(bytes, end)
    guard belongs(LetterCase(scalar)) else { break }
    end += length
  }
  return end
}

/// What no alternative matches (numbers, controls) stays together up to the next match.
private func deepSeekEnd(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ count: Int) -> Int {
  if let end = deepSeekMatch(bytes, start, count) { return end }
  var at = start
  repeat { at += scalarLength(bytes[at]) } while at < count && deepSeekMatch(bytes, at, count) == nil
  return at
}

private func deepSeekMatch(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ count: Int) -> Int? {
  let first = DeepSeekMark(bytes, start)
  if first.isSign, bytes[start] < 0x80 {
    var end = start + 1
    while end < count, UInt8(ascii: "a")...UInt8(ascii: "z") ~= bytes[end] | 0x20 { end += 1 }
    if end > start + 1 { return end }
  }
  if first.isWord { return deepSeekRunEnd(bytes, start, count, \.isWord) }
  let next = start + first.length
  let kind = classify(bytes, start).class
  if !first.isSign, kind != .newline {
    let end = deepSeekRunEnd(bytes, next, count, \.isWord)
    if end > next { return end }
  }
  let signs = bytes[start] == UInt8(ascii: " ") ? next : start
  let end = deepSeekRunEnd(bytes, signs, count, \.isSign)
  if end > signs { return newlinesEnd(bytes, end, count) }
  return kind == .space || kind == .newline ? whiteSpaceEnd(bytes, start, count, stopsAtNewline: true) : nil
}

private func deepSeekRunEnd(
  _ bytes: UnsafePointer<UInt8>, _ start: Int, _ count: Int, _ belongs: KeyPath<DeepSeekMark, Bool>
) -> Int {
  var end = start
  while end < count {
    let next = DeepSeekMark(bytes, end)
    if !next[keyPath: belongs] { break }
    end += next.length
  }
  return end
}

/// What the DeepSeek pattern asks about a character.
private struct DeepSeekMark {
  /// `[\p{L}\p{M}]`
  var isWord: Bool { category == UInt8(ascii: "L") || category == UInt8(ascii: "M") }
  /// `[\p{P}\p{S}]`
  var isSign: Bool { category == UInt8(ascii: "P") || category == UInt8(ascii: "S") }
  let length: Int
  private let category: UInt8

  init(_ bytes: UnsafePointer<UInt8>, _ at: Int) {
    let (scalar, length) = decodeScalar(bytes, at)
    self.length = length
    category = Unicode.Scalar(scalar)?.properties.generalCategory.letter ?? 0
  }
}

/// The white space at the end of a text is a piece.
private func trailingSpaceEnd(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ count: Int) -> Int {
  var first = count
  while first > start {
    var before = first - 1
    while before > start, bytes[before] & 0xC0 == 0x80 { before -= 1 }
    if !isWhiteSpace(decodeScalar(bytes, before).scalar) { break }
    first = before
  }
  return first == start ? count : first
}

private func gpt2End(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ count: Int) -> Int {
  if bytes[start] == UInt8(ascii: "'"), let end = contraction(bytes, start + 1, count, ignoringCase: false) {
    return end
  }
  var (kind, length) = classify(bytes, start)
  var next = start + length
  if bytes[start] == UInt8(ascii: " "), next < count {
    let following = classify(bytes, next)
    if following.class != .space, following.class != .newline {
      kind = following.class
      next += following.length
    }
  }
  if kind == .space || kind == .newline { return whiteSpaceEnd(bytes, start, count, stopsAtNewline: false) }
  return runEnd(of: kind, bytes, next, count)
}

/// `'s|'t|'re|'ve|'m|'ll|'d` after the apostrophe; without case, `s` also stands for the long s (U+017F).
private func contraction(_ bytes: UnsafePointer<UInt8>, _ at: Int, _ count: Int, ignoringCase: Bool) -> Int? {
  if at >= count { return nil }
  let fold: UInt8 = ignoringCase ? 0x20 : 0
  // Setting bit 5 turns only capitals into these letters: what it maps onto "s", say, is "S" or "s".
  let first = bytes[at] | fold
  switch first {
  case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return at + 1
  case UInt8(ascii: "r"), UInt8(ascii: "v"), UInt8(ascii: "l"):
    let second = first == UInt8(ascii: "l") ? UInt8(ascii: "l") : UInt8(ascii: "e")
    return at + 1 < count && bytes[at + 1] | fold == second ? at + 2 : nil
  default:
    return ignoringCase && at + 1 < count && bytes[at] == 0xC5 && bytes[at + 1] == 0xBF ? at + 2 : nil
  }
}

@inline(__always)
private func runEnd(of kind: CharacterClass, _ bytes: UnsafePointer<UInt8>, _ start: Int, _ count: Int) -> Int {
  var end = start
  while end < count {
    let (found, length) = classify(bytes, end)
    if found != kind { break }
    end += length
  }
  return end
}

private func newlinesEnd(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ count: Int) -> Int {
  var end = start
  while end < count, bytes[end] == 0x0A || bytes[end] == 0x0D { end += 1 }
  return end
}

/// `\s*[\r\n]+|\s+(?!\S)|\s+`, the first alternative only when `stopsAtNewline`: up to the last line end of the run;
/// else the whole run at the end of the text; else all but the last character, which goes with the next word.
private func whiteSpaceEnd(
  _ bytes: UnsafePointer<UInt8>, _ start: Int, _ count: Int, stopsAtNewline: Bool
) -> Int {
  var end = start
  var last = start
  var afterNewline = start
  while end < count {
    let (kind, length) = classify(bytes, end)
    if kind != .space && kind != .newline { break }
    last = end
    end += length
    if kind == .newline { afterNewline = end }
  }
  if stopsAtNewline, afterNewline > start { return afterNewline }
  return end == count || last == start ? end : last
}
