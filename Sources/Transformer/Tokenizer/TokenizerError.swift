/// Why a tokenizer cannot be used, or a text not be encoded.
public enum TokenizerError: Error, Equatable, Sendable {
  case missing(folder: String)
  case unsupported(file: String, part: String, type: String)
  case pattern(file: String, ByteString)
  case noVocabulary(file: String)
  case id(file: String, token: ByteString)
  case conflict(file: String, token: ByteString, ids: [Int])
  case merge(file: String, number: Int, problem: String)
  case missingToken(file: String, token: String)
  case badPiece(file: String, id: Int, text: ByteString)
  case malformedModel(file: String, offset: Int)
  case invalidUTF8(offset: Int)
  case textTooLong(bytes: Int)
}

extension TokenizerError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .missing(let folder): "`\(folder)` has neither tokenizer.json nor tokenizer.model nor vocab.json"
    case .unsupported(let file, let part, let type):
      "\(file): the \(part) `\(printable(Array(type.utf8)))` is not supported"
    case .pattern(let file, let pattern): "\(file): text is cut by a pattern that is not supported: \(pattern)"
    case .noVocabulary(let file): "\(file) has no vocabulary"
    case .id(let file, let token):
      "\(file): the number of token `\(token)` is not a whole number from 0 to \(Vocabulary.idLimit)"
    case .conflict(let file, let token, let ids): "\(file): token `\(token)` has the numbers \(ids[0]) and \(ids[1])"
    case .merge(let file, let number, let problem): "\(file): merge \(number) \(problem)"
    case .missingToken(let file, let token): "\(file): the \(token) token is not in the vocabulary"
    case .badPiece(let file, let id, let text): "\(file): piece \(id), `\(text)`, is empty, not UTF-8, or there twice"
    case .malformedModel(let file, let offset): "\(file) is damaged or not a SentencePiece model (byte \(offset))"
    case .invalidUTF8(let offset): "the text is not UTF-8 at byte \(offset)"
    case .textTooLong(let bytes): "the text has \(bytes) bytes; at most \(Tokenizer.longestText) can be encoded at once"
    }
  }
}
