import CHDF5
import Foundation

/// The first bytes of every file: a line with the SHA-256 of all bytes after them.
///
///     $ head -n 1 acts.h5
///     prn-artifact sha256 9f86d081…
///     $ tail -c +513 acts.h5 | sha256sum
///
/// The HDF5 library leaves these bytes to the application (the "user block"). The seal is checked before the library
/// sees a file, because the library trusts a file's structure: on one that is damaged it can crash, or read wrong values.
enum Seal {
  /// The smallest user block.
  static let size = 512
  private static let opening = "prn-artifact sha256 "

  /// Writes the seal of a finished file.
  /// - Throws: `FileFailure`.
  static func set(_ path: String) throws {
    let line = Array((opening + (try Sources.hash(of: path, from: size)) + "\n").utf8)
    let file = open(path, O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { throw FileFailure(errno, "write", path) }
    defer { close(file) }
    guard pwrite(file, line, line.count, 0) == line.count else { throw FileFailure(errno, "write", path) }
  }

  /// Reads a file through, once per process unless it changes.
  /// - Throws: `HDF5Failure.broken` when its bytes are not those that were sealed; `FileFailure` when it cannot be read.
  static func check(_ path: String) throws {
    guard let status = Files.status(path) else { throw FileFailure(errno, "open", path) }
    if checked.contains(status) { return }
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw FileFailure(errno, "open", path) }
    var line = [UInt8](repeating: 0, count: size)
    let count = pread(file, &line, size, 0)
    close(file)
    let expected = count == size ? opening + (try Sources.hash(of: path, from: size)) + "\n" : ""
    // What follows the line is empty; a stray byte there is damage too.
    let isWhole = line.starts(with: expected.utf8) && line.dropFirst(expected.utf8.count).allSatisfy { $0 == 0 }
    guard !expected.isEmpty, isWhole else {
      throw HDF5Failure.broken(path: path, schema: schema(path))
    }
    checked.insert(status)
  }

  /// The schema a file says it has, although its seal does not hold: a newer version may seal in another way.
  private static func schema(_ path: String) -> String? {
    var text = [CChar](repeating: 0, count: 64)
    let count = try? HDF5.locked { prn_h5_probe(path, "prn_schema", &text, text.count) }
    guard let count, count > 0 else { return nil }
    return String(decoding: text[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private static let checked = CheckedFiles()
}

/// The files whose seal was found whole, as they were then.
private final class CheckedFiles: @unchecked Sendable {
  // Sendable: everything that changes is behind `lock`.
  private let lock = NSLock()
  private var files: [Int: Files.Status] = [:]

  func contains(_ status: Files.Status) -> Bool {
    lock.withLock { files[status.inode].map { $0.size == status.size && $0.modified == status.modified } ?? false }
  }
  func insert(_ status: Files.Status) { lock.withLock { files[status.inode] = status } }
}
