import Foundation

/// What names stand for, with their former bindings.
public struct Environment {
  enum Binding {
    case value(PlanValue)
    /// Its statement has an error that was reported; uses of the name say nothing more.
    case faulty
  }
  /// Bindings of each name, newest last.
  private var bindings: [String: [Binding]] = [:]
  /// The value of the last expression, `_`.
  public internal(set) var last: PlanValue?

  public init() {}

  public var names: [String] { bindings.keys.sorted() }

  /// The value a name stands for now.
  public subscript(_ name: String) -> PlanValue? {
    if case .value(let value)? = binding(name) { return value } else { return nil }
  }

  func binding(_ name: String, back: Int = 0) -> Binding? {
    guard let history = bindings[name], back < history.count else { return nil }
    return history[history.count - 1 - back]
  }

  /// How often a name was bound here.
  func depth(_ name: String) -> Int { bindings[name]?.count ?? 0 }

  /// Binding the same object again does not count.
  mutating func bind(_ name: String, _ value: PlanValue) {
    if case .artifact(let node) = value, let key = node.handle?.reference.key,
      case .value(.artifact(let former))? = bindings[name]?.last, former.handle?.reference.key == key
    {
      bindings[name]?.removeLast()
    }
    bindings[name, default: []].append(.value(value))
  }
  mutating func bindFaulty(_ name: String) { bindings[name, default: []].append(.faulty) }

  /// Forgets a name; its value stays in the store.
  public mutating func drop(_ name: String) { bindings[name] = nil }
}

/// Names bound by former sessions, as far as this one may see them.
public protocol StoredNames {
  func names() -> [String]
  func value(named name: String, back: Int) -> ArtifactHandle?
  /// The cells of a value that is a sweep; nil for others.
  func family(_ handle: ArtifactHandle) -> PlanValue.Family?
  /// Why a name that is bound has no value.
  func problem(named name: String) -> Diagnostic?
}

/// Checks scripts against a catalog: turns text into a plan or into every error it holds.
public struct Checker {
  public var catalog: Catalog
  /// `name=value` from the command line; values are literals as they would be written in the script.
  public var overrides: [(name: String, text: String)] = []
  /// Nil where former sessions are not visible (script files).
  public var storedNames: (any StoredNames)?
  /// Whether a file or folder exists, looked up from the working directory.
  public var fileExists: (String) -> Bool
  /// What whoever carries out a meta word knows against it; see `MetaHandler`.
  public var checkMeta: (MetaCall, _ reads: [String]) throws -> Void = { _, _ in }
  /// Whether the check should end before it is done.
  public var isCancelled: () -> Bool = { false }
  /// The text of an included file; nil when it cannot be read.
  public var readFile: (String) -> String?

  public init(_ catalog: Catalog) {
    self.catalog = catalog
    fileExists = { FileManager.default.fileExists(atPath: $0) }
    readFile = { try? Files.script($0) }
  }

  /// The outcome of a check: the plan is complete only when there are no diagnostics.
  public struct Result {
    public var plan: Plan
    public var diagnostics: [Diagnostic]
    /// The errors as printed, with the closing line; empty when there are none.
    public var rendered: String {
      diagnostics.isEmpty ? "" : Diagnostic.rendered(diagnostics, statements: plan.checkedStatements)
    }
  }

  /// Checks the whole source in an environment. Nothing is run and nothing is bound.
  public func check(_ source: Source, in environment: Environment = Environment()) -> Result {
    let elaborator = Elaborator(checker: self, source: source, environment: environment)
    return elaborator.run()
  }
}
