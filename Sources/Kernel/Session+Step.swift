/// Makes the value of one step whose inputs are there: found in the store, or computed and published.
final class StepRunner: StepObserver {
  let session: Session
  let node: PlanNode
  let step: PlanStep
  var info: StepInfo
  private let place: String?
  /// The steps that this run makes later.
  let later: () -> any Sequence<StepRunner>
  private var externals: [(name: String, files: [ExternalFile])] = []

  init(
    session: Session, node: PlanNode, step: PlanStep, info: StepInfo, place: String?,
    later: @escaping () -> any Sequence<StepRunner> = { [] }
  ) {
    self.later = later
    self.session = session
    self.node = node
    self.step = step
    self.info = info
    self.place = place
  }

  private var op: String { step.bound.signature.name }

  func run() throws {
    do {
      try attempt()
    } catch {
      let diagnostic = located(error)
      session.observer.handle(diagnostic.kind == .cancelled ? .cancelled(info) : .failed(info, diagnostic))
      try? record(
        status: diagnostic.kind == .cancelled ? "cancelled" : "failed", ["error": .string(diagnostic.summary)])
      throw diagnostic
    }
  }

  private func attempt() throws {
    if session.observer.isCancelled { throw Diagnostic("stopped", kind: .cancelled) }
    let recipe = try prepared()
    let former = try session.store.find(recipe.key)
    if !recipe.isFresh, let former {
      return try take(former)
    }
    guard isWanted else {
      throw Diagnostic(
        "step \(info.index), `\(info.name ?? op)`, is not in the store, and only other steps were asked for",
        hint: "run it first: --step \(info.index)")
    }
    session.observer.handle(.started(info))
    defer { unload() }
    try load()
    var complete = recipe
    complete.estimate = try wholeEstimate()
    try requireRoom(complete.estimate)
    let companions = try companions(of: recipe, &complete.estimate)
    defer { for companion in companions { companion.runner.unload() } }
    ProcessMemory.restart()
    let clock = ContinuousClock()
    let start = clock.now
    var hasRun = false
    complete.run = { [self] context in
      hasRun = true
      let others = companions.compactMap { other in
        context.beside(other.recipe).map { (runner: other.runner, context: $0) }
      }
      let done = try step.bound.run(context, with: others.map { ($0.runner.step.bound, $0.context) })
      for (other, isServed) in zip(others, done.served) where isServed { served(other.runner) }
      try requireUnchanged(recipe.externals)
      return done.value
    }
    let made = try session.store.perform(complete, observer: self)
    guard hasRun else {
      // Another process made it while this one waited.
      return try take(made)
    }
    let seconds = (clock.now - start).seconds
    node.handle = made.handle
    let hasChanged = former.map { $0.handle.reference.content != made.handle.reference.content }
    session.observer.handle(.finished(info, made, seconds: seconds, hasChanged: hasChanged))
    var entry: [String: JSONValue] = [
      "content": .string(made.handle.reference.content), "seconds": .number(seconds),
      "memory": .integer(ProcessMemory.peak), "estimate": .integer(complete.estimate.memory),
    ]
    if !info.with.isEmpty { entry["with"] = .array(info.with.compactMap { $0.key.map(JSONValue.string) }) }
    try record(status: "finished", entry)
  }

  func load() throws { for input in step.bound.inputs.values { try input.load() } }
  func unload() { for input in step.bound.inputs.values { input.unload() } }

  /// What running would need; its inputs are looked at, and its value is not made.
  func estimate() throws -> Resources {
    defer { unload() }
    try load()
    return try step.bound.estimate(within: session.store.memoryLimit)
  }

  /// Buffers of libraries, and of the file that is written.
  private static let workingRoom = 8 << 20

  /// What running will need now that the inputs are there. Memory is that of the whole process: what it holds already,
  /// and what the op says, with a sixteenth more for what is rounded up.
  func wholeEstimate(with companions: [StepRunner] = []) throws -> Resources {
    var estimate = try step.bound.estimate(
      within: session.store.memoryLimit, with: companions.map(\.step.bound))
    ProcessMemory.release()
    estimate.memory = [estimate.memory / 16, ProcessMemory.resident, StepRunner.workingRoom].reduce(
      estimate.memory, sum)
    return estimate
  }

