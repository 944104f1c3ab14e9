// The standard library's own normalisation, the one behind `==` of strings, which it shares with Foundation under this
// mark. Foundation's public one differs from it and from the reference for some 1 800 characters.
@_spi(_Unicode) import Swift

/// A change of the text before it is cut.
enum Normalizer: Sendable, Equatable {
  case nfc
  case prepend([UInt8])
  case replace([UInt8], by: [UInt8])
  case strip(left: Bool, right: Bool)
  case sequence([Normalizer])

  func apply(_ text: [UInt8]) -> [UInt8] {
    switch self {
    case .nfc: composed(text)
    case .prepend(let prefix): text.isEmpty ? text : prefix + text
    case .replace(let pattern, let replacement): replacing(pattern, by: replacement, in: text)
    case .strip(let left, let right): stripped(text, left: left, right: right)
    case .sequence(let steps): steps.reduce(text) { $1.apply($0) }
    }
  }
}

/// Replaces each occurrence of `pattern`, from the left.
func replacing(_ pattern: [UInt8], by replacement: [UInt8], in text: [UInt8]) -> [UInt8] {
  guard let first = pattern.first else { return text }
  var result: [UInt8] = []
  result.reserveCapacity(text.count)
  var at = 0
  while at < text.count {
    if text[at] == first, at + pattern.count <= text.count, text[at..<(at + pattern.count)].elementsEqual(pattern) {
      result.append(contentsOf: replacement)
      at += pattern.count
    } else {
      result.append(text[at])
      at += 1
    }
  }
  return result
}

private func stripped(_ text: [UInt8], left: Bool, right: Bool) -> [UInt8] {
  var scalars = String(decoding: text, as: UTF8.self).unicodeScalars[...]
  if left { scalars = scalars.drop { $0.properties.isWhitespace } }
  if right { while let last = scalars.last, last.properties.isWhitespace { scalars.removeLast() } }
  return Array(String(scalars).utf8)
}

/// Normalisation form C.
///
/// No character below U+0300 changes by itself or combines with one before it, so only runs of other characters, each
/// with the character it follows, are handed to the general routine.
private func composed(_ text: [UInt8]) -> [UInt8] {
  // The first lead byte of U+0300 and above is 0xCC.
  guard text.contains(where: { $0 >= 0xCC }) else { return text }
  var result: [UInt8] = []
  result.reserveCapacity(text.count)
  var copied = 0
  var before = 0
  var at = 0
  while at < text.count {
    if text[at] < 0xCC {
      before = at
      at += scalarLength(text[at])
      continue
    }
    while at < text.count, text[at] >= 0xCC { at += scalarLength(text[at]) }
    result.append(contentsOf: text[copied..<before])
    appendComposed(String(decoding: text[before..<at], as: UTF8.self), to: &result)
    copied = at
    before = at
  }
  result.append(contentsOf: text[copied...])
  return result
}

/// The reference has the tables of Unicode 9: characters that came later neither move nor combine.
private func appendComposed(_ text: String, to result: inout [UInt8]) {
  var known = String.UnicodeScalarView()
  func flush() {
    var composed = String(known)._nfc.makeIterator()
    while let scalar = composed.next() { append(scalar) }
    known = String.UnicodeScalarView()
  }
  func append(_ scalar: Unicode.Scalar) { UTF8.encode(scalar).map { result.append(contentsOf: $0) } }
  for scalar in text.unicodeScalars {
    if let age = scalar.properties.age, age.major <= 9 {
      known.append(scalar)
    } else {
      flush()
      append(scalar)
    }
  }
  flush()
}
