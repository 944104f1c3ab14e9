import Kernel
import Transformer

/// Word and byte perplexity of lm-evaluation-harness: each page in windows that roll over it, so that every token is
/// scored once. The first window is preceded by the start-of-text token; later ones by the one token before them, and a
/// last window that would be shorter sees more of what is before it.
struct PageProtocol {
  let network: LanguageModel
  let corpus: Corpus
  let sizes: [Corpus.PageSize]
  /// The most tokens the model is shown, `max_length` of the harness.
  let length: Int
  let tokenizer: Tokenizer
  let bos: StartOfText

  func run(_ context: any RunContext) throws -> PageLosses {
    let first = try tokenizer.startOfText()
    var pairs: [ContinuationPair] = []
    var pages: [Range<Int>] = []
    for page in sizes.indices {
      let tokens = try tokenizer.started(Array(corpus[page]), bos)
      let start = pairs.count
      pairs += rolling(tokens, after: first)
      pages.append(start..<pairs.count)
    }
    let found = try continuationLogLikelihoods(network, pairs, length: length, context)
    if let page = pages.firstIndex(where: { !found[$0].allSatisfy(\.isFinite) }) {
      throw Diagnostic("the model gives a token of page \(page + 1) a probability that is no number")
    }
    return PageLosses(
      loss: pages.map { -found[$0].reduce(0, +) },
      tokens: pages.map { Double(pairs[$0].reduce(0) { $0 + $1.continuation.count }) },
      words: sizes.map { Double($0.words) }, bytes: sizes.map { Double($0.bytes) })
  }

  /// Windows that predict every token once.
  func rolling(_ tokens: [Int32], after first: Int32) -> [ContinuationPair] {
    stride(from: 0, to: tokens.count, by: length).map { start in
      let end = min(start + length, tokens.count)
      // The input ends one token before the window does, and is `length` tokens long unless the page starts first.
      let context = start == 0 ? [first] : Array(tokens[max(0, end - 1 - length)..<start])
      return ContinuationPair(context: context, continuation: Array(tokens[start..<end]))
    }
  }
}
