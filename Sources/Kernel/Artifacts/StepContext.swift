import Foundation
import Ranks

/// What a running op has of its surroundings: progress, checkpoints, children, scratch space.
final class StepContext: RunContext {
  private let store: Store
  private let recipe: StepRecipe
  private let observer: any StepObserver
  /// Held while a step is computed for the store.
  private let lock: StepLock?
  /// Present when the step runs again only to be compared.
  private let verifier: Verifier?
  /// What was warned of, whether now, before an interruption, or when a part was made.
  private(set) var warnings: Set<String> = []
  private var said: Set<String> = []
  /// The step whose run does some work of this one on its way.
  private let first: StepContext?
  private var pace = CheckpointPace()
  private var scratchPath: String?

  init(
    store: Store, recipe: StepRecipe, observer: any StepObserver, lock: StepLock? = nil, verifier: Verifier? = nil,
    beside first: StepContext? = nil
  ) {
    self.store = store
    self.recipe = recipe
    self.observer = observer
    self.lock = lock
    self.verifier = verifier
    self.first = first
    for input in recipe.inputs { lock?.keep(input.key) }
  }

  func progress(_ done: Int, of total: Int, _ unit: String) throws {
    observer.progress(done, of: total, unit)
    try checkCancelled()
  }

  func checkCancelled() throws {
    if observer.isCancelled { throw Diagnostic("`\(recipe.op)` was stopped", kind: .cancelled) }
  }

  func warn(_ sentence: String) {
    warnings.insert(sentence)
    if said.insert(sentence).inserted { observer.warned(sentence) }
  }

  func resumed(at done: Int, of total: Int, _ unit: String) { observer.resumed(at: done, of: total, unit) }

  // Checkpoints.

  private var folder: String { "\(store.root)/partial/\(recipe.key)" }

