import Foundation

/// External files and folders by content: hashed once per path, size, times and inode.
final class Sources: @unchecked Sendable {
  // Sendable: everything that changes is behind `lock`.
  private let file: String
  private let temporary: String
  private let mergeLock: String
  private let lock = NSLock()
  /// What this process found out; another may write its own table over ours.
  private var learned = Table()

  /// The contents of files by path, each with the stamp it had, and the places by content.
  private struct Table: Equatable {
    var files: [String: JSONValue] = [:]
    var places: [String: JSONValue] = [:]

    func merged(with newer: Table) -> Table {
      Table(files: files.merging(newer.files) { $1 }, places: places.merging(newer.places) { $1 })
    }
  }

  init(root: String) {
    file = root + "/sources.json"
    temporary = root + "/tmp/sources.\(ProcessTag.own.text).json"
    mergeLock = root + "/locks/sources"
  }

  /// - Parameters:
  ///   - remembers: whether the hash and the place are written down.
  ///   - prepare: called before the first write.
  func external(
    _ path: String, files patterns: [String], rehash: Bool, remembers: Bool, prepare: () throws -> Void
  ) throws -> ExternalFile {
    let path = Files.absolute(path)
    let known = try read()
    // Hashing can take minutes, and holds nothing meanwhile.
    var found = Table()
    let content = try hash(path, patterns, rehash ? Table() : known, &found)
    found.places[content] = ["path": .string(path), "files": .array(patterns.map(JSONValue.string))]
    lock.withLock { learned = learned.merged(with: found) }
    // The table only saves time, except that a step's inputs are found again by it; a store that cannot be written can
    // still check scripts.
    if remembers, known.merged(with: found) != known {
      try prepare()
      try merge(found)
    }
    return ExternalFile(path: path, content: content)
  }

  /// Where content was last seen.
  /// - Throws: `Diagnostic` when it never was, or is no longer the same.
  func path(content: String) throws -> String {
    let known = try read()
    guard let place = known.places[content], let path = place["path"]?.stringValue else {
      throw StoreFailure.unknownSource(content: content).diagnostic
    }
    let patterns = place["files"]?.arrayValue?.compactMap(\.stringValue) ?? []
    var found = Table()
    guard try Files.exists(path), try hash(path, patterns, known, &found) == content else {
      throw StoreFailure.changedSource(path: path).diagnostic
    }
    lock.withLock { learned = learned.merged(with: found) }
    return path
  }

  /// Whether a path is a place that was loaded from, or a file that counted as part of one.
  func holds(_ path: String) throws -> Bool {
    try read().places.values.contains { Self.path(of: $0) == path } || holdsPart(path)
  }

  /// Whether a path is, or would be, a file that counts as part of a folder that was loaded from.
  func holdsPart(_ path: String) throws -> Bool {
    let folder = (path as NSString).deletingLastPathComponent
    return try read().places.values.contains { place in
      let patterns = place["files"]?.arrayValue?.compactMap(\.stringValue) ?? []
      return Self.path(of: place) == folder
        && patterns.contains { fnmatch($0, (path as NSString).lastPathComponent, 0) == 0 }
    }
  }

  /// Where a place is, links followed.
  private static func path(of place: JSONValue) -> String? {
    place["path"]?.stringValue.map { ($0 as NSString).resolvingSymlinksInPath }
  }

  /// - Throws: `StoreFailure.brokenSources` when what was found out before cannot be read.
  func check() throws { _ = try stored() }

  private func read() throws -> Table {
    let stored = try stored()
    return lock.withLock { stored.merged(with: learned) }
  }

  private func stored() throws -> Table {
    guard let text = try Files.text(file) else { return Table() }
    guard let value = try? JSONValue(parsing: text), value.objectValue != nil else {
      throw StoreFailure.brokenSources(path: file)
    }
    return Table(files: value["files"]?.objectValue ?? [:], places: value["places"]?.objectValue ?? [:])
  }

  /// Adds to the table of the workspace, which other processes add to as well.
  private func merge(_ found: Table) throws {
    let held = try StepLock(path: mergeLock, waiting: { _ in }, isCancelled: { false })
    defer { held.release() }
    let table = try stored().merged(with: found)
    let text = JSONValue.object(["files": .object(table.files), "places": .object(table.places)]).canonical + "\n"
    try Files.replace(file, with: text, temporary: temporary)
  }

  private func hash(_ path: String, _ patterns: [String], _ known: Table, _ found: inout Table) throws -> String {
    guard let status = try Files.status(path) else { throw FileFailure.missing(path: path).diagnostic }
    guard status.isFolder else {
      guard patterns.isEmpty else { throw Diagnostic("\(path) is a file; a folder is wanted", kind: .usage) }
      return try fileHash(path, status, known, &found)
    }
    guard !patterns.isEmpty else { throw Diagnostic("\(path) is a folder; a file is wanted", kind: .usage) }
    let names = try Files.names(in: path).filter { name in patterns.contains { fnmatch($0, name, 0) == 0 } }
    guard !names.isEmpty else {
      throw Diagnostic("\(path) holds none of \(patterns.joined(separator: ", "))", kind: .usage)
    }
    let whole = SHA256()
    for name in names {
      let part = path + "/" + name
      guard let status = try Files.status(part), !status.isFolder else { continue }
      whole.update("\(name)\0\(try fileHash(part, status, known, &found))\n")
    }
    return whole.finish()
  }

  private func fileHash(_ path: String, _ status: Files.Status, _ known: Table, _ found: inout Table) throws -> String {
    // The time of the last change of anything about it cannot be set back, as that of its bytes can.
    let stamp: [String: JSONValue] = [
      "size": .integer(status.size), "modified": .string(status.modified.text), "changed": .string(status.changed.text),
      "inode": .string(String(status.inode)),
    ]
    if let entry = known.files[path]?.objectValue, let content = entry["content"]?.stringValue,
      stamp.allSatisfy({ entry[$0.key] == $0.value })
    {
      return content
    }
    let content = try Sources.hash(of: path)
    guard try Files.status(path) == status else { throw FileFailure.changing(path: path) }
    // A file changed within the last seconds could change again without its time showing it.
    if status.changed.age >= 2 { found.files[path] = .object(stamp.merging(["content": .string(content)]) { $1 }) }
    return content
  }

  /// SHA-256 of a file's bytes.
  /// - Throws: `FileFailure`.
  static func hash(of path: String) throws -> String {
    let file = try Files.opened(path)
    defer { close(file) }
    posix_fadvise(file, 0, 0, Int32(POSIX_FADV_SEQUENTIAL))
    let hash = SHA256()
    try Files.read(file, path, hash.update)
    return hash.finish()
  }
}
