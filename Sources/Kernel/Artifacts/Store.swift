import Foundation

/// The artifact store of a workspace: one immutable HDF5 file per finished step, named by the step's key.
///
///     .prn/objects/3f/3fa9….h5   the objects; never changed once they have their name
///     .prn/vars/main/acts.jsonl  what a name was bound to, newest last; acts.h5 is a link to that object
///     .prn/journal/*.jsonl       who did what and when, one file per process
///     .prn/partial/<key>/        checkpoints of steps that are not finished
///     .prn/locks/<key>           held by the kernel while a step runs, so it dies with the process
///     .prn/tmp trash quarantine  on the same disk, so that giving a file its place is one rename
///
/// Goals, in this order: what is finished is never lost; what is read is what was written; two runs of one script write
/// the same bytes; two processes need not know of each other. Nothing rests on locks: without them a step may be
/// computed twice and the same file renamed over itself.
public final class Store: StepStore, @unchecked Sendable {
  // Sendable: everything that changes is behind `lock`.

  public struct Options: Sendable {
    /// The session whose names are bound: `main`, or a number.
    public var session = "main"
    public var compression = Compression.auto
    /// Hash every external file again, whatever its size and time say.
    public var rehash = false
    /// Whether looking at an external file may write down where it was; not in a dry run.
    public var remembersSources = true
    /// A damaged object is an error instead of being made again.
    public var isStrict = false
    /// Bytes of memory a step may use.
    public var memoryLimit = Int(clamping: ProcessInfo.processInfo.physicalMemory / 10 * 8)
    /// Facts about this process for every step's journal line: BLAS core, threads.
    public var environment: [String: JSONValue] = [:]
    /// What comes through a descriptor this process was given, such as standard input; nil when that is a terminal.
    public var readPipe: @Sendable (_ descriptor: Int32) throws -> [UInt8]? = { _ in nil }
    /// Hears about damaged objects that were set aside.
    public var warn: @Sendable (String) -> Void = { _ in }
    public init() {}
  }

  /// The `.prn` folder, absolute.
  public let root: String
  let types: [String: any Artifact.Type]
  let journal: Journal
  let sources: Sources
  let nameFiles = NameFiles()
  private let lock = NSLock()
  private var currentOptions: Options
  private var piped: [Int32: String] = [:]

  /// - Parameters:
  ///   - workspace: the `.prn` folder itself; it need not exist and is made when something is first written.
  ///   - types: the artifact types by name, to read values that were bound in an earlier process.
  /// - Throws: `Diagnostic` when the folder is a workspace this version cannot read.
  public init(workspace: String, types: [String: any Artifact.Type], options: Options = Options()) throws {
    guard !workspace.isEmpty else { throw Diagnostic("the workspace has no name", kind: .usage) }
    root = Files.absolute(workspace)
    self.types = types
    currentOptions = options
    journal = Journal(folder: root + "/journal", session: options.session)
    sources = Sources(root: root)
    guard isValidName(options.session) || Int(options.session) != nil else {
      throw Diagnostic("`\(options.session)` cannot name a session", kind: .usage)
    }
    try explained { try checkFormat() }
  }

  /// The `.prn` folder in `folder` or above it, nil when there is none.
  /// - Throws: `Diagnostic` when it belongs to another user: what that user put there would be read and written unasked.
  public static func locate(from folder: String) throws -> String? {
    try explained { try nearest(to: folder) }
  }

  private static func nearest(to folder: String) throws -> String? {
    var folder = Files.absolute(folder)
    while true {
      let candidate = (folder == "/" ? "" : folder) + "/.prn"
      if let status = try Files.status(candidate), status.isFolder {
        guard status.owner == geteuid() else { throw StoreFailure.othersWorkspace(path: candidate) }
        return candidate
      }
      if folder == "/" { return nil }
      folder = (folder as NSString).deletingLastPathComponent
    }
  }

  private func checkFormat() throws {
    guard try Files.exists(root) else { return }
    guard try Files.isFolder(root) else { throw StoreFailure.notAWorkspace(path: root) }
    var text = try Files.text(root + "/workspace.json")
    if text == nil {
      if try isBlank() { return }
      // Another process may have made it between the two looks; the file comes before all else.
      text = try Files.text(root + "/workspace.json")
    }
    guard let value = text.flatMap({ try? JSONValue(parsing: $0) }), value["format"] == "prn-workspace",
      let version = value["version"]?.intValue
    else {
      let isOurs = try Files.isFolder(root + "/objects") && Files.isFolder(root + "/vars")
      throw isOurs ? StoreFailure.brokenWorkspace(path: root) : StoreFailure.notAWorkspace(path: root)
    }
    if version > 1 { throw StoreFailure.newerWorkspace(path: root, version: version) }
  }

