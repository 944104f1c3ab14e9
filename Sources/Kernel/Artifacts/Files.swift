import Foundation

/// File operations that say in one sentence what went wrong, and make sure that what they report done is on disk.
enum Files {
  /// Seconds and nanoseconds since 1970, as the system gives them: no sum of the two, which can leave the integers.
  struct Moment: Sendable, Hashable {
    let seconds: Int
    let nanoseconds: Int

    init(_ time: timespec) { (seconds, nanoseconds) = (Int(time.tv_sec), Int(time.tv_nsec)) }

    var text: String { "\(seconds).\(nanoseconds)" }
    /// Seconds that have passed since.
    var age: Double { Date().timeIntervalSince1970 - Double(seconds) - Double(nanoseconds) * 1e-9 }
  }

  struct Status: Sendable, Equatable {
    let size: Int
    let modified: Moment
    /// When anything about it last changed; unlike `modified`, nobody can set it.
    let changed: Moment
    let inode: UInt
    let owner: uid_t
    let mode: mode_t

    fileprivate init(_ info: stat) {
      size = Int(info.st_size)
      modified = Moment(info.st_mtim)
      changed = Moment(info.st_ctim)
      inode = UInt(info.st_ino)
      owner = info.st_uid
      mode = info.st_mode
    }

    var isFolder: Bool { mode & S_IFMT == S_IFDIR }
    var isRegular: Bool { mode & S_IFMT == S_IFREG }
  }

  /// Nil when there is nothing at `path`. Links are followed unless `link` asks for the link itself.
  /// - Throws: `FileFailure` when the system does not tell.
  static func status(_ path: String, ofLink link: Bool = false) throws -> Status? {
    var info = stat()
    if (link ? lstat(path, &info) : stat(path, &info)) == 0 { return Status(info) }
    if errno == ENOENT { return nil }
    throw FileFailure(errno, "look at", path)
  }

  static func exists(_ path: String) throws -> Bool { try status(path) != nil }

  static func isFolder(_ path: String) throws -> Bool { try status(path)?.isFolder ?? false }

  /// Names in a folder, sorted by their bytes; empty when there is no such folder.
  /// - Throws: `FileFailure` when they cannot all be listed.
  static func names(in folder: String) throws -> [String] {
    guard let list = opendir(folder) else {
      if errno == ENOENT { return [] }
      throw FileFailure(errno, "list", folder)
    }
    defer { closedir(list) }
    var names = [String]()
    while true {
      errno = 0
      guard let entry = readdir(list) else {
        guard errno == 0 else { throw FileFailure(errno, "list", folder) }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
      }
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name != ".", name != ".." { names.append(name) }
    }
  }

