import Foundation
import Kernel

/// Files and folders that the user asked for. What a run reads is never written over, and nothing that prn did not write
/// is, unless `--force` says so. A file is put together beside its place and renamed, so that none is ever half there.
final class Outputs {
  let store: Store
  /// Whether files that prn did not write may be replaced: `--force`.
  var isForced: Bool
  /// Whether nothing is written and so nothing refused.
  private let isIdle: Bool

  init(store: Store, isForced: Bool, isIdle: Bool = false) {
    self.store = store
    self.isForced = isForced
    self.isIdle = isIdle
  }

  enum Kind { case file, folder }

  // MARK: - Checking

  /// Refuses a target that must not be written, as far as can be known now.
  /// - Parameter reads: files and folders that are in use.
  func check(_ path: String, _ kind: Kind, reads: [String], argument: String? = "to") throws {
    if isIdle { return }
    func refuse(_ reason: String, _ hint: String? = nil) -> Diagnostic {
      Diagnostic("\(path) \(reason)", hint: hint, argument: argument, kind: .usage)
    }
    if OutputPlace.isStream(path) {
      if kind == .folder { throw refuse("is no folder, and a model is written as one") }
      return
    }
    if kind == .file, path.hasSuffix("/") { throw refuse("names a folder, and a file is written") }
    let place = OutputPlace(path)
    if place.path == store.root || place.path.hasPrefix(store.root + "/") { throw refuse("is inside the workspace") }
    if reads.contains(where: { OutputPlace($0).path == place.path }) {
      throw refuse("is read by what is being run", "choose another name")
    }
    if place.kind != .special, let failure = place.obstacle { throw refuse("cannot be written: \(failure.reason)") }
    switch (place.kind, kind) {
    case (.nothing, _):
      if kind == .file, try store.isPartOfSource(place.path) {
        throw refuse("would become a part of a model that was loaded")
      }
    case (.folder, .file): throw refuse("is a folder, and a file is written")
    case (.file, .folder), (.special, .folder): throw refuse("is a file, and what is written is a folder")
    case (.special, .file): return
    case (.file, .file): try checkReplaceable(place.path, shown: path, argument)
    case (.folder, .folder):
      if try !store.wrote(place.path + "/config.json"), try store.isSource(place.path) {
        throw refuse("is the folder of a model that was loaded", "choose another folder")
      }
      for name in place.names where Outputs.isWeights(name) || Outputs.besideWeights.contains(name) {
        try checkReplaceable(place.path + "/" + name, shown: path + "/" + name, argument)
      }
    }
  }

  private func checkReplaceable(_ file: String, shown: String, _ argument: String?) throws {
    if try store.wrote(file) { return }
    if try store.isSource(file) {
      throw Diagnostic(
        "\(shown) was loaded and is not written over", hint: "choose another name", argument: argument, kind: .usage)
    }
    guard isForced else {
      throw Diagnostic(
        "\(shown) is there, and is not as prn wrote it",
        hint: "choose another name, or replace it with --force", argument: argument, kind: .usage)
    }
  }

  /// What loaders look for in a model's folder.
  private static func isWeights(_ name: String) -> Bool {
    name == "config.json" || name.hasSuffix(".safetensors") || name.hasSuffix(".safetensors.index.json")
  }

  /// What else is written into one, so that a file in the way is found before the work and not after it.
  private static let besideWeights: Set<String> = [
    "README.md", "prn_units.json", "modeling_prn.py", "tokenizer.json", "tokenizer.model", "tokenizer_config.json",
    "generation_config.json",
  ]

  // MARK: - Writing

  /// Writes one file.
  func write(_ bytes: [UInt8], to path: String, argument: String? = "to") throws {
    if isIdle { return }
    try check(path, .file, reads: [], argument: argument)
    if OutputPlace.isStream(path) || OutputPlace(path).kind == .special {
      return try explained(path, argument) { try OutputPlace.write(bytes, through: path) }
    }
    try write(to: path, argument: argument) { temporary in
      guard FileManager.default.createFile(atPath: temporary, contents: Data(bytes)) else {
        throw OutputFailure(code: errno)
      }
    }
  }