  /// What the store had; what was warned of when it was made is as true now.
  private func take(_ stored: StoredStep) throws {
    node.handle = stored.handle
    stored.warnings.forEach(warned)
    session.observer.handle(.cached(info, stored))
    try record(status: "cached", ["content": .string(stored.handle.reference.content)])
  }

  /// Binds what was not known when the script was checked, and computes the key.
  func prepared() throws -> StepRecipe {
    try bindLateParameters()
    try hashExternals()
    dropFailedInputs()
    node.facts = try step.bound.check()
    let record = keyRecord()
    let key = SHA256.hex(of: record.canonical)
    info.key = key
    return StepRecipe(
      key: key, record: record, op: op, revision: step.bound.signature.revision,
      parameters: step.bound.canonicalParameters,
      inputs: step.sources.flatMap { $0.nodes.compactMap { $0.node.handle?.reference } },
      externals: externals.flatMap(\.files), outputType: BoundOp.output(of: type(of: step.bound.op)), facts: node.facts,
      call: callText(), estimate: Resources(), isFresh: isFresh, place: place, run: { [step] in try step.bound.run($0) }
    )
  }

  private var isWanted: Bool { session.options.steps?.contains(info.index) ?? true }

  private var isFresh: Bool {
    if !isWanted { return false }
    switch session.options.fresh {
    case .none: return false
    case .all: return true
    case .names(let names): return !node.names.isDisjoint(with: names)
    }
  }

  private func bindLateParameters() throws {
    for late in step.deferred {
      do {
        guard let literal = try session.literal(.field(late.node, late.field)) else { continue }
        try step.bound.parameters[late.parameter]?.bind(literal)
      } catch {
        var diagnostic =
          (error as? any Explained)?.diagnostic ?? CheckError(binding: late.parameter, of: op, error).diagnostic
        diagnostic.span = late.span
        throw diagnostic
      }
    }
  }

  private func hashExternals() throws {
    externals = []
    for source in step.sources where source.declaration.isExternal {
      let files: [ExternalFile]
      do {
        let declared = source.declaration
        files = try source.paths.map { path in
          let isFile = try declared.takesFile && !Files.isFolder(path)
          return try session.store.external(path, files: isFile ? [] : declared.files + declared.further(path))
        }
      } catch {
        var diagnostic = explained(error, op: op)
        if diagnostic.argument == nil { diagnostic.argument = source.declaration.name }
        throw diagnostic
      }
      step.bound.externals[source.declaration.name]?.bound = files
      externals.append((source.declaration.name, files))
    }
  }

  /// What was read must be what the key says was read.
  private func requireUnchanged(_ before: [ExternalFile]) throws {
    try hashExternals()
    for (old, new) in zip(before, externals.flatMap(\.files)) where old != new {
      throw Diagnostic("\(old.path) changed while it was read", hint: "run again when it is complete")
    }
  }

  /// Failed sweep cells stay as gaps where the op can show them, and are left out elsewhere.
  private func dropFailedInputs() {
    step.fillInputs()
    for source in step.sources where !source.declaration.allowsMissing {
      step.bound.inputs[source.declaration.name]?.handles.removeAll { $0.failure != nil }
    }
  }

  /// What the step is: op, revision, parameters after defaults, contents of inputs. No names, paths or clocks; what is
  /// not repeatable is told apart by a number drawn for it.
  private func keyRecord() -> JSONValue {
    var inputs: [String: JSONValue] = [:]
    for source in step.sources {
      let name = source.declaration.name
      // Left out, an external says nothing; so an op may be given one later without other keys.
      if source.declaration.isExternal, source.paths.isEmpty { continue }
      if let files = externals.first(where: { $0.name == name })?.files {
        inputs[name] = .array(files.map { .string($0.content) })
        continue
      }
      let given = step.bound.inputs[name]?.handles ?? []
      inputs[name] = .array(
        given.map { input in
          let content: JSONValue = input.handle.map { .string($0.reference.content) } ?? .null
          guard source.declaration.isLabelled else { return content }
          let coordinates = input.coordinates.map { Coordinate(name: $0.name, value: $0.value) }
          var entry: [String: JSONValue] = ["content": content, "as": labelRecord(input.label, coordinates)]
          entry["failure"] = input.failure.map(JSONValue.string)
          return .object(entry)
        })
    }
    var own: [String: JSONValue] = [
      "op": .string(op), "revision": .integer(step.bound.signature.revision),
      "parameters": .object(step.bound.canonicalParameters), "inputs": .object(inputs),
    ]
    if !step.bound.signature.isRepeatable {
      own["taken"] = .string(String(UInt64.random(in: .min ... .max), radix: 16))
    }
    return .object(session.catalog.conditions.merging(own) { _, own in own })
  }

