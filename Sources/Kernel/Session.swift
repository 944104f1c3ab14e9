/// Carries out checked plans against a store: one value for the shell, scripts, `-c` and tests alike.
public final class Session {
  public struct Options {
    public enum Fresh: Equatable { case none, all, names(Set<String>) }
    /// Which steps are computed although the store has them.
    public var fresh = Fresh.none
    /// Whether the other cells of a sweep go on when one fails.
    public var keepsGoing = false
    /// Whether names bound by former sessions can be used: in the shell and for `-c`, not in script files.
    public var seesStoredNames = false
    /// Numbers or titles of the notebook cells to carry out; nil for all. What they need from others is made or found.
    public var cells: [String]?
    /// Numbers of steps, from 1 in the order of the plan, to make and nothing else; nil for the whole script. What they
    /// need from others must be in the store.
    public var steps: Set<Int>?
    /// `name=value` for the script's `param`s.
    public var overrides: [(name: String, text: String)] = []
    public init() {}
  }

  public let catalog: Catalog
  public let store: any StepStore
  public var options: Options
  /// The names of this session.
  public internal(set) var environment = Environment()
  /// What the names of the workspace were bound to when this session began or first used them, oldest first. Another
  /// process may bind them anew meanwhile; here they keep their values until `synchronize`.
  private var seen: [String: [String]] = [:]
  /// Statements evaluated so far, as typed.
  public private(set) var history: [String] = []
  let observer: any SessionObserver
  let meta: any MetaHandler

  public init(
    catalog: Catalog, store: any StepStore, observer: any SessionObserver, meta: any MetaHandler,
    options: Options = Options()
  ) {
    self.catalog = catalog
    self.store = store
    self.observer = observer
    self.meta = meta
    self.options = options
  }

  /// From now on all names of the workspace keep the values they have. A session that is not held sees each name as it is
  /// when it is first used.
  public func holdNames() {
    guard options.seesStoredNames else { return }
    seen = Dictionary(uniqueKeysWithValues: ((try? store.names()) ?? []).map { ($0, (try? store.keys(of: $0)) ?? []) })
  }

  /// The keys a name of the workspace was bound to, as this session sees it.
  /// - Throws: when they cannot be read.
  func storedKeys(of name: String) throws -> [String] {
    if let known = seen[name] { return known }
    // What this session binds is counted by its environment.
    guard environment.depth(name) == 0 else { return [] }
    let keys = try store.keys(of: name)
    if keys.isEmpty { return [] }
    seen[name] = keys
    return keys
  }

  /// This session binds a name; the same value bound again is one binding.
  func binds(_ name: String, to key: String) {
    if environment.depth(name) == 0, (try? storedKeys(of: name).last) == key { seen[name]?.removeLast() }
  }

  /// The names that another process has bound to another value than they have here.
  public var reboundElsewhere: [String] {
    guard options.seesStoredNames else { return [] }
    return ((try? store.names()) ?? []).filter { name in
      let here: String?
      switch environment[name] {
      case .artifact(let node)?: here = node.handle?.reference.key
      case .family(let family)?: here = family.stored.handle?.reference.key
      case nil: here = seen[name]?.last
      default: return false
      }
      return here != nil && (try? store.keys(of: name).last) != here
    }
  }

  /// Takes over what other processes have bound names to.
  /// - Returns: the names whose values changed.
  public func synchronize() -> [String] {
    let changed = reboundElsewhere
    // Their values are in the store, which is looked at anew.
    for name in environment.names where environment[name]?.handle != nil { environment.drop(name) }
    seen = [:]
    holdNames()
    return changed
  }

  /// Checks a source as it would be run here.
  public func check(_ source: Source) -> Checker.Result { checker.check(source, in: environment) }

  private var checker: Checker {
    var checker = Checker(catalog)
    checker.overrides = options.overrides
    checker.checkMeta = { [unowned self] call, reads in try meta.check(call, reads: reads, in: self) }
    checker.isCancelled = { [unowned self] in observer.isCancelled }
    if options.seesStoredNames { checker.storedNames = StoreNames(session: self) }
    return checker
  }

  /// Checks a source and, when nothing is wrong with it, carries it out.
  public func run(_ source: Source) -> Outcome {
    let checked = check(source)
    let count = checked.plan.checkedStatements
    if !checked.diagnostics.isEmpty {
      return Outcome(diagnostics: checked.diagnostics, executed: 0, checked: count, isRefused: true)
    }
    if let unknown = unknownChoice(of: checked.plan) {
      return Outcome(diagnostics: [unknown], executed: 0, checked: count, isRefused: true)
    }
    return Execution(session: self, plan: checked.plan).run()
  }

