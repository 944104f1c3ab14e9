import Foundation

/// External files and folders by content: hashed once per path, size, modification time and inode.
final class Sources: @unchecked Sendable {
  // Sendable: everything that changes is behind `lock`.
  private let file: String
  private let temporary: String
  private let lock = NSLock()

  init(file: String, temporary: String) {
    self.file = file
    self.temporary = temporary
  }

  /// - Parameters:
  ///   - remembers: whether the hash and the place are written down.
  ///   - prepare: called before the first write.
  func external(
    _ path: String, files patterns: [String], rehash: Bool, remembers: Bool, prepare: () throws -> Void
  ) throws -> ExternalFile {
    lock.lock()
    defer { lock.unlock() }
    let path = Files.absolute(path)
    var table = read()
    let before = table
    let content = try hash(path, patterns, &table, rehash: rehash)
    var places = table["places"]?.objectValue ?? [:]
    places[content] = ["path": .string(path), "files": .array(patterns.map(JSONValue.string))]
    table["places"] = .object(places)
    if remembers, table != before {
      // The table only saves time, except that a step's inputs are found again by it; a store that cannot be written
      // can still check scripts.
      try prepare()
      try Files.replace(file, with: JSONValue.object(table).canonical + "\n", temporary: temporary)
    }
    return ExternalFile(path: path, content: content)
  }

  /// Where content was last seen.
  /// - Throws: `Diagnostic` when it never was, or is no longer the same.
  func path(content: String) throws -> String {
    lock.lock()
    defer { lock.unlock() }
    var table = read()
    guard let place = table["places"]?[content], let path = place["path"]?.stringValue else {
      throw StoreFailure.unknownSource(content: content).diagnostic
    }
    let patterns = place["files"]?.arrayValue?.compactMap(\.stringValue) ?? []
    guard let found = try? hash(path, patterns, &table, rehash: false), found == content else {
      throw StoreFailure.changedSource(path: path).diagnostic
    }
    return path
  }

  /// Whether a path is a place that was loaded from, or a file that counted as part of one.
  func holds(_ path: String) throws -> Bool {
    lock.lock()
    defer { lock.unlock() }
    let folder = (path as NSString).deletingLastPathComponent
    return (read()["places"]?.objectValue ?? [:]).values.contains { place in
      guard let known = place["path"]?.stringValue.map({ ($0 as NSString).resolvingSymlinksInPath }) else {
        return false
      }
      if known == path { return true }
      let patterns = place["files"]?.arrayValue?.compactMap(\.stringValue) ?? []
      return known == folder && patterns.contains { fnmatch($0, (path as NSString).lastPathComponent, 0) == 0 }
    }
  }

  private func read() -> [String: JSONValue] {
    guard let text = Files.text(file), let value = try? JSONValue(parsing: text).objectValue else { return [:] }
    return value
  }

  private func hash(
    _ path: String, _ patterns: [String], _ table: inout [String: JSONValue], rehash: Bool
  ) throws -> String {
    guard let status = Files.status(path) else { throw FileFailure.missing(path: path).diagnostic }
    guard status.isFolder else {
      guard patterns.isEmpty else { throw Diagnostic("\(path) is a file; a folder is wanted", kind: .usage) }
      return try fileHash(path, status, &table, rehash: rehash)
    }
    guard !patterns.isEmpty else { throw Diagnostic("\(path) is a folder; a file is wanted", kind: .usage) }
    let names = Files.names(in: path).filter { name in patterns.contains { fnmatch($0, name, 0) == 0 } }
    guard !names.isEmpty else {
      throw Diagnostic("\(path) holds none of \(patterns.joined(separator: ", "))", kind: .usage)
    }
    let whole = SHA256()
    for name in names {
      let part = path + "/" + name
      guard let status = Files.status(part), !status.isFolder else { continue }
      whole.update("\(name)\0\(try fileHash(part, status, &table, rehash: rehash))\n")
    }
    return whole.finish()
  }

  private func fileHash(
    _ path: String, _ status: Files.Status, _ table: inout [String: JSONValue], rehash: Bool
  ) throws -> String {
    let stamp: [String: JSONValue] = [
      "size": .integer(status.size), "modified": .string(String(status.modified)), "inode": .integer(status.inode),
    ]
    var files = table["files"]?.objectValue ?? [:]
    if !rehash, let known = files[path]?.objectValue, let content = known["content"]?.stringValue,
      stamp.allSatisfy({ known[$0.key] == $0.value })
    {
      return content
    }
    let content = try Sources.hash(of: path)
    var entry = stamp
    entry["content"] = .string(content)
    // A file changed within the last seconds could change again without its time showing it.
    files[path] = status.age < 2 ? nil : .object(entry)
    table["files"] = .object(files)
    return content
  }

  /// SHA-256 of a file's bytes from an offset on.
  /// - Throws: `FileFailure`.
  static func hash(of path: String, from offset: Int = 0) throws -> String {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw FileFailure(errno, "read", path) }
    defer { close(file) }
    lseek(file, off_t(offset), SEEK_SET)
    posix_fadvise(file, 0, 0, Int32(POSIX_FADV_SEQUENTIAL))
    let hash = SHA256()
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = buffer.withUnsafeMutableBytes { Foundation.read(file, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw FileFailure(errno, "read", path) }
      if count == 0 { return hash.finish() }
      buffer.withUnsafeBytes { hash.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    }
  }
}
