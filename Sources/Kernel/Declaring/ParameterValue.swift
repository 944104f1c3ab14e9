/// A type a parameter can have: how it is read from a literal, recorded in a step key and named in help.
public protocol ParameterValue: Sendable {
  /// With its article: "a whole number".
  static var kind: String { get }
  /// The legal symbols, when the type is an enumeration (or a list of one).
  static var choices: [String]? { get }
  /// What the symbols mean, each in a few words.
  static var choiceMeanings: [String: String] { get }
  /// - Throws: `Mismatch`, with a hint when the intended value can be guessed.
  init(literal: Literal) throws
  /// The literal that reads back as this value.
  var literal: Literal { get }
  /// What a step key records.
  var canonical: JSONValue { get }
  /// What a bare word stands for where this type is wanted.
  static var words: BareWord { get }
  /// Literals of the right kind of text but outside the type, for the negative tests every op gets for free.
  static var illegal: [Literal] { get }
}

/// What a bare word in a parameter means.
public enum BareWord: Sendable {
  /// A case of an enumeration, else a variable.
  case choice
  /// A variable holding text, else the word itself.
  case text
  /// A variable holding a path.
  case path
  /// A variable.
  case variable
}

/// A literal that is not of the wanted type.
public struct Mismatch: Error, Sendable {
  public var expected: String
  public var found: Literal
  public var hint: String?
  public init(expected: String, found: Literal, hint: String? = nil) {
    self.expected = expected
    self.found = found
    self.hint = hint
  }
}

extension ParameterValue {
  public static var choices: [String]? { nil }
  public static var choiceMeanings: [String: String] { [:] }
  public static var words: BareWord { choices == nil ? .variable : .choice }
  public var canonical: JSONValue { literal.canonical }
  public static var illegal: [Literal] { [.string("not \(kind)")] }
}

extension Int: ParameterValue {
  public static var kind: String { "a whole number" }
  public init(literal: Literal) throws {
    switch literal {
    case .integer(let value): self = value
    case .number(let value) where Int(exactly: value) != nil: self = Int(value)
    default: throw Mismatch(expected: Int.kind, found: literal)
    }
  }
  public var literal: Literal { .integer(self) }
}

extension Double: ParameterValue {
  public static var kind: String { "a number" }
  public init(literal: Literal) throws {
    switch literal {
    case .integer(let value): self = Double(value)
    case .number(let value), .ratio(let value): self = value
    default: throw Mismatch(expected: Double.kind, found: literal)
    }
  }
  public var literal: Literal { .number(self) }
}

extension Bool: ParameterValue {
  public static var kind: String { "true or false" }
  public init(literal: Literal) throws {
    guard case .bool(let value) = literal else { throw Mismatch(expected: Bool.kind, found: literal) }
    self = value
  }
  public var literal: Literal { .bool(self) }
}

extension String: ParameterValue {
  public static var kind: String { "a string" }
  public static var words: BareWord { .text }
  public init(literal: Literal) throws {
    switch literal {
    case .string(let value), .path(let value), .symbol(let value): self = value
    default: throw Mismatch(expected: String.kind, found: literal)
    }
  }
  public var literal: Literal { .string(self) }
  public static var illegal: [Literal] { [.bool(true)] }
}

/// A share between 0 and 1, written `20%` or `0.2`. A bare `20` is refused with `20%` as the suggestion.
public struct Ratio: ParameterValue, Hashable, Comparable, ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral {
  public var value: Double
  public init(_ value: Double) { self.value = value }
  public init(floatLiteral value: Double) { self.value = value }
  public init(integerLiteral value: Int) { self.value = Double(value) }
  public static func < (a: Ratio, b: Ratio) -> Bool { a.value < b.value }

  public static var kind: String { "a ratio such as 20%" }
  public init(literal: Literal) throws {
    switch literal {
    case .ratio(let value), .number(let value): self.value = value
    case .integer(let value) where value == 0 || value == 1: self.value = Double(value)
    case .integer(let value): throw Mismatch(expected: Ratio.kind, found: literal, hint: "did you mean `\(value)%`?")
    default: throw Mismatch(expected: Ratio.kind, found: literal)
    }
  }
  public var literal: Literal { .ratio(value) }
  public static var illegal: [Literal] { [.integer(20), .symbol("high")] }
}

/// A path given by the user, relative to the working directory.
public struct FilePath: ParameterValue, Hashable {
  public var path: String
  public init(_ path: String) { self.path = path }
  public static var kind: String { "a path" }
  public static var words: BareWord { .path }
  public init(literal: Literal) throws {
    switch literal {
    case .path(let value), .string(let value): path = value
    default: throw Mismatch(expected: FilePath.kind, found: literal)
    }
  }
  public var literal: Literal { .path(path) }
  public static var illegal: [Literal] { [.integer(3)] }
}

/// A set of positions such as `0..2,-2..-1`; negative numbers count from the end.
public struct Positions: ParameterValue, Hashable {
  public var ranges: [Literal]
  public init() { ranges = [] }
  public init(_ ranges: [Literal]) { self.ranges = ranges }
  public static var kind: String { "positions such as 0..2,-1" }
  public init(literal: Literal) throws {
    switch literal {
    case .none: ranges = []
    case .integer, .range: ranges = [literal]
    case .list(let items):
      ranges = try items.map {
        switch $0.value {
        case .integer, .range: return $0.value
        default: throw Mismatch(expected: Positions.kind, found: $0.value)
        }
      }
    default: throw Mismatch(expected: Positions.kind, found: literal)
    }
  }
  public var literal: Literal {
    ranges.isEmpty ? .none : ranges.count == 1 ? ranges[0] : .list(ranges.map { .init($0) })
  }

