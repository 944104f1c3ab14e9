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
    let lines = String(decoding: try readFile(path), as: UTF8.self)
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
      throw wrong(rows[index + 2].line, "labels what the line before labels")
    }
    kinds = spans.map(\.kind).uniqued
  }

  /// The kind of each token by the byte it starts at, as an index into `kinds`; -1 between spans.
  ///
  /// - Parameter starts: in ascending order.
  func kinds(at starts: [Int]) -> [Int32] {
    let places = Dictionary(uniqueKeysWithValues: kinds.enumerated().map { ($1, Int32($0)) })
    var span = 0
    return starts.map { start in
      while span < spans.count, spans[span].bytes.upperBound <= start { span += 1 }
      guard span < spans.count, spans[span].bytes.contains(start) else { return -1 }
      return places[spans[span].kind] ?? -1
    }
  }
}

extension Labels {
  /// The kind of every token of a corpus.
  /// - Throws: when the corpus is not one text as it is, or its tokens do not spell it.
  static func ofTokens(_ corpus: Corpus, _ path: String, _ tokenizer: Tokenizer) throws -> (
    names: [String], kinds: [Int32]
  ) {
    guard let size = corpus.textBytes else {
      throw Diagnostic(
        "labels= needs one text as it is, and this corpus is cut or joined",
        hint: "make it with `text FILE model=…` and nothing else", argument: "labels")
    }
    let added = tokenizer.prefix.count
    let tokens = corpus.tokens.dropFirst(added).dropLast(tokenizer.suffix.count)
    var text: [UInt8] = []
    var starts = tokens.map { token in
      defer { text += tokenizer.bytes(of: token) }
      return text.count
    }
    // SentencePiece puts a space before the text.
    if text.count == size + 1, text.first == 0x20 {
      text.removeFirst()
      starts = starts.map { max(0, $0 - 1) }
    }
    guard text.count == size else {
      throw Diagnostic(
        "the tokenizer changes this text, so that labels by its bytes have no place", argument: "labels")
    }
    let labels = try Labels(path, of: text)
    let none = { (count: Int) in [Int32](repeating: -1, count: count) }
    return (labels.kinds, none(added) + labels.kinds(at: starts) + none(tokenizer.suffix.count))
  }
}