  /// Makes a folder and those above it, and syncs the one that got a new entry.
  static func makeFolder(_ path: String) throws {
    if try isFolder(path) { return }
    let parent = (path as NSString).deletingLastPathComponent
    if !parent.isEmpty, parent != path { try makeFolder(parent) }
    guard mkdir(path, 0o777) == 0 || errno == EEXIST else { throw FileFailure(errno, "make the folder", path) }
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

  /// Appends a line to a file that other processes may append to as well, and waits until it is on disk.
  static func append(_ line: String, to path: String) throws {
    let isNew = try !exists(path)
    try write((try endsInALine(path) ? "" : "\n") + line + "\n", to: path, flags: O_WRONLY | O_CREAT | O_APPEND)
    try sync(path)
    if isNew { try sync((path as NSString).deletingLastPathComponent) }
  }

  /// Half a line of a writer that had to stop must not swallow the next one.
  private static func endsInALine(_ path: String) throws -> Bool {
    guard let size = try status(path)?.size, size > 0 else { return true }
    let file = try opened(path)
    defer { Foundation.close(file) }
    var last: UInt8 = 0
    return pread(file, &last, 1, off_t(size - 1)) != 1 || last == UInt8(ascii: "\n")
  }

  private static func write(_ text: String, to path: String, flags: Int32) throws {
    let file = open(path, flags | O_CLOEXEC, 0o666)
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

  /// Opens a regular file for reading; on anything else, such as a pipe, reading could wait or go on for ever.
  /// - Throws: `FileFailure`.
  static func opened(_ path: String) throws -> Int32 {
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard file >= 0 else { throw FileFailure(errno, "open", path) }
    var info = stat()
    if fstat(file, &info) == 0, Status(info).isRegular { return file }
    Foundation.close(file)
    throw FileFailure.notRegular(path: path)
  }

  /// The descriptor of this process that a path stands for: `-`, `/dev/stdin`, `/dev/fd/63`; nil for any other path.
  static func descriptor(namedBy path: String) -> Int32? {
    if path == "-" || path == "/dev/stdin" { return 0 }
    for folder in ["/dev/fd/", "/proc/self/fd/"] where path.hasPrefix(folder) {
      return Int32(path.dropFirst(folder.count))
    }
    return nil
  }

  /// Hands the bytes of an open file on in chunks.
  static func read(_ file: Int32, _ path: String, _ take: (UnsafeRawBufferPointer) -> Void) throws {
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = buffer.withUnsafeMutableBytes { Foundation.read(file, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw FileFailure(errno, "read", path) }
      if count == 0 { return }
      buffer.withUnsafeBytes { take(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    }
  }

  /// A small text file as a whole; nil when there is none.
  static func text(_ path: String) throws -> String? {
    do {
      let file = try opened(path)
      defer { Foundation.close(file) }
      var bytes = [UInt8]()
      try read(file, path) { bytes += $0 }
      return String(decoding: bytes, as: UTF8.self)
    } catch FileFailure.missing { return nil }
  }

  /// A script that another includes, without the mark that some editors begin a file with; nil when it is no script.
  static func script(_ path: String) throws -> String? {
    guard let size = try status(path)?.size, size <= 16 << 20 else { return nil }
    let file = try opened(path)
    defer { Foundation.close(file) }
    var bytes = [UInt8]()
    try read(file, path) { bytes += $0 }
    return String(validating: bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes.dropFirst(3) : bytes[...], as: UTF8.self)
  }

  /// Removes a file or a link.
  /// - Returns: whether it was there.
  static func removeLink(_ path: String) throws -> Bool {
    if unlink(path) == 0 { return true }
    guard errno == ENOENT else { throw FileFailure(errno, "remove", path) }
    return false
  }

  /// Removes a file or a whole folder; one that is not there is no failure.
  static func remove(_ path: String) {
    if unlink(path) == 0 { return }
    try? FileManager.default.removeItem(atPath: path)
  }

  /// Where a link points; nil when there is none, or something else in its place.
  static func target(ofLink path: String) throws -> String? {
    var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(path, &bytes, bytes.count)
    if count >= 0 { return String(decoding: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) }
    if errno == ENOENT || errno == EINVAL { return nil }
    throw FileFailure(errno, "read", path)
  }

  /// Bytes free for a user on the disk of `path`.
  static func freeSpace(at path: String) throws -> Int {
    var info = statvfs()
    guard statvfs(path, &info) == 0 else { throw FileFailure(errno, "look at", path) }
    let (bytes, isBeyond) = UInt(info.f_bavail).multipliedReportingOverflow(by: UInt(info.f_frsize))
    return isBeyond ? .max : Int(clamping: bytes)
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
}

/// Why the file system refused.
enum FileFailure: Explained, Equatable {
  case noSpace(path: String)
  case readOnly(path: String)
  case unreadable(path: String)
  case missing(path: String)
  case notRegular(path: String)
  case changing(path: String)
  /// The process may not make files as large as this one would get.
  case tooLarge(path: String)
  case system(doing: String, path: String, reason: String)

  init(_ code: Int32, _ doing: String, _ path: String) {
    switch code {
    case ENOSPC, EDQUOT: self = .noSpace(path: path)
    case EROFS, EACCES, EPERM:
      self = ["open", "read", "list", "look at"].contains(doing) ? .unreadable(path: path) : .readOnly(path: path)
    case EFBIG: self = .tooLarge(path: path)
    case ENOENT: self = .missing(path: path)
    default: self = .system(doing: doing, path: path, reason: String(cString: strerror(code)))
    }
  }

  var diagnostic: Diagnostic {
    switch self {
    case .noSpace(let path):
      Diagnostic(
        "no space left on the disk of \(path); nothing finished was lost",
        hint: "free some space (`prn gc --apply --empty-trash` removes what nothing needs) and run again")
    case .readOnly(let path):
      Diagnostic("no permission to write \(path)", hint: "choose another workspace with --workspace DIR")
    case .unreadable(let path): Diagnostic("no permission to read \(path)")
    case .notRegular(let path): Diagnostic("\(path) is not a regular file")
    case .changing(let path): Diagnostic("\(path) changed while it was read", hint: "run again when it is complete")
    case .tooLarge(let path):
      Diagnostic(
        "\(path) would get larger than this process may make a file; nothing finished was lost",
        hint: "raise the limit with `ulimit -f`")
    case .missing(let path): Diagnostic("there is no file or folder \(path)", kind: .usage)
    case .system(let doing, let path, let reason): Diagnostic("could not \(doing) \(path): \(reason)")
    }
  }
}
