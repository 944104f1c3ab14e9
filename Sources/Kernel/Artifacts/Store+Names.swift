import Foundation

// Names are links to objects, replaced as a whole; what they were bound to before is in the journal.

extension Store {
  private var namesFolder: String { "\(root)/vars/\(options.session)" }

  public func names() throws -> [String] {
    Set(sessions().flatMap { names(in: $0) }).sorted()
  }

  /// The sessions that have names.
  public func sessions() -> [String] {
    Files.names(in: root + "/vars").filter { Files.status("\(root)/vars/\($0)")?.isFolder == true }
  }

  /// The names bound in a session.
  public func names(in session: String) -> [String] {
    Files.names(in: "\(root)/vars/\(session)").filter { $0.hasSuffix(".h5") }.map { String($0.dropLast(3)) }
  }

  /// The key a name of a session is bound to, whether or not the object is there.
  public func key(of name: String, in session: String? = nil) -> String? {
    Files.target(ofLink: "\(root)/vars/\(session ?? options.session)/\(name).h5").map {
      String(($0 as NSString).lastPathComponent.dropLast(3))
    }
  }

  public func value(named name: String, back: Int) throws -> ArtifactHandle? {
    let key: String?
    if back == 0 {
      key = self.key(of: name)
    } else {
      let former = bindings(of: name)
      key = former.dropLast(back).last?.key
    }
    return try key.flatMap { try find($0) }?.handle
  }

  public func bind(_ name: String, to reference: ArtifactReference) throws {
    guard isValidName(name) else { throw StoreFailure.badName(name).diagnostic }
    let target = "../../objects/\(reference.key.prefix(2))/\(reference.key).h5"
    if Files.target(ofLink: "\(namesFolder)/\(name).h5") == target { return }
    try explained {
      try prepare()
      try Files.makeFolder(namesFolder)
      try Files.link("\(namesFolder)/\(name).h5", to: target, temporary: "\(root)/tmp/\(name).\(getpid()).link")
      try record([
        "event": "bind", "name": .string(name), "key": .string(reference.key), "content": .string(reference.content),
        "record": try stepRecord(of: reference.key) ?? .null,
      ])
    }
  }

  /// Forgets a name; the object stays until `collect` finds that nothing needs it.
  public func drop(_ name: String) throws {
    guard unlink("\(namesFolder)/\(name).h5") == 0 else { throw StoreFailure.missingName(name).diagnostic }
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
  }

  /// What a name of this session was bound to, oldest first; binding the same value again does not count.
  public func bindings(of name: String) -> [Binding] {
    var found = [Binding]()
    for entry in journal.entries()
    where entry["event"] == "bind" && entry["name"] == .string(name) && entry["session"] == .string(options.session) {
      let key = entry["key"]?.stringValue ?? ""
      guard found.last?.key != key else { continue }
      found.append(
        Binding(
          key: key, content: entry["content"]?.stringValue ?? "", time: entry["time"]?.stringValue ?? "",
          step: entry["record"] ?? .null))
    }
    return found
  }

  /// What the key of an object is the hash of; nil when the object is not there.
  public func stepRecord(of key: String) throws -> JSONValue? {
    guard Files.exists(objectPath(key)) else { return nil }
    return try guarded(key) { try ObjectReader.json("provenance/step", in: try HDF5File(reading: objectPath(key))) }
  }

  // Pins keep an object without a name.

  public func pin(_ key: String) throws {
    guard Files.exists(objectPath(key)) else { throw StoreFailure.missingObject(key: key).diagnostic }
    try explained {
      try Files.makeFolder(root + "/pins")
      try Files.replace("\(root)/pins/\(key)", with: "", temporary: "\(root)/tmp/pin.\(getpid())")
    }
  }

  public func unpin(_ key: String) throws {
    guard unlink("\(root)/pins/\(key)") == 0 else { throw StoreFailure.missingObject(key: key).diagnostic }
  }

  public var pins: [String] { Files.names(in: root + "/pins") }

  /// Makes `index.h5` anew: a link per name, for people who browse the workspace with an HDF5 viewer.
  public func rebuildIndex() throws {
    try prepare()
    let temporary = "\(root)/tmp/index.\(getpid()).h5"
    Files.remove(temporary)
    do {
      let index = try HDF5File(creating: temporary)
      for session in sessions() {
        try index.makeGroup(session)
        for name in names(in: session) {
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
