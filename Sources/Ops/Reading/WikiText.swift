import Kernel

/// WikiText's pages as the `wikitext` task (version 2) of lm-evaluation-harness has them.
enum WikiText {
  struct Page {
    /// The page detokenised: what the model is asked to predict.
    let text: [UInt8]
    let size: Corpus.PageSize
  }

  /// The pages of files, and the records of JSON lines as pages. Pages without text are left out.
  static func pages(_ files: TextFiles) throws -> [Page] {
    let documents = files.documents.flatMap { $0.isRecord ? [Scalars($0.bytes)] : pages(of: Scalars($0.bytes)) }
    return documents.filter { $0.contains { !$0.isSpace } }.map { page in
      Page(
        text: Array(detokenized(page).text.utf8),
        size: Corpus.PageSize(words: page.words, bytes: page.text.utf8.count))
    }
  }

  /// A page starts at a line ` = Title = `; ` = = Section = = ` starts none.
  private static func pages(of text: Scalars) -> [Scalars] {
    var pages: [Scalars] = [[]]
    var rest = text[...]
    while !rest.isEmpty {
      let end = rest.firstIndex(of: "\n").map { $0 + 1 } ?? rest.endIndex
      let line = Scalars(rest[..<end])
      let heading = line.replacing("= = =", with: "===").replacing("= =", with: "==").stripped.text
      if heading.hasPrefix("= "), heading.hasSuffix(" =") { pages.append([]) }
      pages[pages.count - 1] += line
      rest = rest[end...]
    }
    return pages
  }

  /// Undoes the spaces that WikiText's tokenisation put in, in the order of the harness. One of its lines, for
  /// apostrophes before digits, never matches and is left out.
  static func detokenized(_ page: Scalars) -> Scalars {
    var text = page.replacing("s '", with: "s'")
    for (old, new) in [(" @-@ ", "-"), (" @,@ ", ","), (" @.@ ", ".")] { text = text.replacing(old, with: new) }
    for mark in [":", ";", ".", "!", "?", ","] { text = text.replacing(" \(mark) ", with: "\(mark) ") }
    for (open, close) in [("(", ")"), ("[", "]"), ("{", "}"), ("\"", "\""), ("'", "'")]
      as [(Unicode.Scalar, Unicode.Scalar)]
    { text = text.tightened(open, close) }
    for (old, new) in [
      ("= = = =", "===="), ("= = =", "==="), ("= =", "=="), (" \u{B0} ", "\u{B0}"), (" \n", "\n"), ("\n ", "\n"),
      (" N ", " 1 "), (" 's", "'s"),
    ] { text = text.replacing(old, with: new) }
    return text
  }
}

extension Scalars {
  fileprivate init(_ bytes: [UInt8]) { self.init(String(decoding: bytes, as: UTF8.self)) }
}