  /// `flap 3fa91c02 metric=wifv`, ASCII.
  private func callText() -> String {
    var parts = [op]
    for source in step.sources {
      let contents =
        externals.first { $0.name == source.declaration.name }?.files.map(\.content)
        ?? source.nodes.compactMap { $0.node.handle?.reference.content }
      let short = contents.map { String($0.prefix(8)) }
      if short.isEmpty { continue }
      parts += source.declaration.isNamed ? [source.declaration.name + "=" + short.joined(separator: ",")] : short
    }
    let idle = step.bound.op.idleParameters
    for parameter in step.bound.signature.parameters where !idle.contains(parameter.name) {
      guard let bound = step.bound.parameters[parameter.name], bound.recorded != nil, let literal = bound.literal,
        literal != .none
      else { continue }
      parts.append("\(parameter.name)=\(literal.rendered)")
    }
    return parts.joined(separator: " ").unicodeScalars.map { $0.isASCII ? String($0) : "?" }.joined()
  }

  /// - Throws: `Diagnostic` of kind `refused` when memory or disk would not suffice.
  func requireRoom(_ need: Resources) throws {
    let limit = session.store.memoryLimit
    if need.memory > limit {
      throw Diagnostic(
        "`\(op)` needs about \(byteText(need.memory)) of memory, and \(byteText(limit)) may be used",
        hint: "raise the limit with `--memory` or `set memory.max`", kind: .refused)
    }
    guard need.disk > 0 else { return }
    let free = try session.store.freeDisk()
    if need.disk > free {
      throw Diagnostic(
        "`\(op)` writes about \(byteText(need.disk)), and \(byteText(free)) are free on the store's disk",
        hint: "make room with `prn gc --apply`, or use another `--workspace`", kind: .refused)
    }
  }

  /// The error with the span of the argument it names, else of the call.
  private func located(_ error: any Error) -> Diagnostic {
    var diagnostic = explained(error, op: op)
    if diagnostic.span == nil {
      diagnostic.span = diagnostic.argument.flatMap { step.argumentSpans[$0] } ?? step.span
    }
    // A usage error promises that nothing was run; past the check it is a failure.
    if diagnostic.kind == .usage { diagnostic.kind = .failure }
    return diagnostic
  }

  private func record(status: String, _ more: [String: JSONValue]) throws {
    var entry: [String: JSONValue] = [
      "event": "step", "op": .string(op), "status": .string(status), "place": place.map(JSONValue.string) ?? .null,
      "text": .string(step.span.text),
    ]
    entry["key"] = info.key.map(JSONValue.string)
    entry["name"] = info.name.map(JSONValue.string)
    try session.store.record(entry.merging(more) { $1 })
  }

  // MARK: StepObserver

  func progress(_ done: Int, of total: Int, _ unit: String) {
    session.observer.handle(.progress(info, done: done, total: total, unit: unit))
  }
  func resumed(at done: Int, of total: Int, _ unit: String) {
    // What another step did for this one is not an interrupted run of its own.
    if node.servedBy == nil { session.observer.handle(.resumed(info, done: done, total: total, unit: unit)) }
  }
  func warned(_ sentence: String) { session.observer.handle(.warned(info, sentence)) }
  func waiting(forProcess pid: Int) { session.observer.handle(.waiting(info, process: pid)) }
  var isCancelled: Bool { session.observer.isCancelled }
}

/// The sum, or what is largest where there is none.
private func sum(_ a: Int, _ b: Int) -> Int {
  let (sum, isTooLarge) = a.addingReportingOverflow(b)
  return isTooLarge ? .max : sum
}

/// "1.5 GiB".
public func byteText(_ count: Int) -> String {
  var value = Double(count)
  for unit in ["B", "KiB", "MiB", "GiB"] {
    if value < 1024 { return unit == "B" ? "\(count) B" : "\((value * 10).rounded() / 10) \(unit)" }
    value /= 1024
  }
  return "\((value * 10).rounded() / 10) TiB"
}
