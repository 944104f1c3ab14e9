/// The stages of a tokenizer in the order of the reference: cut out added tokens of the raw text; normalise what is left;
/// cut out added tokens of the normalised text; cut in pieces; encode each piece.
struct TokenizerPipeline: Sendable {
  enum Model: Sendable {
    case bytePair(BytePairModel)
    case sentencePiece(SentencePieceModel)

    /// The tokens of the model itself, without added ones.
    var vocabulary: Vocabulary {
      switch self {
      case .bytePair(let model): model.vocabulary
      case .sentencePiece(let model): model.vocabulary
      }
    }
  }

  let model: Model
  let rawTokens: AddedTokenMatcher
  let normalizedTokens: AddedTokenMatcher
  let normalizer: Normalizer?
  let preTokenizer: PreTokenizer?
  let decoder: TokenDecoder?
  /// All tokens, added ones included.
  let vocabulary: Vocabulary
  let addedTokens: [Int32: AddedToken]

  init(
    _ model: Model, _ added: [AddedToken], normalizer: Normalizer? = nil, preTokenizer: PreTokenizer? = nil,
    decoder: TokenDecoder? = nil
  ) {
    var vocabulary = model.vocabulary
    for token in added { vocabulary.insert(token.content.bytes, id: token.id) }
    // The reference looks for special tokens before the others.
    let inOrder = added.filter(\.isSpecial) + added.filter { !$0.isSpecial }
    self.model = model
    rawTokens = AddedTokenMatcher(inOrder.filter { !$0.isNormalized })
    normalizedTokens = AddedTokenMatcher(inOrder.filter(\.isNormalized))
    self.normalizer = normalizer
    self.preTokenizer = preTokenizer
    self.decoder = decoder
    self.vocabulary = vocabulary
    addedTokens = Dictionary(added.map { ($0.id, $0) }, uniquingKeysWith: { _, last in last })
  }

  var vocabularySize: Int { vocabulary.size }

  func encode(_ text: [UInt8]) -> [Int32] {
    var ids: [Int32] = []
    ids.reserveCapacity(text.count / 3)
    var encoder = PieceEncoder(model)
    for part in rawTokens.cut(text) {
      if let token = part.token {
        ids.append(token)
        continue
      }
      var raw = part.range == 0..<text.count ? text : Array(text[part.range])
      raw = normalizer?.apply(raw) ?? raw
      for inner in normalizedTokens.cut(raw) {
        if let token = inner.token {
          ids.append(token)
          continue
        }
        var bytes = inner.range == 0..<raw.count ? raw : Array(raw[inner.range])
        let isAtStart = part.range.lowerBound == 0 && inner.range.lowerBound == 0
        if case .sentencePiece(let model) = model { bytes = model.normalized(bytes, isAtStart: isAtStart) }
        var pieces = TextPieces(bytes, isAtStart: isAtStart)
        preTokenizer?.apply(&pieces)
        pieces.bytes.withUnsafeBufferPointer { bytes in
          var start = 0
          for end in pieces.ends {
            encoder.encode(UnsafeBufferPointer(rebasing: bytes[start..<end]), into: &ids)
            start = end
          }
        }
      }
    }
    return ids
  }

  func decode(_ ids: [Int32], skipSpecial: Bool) -> [UInt8] {
    if case .sentencePiece(let model) = model { return model.decode(ids, skipSpecial: skipSpecial, self) }
    var tokens: [[UInt8]] = []
    for id in ids {
      if skipSpecial, addedTokens[id]?.isSpecial == true { continue }
      if let added = addedTokens[id] {
        tokens.append(added.written)
      } else if let token = vocabulary.token(id) {
        tokens.append(Array(token))
      }
    }
    guard let decoder else { return Array(tokens.joined(separator: [UInt8(ascii: " ")])) }
    return Array(decoder.apply(tokens).joined())
  }

  func token(_ id: Int32) -> ArraySlice<UInt8>? { vocabulary.token(id) }

  func id(of token: [UInt8]) -> Int32? { vocabulary.id(of: token) }

  func bytes(of id: Int32) -> [UInt8] {
    guard let token = vocabulary.token(id) else { return [] }
    if addedTokens[id] != nil { return Array(token) }
    switch kind(of: id) {
    case .control, .unused: return Array(token)
    case .byte: return byteOfToken(token).map { [$0] } ?? Array(token)
    case .normal, .unknown, .userDefined:
      if decoder?.isByteLevel == true { return ByteAlphabet.standard.bytes(of: token) ?? Array(token) }
      return replacing(spaceMark, by: [UInt8(ascii: " ")], in: Array(token))
    }
  }

  func kind(of id: Int32) -> TokenKind {
    switch model {
    case .sentencePiece(let model):
      if id >= 0, Int(id) < model.kinds.count { return model.kinds[Int(id)] }
      if let added = addedTokens[id] { return added.isSpecial ? .control : .userDefined }
      return vocabulary.token(id) == nil ? .unused : .control
    case .bytePair(let model):
      guard let token = vocabulary.token(id) else { return .unused }
      if id == model.unknown { return .unknown }
      if let added = addedTokens[id] { return added.isSpecial ? .control : .userDefined }
      return model.fallsBackToBytes && byteOfToken(token) != nil ? .byte : .normal
    }
  }

