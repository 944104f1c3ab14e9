import Foundation

/// The right to compute one step, held by the kernel for this process: when the process dies, so does the lock.
/// On file systems without locks every process gets it; then a step may be computed twice, which is harmless.
final class StepLock {
  private let path: String
  private var file: Int32 = -1
  /// Whether another process held it first.
  private(set) var hadToWait = false

  /// Waits until the lock is free.
  /// - Throws: `Diagnostic` of kind `cancelled` when `isCancelled` says so while waiting.
  init(path: String, waiting: (Int) -> Void, isCancelled: () -> Bool) throws {
    self.path = path
    try Files.makeFolder((path as NSString).deletingLastPathComponent)
    while true {
      file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
      guard file >= 0 else { throw FileFailure(errno, "lock", path) }
      if try acquire(waiting, isCancelled), isCurrent { break }
      // The holder removed the file when it was done; what we hold is nobody's lock any more.
      close(file)
    }
    ftruncate(file, 0)
    append(ProcessTag.own.text)
  }

  /// Says that the running step needs an object, so that nobody collects it meanwhile.
  func keep(_ key: String) { append(key) }

  private func append(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    // What is written only informs others; the lock does not depend on it.
    _ = pwrite(file, bytes, bytes.count, lseek(file, 0, SEEK_END))
  }

  private func acquire(_ waiting: (Int) -> Void, _ isCancelled: () -> Bool) throws -> Bool {
    while flock(file, LOCK_EX | LOCK_NB) != 0 {
      guard errno == EWOULDBLOCK || errno == EINTR else { return true }
      if !hadToWait {
        hadToWait = true
        waiting(Int((try? StepLock.owner(of: path))??.number ?? 0))
      }
      if isCancelled() {
        close(file)
        throw Diagnostic("stopped while waiting for another process", kind: .cancelled)
      }
      usleep(50_000)
    }
    return true
  }

  /// Whether the path still names the file that is locked.
  private var isCurrent: Bool {
    var mine = stat()
    var named = stat()
    return fstat(file, &mine) == 0 && stat(path, &named) == 0 && mine.st_ino == named.st_ino
  }

  func release() {
    guard file >= 0 else { return }
    unlink(path)
    close(file)
    file = -1
  }

  /// The process that wrote its tag into a lock file.
  static func owner(of path: String) throws -> ProcessTag? {
    try Files.text(path).flatMap { ProcessTag($0.split(separator: "\n").first ?? "") }
  }

  /// The objects the holder of a lock needs.
  static func kept(_ path: String) throws -> [String] {
    (try Files.text(path) ?? "").split(separator: "\n").dropFirst().map(String.init)
  }

  /// Whether some process holds the lock at `path`.
  static func isHeld(_ path: String) -> Bool {
    let file = open(path, O_RDWR | O_CLOEXEC)
    guard file >= 0 else { return false }
    defer { close(file) }
    return flock(file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK
  }
}
