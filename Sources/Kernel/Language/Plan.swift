/// A checked script: every step it will take, loops unrolled, parameters bound, inputs connected. Nothing has run.
public struct Plan {
  public internal(set) var statements: [PlanStatement] = []
  /// Every step once, inputs before what uses them.
  public internal(set) var steps: [PlanNode] = []
  public internal(set) var source: Source
  /// Statements as written, for "checked 14 statements".
  public internal(set) var checkedStatements = 0
  /// The `param`s declared, with the values in force.
  public internal(set) var parameters: [PlanParameter] = []
  /// The files whose text it is, by the names they were read under.
  private(set) var scripts: [String] = []
  /// What it reads from outside the store, each once: its scripts, and the files and folders of its steps.
  public private(set) var reads: [String] = []
  private var isRead: Set<String> = []
  /// Where its statements write files and folders, as absolute paths.
  private var written: Set<String> = []

  init(source: Source) { self.source = source }

  /// What each step is called: the first name that is bound to it.
  var names: [ObjectIdentifier: String] {
    let bound = statements.compactMap { statement -> (ObjectIdentifier, String)? in
      guard case .bind(let name, .artifact(let node), _) = statement.action else { return nil }
      return (ObjectIdentifier(node), name)
    }
    return Dictionary(bound, uniquingKeysWith: { first, _ in first })
  }

  mutating func add(script name: String) {
    scripts.append(name)
    read(name)
  }

  mutating func add(_ node: PlanNode) {
    steps.append(node)
    node.reads.forEach { read($0) }
  }

  mutating func add(_ statement: PlanStatement) {
    statements.append(statement)
    if case .bind(let name, let value, _) = statement.action {
      for node in value.nodes { node.names.insert(name) }
    }
    if case .meta(let call) = statement.action, let target = call.parameters["to"]?.text {
      written.insert(Files.absolute(target))
    }
  }

  private mutating func read(_ path: String) {
    if isRead.insert(path).inserted { reads.append(path) }
  }

  /// Whether it runs scripts of its own, whose names it does not know.
  var runsOthers: Bool {
    statements.contains { if case .meta(let call) = $0.action { call.word.name == "source" } else { false } }
  }

  /// Whether a statement so far writes a file or folder, so that it is there when a later one reads it.
  public func writes(_ path: String) -> Bool {
    guard !written.isEmpty else { return false }
    var path = Files.absolute(path)[...]
    while !path.isEmpty {
      if written.contains(String(path)) { return true }
      path = path[..<(path.lastIndex(of: "/") ?? path.startIndex)]
    }
    return false
  }
}

/// A `param` of a script.
public struct PlanParameter: Sendable {
  public var name: String
  public var value: Literal
  public var defaultValue: Literal
  public var meaning: String?
}

/// One thing the interpreter does. A sweep is unrolled into the statements of its cells, then the binding of the family.
public struct PlanStatement {
  public enum Action {
    /// Makes the value and binds the name. Names inside a `for` block are local: they are not bound in the workspace.
    case bind(name: String, PlanValue, isLocal: Bool)
    /// Makes the value; the shell may show it.
    case value(PlanValue)
    /// Makes the value of one cell of a sweep.
    case cell(PlanNode)
    case meta(MetaCall)
    case assertion(Assertion)
  }
  public var action: Action
  public var span: Span
  /// What must be there for it.
  var values: [PlanValue] {
    switch action {
    case .bind(_, let value, _), .value(let value): return [value]
    case .cell(let node): return [.artifact(node)]
    case .assertion(let assertion): return [assertion.left, assertion.right]
    case .meta(let call): return call.values
    }
  }
  /// The cell of the sweep it belongs to; empty outside sweeps.
  public var coordinates: [Coordinate] = []
  /// The statement under `time` it belongs to; a sweep unrolls into several.
  public var timed: Span?
}

/// Where a sweep stands: `rate` at 20%.
public struct Coordinate: Sendable, Hashable {
  public var name: String
  public var value: Literal
  public init(name: String, value: Literal) {
    self.name = name
    self.value = value
  }
}