  func score(of id: Int32) -> Float {
    guard case .sentencePiece(let model) = model, id >= 0, Int(id) < model.scores.count else { return 0 }
    return model.scores[Int(id)]
  }
}

extension TokenizerPipeline {
  /// The pairs of a byte-pair model in order of rank.
  var merges: [(left: ByteString, right: ByteString)] {
    guard case .bytePair(let model) = model else { return [] }
    func text(_ id: Int32) -> ByteString { ByteString(Array(vocabulary.token(id) ?? [])) }
    return model.pairs.map { (text($0.left), text($0.right)) }
  }
}

extension SentencePieceModel {
  /// The text of tokens: marks are spaces again, without the one that normalisation put in front.
  func decode(_ ids: [Int32], skipSpecial: Bool, _ pipeline: TokenizerPipeline) -> [UInt8] {
    var text: [UInt8] = []
    var pending: [UInt8] = []
    var isAtStart = true
    func flush() {
      var rest = pending[...]
      // Unlike in the byte-fallback decoder of tokenizer.json, what is valid survives.
      while !rest.isEmpty {
        let bad = rest.withUnsafeBufferPointer { firstInvalidUTF8($0) }
        text += rest.prefix(bad ?? rest.count)
        rest = rest.dropFirst(bad ?? rest.count)
        if bad != nil {
          text += [0xEF, 0xBF, 0xBD]
          rest = rest.dropFirst()
        }
      }
      pending = []
    }
    for id in ids {
      guard let token = pipeline.token(id) else { continue }
      let kind = pipeline.kind(of: id)
      if kind == .byte, let byte = byteOfToken(token) {
        pending.append(byte)
        isAtStart = false
        continue
      }
      flush()
      switch kind {
      case .control: if Int(id) >= kinds.count, !skipSpecial { text += token }
      case .unknown: text += " \u{2047} ".utf8
      default:
        let drops = isAtStart && (prefix != .never || removesExtraSpaces) && token.starts(with: spaceMark)
        text += replacing(spaceMark, by: [UInt8(ascii: " ")], in: Array(drops ? token.dropFirst(3) : token))
        isAtStart = isAtStart && drops && removesExtraSpaces && text.isEmpty
      }
      if !text.isEmpty { isAtStart = false }
    }
    flush()
    return text
  }
}

/// Encodes pieces and remembers the tokens of short ones: text repeats its words.
struct PieceEncoder {
  private let model: TokenizerPipeline.Model
  private let cutsAtMarks: Bool
  private var queue = MergeQueue()
  private var known = ByteTable(capacity: 1 << 12)
  private var ends: [Int] = [0]
  private var tokens: [Int32] = []
  /// Longer pieces hardly repeat.
  private static let longest = 48
  /// Bounds the memory of the cache.
  private static let mostKnown = 1 << 17

  init(_ model: TokenizerPipeline.Model) {
    self.model = model
    switch model {
    case .bytePair(let model): cutsAtMarks = model.staysInWords
    case .sentencePiece(let model): cutsAtMarks = model.staysInWords
    }
  }

  mutating func encode(_ piece: UnsafeBufferPointer<UInt8>, into ids: inout [Int32]) {
    guard cutsAtMarks, let base = piece.baseAddress else { return encodeWord(piece, into: &ids) }
    var start = 0
    var at = 0
    var isAfterMark = true
    while at < piece.count {
      let isMark =
        base[at] == spaceMark[0] && at + 2 < piece.count && base[at + 1] == spaceMark[1] && base[at + 2] == spaceMark[2]
      if isMark, !isAfterMark {
        encodeWord(UnsafeBufferPointer(rebasing: piece[start..<at]), into: &ids)
        start = at
      }
      isAfterMark = isMark
      at += scalarLength(base[at])
    }
    encodeWord(UnsafeBufferPointer(rebasing: piece[start...]), into: &ids)
  }

  private mutating func encodeWord(_ word: UnsafeBufferPointer<UInt8>, into ids: inout [Int32]) {
    if word.count > Self.longest { return encodeNew(word, into: &ids) }
    if let number = known.find(word) {
      ids.append(contentsOf: tokens[ends[number]..<ends[number + 1]])
      return
    }
    let first = ids.count
    encodeNew(word, into: &ids)
    if known.count < Self.mostKnown {
      known.insert(word)
      tokens.append(contentsOf: ids[first...])
      ends.append(tokens.count)
    }
  }

  private mutating func encodeNew(_ word: UnsafeBufferPointer<UInt8>, into ids: inout [Int32]) {
    switch model {
    case .bytePair(let model): model.encode(word, using: &queue, into: &ids)
    case .sentencePiece(let model): model.encode(word, using: &queue, into: &ids)
    }
  }
}
