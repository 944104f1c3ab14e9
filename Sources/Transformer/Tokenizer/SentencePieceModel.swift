/// A SentencePiece model of the byte-pair kind: the pair whose concatenation scores highest merges first.
struct SentencePieceModel: Sendable {
  let vocabulary: Vocabulary
  let scores: [Float]
  let kinds: [TokenKind]
  /// The place of each token's score among all distinct scores, the best first.
  let ranks: [UInt32]
  /// Text that always is one token, longest first.
  let userDefined: [(text: [UInt8], id: Int32)]
  let unknown: Int32
  let fallsBackToBytes: Bool
  let byteIDs: [Int32]
  /// Where a space is put in front of text.
  var prefix: PreTokenizer.Prefix
  let removesExtraSpaces: Bool
  let escapesSpaces: Bool
  let staysInWords: Bool

  /// The text with its spaces as the model wants them.
  ///
  /// - Parameter isAtStart: whether the text as given starts here; not so behind an added token.
  func normalized(_ text: [UInt8], isAtStart: Bool) -> [UInt8] {
    let space = UInt8(ascii: " ")
    let mark = escapesSpaces ? spaceMark : [space]
    var result: [UInt8] = []
    result.reserveCapacity(text.count + text.count / 2)
    var isAfterSpace = removesExtraSpaces
    let isPrefixed = prefix == .always || prefix == .first && isAtStart
    for byte in text {
      if byte == space, isAfterSpace { continue }
      if result.isEmpty, isPrefixed { result.append(contentsOf: mark) }
      if byte == space { result.append(contentsOf: mark) } else { result.append(byte) }
      isAfterSpace = byte == space && removesExtraSpaces
    }
    if removesExtraSpaces {
      // A mark that stood in the text itself goes too.
      while result.suffix(mark.count).elementsEqual(mark) { result.removeLast(mark.count) }
    }
    return result
  }

  /// This model with the prefix that tokenizer_config.json asks for: older versions of transformers put a space behind
  /// every added token, which `legacy` keeps.
  func prefixed(_ settings: JSONFields?) throws -> SentencePieceModel {
    var model = self
    if try settings?.optionalBool("add_prefix_space") == false {
      model.prefix = .never
    } else if prefix == .first, try settings?.optionalBool("legacy") ?? false {
      model.prefix = .always
    }
    return model
  }

  /// The tokens that the model never makes of text by itself; transformers finds them there.
  var controlTokens: [AddedToken] {
    kinds.enumerated().compactMap { number, kind in
      guard kind == .control || kind == .unknown, let text = vocabulary.token(Int32(number)) else { return nil }
      return AddedToken(ByteString(Array(text)), id: Int32(number), isSpecial: true)
    }
  }

  /// Appends the tokens of normalised text.
  func encode(_ piece: UnsafeBufferPointer<UInt8>, using queue: inout MergeQueue, into ids: inout [Int32]) {
    guard let base = piece.baseAddress else { return }
    queue.removeAll()
    var at = 0
    while at < piece.count {
      if let (text, id) = userDefined.first(where: { piece[at...].starts(with: $0.text) }) {
        queue.append(-2 - id, length: text.count)
        at += text.count
      } else {
        let length = scalarLength(base[at])
        let id = vocabulary.id(ofCharacter: base + at, length: length)
        queue.append(id >= 0 && !isReserved(id) ? id : -1, length: length)
        at += length
      }
    }
    let rule = ConcatenationRule(model: self, text: base)
    queue.mergeAll(rule)
    let first = ids.count
    for symbol in queue.symbols where symbol.length > 0 {
      emit(base + Int(symbol.start), Int(symbol.length), symbol.id, rule.cuts, after: first, into: &ids)
    }
  }

  /// - Parameters:
  ///   - cuts: for tokens that must not come out, the bytes of the left of the two parts that formed them.
  ///   - first: how many tokens stood there before this piece.
  private func emit(
    _ text: UnsafePointer<UInt8>, _ length: Int, _ id: Int32, _ cuts: UnusedCuts, after first: Int,
    into ids: inout [Int32]
  ) {
    if id <= -2 {
      ids.append(-2 - id)
    } else if id >= 0, kinds[Int(id)] == .unused, let cut = cuts.leftLength[id] {
      emit(text, cut, piece(text, cut) ?? -1, cuts, after: first, into: &ids)
      emit(text + cut, length - cut, piece(text + cut, length - cut) ?? -1, cuts, after: first, into: &ids)
    } else if id >= 0 {
      ids.append(id)
    } else if fallsBackToBytes {
      for index in 0..<length { ids.append(byteIDs[Int(text[index])]) }
    } else if ids.count == first || ids.last != unknown {
      ids.append(unknown)
    }
  }

  fileprivate func piece(_ text: UnsafePointer<UInt8>, _ length: Int) -> Int32? {
    guard let id = vocabulary.id(of: UnsafeBufferPointer(start: text, count: length)), !isReserved(id) else {
      return nil
    }
    return id
  }

  /// Control, unknown and byte tokens never match text.
  private func isReserved(_ id: Int32) -> Bool {
    switch kinds[Int(id)] {
    case .control, .unknown, .byte: true
    case .normal, .userDefined, .unused: false
    }
  }
}

/// How pieces marked unused came about: they help others to form but are taken apart again if they remain.
private final class UnusedCuts {
  var leftLength: [Int32: Int] = [:]
}

private struct ConcatenationRule: MergeRule {
  let model: SentencePieceModel
  let text: UnsafePointer<UInt8>
  let cuts = UnusedCuts()

  func merge(_ left: MergeSymbol, _ right: MergeSymbol) -> (rank: UInt32, id: Int32)? {
    if left.id <= -2 || right.id <= -2 { return nil }
    guard let id = model.piece(text + Int(left.start), Int(left.length + right.length)) else { return nil }
    if model.kinds[Int(id)] == .unused { cuts.leftLength[id] = Int(left.length) }
    return (model.ranks[Int(id)], id)
  }
}
