import Foundation
import Kernel

/// Executes the meta words: everything a script can ask for that is not a value.
final class MetaWords: MetaHandler {
  let store: Store
  let console: Console
  let settings: Settings
  let outputs: Outputs
  /// Former statements, for `history`.
  var formerStatements: () -> [String] = { [] }
  /// Set by `quit`: the error it stops the script with is none.
  private(set) var isQuitting = false

  init(store: Store, console: Console, settings: Settings, outputs: Outputs) {
    self.outputs = outputs
    self.store = store
    self.console = console
    self.settings = settings
  }

  /// What `quit` stops a script with.
  static let quit = Diagnostic("quit", kind: .cancelled)

  func check(_ call: MetaCall, reads: [String], in session: Session) throws {
    switch call.word.name {
    case "show":
      _ = (try call.rows, try call.positions("layers"))
      let shown = showable(session)
      try call.check(
        Dictionary(
          uniqueKeysWithValues: ["layers", "network"].map { name in
            (name, Set(shown.filter { $0.value.tableParameters.contains(name) }.keys))
          }))
      guard call.parameters["rows"] != nil, case .value(let value, _)? = call.arguments.first else { return }
      switch value {
      case .literal, .field:
        throw Diagnostic(
          "rows= chooses rows of a table, and \(value.described) is none", argument: "rows", kind: .usage)
      case .artifact, .list, .family: break
      }
    case "plot":
      let shown = showable(session)
      try call.check(
        Dictionary(
          uniqueKeysWithValues: ["x", "y", "by", "layers"].map { name in
            (name, Set(shown.filter { $0.value.figureParameters.contains(name) }.keys))
          }), ofSweeps: ["x", "y", "by"])
      _ = try call.positions("layers")
      try call.checkIsArtifact()
      try plotter.check(call, reads: reads)
    case "export": try exporter(session).check(call, reads: reads)
    case "help": _ = try Help.text(call.word(0), session.catalog)
    case "info", "why", "pin", "unpin", "verify": try call.checkIsArtifact()
    default: break
    }
  }

  private func showable(_ session: Session) -> [String: any Showable.Type] {
    session.catalog.artifactTypes.compactMapValues { $0 as? any Showable.Type }
  }

  private var plotter: Plotter { Plotter(store: store, console: console, outputs: outputs) }

  private func exporter(_ session: Session) -> Exporter {
    Exporter(store: store, console: console, session: session, outputs: outputs)
  }

  func perform(_ call: MetaCall, in session: Session) throws {
    switch call.word.name {
    case "help": console.explain(try Help.text(call.word(0), session.catalog))
    case "vars": try vars(call.word(0), session)
    case "show": try show(call, session)
    case "info":
      console.show(try Inspection(store: store).info(try call.handle().reference.key), name: call.name, showsAll: true)
    case "why": try why(call.name)
    case "plot": try plotter.plot(call)
    case "export": try exporter(session).export(call)
    case "history": history(call.literal(0))
    case "set": try set(call)
    case "source": try source(call, session)
    case "pin":
      try store.pin(try call.handle().reference.key)
      console.remark("\(call.name)  is kept by gc")
    case "drop":
      let isStored = try store.names().contains(call.name)
      guard isStored || session.environment[call.name] != nil else {
        throw Diagnostic("`drop` forgets names, and `\(call.name)` is none", argument: "name", kind: .usage)
      }
      let key = isStored ? try? store.key(of: call.name) : nil
      if isStored { try store.drop(call.name) }
      session.drop(call.name)
      if let key, try store.isPinned(key) {
        console.remark("\(call.name)  stays pinned: gc keeps its value until it has a name again to unpin it by")
      }
    case "unpin":
      guard try store.unpin(try call.handle().reference.key) else {
        throw Diagnostic("`\(call.name)` is not pinned", argument: "value", kind: .usage)
      }
      console.remark("\(call.name)  is collected once it has no name")
    case "sync": sync(session)
    case "verify":
      let isSame =
        try Verify(store: store, console: console, catalog: session.catalog, meta: self)
        .run(try call.handle(), call.name) == 0
      guard isSame else { throw Diagnostic("`\(call.name)` is not what its lineage makes", argument: "value") }
    case "gc": try StoreCommands(store: store, console: console).collect(Options())
    case "fsck":
      guard try StoreCommands(store: store, console: console).check() == 0 else {
        throw Diagnostic("objects of the store are damaged", kind: .store)
      }
    case "du": DiskUse(store: store, console: console).show()
    case "quit":
      isQuitting = true
      throw MetaWords.quit
    default: throw Diagnostic("`\(call.word.name)` cannot be carried out here", kind: .usage)
    }
  }

  private func vars(_ type: String?, _ session: Session) throws {
    console.show(try Inspection(store: store).variables(session, type: type), name: "vars", showsAll: true)
  }

