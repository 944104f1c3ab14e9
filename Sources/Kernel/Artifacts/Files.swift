import Foundation

/// File operations that say in one sentence what went wrong, and make sure that what they report done is on disk.
enum Files {
  struct Status: Sendable, Equatable {
    let size: Int
    /// Nanoseconds since 1970.
    let modified: Int
    let inode: Int
    let isFolder: Bool
    let isLink: Bool
    /// Bytes it takes on disk.
    let allocated: Int
    var age: Double { Date().timeIntervalSince1970 - Double(modified) * 1e-9 }
  }

  /// Nil when there is nothing at `path`. Links are followed unless `link` asks for the link itself.
  static func status(_ path: String, ofLink link: Bool = false) -> Status? {
    var info = stat()
    guard (link ? lstat(path, &info) : stat(path, &info)) == 0 else { return nil }
    let modified = Int(info.st_mtim.tv_sec) * 1_000_000_000 + Int(info.st_mtim.tv_nsec)
    return Status(
      size: Int(info.st_size), modified: modified, inode: Int(info.st_ino),
      isFolder: info.st_mode & S_IFMT == S_IFDIR, isLink: info.st_mode & S_IFMT == S_IFLNK,
      allocated: Int(info.st_blocks) * 512)
  }

  static func exists(_ path: String) -> Bool { status(path) != nil }

  /// Names in a folder, sorted by their bytes; empty when there is no such folder.
  static func names(in folder: String) -> [String] {
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else { return [] }
    return names.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
  }

  /// Makes a folder and those above it, and syncs the one that got a new entry.
  static func makeFolder(_ path: String) throws {
    if status(path)?.isFolder == true { return }
    let parent = (path as NSString).deletingLastPathComponent
    if !parent.isEmpty, parent != path { try makeFolder(parent) }
    guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw FileFailure(errno, "make the folder", path) }
    if !parent.isEmpty { try sync(parent) }
  }

  /// Finds out before a long write whether a folder takes files at all, for the sake of a clear error.
  static func checkWritable(_ folder: String) throws {
    guard access(folder, W_OK) == 0 else { throw FileFailure(errno, "write in", folder) }
  }

  /// Waits until a file, or the entries of a folder, are on disk.
  static func sync(_ path: String) throws {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw FileFailure(errno, "open", path) }
    defer { Foundation.close(file) }
    guard fsync(file) == 0 else { throw FileFailure(errno, "write", path) }
  }

  /// Gives a finished file its name and makes the name last.
  static func publish(_ temporary: String, as path: String) throws {
    try sync(temporary)
    guard rename(temporary, path) == 0 else { throw FileFailure(errno, "name", path) }
    try sync((path as NSString).deletingLastPathComponent)
  }

  static func move(_ path: String, to target: String) throws {
    guard rename(path, target) == 0 else { throw FileFailure(errno, "move", path) }
  }

  /// Replaces a small file as a whole, or leaves the old one.
  static func replace(_ path: String, with text: String, temporary: String) throws {
    do {
      try write(text, to: temporary, flags: O_WRONLY | O_CREAT | O_TRUNC)
      try publish(temporary, as: path)
    } catch {
      unlink(temporary)
      throw error
    }
  }

  /// Makes a symbolic link, or points one elsewhere; whoever looks sees the old target or the new one.
  static func link(_ path: String, to target: String, temporary: String) throws {
    unlink(temporary)
    guard symlink(target, temporary) == 0 else { throw FileFailure(errno, "make the link", path) }
    guard rename(temporary, path) == 0 else {
      let code = errno
      unlink(temporary)
      throw FileFailure(code, "make the link", path)
    }
    try sync((path as NSString).deletingLastPathComponent)
  }

  /// Appends a line and waits until it is on disk.
  static func append(_ line: String, to path: String) throws {
    let before = status(path)
    do {
      try write(line + "\n", to: path, flags: O_WRONLY | O_CREAT | O_APPEND)
      try sync(path)
    } catch {
      // Half a line would swallow the next one.
      if let before { truncate(path, off_t(before.size)) } else { unlink(path) }
      throw error
    }
    if before == nil { try sync((path as NSString).deletingLastPathComponent) }
  }

  private static func write(_ text: String, to path: String, flags: Int32) throws {
    let file = open(path, flags | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw FileFailure(errno, "write", path) }
    defer { Foundation.close(file) }
    var bytes = ArraySlice(Array(text.utf8))
    while !bytes.isEmpty {
      let written = bytes.withUnsafeBytes { Foundation.write(file, $0.baseAddress, $0.count) }
      if written < 0, errno == EINTR { continue }
      guard written > 0 else { throw FileFailure(errno, "write", path) }
      bytes = bytes.dropFirst(written)
    }
  }

  static func text(_ path: String) -> String? {
    FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Removes a file or a whole folder; one that is not there is no failure.
  static func remove(_ path: String) {
    if unlink(path) == 0 { return }
    try? FileManager.default.removeItem(atPath: path)
  }

  static func target(ofLink path: String) -> String? {
    try? FileManager.default.destinationOfSymbolicLink(atPath: path)
  }

  /// Bytes free for a user on the disk of `path`.
  static func freeSpace(at path: String) throws -> Int {
    var info = statvfs()
    guard statvfs(path, &info) == 0 else { throw FileFailure(errno, "look at the disk of", path) }
    return Int(info.f_bavail) * Int(info.f_frsize)
  }

  /// `path` from the root, with `.` and `..` resolved but links left as they are.
  static func absolute(_ path: String) -> String {
    let expanded = (path as NSString).expandingTildeInPath
    let whole = expanded.hasPrefix("/") ? expanded : FileManager.default.currentDirectoryPath + "/" + expanded
    var parts = [Substring]()
    for part in whole.split(separator: "/") where part != "." {
      if part == ".." { _ = parts.popLast() } else { parts.append(part) }
    }
    return "/" + parts.joined(separator: "/")
  }

  /// Whether a process with this number runs on this machine.
  static func isRunning(_ pid: Int) -> Bool { kill(pid_t(truncatingIfNeeded: pid), 0) == 0 || errno == EPERM }
}

/// Why the file system refused.
enum FileFailure: Explained, Equatable {
  case noSpace(path: String)
  case readOnly(path: String)
  case unreadable(path: String)
  case missing(path: String)
  case system(doing: String, path: String, reason: String)

  init(_ code: Int32, _ doing: String, _ path: String) {
    switch code {
    case ENOSPC, EDQUOT, EFBIG: self = .noSpace(path: path)
    case EROFS, EACCES, EPERM:
      self = ["open", "read"].contains(doing) ? .unreadable(path: path) : .readOnly(path: path)
    case ENOENT: self = .missing(path: path)
    default: self = .system(doing: doing, path: path, reason: String(cString: strerror(code)))
    }
  }

  var diagnostic: Diagnostic {
    switch self {
    case .noSpace(let path):
      Diagnostic(
        "no space left on the disk of \(path); nothing finished was lost",
        hint: "free some space (`prn gc` lists what can go) and run again")
    case .readOnly(let path):
      Diagnostic("no permission to write \(path)", hint: "choose another workspace with --workspace DIR")
    case .unreadable(let path): Diagnostic("no permission to read \(path)")
    case .missing(let path): Diagnostic("there is no file or folder \(path)", kind: .usage)
    case .system(let doing, let path, let reason): Diagnostic("could not \(doing) \(path): \(reason)")
    }
  }
}
