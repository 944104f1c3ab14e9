/// Turns the texts of tokens back into text, as the `decoder` of a tokenizer.json says.
enum TokenDecoder: Sendable, Equatable {
  case byteLevel
  case byteFallback
  case fuse
  case replace([UInt8], by: [UInt8])
  case strip(character: [UInt8], left: Int, right: Int)
  case metaspace(mark: [UInt8], dropsFirst: Bool)
  case sequence([TokenDecoder])

  func apply(_ tokens: [[UInt8]]) -> [[UInt8]] {
    switch self {
    case .byteLevel: return [repaired(tokens.flatMap { ByteAlphabet.standard.bytes(of: $0) ?? $0 })]
    case .byteFallback: return Self.joiningBytes(tokens)
    case .fuse: return [Array(tokens.joined())]
    case .replace(let pattern, let replacement): return tokens.map { replacing(pattern, by: replacement, in: $0) }
    case .strip(let character, let left, let right):
      return tokens.map { token in
        var rest = token[...]
        for _ in 0..<left where rest.starts(with: character) { rest = rest.dropFirst(character.count) }
        for _ in 0..<right where rest.suffix(character.count).elementsEqual(character) {
          rest = rest.dropLast(character.count)
        }
        return Array(rest)
      }
    case .metaspace(let mark, let dropsFirst):
      return tokens.enumerated().map { index, token in
        replacing(mark, by: index == 0 && dropsFirst ? [] : [UInt8(ascii: " ")], in: token)
      }
    case .sequence(let steps): return steps.reduce(tokens) { $1.apply($0) }
    }
  }

  /// Runs of byte tokens become the text they spell, or one U+FFFD per byte when they spell none.
  private static func joiningBytes(_ tokens: [[UInt8]]) -> [[UInt8]] {
    var result: [[UInt8]] = []
    var bytes: [UInt8] = []
    func flush() {
      if bytes.isEmpty { return }
      if bytes.withUnsafeBufferPointer({ firstInvalidUTF8($0) }) == nil {
        result.append(bytes)
      } else {
        for _ in bytes { result.append([0xEF, 0xBF, 0xBD]) }
      }
      bytes = []
    }
    for token in tokens {
      if let byte = byteOfToken(token[...]) {
        bytes.append(byte)
      } else {
        flush()
        result.append(token)
      }
    }
    flush()
    return result
  }

  /// Whether tokens are texts in the alphabet of bytes.
  var isByteLevel: Bool {
    switch self {
    case .byteLevel: true
    case .sequence(let steps): steps.contains { $0.isByteLevel }
    default: false
    }
  }
}

/// The bytes as UTF-8, with U+FFFD for what is none.
private func repaired(_ bytes: [UInt8]) -> [UInt8] {
  if bytes.withUnsafeBufferPointer({ firstInvalidUTF8($0) }) == nil { return bytes }
  return Array(String(decoding: bytes, as: UTF8.self).utf8)
}
