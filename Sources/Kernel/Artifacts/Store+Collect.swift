import Foundation

// Finding what nothing needs any more, and moving it out of the way.

extension Store {
  /// Something `collect` would move to the trash.
  public struct Victim: Sendable, Equatable {
    public let key: String
    /// Nil when the object cannot be read.
    public let type: String?
    /// A name it had once.
    public let name: String?
    public let bytes: Int
    /// Seconds since it was written.
    public let age: Double
    /// Seconds that making it again would take; nil when no journal tells.
    public let seconds: Double?
    /// A file, relative to the workspace; for the unfinished work of a step, its folder.
    public let path: String
  }

  /// Nothing younger than this is collected, in seconds.
  public static let youngest = 3600.0
  /// How long the trash keeps what it gets, in seconds.
  public static let trashKept = 7 * 86400.0

  /// What no name, pin or running step needs, directly or as a part, with the cheapest to make again for its size first.
  /// - Parameters:
  ///   - age: only what is at least this old, in seconds.
  ///   - limit: only as much as brings the objects below this many bytes.
  public func collectable(olderThan age: Double = 0, keepUnder limit: Int? = nil) throws -> [Victim] {
    try explained { try victims(age, limit) }
  }

  private func victims(_ age: Double, _ limit: Int?) throws -> [Victim] {
    let live = try liveKeys()
    let names = try formerNames()
    var victims = [Victim]()
    var total = 0
    for key in try objectKeys() {
      guard let status = try Files.status(objectPath(key)) else { continue }
      total += status.size
      guard !live.contains(key), status.modified.age >= max(age, Store.youngest) else { continue }
      let header = try? Store.header(in: try HDF5File(reading: objectPath(key)), key: key)
      victims.append(
        Victim(
          key: key, type: header?.type.name, name: names[key], bytes: status.size, age: status.modified.age,
          seconds: try journal.seconds(of: key), path: "objects/\(key.prefix(2))/\(key).h5"))
    }
    victims.sort { (price($0), $0.key) < (price($1), $1.key) }
    if let limit {
      var chosen = [Victim]()
      while total > limit, chosen.count < victims.count {
        total -= victims[chosen.count].bytes
        chosen.append(victims[chosen.count])
      }
      victims = chosen
    }
    return victims + (limit == nil ? try abandonedWork(olderThan: age) : [])
  }

  /// Seconds of work per byte: what costs little and takes much goes first.
  private func price(_ victim: Victim) -> Double { (victim.seconds ?? 1) / Double(max(1, victim.bytes)) }

  /// Checkpoints nobody will need: the step is done, or nobody has touched it for as long as the trash keeps things.
  private func abandonedWork(olderThan age: Double) throws -> [Victim] {
    try Files.names(in: root + "/partial").filter(isKey).compactMap { key in
      let folder = "\(root)/partial/\(key)"
      let files = try Files.names(in: folder).compactMap { try Files.status(folder + "/" + $0) }
      let youngest = try files.map(\.modified.age).min() ?? Files.status(folder)?.modified.age ?? 0
      // A run that was killed between publishing its result and clearing up leaves what nobody asks for again.
      let isDone = try Files.exists(objectPath(key))
      guard youngest >= max(age, isDone ? 0 : Store.trashKept), !StepLock.isHeld("\(root)/locks/\(key)")
      else { return nil }
      return Victim(
        key: key, type: nil, name: nil, bytes: files.map(\.size).reduce(0, +), age: youngest, seconds: nil,
        path: "partial/\(key)")
    }
  }

  /// Moves victims to the trash and empties what has been there for a week, or all of it.
  /// - Returns: the bytes that left the objects and the unfinished work.
  @discardableResult
  public func collect(_ victims: [Victim], emptyingTrash: Bool = false) throws -> Int {
    try explained {
      // First, because on a full disk nothing else may work before.
      let kept = emptyingTrash ? 0 : Store.trashKept
      try emptyTrash(keeping: kept)
      try Files.makeFolder(root + "/trash")
      var freed = 0
      // What became needed since the list was made stays.
      let live = try liveKeys()
      for victim in victims where !live.contains(victim.key) || victim.path.hasPrefix("partial/") {
        guard try Files.exists(root + "/" + victim.path) else { continue }
        let moment = Int(Date().timeIntervalSince1970)
        let name = (victim.path as NSString).lastPathComponent
        try Files.move(root + "/" + victim.path, to: "\(root)/trash/\(moment)-\(name)")
        freed += victim.bytes
      }
      try emptyTrash(keeping: kept)
      for path in try leftovers() { Files.remove(root + "/" + path) }
      do { try record(["event": "collect", "objects": .integer(victims.count), "bytes": .integer(freed)]) } catch {
        // What is done is done; there may be no room to write it down.
      }
      return freed
    }
  }