  /// The positions it names among `count`, ascending.
  /// - Throws: `Diagnostic` naming the first position that does not exist.
  public func resolved(count: Int) throws -> [Int] {
    var chosen = Set<Int>()
    func position(_ value: Int) throws -> Int {
      let absolute = value < 0 ? count + value : value
      guard (0..<count).contains(absolute) else {
        throw Diagnostic("there is no position \(value) among \(count)", kind: .usage)
      }
      return absolute
    }
    for range in ranges {
      switch range {
      case .integer(let value): chosen.insert(try position(value))
      case .range(let lower, let upper, let step):
        let (first, last) = (try position(lower), try position(upper ?? -1))
        guard first <= last, step > 0 else {
          throw Diagnostic("the range \(range.rendered) is empty among \(count)", kind: .usage)
        }
        chosen.formUnion(Swift.stride(from: first, through: last, by: step))
      default: break
      }
    }
    return chosen.sorted()
  }
}

/// An enumeration of symbols: `enum How: String, Choice { case exact, greedy … }`.
public protocol Choice: ParameterValue, RawRepresentable, CaseIterable, Hashable where RawValue == String {
  /// What the case means, in a few words: for help, completion and the reference.
  var meaning: String { get }
}

extension Choice {
  public static var choiceMeanings: [String: String] {
    Dictionary(allCases.map { ($0.rawValue, $0.meaning) }, uniquingKeysWith: { first, _ in first })
  }
  public static var choices: [String]? { allCases.map(\.rawValue) }
  public static var kind: String { "one of " + allCases.map(\.rawValue).joined(separator: ", ") }
  public init(literal: Literal) throws {
    let word: String
    switch literal {
    case .symbol(let text), .string(let text): word = text
    case .none: word = "none"
    case .bool(let value): word = value ? "true" : "false"
    default: throw Mismatch(expected: Self.kind, found: literal)
    }
    guard let value = Self(rawValue: word) else {
      let near = nearest(to: word, among: Self.allCases.map(\.rawValue))
      throw Mismatch(expected: Self.kind, found: literal, hint: near.map { "did you mean `\($0)`?" })
    }
    self = value
  }
  public var literal: Literal { rawValue == "none" ? .none : .symbol(rawValue) }
  public static var illegal: [Literal] { [.symbol("no_such_choice"), .integer(3)] }
}

extension Optional: ParameterValue where Wrapped: ParameterValue {
  public static var kind: String { Wrapped.kind + ", or none" }
  public static var choices: [String]? { Wrapped.choices }
  public static var choiceMeanings: [String: String] { Wrapped.choiceMeanings }
  public static var words: BareWord { Wrapped.words }
  public init(literal: Literal) throws {
    if case .none = literal { self = nil } else { self = .some(try Wrapped(literal: literal)) }
  }
  public var literal: Literal { self?.literal ?? Literal.none }
  public var canonical: JSONValue { self?.canonical ?? .null }
  public static var illegal: [Literal] { Wrapped.illegal }
}

extension Array: ParameterValue where Element: ParameterValue {
  public static var kind: String { "a list of: " + Element.kind }
  public static var choices: [String]? { Element.choices }
  public static var choiceMeanings: [String: String] { Element.choiceMeanings }
  public static var words: BareWord { Element.words }
  public init(literal: Literal) throws {
    switch literal {
    case .none: self = []
    case .list(let items): self = try items.map { try Element(literal: $0.value) }
    default: self = [try Element(literal: literal)]
    }
  }
  public var literal: Literal { isEmpty ? .none : count == 1 ? self[0].literal : .list(map { .init($0.literal) }) }
  public var canonical: JSONValue { .array(map(\.canonical)) }
  public static var illegal: [Literal] { Element.illegal }
}

/// The candidate closest to `word`, if it is at most two edits away (a swap of neighbours counts as one).
public func nearest(to word: String, among candidates: [String]) -> String? {
  let target = Array(word.lowercased())
  var best: (name: String, distance: Int)?
  for name in candidates {
    let distance = editDistance(target, Array(name.lowercased()))
    let allowed = target.count <= 1 ? 0 : target.count <= 3 ? 1 : 2
    if distance <= allowed, distance < (best?.distance ?? .max) { best = (name, distance) }
  }
  return best?.name
}

private func editDistance(_ a: [Character], _ b: [Character]) -> Int {
  var table = [[Int]](repeating: [Int](repeating: 0, count: b.count + 1), count: a.count + 1)
  for i in 0...a.count { table[i][0] = i }
  for j in 0...b.count { table[0][j] = j }
  for i in 0..<a.count {
    for j in 0..<b.count {
      let change = a[i] == b[j] ? 0 : 1
      var cost = min(table[i][j + 1] + 1, table[i + 1][j] + 1, table[i][j] + change)
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, table[i - 1][j - 1] + 1) }
      table[i + 1][j + 1] = cost
    }
  }
  return table[a.count][b.count]
}
