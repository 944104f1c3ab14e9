/// A token that is cut out of the text as it stands, such as `<|begin_of_text|>`.
struct AddedToken: Sendable {
  let id: Int32
  let content: ByteString
  /// The content as it stands in the text that is searched, and as decoding sees it: normalised if `isNormalized`.
  let written: [UInt8]
  /// Matches only between characters that are not part of words.
  let isSingleWord: Bool
  /// Takes the white space before it along.
  let stripsLeft: Bool
  /// Takes the white space after it along.
  let stripsRight: Bool
  /// Looked for in the normalised text instead of the raw one.
  let isNormalized: Bool
  let isSpecial: Bool
}

extension AddedToken {
  /// A token as tokenizer.json and `added_tokens_decoder` describe it.
  init(_ fields: JSONFields, id: JSON, normalizer: Normalizer?) throws {
    content = try fields.bytes("content")
    self.id = try TokenizerDescription.tokenID(id, of: content, fields.file)
    isSpecial = try fields.optionalBool("special") ?? false
    isNormalized = try fields.optionalBool("normalized") ?? !isSpecial
    written = isNormalized ? normalizer?.apply(content.bytes) ?? content.bytes : content.bytes
    isSingleWord = try fields.optionalBool("single_word") ?? false
    stripsLeft = try fields.optionalBool("lstrip") ?? false
    stripsRight = try fields.optionalBool("rstrip") ?? false
  }

  /// A token of which only the text and the number are known.
  ///
  /// - Parameter written: nothing for a token that text cannot spell; its content if not given.
  init(_ content: ByteString, id: Int32, isSpecial: Bool, written: [UInt8]? = nil) {
    self.init(
      id: id, content: content, written: written ?? content.bytes, isSingleWord: false, stripsLeft: false,
      stripsRight: false,
      isNormalized: false, isSpecial: isSpecial)
  }
}

/// Finds added tokens in text, leftmost first and the longest of those that start together.
struct AddedTokenMatcher: Sendable {
  private let tokens: [AddedToken]
  private let patterns: [[UInt8]]
  /// For each first byte, the tokens that begin with it, longest first.
  private let candidates: [[Int]]

  init(_ tokens: [AddedToken]) {
    self.tokens = tokens
    let patterns = tokens.map(\.written)
    self.patterns = patterns
    var candidates = [[Int]](repeating: [], count: 256)
    for (index, pattern) in patterns.enumerated() {
      if let first = pattern.first { candidates[Int(first)].append(index) }
    }
    // The sort is stable: of two tokens with one text the first wins.
    self.candidates = candidates.map { $0.sorted { (patterns[$1].count, $0) < (patterns[$0].count, $1) } }
  }

  /// Cuts a text: ranges without a token are to be processed further, ranges with one are done.
  func cut(_ text: [UInt8]) -> [(token: Int32?, range: Range<Int>)] {
    if tokens.isEmpty { return [(nil, 0..<text.count)] }
    var parts: [(token: Int32?, range: Range<Int>)] = []
    var done = 0
    var at = 0
    text.withUnsafeBufferPointer { text in
      while at < text.count {
        guard let found = match(text, at) else {
          at += 1
          continue
        }
        var start = at
        var end = at + patterns[found].count
        at = end
        let token = tokens[found]
        if token.isSingleWord, touchesWord(text, start, end) { continue }
        if token.stripsLeft {
          while start > done, let (scalar, length) = scalarBefore(text, start), isWhiteSpace(scalar) { start -= length }
          start = max(start, done)
        }
        if token.stripsRight {
          while let (scalar, length) = scalarAt(text, end), isWhiteSpace(scalar) { end += length }
        }
        if done < start { parts.append((nil, done..<start)) }
        parts.append((token.id, start..<end))
        done = end
      }
      if done < text.count { parts.append((nil, done..<text.count)) }
    }
    return parts
  }

  private func match(_ text: UnsafeBufferPointer<UInt8>, _ at: Int) -> Int? {
    for index in candidates[Int(text[at])] {
      let pattern = patterns[index]
      if at + pattern.count <= text.count, text[at..<(at + pattern.count)].elementsEqual(pattern) { return index }
    }
    return nil
  }

  private func touchesWord(_ text: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int) -> Bool {
    scalarBefore(text, start).map { isWordCharacter($0.0) } ?? false
      || scalarAt(text, end).map { isWordCharacter($0.0) } ?? false
  }

  private func scalarAt(_ text: UnsafeBufferPointer<UInt8>, _ at: Int) -> (UInt32, Int)? {
    guard at < text.count, let base = text.baseAddress else { return nil }
    return decodeScalar(base, at)
  }

  private func scalarBefore(_ text: UnsafeBufferPointer<UInt8>, _ at: Int) -> (UInt32, Int)? {
    guard at > 0, let base = text.baseAddress else { return nil }
    var start = at - 1
    while start > 0, base[start] & 0xC0 == 0x80 { start -= 1 }
    return decodeScalar(base, start)
  }
}