  private func show(_ call: MetaCall, _ session: Session) throws {
    let request = ShowRequest(
      name: call.name, layers: try call.positions("layers"), by: call.text("by"), network: call.text("network"))
    try ValuePresenter(session: session, store: store, console: console).show(
      try call.value(), request, rows: try call.rows)
  }

  private func sync(_ session: Session) {
    let changed = session.synchronize()
    console.remark(
      changed.isEmpty
        ? "all names are as they were" : "\(changed.joined(separator: ", ")): taken over from the workspace")
  }

  private func why(_ name: String) throws {
    let text = try Inspection(store: store).why(name)
    console.show(text, name: name)
  }

  private func history(_ pattern: Literal?) {
    var statements = formerStatements()
    switch pattern {
    case .integer(let count)?: statements = Array(statements.suffix(max(0, count)))
    case let literal?: statements = statements.filter { $0.contains(PlainText.of(literal)) }
    case nil: break
    }
    if !statements.isEmpty { console.show(statements.joined(separator: "\n"), name: "history") }
  }

  private func set(_ call: MetaCall) throws {
    guard let key = call.word(0) else {
      return console.show(settings.table, name: "set", showsAll: true)
    }
    guard let value = call.literal(1) else {
      return console.show(try settings.described(key), name: key)
    }
    try settings.set(key, value)
  }

  private func source(_ call: MetaCall, _ session: Session) throws {
    guard case .path(let path)? = call.literal(0) else { throw Diagnostic("`source` needs a path", kind: .usage) }
    let outcome = session.run(try ScriptFile.read(path))
    if let first = outcome.diagnostics.first { throw first }
  }
}

extension MetaCall {
  /// The text of the first argument as written, usually a name.
  var name: String {
    switch arguments.first {
    case .value(_, let text)?: return Console.oneLine(text)
    case .word(let text)?: return text
    case .literal(let literal)?: return literal.rendered
    case nil: return word.name
    }
  }

  func word(_ index: Int) -> String? {
    guard arguments.indices.contains(index) else { return nil }
    switch arguments[index] {
    case .word(let text): return text
    case .literal(let literal): return PlainText.of(literal)
    case .value: return nil
    }
  }

  func literal(_ index: Int) -> Literal? {
    guard arguments.indices.contains(index) else { return nil }
    switch arguments[index] {
    case .literal(let literal): return literal
    case .word(let text): return .symbol(text)
    case .value(.literal(let literal), _): return literal
    case .value: return nil
    }
  }

  func value() throws -> PlanValue {
    guard case .value(let value, _)? = arguments.first else {
      throw Diagnostic("`\(word.name)` needs a value", kind: .usage)
    }
    return value
  }

  /// The finished artifact given.
  func handle() throws -> ArtifactHandle {
    let value = try value()
    if let handle = value.handle { return handle }
    try checkIsArtifact()
    if case .artifact = value { throw Diagnostic("`\(name)` was not computed", argument: "value") }
    throw Diagnostic("`\(name)` has no name in the workspace, or cells that failed", argument: "value", kind: .usage)
  }

  /// Refuses numbers, words and lists, of which the workspace knows nothing.
  func checkIsArtifact() throws {
    switch try value() {
    case .artifact, .family: break
    case .literal, .field, .list:
      throw Diagnostic(
        "`\(name)` is \(try value().described), and `\(word.name)` needs an artifact", argument: "value", kind: .usage)
    }
  }

  func text(_ parameter: String) -> String? { parameters[parameter].map(PlainText.of) }

  var rows: RowChoice? {
    get throws {
      if case .integer(let count)? = parameters["rows"], count >= 0 { return .first(count) }
      return try positions("rows").map(RowChoice.positions)
    }
  }

  /// Refuses parameters that the value given does not obey.
  /// - Parameter ofSweeps: those that a sweep obeys.
  func check(_ obeyed: [String: Set<String>], ofSweeps: Set<String> = []) throws {
    for name in parameters.keys.sorted() {
      guard let types = obeyed[name], case .value(let value, _)? = arguments.first else { continue }
      if case .artifact(let node) = value, types.contains(node.type.name) { continue }
      if case .family = value, ofSweeps.contains(name) { continue }
      let what = "`\(self.name)`" + (self.name == value.described ? "" : ", \(value.described),")
      throw Diagnostic(
        "\(name)= means nothing for \(what)",
        hint: types.isEmpty ? nil : "values of these types have it: \(types.sorted().joined(separator: ", "))",
        argument: name, kind: .usage)
    }
  }

  func positions(_ parameter: String) throws -> Positions? {
    guard let literal = parameters[parameter] else { return nil }
    do { return try Positions(literal: literal) } catch {
      throw Diagnostic("`\(parameter)` takes positions such as 0..3", argument: parameter, kind: .usage)
    }
  }
}
