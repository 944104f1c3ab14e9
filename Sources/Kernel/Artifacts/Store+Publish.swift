import Foundation

// Running a step and giving its result a place.

extension Store {
  public func perform(_ recipe: StepRecipe, observer: any StepObserver) throws -> StoredStep {
    try explained { try attempt(recipe, observer) }
  }

  private func attempt(_ recipe: StepRecipe, _ observer: any StepObserver) throws -> StoredStep {
    if !recipe.isFresh, let done = try find(recipe.key) { return done }
    try prepare()
    try Files.checkWritable(root)
    let lock = try StepLock(
      path: "\(root)/locks/\(recipe.key)",
      waiting: { observer.waiting(forProcess: $0) }, isCancelled: { observer.isCancelled })
    defer { lock.release() }
    // Whoever held the lock may have made it.
    if !recipe.isFresh || lock.hadToWait, let done = try find(recipe.key) { return done }
    let context = StepContext(store: self, recipe: recipe, observer: observer, lock: lock)
    defer { context.removeScratch() }
    let start = ContinuousClock.now
    let value = try recipe.run(context)
    let reference = try publish(value, record(recipe, summary: value.summary, warnings: context.warnings))
    let passed = (ContinuousClock.now - start) / .milliseconds(1)
    var entry = options.environment
    entry.merge([
      "event": "publish", "key": .string(recipe.key), "content": .string(reference.content), "op": .string(recipe.op),
      "seconds": .number(passed.rounded() / 1000), "record": recipe.record, "call": .string(recipe.call),
    ]) { $1 }
    if let place = recipe.place { entry["place"] = .string(place) }
    try record(entry)
    Files.remove("\(root)/partial/\(recipe.key)")
    guard let done = try find(recipe.key) else {
      throw StoreFailure.unfinished(reason: "the object is not there").diagnostic
    }
    return done
  }

  func record(_ recipe: StepRecipe, summary: String, warnings: Set<String>) throws -> ObjectRecord {
    ObjectRecord(
      key: recipe.key, type: recipe.outputType.type, op: recipe.op, revision: recipe.revision, call: recipe.call,
      summary: summary, step: recipe.record, facts: recipe.facts, warnings: warnings.sorted(),
      lineage: try lineage(of: recipe.inputs))
  }

  /// The steps behind some values, by key.
  func lineage(of inputs: [ArtifactReference]) throws -> [String: JSONValue] {
    var steps: [String: JSONValue] = [:]
    for input in inputs {
      let own = try used(input.key) {
        try ObjectReader.json("provenance/lineage", in: try HDF5File(reading: objectPath(input.key))).objectValue ?? [:]
      }
      steps.merge(own) { first, _ in first }
    }
    return steps
  }

  /// Writes an object under a temporary name, reads it back, and gives it its name when all of it is on disk.
  /// - Throws: `Diagnostic`; then the store is as before.
  func publish(_ value: any Artifact, _ record: ObjectRecord) throws -> ArtifactReference {
    try prepare()
    let temporary = temporaryPath(record.key)
    let path = objectPath(record.key)
    do {
      let content = try write(to: temporary) { writer in
        try value.write(to: writer)
        return try writer.finish(record)
      }
      let file = try HDF5File(reading: temporary)
      _ = try Store.header(in: file, key: record.key)
      try ObjectReader(file, key: record.key, store: nil).checkComplete()
      try file.close()
      // Whoever may read what this process makes may read it; nobody writes it.
      if let mode = try Files.status(temporary)?.mode { chmod(temporary, mode & 0o444) }
      try Files.makeFolder((path as NSString).deletingLastPathComponent)
      try Files.publish(temporary, as: path)
      return ArtifactReference(key: record.key, content: content)
    } catch {
      Files.remove(temporary)
      throw error
    }
  }

  /// Makes a new file with `body`, which must finish the writer.
  func write<T>(to temporary: String, _ body: (ObjectWriter) throws -> T) throws -> T {
    Files.remove(temporary)
    try Files.checkWritable((temporary as NSString).deletingLastPathComponent)
    let writer = try ObjectWriter(creating: temporary, compression: options.compression)
    do { return try body(writer) } catch {
      writer.abandon()
      throw error
    }
  }

  /// A name in `tmp` that tells which process it belongs to.
  /// - Parameter name: without dots.
  func temporaryPath(_ name: String, _ ending: String = "h5") -> String {
    "\(root)/tmp/\(name).\(ProcessTag.own.text).\(ending)"
  }
}
