/// A piece of source text the grammar is made of.
struct Token: Equatable {
  enum Kind: Equatable {
    case name(String)
    case literal(Literal)
    case symbol(Symbol)
    /// A line end or `;` that ends a statement.
    case lineEnd
    case end
  }

  enum Symbol: String, CaseIterable {
    // Longer ones first: the lexer takes the first that fits.
    case pipe = "|>", lessOrEqual = "<=", equal = "==", notEqual = "!=", greaterOrEqual = ">=", range = ".."
    case assign = "=", comma = ",", dot = ".", colon = ":", at = "@"
    case or = "|", and = "&", xor = "^", not = "!", less = "<", greater = ">"
    case openParenthesis = "(", closeParenthesis = ")", openBracket = "[", closeBracket = "]"
    case openBrace = "{", closeBrace = "}"

    /// Whether a line that ends in it goes on in the next.
    var continuesLine: Bool {
      switch self {
      case .assign, .or, .and, .xor, .pipe, .comma: return true
      default: return false
      }
    }
  }

  var kind: Kind
  /// Byte offsets.
  var range: Range<Int>
  /// Whether white space stands before it: `runs[0]` selects, `compare [a]` gives a list.
  var isSpaced: Bool

  func `is`(_ symbol: Symbol) -> Bool { kind == .symbol(symbol) }
  func `is`(_ word: String) -> Bool { kind == .name(word) }
  var name: String? { if case .name(let text) = kind { return text } else { return nil } }
}

/// A part of a notebook, begun by a `# %%` line.
public struct Cell: Sendable, Equatable {
  /// The text after `# %%` and an optional `[markdown]`; empty for what precedes the first mark.
  public var title: String
  public var isMarkdown: Bool
  /// Byte offsets, the mark's line included.
  public var range: Range<Int>
}

/// Words that cannot be names of variables, besides op names and meta words.
public let keywords: Set<String> = ["param", "for", "in", "include", "assert", "true", "false", "none"]

/// Every word of the language that is no op.
let reservedWords: Set<String> = keywords.union(MetaWord.all.map(\.name))
