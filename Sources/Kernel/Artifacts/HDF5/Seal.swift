import CHDF5
import Foundation

/// The first bytes of every file: a line with the SHA-256 of all bytes after them and the size of the file.
///
///     $ head -n 1 acts.h5
///     prn-artifact sha256 9f86d081… 64762
///     $ tail -c +513 acts.h5 | sha256sum
///
/// The HDF5 library leaves these bytes to the application (the "user block"). The seal is checked before the library
/// sees a file, because the library trusts a file's structure: on one that is damaged it can crash, or read wrong values.
enum Seal {
  /// The smallest user block.
  static let size = 512
  private static let opening = "prn-artifact sha256 "
  /// Where HDF5 notes that a program has the file open for writing; not a part of what was written.
  private static let openFlags = 532..<536

  /// How a file compares with what was sealed.
  enum State { case whole, annotated }

  /// Writes the seal of a finished file.
  /// - Throws: `FileFailure`.
  static func set(_ path: String) throws {
    let size = try Files.status(path)?.size ?? 0
    let line = Array("\(opening)\(try content(path).hash) \(size)\n".utf8)
    let file = open(path, O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { throw FileFailure(errno, "write", path) }
    defer { close(file) }
    guard pwrite(file, line, line.count, 0) == line.count else { throw FileFailure(errno, "write", path) }
  }

  /// Reads a file through, once per process unless it changes.
  ///
  /// A program such as h5py can add notes of its own to a file; then it has grown, and what was written is judged by the
  /// hashes of its parts.
  /// - Throws: `HDF5Failure.broken` when its bytes are not those that were sealed; `HDF5Failure.held` when that cannot be
  ///   judged while another program writes; `FileFailure` when it cannot be read.
  @discardableResult
  static func check(_ path: String) throws -> State {
    guard let status = try Files.status(path) else { throw FileFailure.missing(path: path) }
    if let known = checked.state(status) { return known }
    let (line, hash, isHeld) = try content(path)
    // What follows the line is empty; a stray byte there is damage too.
    let words = line.hasPrefix(opening) ? line.dropFirst(opening.count).prefix { $0 != "\n" }.split(separator: " ") : []
    let whole = opening + words.joined(separator: " ") + "\n"
    guard line == whole + String(repeating: "\0", count: max(0, size - whole.utf8.count)), let sealed = words.first
    else {
      throw HDF5Failure.broken(path: path, schema: schema(path))
    }
    // Files of the first versions do not say their size.
    let length = words.count > 1 ? Int(words[1]) : status.size
    var state = State.whole
    if sealed != hash || length != status.size {
      let hasGrown = length.map { $0 < status.size } ?? false
      if hasGrown, isHeld { throw HDF5Failure.held(path: path) }
      guard try hasGrown && arePartsWhole(path, bytes: status.size) else {
        throw HDF5Failure.broken(path: path, schema: schema(path))
      }
      state = .annotated
    }
    checked.insert(status, state)
    return state
  }

  private static func arePartsWhole(_ path: String, bytes: Int) throws -> Bool {
    // At 10 MiB a second, and half a minute.
    try HDF5.inChild(seconds: 30 + UInt32(clamping: bytes / (10 << 20))) {
      let file = try HDF5File(opening: path)
      try ObjectReader(file, key: file.attribute("prn_key").stringValue ?? "", store: nil).verify()
      return "whole"
    } != nil
  }

  /// The seal of a file as it is written, the hash of what follows, and whether a program has it open for writing.
  private static func content(_ path: String) throws -> (line: String, hash: String, isHeld: Bool) {
    let file = try Files.opened(path)
    defer { close(file) }
    var head = [UInt8](repeating: 0, count: openFlags.upperBound)
    let count = max(0, pread(file, &head, head.count, 0))
    let isHeld = head[openFlags].contains { $0 != 0 }
    head.replaceSubrange(openFlags, with: repeatElement(0, count: openFlags.count))
    let hash = SHA256()
    if count > size { head[size..<count].withUnsafeBytes(hash.update) }
    lseek(file, off_t(count), SEEK_SET)
    try Files.read(file, path) { hash.update($0) }
    return (String(decoding: head[..<size], as: UTF8.self), hash.finish(), isHeld)
  }

  /// The schema a file says it has, although its seal does not hold: a newer version may seal in another way.
  private static func schema(_ path: String) -> String? {
    let text = try? HDF5.inChild(seconds: 5) { try HDF5File(opening: path).attribute("prn_schema").stringValue ?? "" }
    return text ?? nil
  }

  private static let checked = CheckedFiles()
}

/// How files were found, by what they were like then.
private final class CheckedFiles: @unchecked Sendable {
  // Sendable: everything that changes is behind `lock`.
  private let lock = NSLock()
  private var files: [UInt: (status: Files.Status, state: Seal.State)] = [:]

  func state(_ status: Files.Status) -> Seal.State? {
    guard let known = lock.withLock({ files[status.inode] }), known.status.size == status.size,
      known.status.modified == status.modified
    else { return nil }
    return known.state
  }
  func insert(_ status: Files.Status, _ state: Seal.State) { lock.withLock { files[status.inode] = (status, state) } }
}