  private func checkpointPath(_ name: String) -> String {
    let plain = name.unicodeScalars.map { scalar -> String in
      let isPlain = scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || scalar == "-")
      return isPlain ? String(scalar) : "_\(String(scalar.value, radix: 16))"
    }
    return folder + "/" + plain.joined() + ".h5"
  }

  func checkpoint(_ name: String, _ write: (any ArtifactWriter) throws -> Void) throws -> Bool {
    // Beside another step it is not kept in case of need: the step itself will look for it.
    guard pace.isDue || first != nil, verifier == nil else { return false }
    do {
      try pace.timing { try save(name, write) }
      return true
    } catch FileFailure.missing {
      // Another process has finished the step and removed its folder.
      return false
    } catch let error as any Explained {
      throw error.diagnostic
    }
  }

  private func save(_ name: String, _ write: (any ArtifactWriter) throws -> Void) throws {
    try Files.makeFolder(folder)
    let temporary = store.temporaryPath(recipe.key + "-checkpoint")
    do {
      try store.write(to: temporary) { writer in
        try write(writer)
        _ = try writer.finish(
          ObjectRecord(
            key: recipe.key, type: ArtifactType("checkpoint"), op: recipe.op, revision: recipe.revision,
            call: recipe.call, summary: name, step: recipe.record, facts: [:], warnings: warnings.sorted(), lineage: [:]
          ))
      }
      try Files.publish(temporary, as: checkpointPath(name))
    } catch {
      Files.remove(temporary)
      throw error
    }
  }

  func checkpoint(named name: String) throws -> (any ArtifactReader)? {
    let path = checkpointPath(name)
    guard !recipe.isFresh, try Files.exists(path) else { return nil }
    do {
      let file = try HDF5File(reading: path)
      let header = try Store.header(in: file, key: recipe.key)
      guard header.type.name == "checkpoint" else { throw ObjectDamage.notAnObject }
      let reader = try ObjectReader(file, key: recipe.key, store: nil)
      try reader.verify()
      header.warnings.forEach(warn)
      return reader
    } catch {
      // A checkpoint only saves time; a bad one is as good as none.
      Files.remove(path)
      return nil
    }
  }

  func discardCheckpoint(_ name: String) { Files.remove(checkpointPath(name)) }

  // Children.

  /// What the key of a child is made of: the parent's op, its inputs, and what the op says the part depends on. Not the
  /// parent's parameters: another call may need the same part.
  private func childStep(_ part: String, _ parameters: [String: JSONValue]) -> JSONValue {
    var step = recipe.record.objectValue ?? [:]
    step["part"] = .string(part)
    step["parameters"] = .object(parameters)
    return .object(step)
  }

  func child<A: Artifact>(
    _ type: A.Type, part: String, parameters: [String: JSONValue], make: () throws -> A
  ) throws -> ArtifactReference {
    try explained { try publishedChild(part, parameters, make) }
  }

  private func publishedChild<A: Artifact>(
    _ part: String, _ parameters: [String: JSONValue], _ make: () throws -> A
  ) throws -> ArtifactReference {
    let step = childStep(part, parameters)
    let key = SHA256.hex(of: step.canonical)
    lock?.keep(key)
    let known = try store.header(of: key)
    if !recipe.isFresh, let known { return use(known) }
    let before = warnings
    warnings = []
    defer { warnings.formUnion(before) }
    let value = try make()
    let record = ObjectRecord(
      key: key, type: A.type, op: recipe.op, revision: recipe.revision, call: "\(recipe.op) part=\(part)",
      summary: value.summary, step: step, facts: [:], warnings: warnings.sorted(),
      lineage: try store.lineage(of: recipe.inputs))
    if let verifier, let known {
      try verifier.compare(value, record, part: part)
      return known.reference
    }
    return try store.publish(value, record)
  }

  /// A part that was there brings its warnings along.
  private func use(_ part: Store.Header) -> ArtifactReference {
    part.warnings.forEach(warn)
    return part.reference
  }

  func existingChild(part: String, parameters: [String: JSONValue]) throws -> ArtifactReference? {
    if recipe.isFresh { return nil }
    let key = SHA256.hex(of: childStep(part, parameters).canonical)
    lock?.keep(key)
    return try store.header(of: key).map(use)
  }

  var open: @Sendable (ArtifactReference) throws -> any ArtifactReader { { [store] in try store.open($0) } }

  func line(of reference: ArtifactReference, through input: String) throws -> [String] {
    let steps = Dictionary(
      try store.ancestry(of: reference.key).map { ($0.content, $0.step) }, uniquingKeysWith: { first, _ in first })
    var line = [reference.content]
    while let step = steps[line[line.count - 1]], let before = Ancestor.contents(step["inputs"]?[input])?.first,
      !line.contains(before)
    {
      line.append(before)
    }
    return line
  }

  func beside(_ recipe: StepRecipe) -> (any RunContext)? {
    guard verifier == nil else { return nil }
    return StepContext(
      store: store, recipe: recipe, observer: Unheard { [observer] in observer.isCancelled }, lock: lock, beside: self)
  }

  // Means.

  var memoryLimit: Int { store.memoryLimit }
  let ranks: any Communicator = OneRank()

  var scratch: String {
    if let first { return first.scratch }
    if let scratchPath { return scratchPath }
    let path = store.temporaryPath(recipe.key, "scratch")
    // When it cannot be made, the first file written there says why.
    try? Files.makeFolder(path)
    scratchPath = path
    return path
  }

  func removeScratch() {
    if let scratchPath { Files.remove(scratchPath) }
  }
}

/// Decides which checkpoints are worth their cost: the first always, later ones when saving takes less than 5 % of the
/// time worked since the last.
struct CheckpointPace {
  static let share = 0.05
  private var cost: Duration?
  private var last = ContinuousClock.now

  var isDue: Bool {
    guard let cost else { return true }
    return cost / (ContinuousClock.now - last) <= CheckpointPace.share
  }

  mutating func timing(_ save: () throws -> Void) rethrows {
    let start = ContinuousClock.now
    try save()
    last = ContinuousClock.now
    cost = last - start
  }
}
