import Foundation

// Finding objects and judging whether they are whole.

extension Store {
  public func find(_ key: String) throws -> StoredStep? {
    try explained { try finished(key) }
  }

  private func finished(_ key: String) throws -> StoredStep? {
    guard let header = try whole(key) else { return nil }
    return StoredStep(
      handle: handle(header), summary: header.summary, warnings: header.warnings,
      seconds: try journal.seconds(of: key), bytes: try bytes(of: key, Set()))
  }

  /// The beginning of an object all of whose parts are there.
  private func whole(_ key: String) throws -> Header? {
    guard let header = try header(of: key) else { return nil }
    for child in header.children where try whole(child.key)?.reference != child { return nil }
    return header
  }

  /// The beginning of an object file: who it is, without its payload.
  struct Header: Sendable {
    let reference: ArtifactReference
    let type: ArtifactType
    let summary: String
    let facts: RecordedFacts
    let children: [ArtifactReference]
    let call: String
    let warnings: [String]
  }

  /// Nil when there is no such object, or it was found damaged and set aside.
  func header(of key: String) throws -> Header? {
    let path = objectPath(key)
    guard try Files.exists(path) else { return nil }
    return try guarded(key) {
      let file = try HDF5File(reading: path)
      let header = try Store.header(in: file, key: key)
      guard header.children.allSatisfy({ $0.key != key }) else { throw ObjectDamage.changed(part: "child_key") }
      return header
    }
  }

  static func header(in file: HDF5File, key: String) throws -> Header {
    do { return try readHeader(in: file, key: key) } catch let failure as HDF5Failure {
      switch failure {
      case .missing, .missingAttribute, .wrongType: throw ObjectDamage.notAnObject
      default: throw failure
      }
    }
  }

  private static func readHeader(in file: HDF5File, key: String) throws -> Header {
    func text(_ name: String) throws -> String { try file.attribute(name).stringValue ?? "" }
    guard try text("prn_format") == ObjectWriter.format else {
      throw ObjectDamage.notAnObject
    }
    let schema = try text("prn_schema")
    if isNewer(schema) { throw StoreFailure.newerSchema(key: key, schema: schema) }
    let found = try text("prn_key")
    guard found == key else { throw ObjectDamage.wrongKey(found: found) }
    return Header(
      reference: ArtifactReference(key: key, content: try text("prn_content")),
      type: ArtifactType(try text("prn_type"), version: try file.attribute("prn_type_version").intValue ?? 1),
      summary: try ObjectReader.text("provenance/summary", in: file),
      facts: try ObjectReader.json("provenance/facts", in: file).objectValue ?? [:],
      children: try ObjectReader.children(in: file), call: try text("prn_call"),
      warnings: try ObjectReader.json("provenance/warnings", in: file).arrayValue?.compactMap(\.stringValue) ?? [])
  }

  /// Whether only a later version of the program can read files of a schema.
  private static func isNewer(_ schema: String) -> Bool {
    schema.split(separator: ".").first.flatMap { Int($0) }.map { $0 > ObjectWriter.schema.major } ?? true
  }

  /// What an error met while opening an object says about the object.
  static func judged(_ error: any Error, key: String) -> any Error {
    guard case HDF5Failure.broken(_, let schema?) = error, isNewer(schema) else { return error }
    return StoreFailure.newerSchema(key: key, schema: schema)
  }

  /// Runs `body`, which reads the object `key`. What is damaged is moved to quarantine, reported, and counts as absent.
  func guarded<T>(_ key: String, _ body: () throws -> T) throws -> T? {
    do { return try body() } catch {
      let error = Store.judged(error, key: key)
      if let failure = error as? StoreFailure { throw failure.diagnostic }
      if case FileFailure.missing(objectPath(key)) = error { return nil }
      guard isDamage(error) else { throw error }
      let reason = (error as? any Explained)?.diagnostic.summary ?? "it cannot be read"
      if options.isStrict { throw StoreFailure.damaged(key: key, reason: reason, quarantined: false).diagnostic }
      try setAside(key, reason: reason)
      return nil
    }
  }

  /// Whether an error says that the file is not what was written, rather than that it cannot be read now or was asked for
  /// the wrong thing.
  func isDamage(_ error: any Error) -> Bool {
    if case HDF5Failure.broken = error { return true }
    return error is ObjectDamage
  }

  /// Moves a damaged object to quarantine and says so.
  private func setAside(_ key: String, reason: String) throws {
    do {
      try Files.makeFolder(root + "/quarantine")
      try Files.move(objectPath(key), to: "\(root)/quarantine/\(key).h5")
    } catch is FileFailure {
      // In a workspace that cannot be written the damage is the thing to tell.
      throw StoreFailure.damaged(key: key, reason: reason, quarantined: false).diagnostic
    }
    let failure = StoreFailure.damaged(key: key, reason: reason, quarantined: true).diagnostic
    options.warn(failure.summary)
    try record(["event": "quarantine", "key": .string(key), "reason": .string(reason)])
  }

  private func handle(_ header: Header) -> ArtifactHandle {
    ArtifactHandle(type: header.type, reference: header.reference, facts: header.facts) {
      try self.value(header.reference, type: header.type)
    }
  }

  private func value(_ reference: ArtifactReference, type: ArtifactType) throws -> any Artifact {
    guard let kind = types[type.name] else {
      throw StoreFailure.unknownType(key: reference.key, type: type.name).diagnostic
    }
    guard type.version == kind.type.version else {
      throw StoreFailure.otherType(
        key: reference.key, type: type.name, version: type.version, read: kind.type.version
      ).diagnostic
    }
    return try kind.init(from: try open(reference))
  }

  /// Opens the payload of an object.
  /// - Throws: `Diagnostic` when it is missing or damaged; a damaged one is set aside.
  public func open(_ reference: ArtifactReference) throws -> any ArtifactReader {
    try explained { try used(reference.key) { try reader(reference) } }
  }

  /// Like `guarded`, for an object the caller cannot do without.
  func used<T>(_ key: String, _ body: () throws -> T) throws -> T {
    var isDamaged = true
    let result = try guarded(key) {
      do { return try body() } catch {
        isDamaged = isDamage(error)
        throw error
      }
    }
    if let result { return result }
    if isDamaged {
      throw StoreFailure.damaged(key: key, reason: "it was not what was written", quarantined: true).diagnostic
    }
    throw StoreFailure.missingObject(key: key).diagnostic
  }

  private func reader(_ reference: ArtifactReference) throws -> ObjectReader {
    let file = try HDF5File(reading: objectPath(reference.key))
    let header = try Store.header(in: file, key: reference.key)
    guard header.reference == reference else { throw StoreFailure.otherContent(key: reference.key) }
    return try ObjectReader(file, key: reference.key, store: self)
  }

  /// Bytes on disk of an object and its children.
  private func bytes(of key: String, _ seen: Set<String>) throws -> Int {
    guard let own = try Files.status(objectPath(key))?.size else { return 0 }
    return try childKeys(of: key).filter { !seen.contains($0) }.reduce(own) {
      $0 + (try bytes(of: $1, seen.union([key])))
    }
  }

  /// The keys of an object's children.
  func childKeys(of key: String) throws -> [String] {
    try ObjectReader.children(in: try HDF5File(reading: objectPath(key))).map(\.key)
  }
}
