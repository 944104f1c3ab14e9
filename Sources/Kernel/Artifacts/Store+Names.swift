import Foundation

// A name is a file of lines, the last of which tells what it is bound to. Beside it lies a link to that object, for people
// and viewers: copies of a workspace often come without links, and a clock can be set back, so neither is relied on.

extension Store {
  private func namePath(_ name: String, _ session: String? = nil) -> String {
    "\(root)/vars/\(session ?? options.session)/\(name)"
  }

  public func names() throws -> [String] {
    try explained { Set(try sessions().flatMap { try names(in: $0) }).sorted() }
  }

  /// The sessions that have names.
  public func sessions() throws -> [String] {
    try Files.names(in: root + "/vars").filter { try Files.isFolder("\(root)/vars/\($0)") }
  }

  /// The names bound in a session.
  public func names(in session: String) throws -> [String] {
    let stems = try Files.names(in: "\(root)/vars/\(session)").compactMap { file -> String? in
      for ending in [".jsonl", ".h5"] where file.hasSuffix(ending) { return String(file.dropLast(ending.count)) }
      return nil
    }
    return Set(stems.filter(isValidName)).sorted()
  }

  /// The key a name of a session is bound to, whether or not the object is there.
  public func key(of name: String, in session: String? = nil) throws -> String? {
    try explained { try bindings(of: name, in: session).last?.key }
  }

  public func keys(of name: String) throws -> [String] { try explained { try bindings(of: name).map(\.key) } }

  public func value(named name: String, back: Int) throws -> ArtifactHandle? {
    guard let binding = try bindings(of: name).dropLast(back).last else { return nil }
    return try find(binding.key)?.handle
  }

  public func bind(_ name: String, to reference: ArtifactReference) throws {
    guard isValidName(name) else { throw StoreFailure.badName(name).diagnostic }
    let target = Store.linkTarget(reference.key)
    let path = namePath(name)
    try explained {
      let history = try written(path)
      let former = history.bindings.isEmpty ? try linked(path).map { [$0] } ?? [] : history.bindings
      let isSame = former.last?.key == reference.key && !history.isTorn
      if isSame, try Files.target(ofLink: path + ".h5") == target { return }
      try prepare()
      if !isSame {
        var made = [Binding]()
        // A name of an earlier version has its link only.
        if try !Files.exists(path + ".jsonl") { made = former }
        made.append(
          Binding(
            key: reference.key, content: reference.content, time: Journal.timestamp(Date().timeIntervalSince1970),
            step: try stepRecord(of: reference.key) ?? .null))
        for binding in made { try Files.append(binding.line, to: path + ".jsonl") }
      }
      try Files.link(path + ".h5", to: target, temporary: temporaryPath(name, "link"))
      try record([
        "event": "bind", "name": .string(name), "key": .string(reference.key), "content": .string(reference.content),
      ])
    }
  }

  static func linkTarget(_ key: String) -> String { "../../objects/\(key.prefix(2))/\(key).h5" }

  /// Forgets a name; the object stays until `collect` finds that nothing needs it.
  public func drop(_ name: String) throws {
    try explained {
      let removed = try [".jsonl", ".h5"].filter { try Files.removeLink(namePath(name) + $0) }
      if removed.isEmpty { throw StoreFailure.missingName(name) }
    }
    try record(["event": "drop", "name": .string(name)])
  }

  /// A value a name had.
  public struct Binding: Sendable, Equatable {
    public let key: String
    public let content: String
    /// UTC.
    public let time: String
    /// The step that made the value, kept when the object is gone.
    public let step: JSONValue

    fileprivate var line: String {
      JSONValue.object(["key": .string(key), "content": .string(content), "time": .string(time), "record": step])
        .canonical
    }
  }

  /// What a name was bound to, oldest first; binding the same value again does not count.
  /// - Throws: `StoreFailure.unreadableName` when what it is bound to now can be told neither by its last line nor by its
  ///   link.
  public func bindings(of name: String, in session: String? = nil) throws -> [Binding] {
    let path = namePath(name, session)
    let history = try written(path)
    if !history.bindings.isEmpty, !history.isTorn { return history.bindings }
    guard let link = try linked(path) else {
      if history.isTorn { throw StoreFailure.unreadableName(name, path: path + ".jsonl") }
      return []
    }
    return history.bindings.last?.key == link.key ? history.bindings : history.bindings + [link]
  }

