import Foundation
import Kernel
import Transformer

/// Which kind each stretch of a text is of, from a table beside the text: `start end kind` in bytes, the end not
/// included, or `line kind` counted from 1.
struct Labels {
  struct Span: Equatable {
    let bytes: Range<Int>
    let kind: String
  }

  /// In the order of the text, without overlap.
  let spans: [Span]
  /// Every kind, in the order of first occurrence.
  let kinds: [String]

  /// - Parameter text: the text the labels are of.
  /// - Throws: a sentence naming the line that does not fit.
  init(_ path: String, of text: [UInt8]) throws {
    let name = (path as NSString).lastPathComponent
    let bytes = try readFile(path)
    // Some editors begin a file with a byte order mark.
    let lines = String(decoding: bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...], as: UTF8.self)
      .split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
    let rows = lines.enumerated().filter { !$1.isEmpty }
      .map { (line: $0 + 1, cells: $1.split(separator: "\t").map(String.init)) }
    func wrong(_ line: Int, _ problem: String) -> Diagnostic {
      Diagnostic("\(name) line \(line) \(problem)", argument: "labels")
    }
    let header = rows.first?.cells ?? []
    guard header == ["start", "end", "kind"] || header == ["line", "kind"] else {
      throw Diagnostic(
        "\(name) starts with neither `start end kind` nor `line kind`, with tabs between", argument: "labels")
    }
    let ends = text.indices.filter { text[$0] == 0x0A }.map { $0 + 1 } + (text.last == 0x0A ? [] : [text.count])
    spans = try rows.dropFirst().map { line, cells in
      guard cells.count == header.count, let kind = cells.last, !kind.isEmpty,
        let first = Int(cells[0]), let last = Int(cells[cells.count - 2])
      else { throw wrong(line, "is not `\(header.joined(separator: " "))`") }
      if header == ["line", "kind"] {
        guard ends.indices.contains(first - 1) else {
          throw wrong(line, "labels line \(first) of a text of \(ends.count) lines")
        }
        return Span(bytes: (first == 1 ? 0 : ends[first - 2])..<ends[first - 1], kind: kind)
      }
      guard first >= 0, last >= first, last <= text.count else {
        throw wrong(line, "labels bytes \(first) to \(last) of a text of \(text.count) bytes")
      }
      return Span(bytes: first..<last, kind: kind)
    }
    for (index, pair) in zip(spans, spans.dropFirst()).enumerated()
    where pair.0.bytes.upperBound > pair.1.bytes.lowerBound {
      let isBefore = pair.1.bytes.upperBound <= pair.0.bytes.lowerBound
      throw wrong(
        rows[index + 2].line,
        isBefore
          ? "labels what stands before that of the line before; labels follow the text"
          : "labels some of what the line before labels")
    }
    kinds = spans.map(\.kind).uniqued
  }

  /// The passage of each token, by the token's first byte, as an index into `spans`; -1 between passages, and for tokens
  /// that stand for no bytes.
  ///
  /// - Parameter tokens: the bytes of each; windows of a text may come in any order.
  func passages(of tokens: [Range<Int>]) -> [Int32] {
    tokens.map { token in
      if token.isEmpty { return -1 }
      // The first span that ends after the token's first byte, by halves.
      var (low, high) = (0, spans.count)
      while low < high {
        let middle = (low + high) / 2
        if spans[middle].bytes.upperBound <= token.lowerBound { low = middle + 1 } else { high = middle }
      }
      return low < spans.count && spans[low].bytes.contains(token.lowerBound) ? Int32(low) : -1
    }
  }

  /// The kind of each token, as an index into `kinds`; -1 where there is none.
  func kinds(of tokens: [Range<Int>]) -> [Int32] {
    let places = Dictionary(uniqueKeysWithValues: kinds.enumerated().map { ($1, Int32($0)) })
    let ofSpan = spans.map { places[$0.kind] ?? -1 }
    return passages(of: tokens).map { $0 < 0 ? -1 : ofSpan[Int($0)] }
  }
}

extension Labels {
  /// The labels of a corpus.
  ///
  /// - Parameter reference: of the corpus.
  /// - Returns: the labels, and the bytes of every token.
  /// - Throws: when the tokens of the corpus do not spell its text.
  static func read(_ path: String, of corpus: Corpus, _ reference: ArtifactReference, _ context: any RunContext) throws
    -> (labels: Labels, tokens: [Range<Int>])
  {
    guard let spans = corpus.spans else {
      throw Diagnostic(
        "labels= counts bytes of the text, and the tokens of this corpus do not spell it",
        hint: "make it without join=, if the tokenizer takes the text as it is", argument: "labels")
    }
    return (try Labels(path, of: corpus.text(reference, context)), spans)
  }
}