extension [Coordinate] {
  /// `rate=20% s=flap`.
  public var written: String { map { "\($0.name)=\($0.value.rendered)" }.joined(separator: " ") }
  /// As events name a cell.
  public var json: JSONValue {
    .object(Dictionary(map { ($0.name, $0.value.canonical) }, uniquingKeysWith: { $1 }))
  }
}

/// A value of the environment, known as far as checking can know it.
public indirect enum PlanValue {
  case artifact(PlanNode)
  case literal(Literal)
  /// `x.rate`: known once `x` is.
  case field(PlanNode, String)
  case list([Item])
  case family(Family)

  public struct Item {
    public var label: String?
    public var value: PlanValue
  }

  /// What a `for` makes: one value per cell.
  public struct Family {
    public var names: [String]
    public var cells: [(coordinates: [Coordinate], node: PlanNode)]
    /// Its object in the store, once it has a name there.
    public let stored = StoredSweep()

    init(names: [String], cells: [(coordinates: [Coordinate], node: PlanNode)]) {
      self.names = names
      self.cells = cells
    }
  }

  public final class StoredSweep {
    public internal(set) var handle: ArtifactHandle?
  }

  /// In a few words, for errors: "mask", "a list of 3", "a sweep of 16".
  public var described: String {
    switch self {
    case .artifact(let node): return node.type.name
    case .literal(let literal): return literal.kind
    case .field(let node, let name): return "the field `\(name)` of \(article(node.type.name))"
    case .list(let items): return "a list of \(items.count)"
    case .family(let family): return "a sweep of \(family.cells.count)"
    }
  }

  /// The object it is, once that is there: an artifact, or a sweep with a name; nil for literals and lists.
  public var handle: ArtifactHandle? {
    switch self {
    case .artifact(let node): return node.handle
    case .family(let family): return family.stored.handle
    case .literal, .field, .list: return nil
    }
  }

  /// The artifacts it is made of, in order.
  public var nodes: [PlanNode] {
    switch self {
    case .artifact(let node), .field(let node, _): return [node]
    case .literal: return []
    case .list(let items): return items.flatMap(\.value.nodes)
    case .family(let family): return family.cells.map(\.node)
    }
  }
}

/// A value that is or will be in the store: a step, or a name bound in a former session.
public final class PlanNode {
  public let type: ArtifactType
  /// What is known of it before it exists.
  public internal(set) var facts: RecordedFacts
  /// The names that stand for it, or for what it is an item or a cell of.
  public internal(set) var names: Set<String> = []
  /// Set once it is there.
  public internal(set) var handle: ArtifactHandle?
  /// The step that did its work on the way, as far as that goes.
  var servedBy: StepInfo?
  /// Why there is none, in a run that goes on past failures.
  public internal(set) var failure: Diagnostic?
  let step: PlanStep?
  /// The op that makes it; nil for a value taken from the workspace by name.
  public var op: String? { step?.bound.signature.name }
  /// The call that makes it, in the source.
  public var span: Span? { step?.span }
  /// The cell of the sweep in which it was first written.
  public var coordinates: [Coordinate] { step?.coordinates ?? [] }
  /// What the op is given, in the order of its inputs.
  public var inputs: [PlanNode] { step?.sources.flatMap { $0.nodes.map(\.node) } ?? [] }

  /// What must be there before the op can run: its inputs, and the values whose fields it takes as parameters.
  public var needs: [PlanNode] { inputs + (step?.deferred.map(\.node) ?? []) }
  /// The files and folders it reads from outside the store.
  public var reads: [String] { step?.sources.flatMap(\.paths) ?? [] }
  /// Whether its value is found again: false for what is measured anew each time.
  public var isRepeatable: Bool { step?.bound.signature.isRepeatable ?? true }

  /// Tells nodes of one plan apart.
  var identity: String { String(UInt(bitPattern: ObjectIdentifier(self)), radix: 16) }

  init(step: PlanStep, facts: RecordedFacts) {
    type = step.bound.signature.output
    self.facts = facts
    self.step = step
  }