  /// The lines of a name, and whether the last of them is missing or cannot be read.
  struct History: Sendable {
    var bindings: [Binding]
    var isTorn: Bool
  }

  private func written(_ path: String) throws -> History {
    try nameFiles.history(of: path + ".jsonl") { text in
      let lines = text.split(separator: "\n").map { try? JSONValue(parsing: String($0)) }
      let bindings = lines.map { line in
        line?["key"]?.stringValue.map {
          Binding(
            key: $0, content: line?["content"]?.stringValue ?? "", time: line?["time"]?.stringValue ?? "",
            step: line?["record"] ?? .null)
        }
      }
      return History(bindings: bindings.compactMap { $0 }, isTorn: bindings.last.map { $0 == nil } ?? true)
    }
  }

  /// The binding of a name that has only its link, or in a copy without links only the object itself.
  private func linked(_ name: String) throws -> Binding? {
    let path = name + ".h5"
    guard let status = try Files.status(path, ofLink: true) else { return nil }
    let key: String
    if let target = try Files.target(ofLink: path) {
      key = String((target as NSString).lastPathComponent.dropLast(3))
    } else {
      key = try HDF5File(reading: path).attribute("prn_key").stringValue ?? ""
    }
    return Binding(
      key: key, content: try header(of: key)?.reference.content ?? "",
      time: Journal.timestamp(Double(status.modified.seconds)), step: try stepRecord(of: key) ?? .null)
  }

  /// What the key of an object is the hash of; nil when the object is not there.
  public func stepRecord(of key: String) throws -> JSONValue? {
    guard try Files.exists(objectPath(key)) else { return nil }
    return try guarded(key) { try ObjectReader.json("provenance/step", in: try HDF5File(reading: objectPath(key))) }
  }

  // Pins keep an object without a name.

  public func pin(_ key: String) throws {
    try explained {
      guard try Files.exists(objectPath(key)) else { throw StoreFailure.missingObject(key: key) }
      try Files.makeFolder(root + "/pins")
      try Files.replace("\(root)/pins/\(key)", with: "", temporary: temporaryPath("pin", "txt"))
    }
  }

  /// - Returns: whether it was pinned.
  @discardableResult
  public func unpin(_ key: String) throws -> Bool { try explained { try Files.removeLink("\(root)/pins/\(key)") } }

  public func isPinned(_ key: String) throws -> Bool { try explained { try Files.exists("\(root)/pins/\(key)") } }

  public var pins: [String] { get throws { try Files.names(in: root + "/pins").filter(isKey) } }

  /// Makes `index.h5` anew: a link per name, for people who browse the workspace with an HDF5 viewer.
  public func rebuildIndex() throws {
    try prepare()
    let temporary = temporaryPath("index")
    Files.remove(temporary)
    do {
      let index = try HDF5File(creating: temporary)
      for session in try sessions() {
        try index.makeGroup(session)
        for name in try names(in: session) {
          try index.link("\(session)/\(name)", toRootOf: "vars/\(session)/\(name).h5")
        }
      }
      try index.close()
      try Files.publish(temporary, as: root + "/index.h5")
    } catch let error as any Explained {
      Files.remove(temporary)
      throw error.diagnostic
    }
  }
}

/// The files of names as they were last read. A line is added to one, or it is removed, but none is rewritten; so one that
/// looks the same is the same, and a workspace with many names is read once.
final class NameFiles: @unchecked Sendable {
  // Sendable: everything that changes is behind `lock`.
  private let lock = NSLock()
  private var histories: [String: (status: Files.Status, history: Store.History)] = [:]

  /// - Returns: what `read` makes of the file's text; no bindings when there is no file.
  func history(of path: String, _ read: (String) -> Store.History) throws -> Store.History {
    guard let status = try Files.status(path) else { return Store.History(bindings: [], isTorn: false) }
    if let known = lock.withLock({ histories[path] }), known.status == status { return known.history }
    let history = read(try Files.text(path) ?? "")
    lock.withLock { histories[path] = (status, history) }
    return history
  }
}