  private func emptyTrash(keeping age: Double) throws {
    for name in try Files.names(in: root + "/trash") {
      let parts = name.split(separator: "-", maxSplits: 1)
      guard parts.count == 2, let moment = Double(parts[0]), isKey(parts[1].prefix(64)),
        ["", ".h5"].contains(parts[1].dropFirst(64))
      else { continue }
      if age == 0 || Date().timeIntervalSince1970 - moment > age { Files.remove("\(root)/trash/\(name)") }
    }
  }

  /// Temporary files and locks of processes that are gone, relative to the workspace. Of a process that cannot be seen from
  /// here, such as one in another container, only what nobody has touched for as long as the trash keeps things.
  func leftovers() throws -> [String] {
    func isLeft(_ path: String, _ owner: ProcessTag?) throws -> Bool {
      guard let owner, let status = try Files.status("\(root)/\(path)", ofLink: true) else { return false }
      return owner.isRunning.map { !$0 } ?? (status.modified.age >= Store.trashKept)
    }
    let temporary = try Files.names(in: root + "/tmp").filter {
      try isLeft("tmp/" + $0, ProcessTag.owner(ofTemporary: $0))
    }
    let locks = try Files.names(in: root + "/locks").filter { name in
      let path = "\(root)/locks/\(name)"
      return try isKey(name) && !StepLock.isHeld(path) && isLeft("locks/" + name, StepLock.owner(of: path))
    }
    return temporary.map { "tmp/" + $0 } + locks.map { "locks/" + $0 }
  }

  /// The keys of all objects, sorted.
  func objectKeys() throws -> [String] {
    try Files.names(in: root + "/objects").filter { $0.utf8.count == 2 }.flatMap { folder in
      try Files.names(in: "\(root)/objects/\(folder)").compactMap { Store.key(ofObject: $0, in: folder) }
    }
  }

  /// The key of an object by its file name; nil for a file that is none of ours.
  static func key(ofObject name: String, in folder: String) -> String? {
    let key = String(name.prefix(64))
    return isKey(key) && name == key + ".h5" && key.prefix(2) == folder ? key : nil
  }

  /// Objects that must stay: named in any session, pinned, in use by a running step, or a part of one of these.
  /// - Throws: `StoreFailure.unknownNeeds` when one of them cannot be read.
  func liveKeys() throws -> Set<String> {
    var live = Set<String>()
    func keep(_ key: String, as what: String) throws {
      guard try Files.exists(objectPath(key)) else {
        throw StoreFailure.unknownNeeds(of: what, reason: "its object is not in the store")
      }
      live.formUnion(
        try reachable(from: [key]) { part in
          do { return try childKeys(of: part) } catch  where isDamage(error) {
            throw StoreFailure.unknownNeeds(of: what, reason: "the object \(part.prefix(12)) is damaged")
          }
        })
    }
    for session in try sessions() {
      for name in try names(in: session) {
        try bindings(of: name, in: session).last.map { try keep($0.key, as: "`\(name)`") }
      }
    }
    for key in try pins { try keep(key, as: "the pinned object \(key.prefix(12))") }
    for name in try Files.names(in: root + "/locks") where StepLock.isHeld("\(root)/locks/\(name)") {
      // What a running step names may not be there yet.
      live.insert(name)
      for key in try StepLock.kept("\(root)/locks/\(name)") {
        live.insert(key)
        if try Files.exists(objectPath(key)) { try keep(key, as: "a running step") }
      }
    }
    return live
  }

  /// Keys together with those of their children, and the children's.
  func reachable(from roots: Set<String>, children: (String) throws -> [String]) throws -> Set<String> {
    var live = Set<String>()
    var waiting = Array(roots)
    while let key = waiting.popLast() {
      guard live.insert(key).inserted, try Files.exists(objectPath(key)) else { continue }
      waiting += try children(key)
    }
    return live
  }

  /// The last name each key was bound to.
  private func formerNames() throws -> [String: String] {
    var names: [String: String] = [:]
    for entry in try journal.entries() where entry["event"] == "bind" {
      if let key = entry["key"]?.stringValue { names[key] = entry["name"]?.stringValue }
    }
    return names
  }
}