  /// Whether the folder is empty, or holds no more than `prepare` makes before the file that says what it is.
  private func isBlank() throws -> Bool {
    let names = try Files.names(in: root)
    return try names.isEmpty
      || names == ["tmp"] && Files.names(in: root + "/tmp").allSatisfy { ProcessTag.owner(ofTemporary: $0) != nil }
  }

  /// Makes what is missing of the workspace; a copy can come without its empty folders.
  func prepare() throws {
    try Files.makeFolder(root + "/tmp")
    if try !Files.exists(root + "/workspace.json") {
      let text = JSONValue.object(["format": "prn-workspace", "version": 1]).canonical + "\n"
      try Files.replace(root + "/workspace.json", with: text, temporary: temporaryPath("workspace", "json"))
    }
    for folder in ["objects", "vars/" + options.session, "journal", "partial", "locks", "trash", "quarantine"] {
      try Files.makeFolder(root + "/" + folder)
    }
  }

  /// What can be set while the store is in use; the session stays what it was.
  public var options: Options {
    get { lock.withLock { currentOptions } }
    set { lock.withLock { currentOptions = newValue } }
  }

  public var memoryLimit: Int { options.memoryLimit }

  public func freeDisk() throws -> Int {
    var folder = root
    return try explained {
      while try !Files.exists(folder) { folder = (folder as NSString).deletingLastPathComponent }
      return try Files.freeSpace(at: folder)
    }
  }

  public func external(_ path: String, files: [String]) throws -> ExternalFile {
    try explained {
      let path = try Files.descriptor(namedBy: path).map(pipedFile) ?? path
      return try sources.external(
        path, files: files, rehash: options.rehash, remembers: options.remembersSources && isWritable
      ) {
        try prepare()
      }
    }
  }

  /// What came through a descriptor as a file of the workspace, so that it is still there when a step is verified. Read
  /// once.
  private func pipedFile(_ descriptor: Int32) throws -> String {
    if let known = lock.withLock({ piped[descriptor] }) { return known }
    let name = descriptor == 0 ? "standard input" : "descriptor \(descriptor)"
    guard let bytes = try options.readPipe(descriptor) else {
      throw Diagnostic("a pipe is wanted, and \(name) is a terminal", kind: .usage)
    }
    guard !bytes.isEmpty else { throw Diagnostic("nothing came through \(name)", kind: .usage) }
    try prepare()
    let hash = bytes.withUnsafeBytes(SHA256.hex(of:))
    let path = root + "/inputs/" + hash
    if try !Files.exists(path) {
      try Files.makeFolder(root + "/inputs")
      let temporary = temporaryPath("input", "bin")
      try Data(bytes).write(to: URL(fileURLWithPath: temporary))
      try Files.publish(temporary, as: path)
    }
    lock.withLock { piped[descriptor] = path }
    return path
  }

  /// Where a file or folder with this content was last seen, after making sure that it is still the same.
  public func source(content: String) throws -> String { try explained { try sources.path(content: content) } }

  /// Whether this process may write into the workspace, or make it.
  public var isWritable: Bool { access(root, W_OK) == 0 || errno == ENOENT }

  /// Adds a line to the journal; a workspace that can only be read has none of what is done with it.
  public func record(_ entry: [String: JSONValue]) throws {
    guard isWritable else { return }
    try explained {
      try prepare()
      try journal.append(entry)
    }
  }

  /// All journal lines of the workspace, oldest first.
  public var entries: [Journal.Entry] { get throws { try explained { try journal.entries() } } }

  /// Where the object of a key is or would be.
  public func objectPath(_ key: String) -> String { "\(root)/objects/\(key.prefix(2))/\(key).h5" }
}

/// Runs `body`, which fails with facts, and passes their wording on: what leaves the store is a `Diagnostic`.
func explained<T>(_ body: () throws -> T) throws -> T {
  do { return try body() } catch let error as any Explained { throw error.diagnostic }
}

/// Whether `name` can name a variable: a letter, then letters, digits and underscores.
func isValidName(_ name: String) -> Bool {
  guard let first = name.unicodeScalars.first, first.properties.isAlphabetic else { return false }
  return name.unicodeScalars.allSatisfy { $0.properties.isAlphabetic || ("0"..."9").contains($0) || $0 == "_" }
}

