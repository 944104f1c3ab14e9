/// What went wrong, as facts for one reader: a sentence, where it stands, and at most one suggestion.
public struct Diagnostic: Error, Sendable, Equatable {
  /// What kind of failure it is; decides the exit code (DESIGN.md section 4).
  public enum Kind: Int, Sendable {
    /// A step failed while running: 1.
    case failure = 1
    /// Usage, parse or type error; nothing was run: 2.
    case usage = 2
    /// An `assert` did not hold: 3.
    case assertion = 3
    /// The store is damaged or too new: 4.
    case store = 4
    /// Refused before starting: memory or disk would not suffice: 5.
    case refused = 5
    /// Stopped by Ctrl-C: 130.
    case cancelled = 130
  }

  public var kind: Kind
  /// One sentence, no full stop, naming the thing at fault.
  public var summary: String
  /// At most one suggestion, for example "did you mean `kmeans`?".
  public var hint: String?
  /// The parameter or input at fault, so that the shell can put the caret under that argument.
  public var argument: String?
  /// Where it stands in the source; the interpreter adds it.
  public var span: Span?
  /// The cell of the sweep in which it happened; the interpreter adds it.
  public var coordinates: [Coordinate] = []

  public init(_ summary: String, hint: String? = nil, argument: String? = nil, kind: Kind = .failure, span: Span? = nil)
  {
    self.summary = summary
    self.hint = hint
    self.argument = argument
    self.kind = kind
    self.span = span
  }
}

/// An error that can say itself in one sentence. Error enums carry facts in their cases and word them here, once.
public protocol Explained: Error {
  var diagnostic: Diagnostic { get }
}

extension Diagnostic: Explained {
  public var diagnostic: Diagnostic { self }
}

/// A stretch of source text: byte offsets into the text of `source`.
public struct Span: Sendable, Hashable {
  public var source: Source
  public var range: Range<Int>

  public init(_ source: Source, _ range: Range<Int>) {
    self.source = source
    self.range = range
  }
}

/// A piece of program text with the name it is reported under (`flap.prn`, `<shell>`, `-c`).
public final class Source: Sendable, Hashable {
  public let name: String
  public let text: String
  /// Folder against which `include` is resolved.
  public let folder: String
  /// The byte offsets at which lines start.
  let lineStarts: [Int]
  /// Whether characters are bytes.
  let isASCII: Bool

  public init(name: String, text: String, folder: String = ".") {
    self.name = name
    self.text = text
    self.folder = folder
    var starts = [0]
    var isASCII = true
    for (offset, byte) in text.utf8.enumerated() {
      if byte == 0x0A { starts.append(offset + 1) }
      if byte >= 0x80 { isASCII = false }
    }
    lineStarts = starts
    self.isASCII = isASCII
  }

  public static func == (a: Source, b: Source) -> Bool { a === b }
  public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}