  /// Writes one file that `body` makes under the name it is given.
  func write(to path: String, argument: String? = "to", _ body: (String) throws -> Void) throws {
    try check(path, .file, reads: [], argument: argument)
    let place = OutputPlace(path)
    try explained(path, argument) {
      let staging = try Staging(beside: place.path, store)
      let temporary = staging.path + "/" + place.name
      try body(temporary)
      try self.place(temporary, at: place.path)
    }
  }

  /// Writes a folder that `body` fills. Files that are there already and not among the new ones stay, except those that
  /// an earlier output left.
  func writeFolder(to path: String, _ body: (String) throws -> Void) throws {
    try check(path, .folder, reads: [])
    let place = OutputPlace(path)
    try explained(path, "to") {
      let staging = try Staging(beside: place.path, store)
      try body(staging.path)
      // config.json goes first and comes last, so that no loader takes a half-written folder for a model.
      let names = OutputPlace(staging.path).names.sorted {
        ($0 == "config.json" ? 1 : 0) < ($1 == "config.json" ? 1 : 0)
      }
      for name in place.names where names.contains(name) {
        try checkReplaceable(place.path + "/" + name, shown: path + "/" + name, "to")
      }
      let former = place.names.filter { !names.contains($0) }
      let stale = try former.filter { try store.wrote(place.path + "/" + $0) }
      if let other = former.first(where: { Outputs.isWeights($0) && !stale.contains($0) }) {
        throw Diagnostic(
          "\(path) holds weights of another model: \(other)", hint: "choose another folder", argument: "to")
      }
      try OutputPlace.makeFolders(place.path)
      if try isForced || store.wrote(place.path + "/config.json") { unlink(place.path + "/config.json") }
      for name in stale { unlink(place.path + "/" + name) }
      for name in names { try self.place(staging.path + "/" + name, at: place.path + "/" + name) }
    }
  }

  private func place(_ file: String, at path: String) throws {
    try store.noteOutput(file, as: path)
    guard rename(file, path) == 0 else { throw OutputFailure(code: errno) }
  }

  private func explained(_ path: String, _ argument: String?, _ body: () throws -> Void) throws {
    do { try body() } catch let failure as OutputFailure {
      throw Diagnostic("\(path) cannot be written: \(failure.reason)", argument: argument)
    } catch let failure as CocoaError {
      throw Diagnostic("\(path) cannot be written: \(OutputFailure(failure).reason)", argument: argument)
    }
  }
}

/// Why the system did not take an output.
struct OutputFailure: Error {
  var code: Int32
  init(code: Int32) { self.code = code }
  init(_ error: CocoaError) {
    let cause = error.userInfo[NSUnderlyingErrorKey] as? NSError
    code = Int32(clamping: cause?.code ?? (error.code == .fileWriteNoPermission ? Int(EACCES) : Int(EIO)))
  }
  var reason: String { String(cString: strerror(code)) }
}

/// What stands where an output goes.
struct OutputPlace {
  enum Kind { case nothing, file, folder, special }

  /// From the root, links followed.
  let path: String
  let kind: Kind

  init(_ path: String) {
    let whole = path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
    self.path = OutputPlace.followed(whole)
    var info = stat()
    guard stat(self.path, &info) == 0 else {
      kind = .nothing
      return
    }
    switch info.st_mode & S_IFMT {
    case S_IFREG: kind = .file
    case S_IFDIR: kind = .folder
    default: kind = .special
    }
  }

