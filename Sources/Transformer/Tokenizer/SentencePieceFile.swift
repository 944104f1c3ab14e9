/// Reads `tokenizer.model`: a protocol-buffer message with the pieces (field 1), how it was trained (2) and how text is
/// normalised (3).
struct SentencePieceFile {
  private(set) var model: SentencePieceModel
  private(set) var bos: Int32?
  private(set) var eos: Int32?

  init(_ bytes: [UInt8], file: String) throws {
    var pieces: [(text: [UInt8], score: Float, kind: TokenKind)] = []
    var modelType: UInt64 = 1
    var fallsBackToBytes = false
    var bosNumber: Int64 = 1
    var eosNumber: Int64 = 2
    var charsmapBytes = 0
    var normalizer = ""
    var flags: [UInt64: Bool] = [3: true, 4: true, 5: true, 24: false]

    var message = ProtocolBuffer(bytes[...], file: file)
    while let field = try message.next() {
      switch (field.number, field.value) {
      case (1, .bytes(let body)):
        var piece: (text: [UInt8], score: Float, kind: TokenKind) = ([], 0, .normal)
        var reader = ProtocolBuffer(body, file: file)
        while let field = try reader.next() {
          switch (field.number, field.value) {
          case (1, .bytes(let text)): piece.text = Array(text)
          case (2, .fixed32(let bits)): piece.score = Float(bitPattern: bits)
          case (3, .varint(let kind)):
            guard let known = TokenKind(rawValue: Int(truncatingIfNeeded: kind)) else {
              throw TokenizerError.malformedModel(file: file, offset: body.startIndex)
            }
            piece.kind = known
          default: break
          }
        }
        pieces.append(piece)
      case (2, .bytes(let body)):
        var reader = ProtocolBuffer(body, file: file)
        while let field = try reader.next() {
          guard case .varint(let value) = field.value else { continue }
          switch field.number {
          case 3: modelType = value
          case 24: flags[24] = value != 0
          case 35: fallsBackToBytes = value != 0
          case 41: bosNumber = Int64(bitPattern: value)
          case 42: eosNumber = Int64(bitPattern: value)
          default: break
          }
        }
      case (3, .bytes(let body)):
        var reader = ProtocolBuffer(body, file: file)
        while let field = try reader.next() {
          switch (field.number, field.value) {
          case (1, .bytes(let name)): normalizer = String(decoding: name, as: UTF8.self)
          case (2, .bytes(let map)): charsmapBytes = map.count
          case (3...5, .varint(let value)): flags[field.number] = value != 0
          default: break
          }
        }
      default: break
      }
    }
    if pieces.isEmpty { throw TokenizerError.noVocabulary(file: file) }
    if modelType != 2 {
      let names: [UInt64: String] = [1: "Unigram", 3: "Word", 4: "Char"]
      throw TokenizerError.unsupported(file: file, part: "model", type: names[modelType] ?? "\(modelType)")
    }
    if charsmapBytes > 0 { throw TokenizerError.unsupported(file: file, part: "normaliser", type: normalizer) }
    if flags[24] == true {
      throw TokenizerError.unsupported(file: file, part: "option", type: "treat_whitespace_as_suffix")
    }
    model = try Self.model(pieces, fallsBackToBytes: fallsBackToBytes, flags: flags, file: file)
    func control(_ number: Int64) -> Int32? {
      number >= 0 && number < pieces.count && pieces[Int(number)].kind == .control ? Int32(number) : nil
    }
    bos = control(bosNumber)
    eos = control(eosNumber)
  }

