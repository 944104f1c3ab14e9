/// A text cut in pieces that tokens never cross.
struct TextPieces {
  var bytes: [UInt8]
  /// Where each piece ends; the first starts at 0, and none is empty.
  var ends: [Int]
  /// Whether the first piece starts where the text as given starts.
  let isAtStart: Bool

  init(_ bytes: [UInt8], isAtStart: Bool) {
    self.bytes = bytes
    ends = bytes.isEmpty ? [] : [bytes.count]
    self.isAtStart = isAtStart
  }
}

/// Cuts text in pieces, and puts them into the alphabet of the vocabulary.
enum PreTokenizer: Sendable, Equatable {
  case split(SplitPattern)
  /// Bytes become printable characters, after a cut by GPT-2's pattern when `cuts`.
  case byteLevel(prefixesSpace: Bool, cuts: Bool)
  /// Spaces become `mark`, which is also put in front.
  case metaspace(mark: [UInt8], prefix: Prefix, cuts: Bool)
  case digits(individually: Bool)
  case sequence([PreTokenizer])

  enum Prefix: String, Sendable {
    case always, first, never
  }

  func apply(_ text: inout TextPieces) {
    switch self {
    case .split(let pattern): text.cut { pattern.end(in: $0, from: $1, count: $2) }
    case .byteLevel(let prefixesSpace, let cuts):
      if prefixesSpace {
        text.rewrite { piece, _, output in
          if piece.first != UInt8(ascii: " ") { output.append(UInt8(ascii: " ")) }
          output.append(contentsOf: piece)
        }
      }
      if cuts { text.cut { SplitPattern.gpt2.end(in: $0, from: $1, count: $2) } }
      text.rewrite { piece, _, output in ByteAlphabet.standard.append(piece, to: &output) }
    case .metaspace(let mark, let prefix, let cuts):
      text.rewrite { piece, isFirst, output in
        let isMarked = piece.first == UInt8(ascii: " ") || piece.starts(with: mark)
        if !isMarked, prefix == .always || prefix == .first && isFirst { output.append(contentsOf: mark) }
        for byte in piece {
          if byte == UInt8(ascii: " ") { output.append(contentsOf: mark) } else { output.append(byte) }
        }
      }
      if cuts { text.cut { nextOccurrence(of: mark, in: $0, after: $1, count: $2) } }
    case .digits(let individually):
      text.cut { bytes, start, count in
        let (kind, length) = classify(bytes, start)
        var end = start + length
        if kind == .number, individually { return end }
        while end < count {
          let (next, length) = classify(bytes, end)
          if (next == .number) != (kind == .number) { break }
          end += length
        }
        return end
      }
    case .sequence(let steps):
      for step in steps { step.apply(&text) }
    }
  }
}

extension TextPieces {
  /// Cuts every piece further; `end` tells where the part ends that starts at the second argument, in a piece of so many
  /// bytes as the third says.
  fileprivate mutating func cut(_ end: (UnsafePointer<UInt8>, Int, Int) -> Int) {
    var cuts: [Int] = []
    cuts.reserveCapacity(bytes.count / 4)
    bytes.withUnsafeBufferPointer { bytes in
      guard let base = bytes.baseAddress else { return }
      var start = 0
      for pieceEnd in ends {
        let count = pieceEnd - start
        var at = 0
        while at < count {
          at = end(base + start, at, count)
          cuts.append(start + at)
        }
        start = pieceEnd
      }
    }
    ends = cuts
  }

  /// Rewrites every piece; the second argument tells whether it is the very first of the whole text.
  fileprivate mutating func rewrite(_ body: (UnsafeBufferPointer<UInt8>, Bool, inout [UInt8]) -> Void) {
    var output: [UInt8] = []
    output.reserveCapacity(bytes.count + bytes.count / 2)
    var newEnds: [Int] = []
    newEnds.reserveCapacity(ends.count)
    bytes.withUnsafeBufferPointer { bytes in
      var start = 0
      for end in ends {
        body(UnsafeBufferPointer(rebasing: bytes[start..<end]), isAtStart && start == 0, &output)
        newEnds.append(output.count)
        start = end
      }
    }
    bytes = output
    ends = newEnds
  }
}

/// The first place after `start` where `mark` begins, or `count`.
private func nextOccurrence(of mark: [UInt8], in bytes: UnsafePointer<UInt8>, after start: Int, count: Int) -> Int {
  var at = start + scalarLength(bytes[start])
  while at < count {
    if at + mark.count <= count, (0..<mark.count).allSatisfy({ bytes[at + $0] == mark[$0] }) { return at }
    at += scalarLength(bytes[at])
  }
  return count
}

/// GPT-2's reversible map of bytes to printable characters: printable bytes stand for themselves, the others for the
/// characters from U+0100 on, in order.
struct ByteAlphabet: Sendable {
  static let standard = ByteAlphabet()

  private let characters: [UInt16]
  private let byteOf: [Int16]

  private init() {
    var characters: [UInt16] = []
    var byteOf = [Int16](repeating: -1, count: 512)
    var next: UInt16 = 256
    for byte in UInt16(0)..<256 {
      let isPrintable = 33...126 ~= byte || 161...172 ~= byte || 174...255 ~= byte
      let character = isPrintable ? byte : next
      if !isPrintable { next += 1 }
      characters.append(character)
      byteOf[Int(character)] = Int16(byte)
    }
    self.characters = characters
    self.byteOf = byteOf
  }

  /// Appends bytes in the alphabet, as UTF-8.
  func append(_ bytes: UnsafeBufferPointer<UInt8>, to output: inout [UInt8]) {
    for byte in bytes {
      let character = characters[Int(byte)]
      if character < 0x80 {
        output.append(UInt8(truncatingIfNeeded: character))
      } else {
        output.append(0xC0 | UInt8(truncatingIfNeeded: character >> 6))
        output.append(0x80 | UInt8(truncatingIfNeeded: character & 0x3F))
      }
    }
  }

  /// The bytes that a text in the alphabet stands for, `nil` when a character is not in the alphabet.
  func bytes(of text: some Sequence<UInt8>) -> [UInt8]? {
    var result: [UInt8] = []
    for scalar in String(decoding: Array(text), as: UTF8.self).unicodeScalars {
      guard scalar.value < 512, byteOf[Int(scalar.value)] >= 0 else { return nil }
      result.append(UInt8(truncatingIfNeeded: byteOf[Int(scalar.value)]))
    }
    return result
  }
}