  init(handle: ArtifactHandle) {
    type = handle.type
    facts = handle.facts
    self.handle = handle
    step = nil
  }
}

/// A call of an op, checked.
final class PlanStep {
  struct Source {
    var node: PlanNode
    var label: String?
    var coordinates: [Coordinate]
  }
  /// What one input is given: artifacts, or paths for an external one.
  struct InputSources {
    var declaration: InputDeclaration
    var nodes: [Source] = []
    var paths: [String] = []

    /// A failed value may be missing where the op can show the gap, and among the cells of a sweep; elsewhere it would
    /// change the meaning of the step (a `prune` without its mask).
    func toleratesFailure(of source: Source) -> Bool {
      declaration.allowsMissing && declaration.arity == .many || !source.coordinates.isEmpty
    }
  }
  /// A parameter whose value is a field of a value.
  struct Deferred {
    var parameter: String
    var node: PlanNode
    var field: String
    var span: Span
  }

  let bound: BoundOp
  let sources: [InputSources]
  let deferred: [Deferred]
  let span: Span
  /// Spans of the arguments by name, for the caret of a run-time error.
  let argumentSpans: [String: Span]
  let coordinates: [Coordinate]

  init(
    bound: BoundOp, sources: [InputSources], deferred: [Deferred], span: Span, argumentSpans: [String: Span],
    coordinates: [Coordinate]
  ) {
    self.bound = bound
    self.sources = sources
    self.deferred = deferred
    self.span = span
    self.argumentSpans = argumentSpans
    self.coordinates = coordinates
  }

  /// Tells the op what is known of its inputs.
  func fillInputs() {
    for source in sources {
      bound.inputs[source.declaration.name]?.handles = source.nodes.map {
        BoundInput(
          type: $0.node.type, facts: $0.node.handle?.facts ?? $0.node.facts, label: $0.label,
          coordinates: $0.coordinates.map { (name: $0.name, value: $0.value) }, handle: $0.node.handle,
          failure: $0.node.failure?.summary)
      }
    }
  }

  /// What makes two calls of one plan the same step.
  var identity: String {
    let inputs: [String: JSONValue] = Dictionary(
      sources.map { source in
        let nodes = source.nodes.map { given -> JSONValue in
          var entry: [JSONValue] = [.string(given.node.identity)]
          if source.declaration.isLabelled { entry.append(labelRecord(given.label, given.coordinates)) }
          return .array(entry)
        }
        return (source.declaration.name, .array(nodes + source.paths.map(JSONValue.string)))
      }, uniquingKeysWith: { $1 })
    let late: [String: JSONValue] = Dictionary(
      deferred.map { ($0.parameter, .string("\($0.node.identity).\($0.field)")) },
      uniquingKeysWith: { $1 })
    let record: JSONValue = [
      "op": .string(bound.signature.name), "parameters": .object(bound.canonicalParameters), "inputs": .object(inputs),
      "deferred": .object(late),
    ]
    return record.canonical
  }
}

/// How labels and coordinates enter identities and keys: as written, for that is how a result shows them.
func labelRecord(_ label: String?, _ coordinates: [Coordinate]) -> JSONValue {
  [
    "label": label.map(JSONValue.string) ?? .null,
    "coordinates": .array(coordinates.map { [.string($0.name), .string($0.value.rendered)] }),
  ]
}

/// A meta word with its arguments looked up, for the shell to execute.
public struct MetaCall {
  public enum Argument {
    case value(PlanValue, text: String)
    case word(String)
    case literal(Literal)
  }
  public var word: MetaWord
  public var arguments: [Argument]
  public var parameters: [String: Literal]
  public var span: Span
  public var argumentSpans: [String: Span]

  /// The values among its arguments, which must be there for it.
  var values: [PlanValue] {
    zip(arguments, word.arguments).compactMap { argument, declared in
      if case .value(let value, _) = argument, declared.kind == .value { return value }
      return nil
    }
  }
}

/// `assert mk.rate >= 15%`.
public struct Assertion {
  public var left: PlanValue
  public var comparison: Comparison
  public var right: PlanValue
}