/// What can be wrong with a store.
enum StoreFailure: Explained, Equatable {
  case notAWorkspace(path: String)
  /// The file that says what the folder is cannot be read, and what prn keeps is there.
  case brokenWorkspace(path: String)
  case othersWorkspace(path: String)
  case newerWorkspace(path: String, version: Int)
  case newerSchema(key: String, schema: String)
  case otherType(key: String, type: String, version: Int, read: Int)
  case unknownType(key: String, type: String)
  case damaged(key: String, reason: String, quarantined: Bool)
  case missingObject(key: String)
  /// A part is not what it was when its whole was made.
  case otherContent(key: String)
  /// Something that must stay cannot be read, so what it needs is not known.
  case unknownNeeds(of: String, reason: String)
  case missingName(String)
  /// Neither the last line of a name nor its link tells what it is bound to.
  case unreadableName(String, path: String)
  case badName(String)
  case unknownSource(content: String)
  case changedSource(path: String)
  case brokenSources(path: String)
  case unfinished(reason: String)

  var diagnostic: Diagnostic {
    switch self {
    case .notAWorkspace(let path):
      Diagnostic(
        "\(path) is not a prn workspace",
        hint: "name a folder that prn made, an empty one, or one that is not there yet",
        kind: .usage)
    case .brokenWorkspace(let path):
      Diagnostic(
        "\(path)/workspace.json is damaged or gone",
        hint: "write `{\"format\":\"prn-workspace\",\"version\":1}` into it if prn made this folder", kind: .store)
    case .othersWorkspace(let path):
      Diagnostic(
        "the workspace \(path) belongs to another user", hint: "choose one with --workspace DIR, be it that one",
        kind: .usage)
    case .newerWorkspace(let path, let version):
      Diagnostic("the workspace \(path) has version \(version); this prn reads up to 1", kind: .store)
    case .newerSchema(let key, let schema):
      Diagnostic(
        "the object \(key.prefix(12)) was written by prn schema \(schema); this prn reads up to "
          + "\(ObjectWriter.schema.major).x", kind: .store)
    case .otherType(let key, let type, let version, let read):
      Diagnostic(
        "the object \(key.prefix(12)) holds `\(type)` in version \(version), and this prn reads version \(read)",
        hint: version < read ? "run its step again" : nil, kind: .store)
    case .unknownType(let key, let type):
      Diagnostic("the object \(key.prefix(12)) holds `\(type)`, a type this prn does not have", kind: .store)
    case .damaged(let key, let reason, true):
      Diagnostic(
        "the object \(key.prefix(12)) was damaged and set aside in quarantine: \(reason)",
        hint: "run the step again to make it anew", kind: .store)
    case .damaged(let key, let reason, false):
      Diagnostic("the object \(key.prefix(12)) is damaged: \(reason)", kind: .store)
    case .missingObject(let key): Diagnostic("the object \(key.prefix(12)) is not in the store", kind: .store)
    case .otherContent(let key):
      Diagnostic(
        "the object \(key.prefix(12)) was made again and is not what it was", hint: "run the step that uses it again",
        kind: .store)
    case .unknownNeeds(let what, let reason):
      Diagnostic(
        "nothing was collected: what \(what) needs is not known, for \(reason)",
        hint: "run its step again, or drop the name; `prn fsck` lists what is damaged", kind: .store)
    case .missingName(let name): Diagnostic("there is no value named `\(name)`", kind: .usage)
    case .unreadableName(let name, let path):
      Diagnostic(
        "what `\(name)` is bound to cannot be read: the end of \(path) is damaged",
        hint: "run the step that makes it again, or drop the name", kind: .store)
    case .badName(let name): Diagnostic("`\(name)` cannot name a value", kind: .usage)
    case .unknownSource(let content):
      Diagnostic("the store does not know where the file with content \(content.prefix(12)) is")
    case .changedSource(let path):
      Diagnostic(
        "\(path) is gone or has changed since it was read", hint: "put the old file back, or load it again")
    case .brokenSources(let path):
      Diagnostic(
        "\(path) is damaged", hint: "remove it: models and texts are hashed again when they are loaded", kind: .store)
    case .unfinished(let reason): Diagnostic("the result could not be read back after writing: \(reason)", kind: .store)
    }
  }
}