  /// Evaluates what was typed at the prompt.
  public func evaluate(_ text: String) -> Outcome {
    history.append(text)
    return run(Source(name: "<shell>", text: text))
  }

  /// A value by name: of this session, else of the workspace when visible.
  public func value(named name: String) -> PlanValue? {
    if let value = environment[name] { return value }
    let stored = StoreNames(session: self)
    guard options.seesStoredNames, let handle = stored.value(named: name, back: 0) else { return nil }
    return stored.family(handle).map(PlanValue.family) ?? .artifact(PlanNode(handle: handle))
  }

  /// Every name that can be used now.
  public var names: [String] {
    let stored = options.seesStoredNames ? (try? store.names()) ?? [] : []
    return Set(environment.names + stored).sorted()
  }

  /// Forgets a name of this session; its value stays in the store.
  public func drop(_ name: String) {
    environment.drop(name)
    seen[name] = nil
  }

  /// The literal a value stands for: itself, or the field of an artifact, read now.
  /// - Throws: `Diagnostic` when the value has no such field.
  public func literal(_ value: PlanValue) throws -> Literal? {
    switch value {
    case .literal(let literal): return literal
    case .field(let node, let name):
      guard let handle = node.handle else { throw Diagnostic("`\(name)` is asked of a value that does not exist yet") }
      guard let literal = try handle.load().field(name) else {
        throw Diagnostic("this \(node.type.name) has no `\(name)`")
      }
      return literal
    default: return nil
    }
  }

  /// Why the cells or steps to carry out cannot be chosen from a plan.
  func unknownChoice(of plan: Plan) -> Diagnostic? { unknownCell(of: plan) ?? unknownStep(of: plan) }

  /// Why the names to compute anew are none of a plan, which is that of a whole script.
  public func unknownFresh(of plan: Plan) -> Diagnostic? {
    guard case .names(let wanted) = options.fresh, !plan.runsOthers else { return nil }
    let names = Set(plan.steps.flatMap(\.names))
    guard let name = wanted.subtracting(names).min() else { return nil }
    return Diagnostic(
      "--fresh: no step makes a value named `\(name)`",
      hint: nearest(to: name, among: names.sorted()).map { "did you mean `\($0)`?" }, kind: .usage)
  }

  private func unknownStep(of plan: Plan) -> Diagnostic? {
    guard let number = options.steps?.sorted().first(where: { !plan.steps.indices.contains($0 - 1) }) else {
      return nil
    }
    return Diagnostic("there is no step \(number): the script has \(plan.steps.count)", kind: .usage)
  }

  private func unknownCell(of plan: Plan) -> Diagnostic? {
    let notebook = Notebook(plan.source)
    let titles = notebook.cells.map(\.title).filter { !$0.isEmpty }
    for wanted in options.cells ?? [] where notebook.cell(named: wanted) == nil {
      let near = nearest(to: wanted, among: titles)
      let all = notebook.cells.enumerated().map { $1.title.isEmpty ? "\($0 + 1)" : "\($0 + 1) \($1.title)" }
      return Diagnostic(
        "there is no cell `\(wanted)`",
        hint: near.map { "did you mean `\($0)`?" } ?? "cells: \(all.joined(separator: "; "))", kind: .usage)
    }
    return nil
  }
}

/// The store's names for the checker, as a session sees them; a store that cannot be read has none.
struct StoreNames: StoredNames {
  let session: Session
  private var store: any StepStore { session.store }

  func names() -> [String] { (try? store.names()) ?? [] }
  func value(named name: String, back: Int) -> ArtifactHandle? {
    guard let key = try? session.storedKeys(of: name).dropLast(back).last else { return nil }
    return (try? store.find(key)?.handle) ?? nil
  }
  func family(_ handle: ArtifactHandle) -> PlanValue.Family? {
    guard handle.type == Sweep.type else { return nil }
    return (try? handle.load() as? Sweep)?.family(handle, in: store)
  }
  func problem(named name: String) -> Diagnostic? {
    do {
      guard let key = try session.storedKeys(of: name).last else { return nil }
      if try store.find(key) != nil { return nil }
    } catch { return explained(error, op: name) }
    return Diagnostic(
      "the object that `\(name)` names is not in the store", hint: "run the statement that makes it again", kind: .store
    )
  }
}
