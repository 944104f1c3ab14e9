import Transformer

/// The bytes of a text that each of its tokens stands for, by adding up what the tokens spell.
///
/// - Parameter tokens: of the whole text, with what the tokenizer adds before and after it; these have empty spans.
/// - Returns: nil when the tokens do not spell the text byte for byte, because the tokenizer normalises it.
func tokenSpans(_ tokens: [Int32], of text: [UInt8], _ tokenizer: Tokenizer) -> [Range<Int>]? {
  let own = tokens.dropFirst(tokenizer.prefix.count).dropLast(tokenizer.suffix.count)
  var spelled: [Int32: [UInt8]] = [:]
  for token in own where spelled[token] == nil { spelled[token] = tokenizer.bytes(of: token) }
  let size = own.reduce(0) { $0 + (spelled[$1]?.count ?? 0) }
  // SentencePiece puts a space before the text.
  var added = size == text.count + 1 && own.first.flatMap { spelled[$0]?.first } == 0x20 ? 1 : 0
  guard size - added == text.count else { return nil }
  var spans: [Range<Int>] = []
  spans.reserveCapacity(tokens.count)
  spans += tokenizer.prefix.map { _ in 0..<0 }
  var at = 0
  for token in own {
    let bytes = (spelled[token] ?? []).dropFirst(added)
    added = 0
    let span = at..<(at + bytes.count)
    guard text[span].elementsEqual(bytes) else { return nil }
    spans.append(span)
    at = span.upperBound
  }
  spans += tokenizer.suffix.map { _ in text.count..<text.count }
  return spans
}
