/// A parsed script: what was written, nothing looked up. Ranges are byte offsets into the source.
struct Script {
  var source: Source
  var statements: [Statement]
  /// How many more there are, of which nothing is known.
  var unreadable: Int
  var diagnostics: [Diagnostic]
  var isIncomplete: Bool
}

/// A word of the source and where it stands.
struct Word: Hashable {
  var text: String
  var range: Range<Int>
}

struct Statement {
  indirect enum Kind {
    /// `param rate = 20% "meaning"`.
    case parameter(Word, Expression, meaning: String?)
    case assign(Word, Expression)
    case expression(Expression)
    case include(path: String, range: Range<Int>)
    case assertion(Expression, Comparison, Expression)
    case meta(MetaSyntax)
    /// `time STATEMENT`.
    case time(Statement)
  }
  var kind: Kind
  var range: Range<Int>
}

/// A meta word with its arguments as written.
struct MetaSyntax {
  var word: Word
  var arguments: [Argument]
}

/// How `assert` compares.
public enum Comparison: String, Sendable {
  case less = "<", lessOrEqual = "<=", equal = "==", notEqual = "!=", greaterOrEqual = ">=", greater = ">"

  /// Whether it holds; nil when the two cannot be ordered.
  func holds(_ a: Literal, _ b: Literal) -> Bool? {
    if let a = a.quantity, let b = b.quantity {
      switch self {
      case .less: return a < b
      case .lessOrEqual: return a <= b
      case .equal: return a == b
      case .notEqual: return a != b
      case .greaterOrEqual: return a >= b
      case .greater: return a > b
      }
    }
    let same = a.canonical == b.canonical
    switch self {
    case .equal: return same
    case .notEqual: return !same
    default: return nil
    }
  }
}

/// A class, because expressions hold expressions: as a struct it sends the compiler round in circles now and then.
final class Expression {
  enum Kind {
    case literal(Literal)
    case reference(NameReference)
    case call(Call)
    case list([Item])
    /// `a | b | c`, flattened; `how` is the word the op behind it knows it by.
    case combine(how: String, [Expression])
    case not(Expression)
    /// `value |> call`.
    case pipe(Expression, Expression)
    case loop(Loop)
  }
  let kind: Kind
  let range: Range<Int>

  init(kind: Kind, range: Range<Int>) {
    self.kind = kind
    self.range = range
  }

  struct Item {
    var label: Word?
    var value: Expression
  }
}

/// `name`, `name@-1`, `name.field`, `name[…]`.
struct NameReference {
  var name: Word
  /// 0 for the present binding, 1 for `@-1`.
  var back: Int
  var selectors: [Selector]

  /// The text when it is only words joined by dots: a variable, a field of one, or a symbol such as `attn.heads`.
  var dotted: String? {
    guard back == 0 else { return nil }
    var parts = [name.text]
    for selector in selectors {
      guard case .field(let field) = selector else { return nil }
      parts.append(field.text)
    }
    return parts.joined(separator: ".")
  }
}

/// What follows a name: a field, or a part of a list or sweep.
enum Selector {
  case field(Word)
  case position(Int, Range<Int>)
  case slice(Literal, Range<Int>)
  case coordinates([SelectedCoordinate], Range<Int>)
}

/// `rate=20%` inside `runs[…]`.
struct SelectedCoordinate {
  var name: Word
  var value: Expression
}

struct Call {
  var op: Word
  var arguments: [Argument]
}

struct Argument {
  /// Nil for an input given by position.
  var name: Word?
  var value: Expression
  var range: Range<Int>
}

struct Loop {
  var generators: [(name: Word, values: Expression)]
  var body: [Statement]
}
