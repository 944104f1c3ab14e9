import Kernel
import Ranks

/// A store in memory: values by key, content hashed from the toy's text.
final class MemoryStore: StepStore {
  var objects: [String: StoredStep] = [:]
  var bindings: [String: [ArtifactReference]] = [:]
  var journal: [[String: JSONValue]] = []
  var performed: [StepRecipe] = []
  var files: [String: String] = [:]
  var memoryLimit = 1 << 30

  func find(_ key: String) throws -> StoredStep? { objects[key] }

  func perform(_ recipe: StepRecipe, observer: any StepObserver) throws -> StoredStep {
    performed.append(recipe)
    let value = try recipe.run(MemoryContext(observer))
    let text = (value as? any ToyArtifact)?.text ?? recipe.record.canonical
    let reference = ArtifactReference(key: recipe.key, content: SHA256.hex(of: text))
    let handle = ArtifactHandle(
      type: type(of: value).type, reference: reference, facts: recipe.facts, loader: { value })
    let stored = StoredStep(handle: handle, summary: value.summary, seconds: 1, bytes: 10)
    objects[recipe.key] = stored
    return stored
  }

  func external(_ path: String, files patterns: [String]) throws -> ExternalFile {
    ExternalFile(path: path, content: SHA256.hex(of: files[path] ?? "content of any file"))
  }

  func names() throws -> [String] { bindings.keys.sorted() }
  func value(named name: String, back: Int) throws -> ArtifactHandle? {
    guard let all = bindings[name], back < all.count else { return nil }
    return objects[all[all.count - 1 - back].key]?.handle
  }
  func keys(of name: String) throws -> [String] { (bindings[name] ?? []).map(\.key) }
  func bind(_ name: String, to reference: ArtifactReference) throws {
    if bindings[name]?.last != reference { bindings[name, default: []].append(reference) }
  }
  func record(_ entry: [String: JSONValue]) throws { journal.append(entry) }
  func freeDisk() throws -> Int { 1 << 40 }
}

final class MemoryContext: RunContext {
  let observer: any StepObserver
  init(_ observer: any StepObserver) { self.observer = observer }
  func progress(_ done: Int, of total: Int, _ unit: String) throws { try checkCancelled() }
  func checkCancelled() throws { if observer.isCancelled { throw Diagnostic("stopped", kind: .cancelled) } }
  func warn(_ sentence: String) { observer.warned(sentence) }
  func checkpoint(_ name: String, _ write: (any ArtifactWriter) throws -> Void) throws -> Bool { false }
  func checkpoint(named name: String) throws -> (any ArtifactReader)? { nil }
  func resumed(at done: Int, of total: Int, _ unit: String) {}
  func discardCheckpoint(_ name: String) {}
  func child<A: Artifact>(_ type: A.Type, part: String, parameters: [String: JSONValue], make: () throws -> A) throws
    -> ArtifactReference
  { throw Diagnostic("toys have no children") }
  func existingChild(part: String, parameters: [String: JSONValue]) throws -> ArtifactReference? { nil }
  var open: @Sendable (ArtifactReference) throws -> any ArtifactReader {
    { _ in throw Diagnostic("toys have no children") }
  }
  func line(of reference: ArtifactReference, through input: String) throws -> [String] { [reference.content] }
  func beside(_ recipe: StepRecipe) -> (any RunContext)? { MemoryContext(observer) }
  var memoryLimit: Int { 1 << 30 }
  var scratch: String { "/nowhere" }
  let ranks: any Communicator = OneRank()
}

/// Collects events as short texts.
final class SessionListener: SessionObserver, MetaHandler {
  var lines: [String] = []
  var metas: [MetaCall] = []
  var isCancelled = false
  /// Whether it cancels as soon as something is carried out.
  var cancelsWork = false

  func handle(_ event: SessionEvent) {
    switch event {
    case .statement: if cancelsWork { isCancelled = true }
    case .started: break
    case .cached(let step, _): lines.append("\(step.name ?? step.op) cached")
    case .finished(let step, _, _, let changed):
      lines.append("\(step.name ?? step.op) made" + (changed.map { $0 ? " changed" : " unchanged" } ?? ""))
    case .failed(let step, let error): lines.append("\(step.name ?? step.op) failed: \(error.summary)")
    case .cancelled(let step): lines.append("\(step.name ?? step.op) cancelled")
    case .bound(let name, _): lines.append("bound \(name)")
    case .value(let value, _): lines.append("value \(value.described)")
    case .timed: lines.append("timed")
    case .asserted: lines.append("asserted")
    case .progress, .resumed, .warned, .waiting: break
    }
  }

  func perform(_ call: MetaCall, in session: Session) throws {
    metas.append(call)
    lines.append(call.word.name)
  }
}