  private static func model(
    _ pieces: [(text: [UInt8], score: Float, kind: TokenKind)], fallsBackToBytes: Bool, flags: [UInt64: Bool],
    file: String
  ) throws -> SentencePieceModel {
    var vocabulary = Vocabulary(capacity: pieces.count)
    var byteIDs = [Int32](repeating: -1, count: 256)
    var unknown: Int32?
    var staysInWords = true
    for (number, piece) in pieces.enumerated() {
      let id = Int32(number)
      if piece.text.isEmpty || piece.text.withUnsafeBufferPointer({ firstInvalidUTF8($0) }) != nil
        || vocabulary.id(of: piece.text) != nil
      {
        throw TokenizerError.badPiece(file: file, id: number, text: ByteString(piece.text))
      }
      vocabulary.insert(piece.text, id: id)
      if piece.kind == .unknown { unknown = id }
      if piece.kind == .byte, let byte = byteOfToken(piece.text[...]) { byteIDs[Int(byte)] = id }
      if piece.text.withUnsafeBufferPointer({ $0.hasInnerMark(spaceMark) }) { staysInWords = false }
    }
    guard let unknown else { throw TokenizerError.missingToken(file: file, token: "unknown") }
    if fallsBackToBytes, byteIDs.contains(-1) { throw TokenizerError.missingToken(file: file, token: "byte") }
    let scores = pieces.map(\.score)
    let distinct = Array(Set(scores.filter { !$0.isNaN })).sorted(by: >)
    let rankOf = Dictionary(uniqueKeysWithValues: distinct.enumerated().map { ($1, UInt32($0)) })
    return SentencePieceModel(
      vocabulary: vocabulary, scores: scores, kinds: pieces.map(\.kind),
      ranks: scores.map { rankOf[$0] ?? UInt32.max },
      userDefined: pieces.enumerated().filter { $1.kind == .userDefined }.map { ($1.text, Int32($0)) }
        .sorted { $0.text.count > $1.text.count },
      unknown: unknown, fallsBackToBytes: fallsBackToBytes, byteIDs: byteIDs,
      prefix: flags[3] ?? true ? .first : .never,
      removesExtraSpaces: flags[4] ?? true, escapesSpaces: flags[5] ?? true,
      staysInWords: staysInWords && vocabulary.id(of: spaceMark) != nil)
  }
}

/// Steps through the fields of a protocol-buffer message.
private struct ProtocolBuffer {
  enum Value {
    case varint(UInt64)
    case fixed64
    case fixed32(UInt32)
    case bytes(ArraySlice<UInt8>)
  }

  private var rest: ArraySlice<UInt8>
  private let file: String

  init(_ bytes: ArraySlice<UInt8>, file: String) {
    rest = bytes
    self.file = file
  }

  mutating func next() throws -> (number: UInt64, value: Value)? {
    if rest.isEmpty { return nil }
    let tag = try varint()
    switch tag & 7 {
    case 0: return (tag >> 3, .varint(try varint()))
    case 1:
      _ = try take(8)
      return (tag >> 3, .fixed64)
    case 2: return (tag >> 3, .bytes(try take(try varint())))
    case 5: return (tag >> 3, .fixed32(try take(4).reversed().reduce(0) { $0 << 8 | UInt32($1) }))
    default: throw TokenizerError.malformedModel(file: file, offset: rest.startIndex)
    }
  }

  private mutating func varint() throws -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard let byte = rest.popFirst() else { break }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    throw TokenizerError.malformedModel(file: file, offset: rest.startIndex)
  }

  private mutating func take(_ count: UInt64) throws -> ArraySlice<UInt8> {
    if count > UInt64(rest.count) { throw TokenizerError.malformedModel(file: file, offset: rest.startIndex) }
    defer { rest = rest.dropFirst(Int(count)) }
    return rest.prefix(Int(count))
  }
}

extension SentencePieceFile {
  /// The bytes of a `tokenizer.model` of the byte-pair kind, as much of it as decides which tokens a text has.
  static func serialized(
    _ pieces: [(text: [UInt8], score: Float, kind: TokenKind)], prefixesSpace: Bool, bos: Int?, eos: Int?
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    func varint(_ number: Int) -> [UInt8] {
      var (rest, bytes) = (UInt64(bitPattern: Int64(number)), [UInt8]())
      while rest >= 0x80 {
        bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
        rest >>= 7
      }
      return bytes + [UInt8(rest)]
    }
    func number(_ field: Int, _ value: Int) -> [UInt8] { varint(field << 3) + varint(value) }
    func message(_ field: Int, _ body: [UInt8]) -> [UInt8] { varint(field << 3 | 2) + varint(body.count) + body }
    for piece in pieces {
      let score = withUnsafeBytes(of: piece.score.bitPattern.littleEndian) { Array($0) }
      bytes += message(1, message(1, piece.text) + varint(2 << 3 | 5) + score + number(3, piece.kind.rawValue))
    }
    let fallsBack = pieces.contains { $0.kind == .byte } ? 1 : 0
    bytes += message(2, number(3, 2) + number(35, fallsBack) + number(41, bos ?? -1) + number(42, eos ?? -1))
    bytes += message(
      3,
      message(1, Array("identity".utf8)) + number(3, prefixesSpace ? 1 : 0)
        + number(4, 0) + number(5, 1))
    return bytes
  }
}