  /// The path behind links, also of a link whose target is still to be made.
  private static func followed(_ path: String) -> String {
    var path = ((path as NSString).standardizingPath as NSString).resolvingSymlinksInPath
    // As many as the system follows itself.
    for _ in 0..<40 {
      guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path) else { break }
      let folder = (path as NSString).deletingLastPathComponent
      path = target.hasPrefix("/") ? target : (folder as NSString).appendingPathComponent(target)
      path = ((path as NSString).standardizingPath as NSString).resolvingSymlinksInPath
    }
    return path
  }

  var name: String { (path as NSString).lastPathComponent }

  /// Names in the folder; none when it is none.
  var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }

  /// Why nothing can be made there, as far as the folder shows in which it stands or will stand.
  var obstacle: OutputFailure? {
    var own = stat()
    if lstat(path, &own) != 0, errno != ENOENT, errno != ENOTDIR { return OutputFailure(code: errno) }
    var folder = (path as NSString).deletingLastPathComponent
    while folder != "/", access(folder, F_OK) != 0 { folder = (folder as NSString).deletingLastPathComponent }
    var info = stat()
    if stat(folder, &info) == 0, info.st_mode & S_IFMT != S_IFDIR { return OutputFailure(code: ENOTDIR) }
    return access(folder, W_OK) == 0 ? nil : OutputFailure(code: errno)
  }

  /// Makes a folder and those above it.
  static func makeFolders(_ path: String) throws {
    if access(path, F_OK) == 0 { return }
    try makeFolders((path as NSString).deletingLastPathComponent)
    guard mkdir(path, 0o777) == 0 || errno == EEXIST else { throw OutputFailure(code: errno) }
  }

  /// Whether a path names a stream this process has open: what it leads to is written through, whatever it is.
  static func isStream(_ path: String) -> Bool { descriptor(path) != nil }

  private static func descriptor(_ path: String) -> Int32? {
    switch path {
    case "/dev/stdout": return STDOUT_FILENO
    case "/dev/stderr": return STDERR_FILENO
    default:
      let parts = ["/dev/fd/", "/proc/self/fd/"].first(where: path.hasPrefix).map { path.dropFirst($0.count) }
      return parts.flatMap { Int32($0) }
    }
  }

  /// Writes into a device, a FIFO or an open stream.
  static func write(_ bytes: [UInt8], through path: String) throws {
    let file = descriptor(path).map { dup($0) } ?? open(path, O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { throw OutputFailure(code: errno) }
    defer { close(file) }
    var rest = bytes[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { Foundation.write(file, $0.baseAddress, $0.count) }
      if written < 0, errno == EINTR, !Interrupts.isStopping { continue }
      guard written > 0 else { throw OutputFailure(code: errno) }
      rest = rest.dropFirst(written)
    }
  }
}

/// A folder beside an output in which it is put together. It is written down before it is made and locked while it is
/// used, so that one that a killed run left is known and removed by the next output.
private final class Staging {
  let path: String
  private let lock: Int32

  init(beside target: String, _ store: Store) throws {
    try Staging.sweep(store)
    let parent = (target as NSString).deletingLastPathComponent
    try OutputPlace.makeFolders(parent)
    path = parent + "/.prn-\(UUID().uuidString.prefix(13)).part"
    try store.noteStaging(path)
    guard mkdir(path, 0o777) == 0 else { throw OutputFailure(code: errno) }
    lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    flock(lock, LOCK_EX | LOCK_NB)
  }

  deinit {
    try? FileManager.default.removeItem(atPath: path)
    if lock >= 0 { close(lock) }
  }

  /// Removes what killed runs left. One that another process uses is locked.
  private static func sweep(_ store: Store) throws {
    for path in try store.leftStagings() {
      let file = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
      guard file >= 0 else { continue }
      if flock(file, LOCK_EX | LOCK_NB) == 0 { try? FileManager.default.removeItem(atPath: path) }
      close(file)
    }
  }
}

extension Diagnostic {
  /// Why a file is not written in a format that its name does not end in.
  static func contradicting(_ format: String, _ path: String) -> Diagnostic {
    Diagnostic("as=\(format) contradicts the name \(path)", argument: "to", kind: .usage)
  }
}
