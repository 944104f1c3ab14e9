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
    let live = liveKeys()
    let names = formerNames()
    var victims = [Victim]()
    var total = 0
    for key in objectKeys() {
      guard let status = Files.status(objectPath(key)) else { continue }
      total += status.size
      guard !live.contains(key), status.age >= max(age, Store.youngest) else { continue }
      let header = try? Store.header(in: try HDF5File(reading: objectPath(key)), key: key)
      victims.append(
        Victim(
          key: key, type: header?.type.name, name: names[key], bytes: status.size, age: status.age,
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
    return victims + (limit == nil ? abandonedWork(olderThan: age) : [])
  }

  /// Seconds of work per byte: what costs little and takes much goes first.
  private func price(_ victim: Victim) -> Double { (victim.seconds ?? 1) / Double(max(1, victim.bytes)) }

  /// Checkpoints nobody will need: the step is done, or nobody has touched it for as long as the trash keeps things.
  private func abandonedWork(olderThan age: Double) -> [Victim] {
    Files.names(in: root + "/partial").compactMap { key in
      let folder = "\(root)/partial/\(key)"
      let files = Files.names(in: folder).compactMap { Files.status(folder + "/" + $0) }
      let youngest = files.map(\.age).min() ?? Files.status(folder)?.age ?? 0
      let least = Files.exists(objectPath(key)) ? Store.youngest : Store.trashKept
      guard youngest >= max(age, least), !StepLock.isHeld("\(root)/locks/\(key)") else { return nil }
      return Victim(
        key: key, type: nil, name: nil, bytes: files.map(\.size).reduce(0, +), age: youngest, seconds: nil,
        path: "partial/\(key)")
    }
  }

  /// Moves victims to the trash and empties what has been there for a week.
  /// - Returns: the bytes that left the objects and the unfinished work.
  @discardableResult
  public func collect(_ victims: [Victim]) throws -> Int {
    do {
      try Files.makeFolder(root + "/trash")
      var freed = 0
      // What became needed since the list was made stays.
      let live = liveKeys()
      for victim in victims where !live.contains(victim.key) || victim.path.hasPrefix("partial/") {
        guard Files.exists(root + "/" + victim.path) else { continue }
        let moment = Int(Date().timeIntervalSince1970)
        let name = (victim.path as NSString).lastPathComponent
        try Files.move(root + "/" + victim.path, to: "\(root)/trash/\(moment)-\(name)")
        freed += victim.bytes
      }
      for name in Files.names(in: root + "/trash") {
        let moment = name.split(separator: "-").first.flatMap { Double($0) } ?? 0
        if Date().timeIntervalSince1970 - moment > Store.trashKept { Files.remove("\(root)/trash/\(name)") }
      }
      removeOrphans()
      try record(["event": "collect", "objects": .integer(victims.count), "bytes": .integer(freed)])
      return freed
    } catch let error as any Explained { throw error.diagnostic }
  }

  /// Removes temporary files and locks whose process is dead.
  /// - Returns: their paths, relative to the workspace.
  @discardableResult
  func removeOrphans() -> [String] {
    var removed = [String]()
    for name in Files.names(in: root + "/tmp") {
      guard let owner = Store.owner(ofTemporary: name), !Files.isRunning(owner) else { continue }
      Files.remove("\(root)/tmp/\(name)")
      removed.append("tmp/" + name)
    }
    for name in Files.names(in: root + "/locks") where !StepLock.isHeld("\(root)/locks/\(name)") {
      let path = "\(root)/locks/\(name)"
      guard let owner = StepLock.owner(of: path), !Files.isRunning(owner) else { continue }
      Files.remove(path)
    }
    return removed
  }

  /// The process number in a temporary name such as `3fa9….4242.h5`.
  static func owner(ofTemporary name: String) -> Int? {
    let numbers = name.split(whereSeparator: { $0 == "." || $0 == "-" }).dropFirst().compactMap { Int($0) }
    return numbers.last
  }

  /// The keys of all objects, sorted.
  func objectKeys() -> [String] {
    Files.names(in: root + "/objects").flatMap { folder in
      Files.names(in: "\(root)/objects/\(folder)").filter { $0.hasSuffix(".h5") }.map { String($0.dropLast(3)) }
    }
  }

  /// Objects that must stay: named in any session, pinned, in use by a running step, or a part of one of these.
  func liveKeys() -> Set<String> {
    var roots = Set(pins)
    for session in sessions() { roots.formUnion(names(in: session).compactMap { key(of: $0, in: session) }) }
    for name in Files.names(in: root + "/locks") where StepLock.isHeld("\(root)/locks/\(name)") {
      roots.insert(name)
      roots.formUnion(StepLock.kept("\(root)/locks/\(name)"))
    }
    return reachable(from: roots)
  }

  /// Keys together with those of their children, and the children's.
  func reachable(from roots: Set<String>) -> Set<String> {
    var live = Set<String>()
    var waiting = Array(roots)
    while let key = waiting.popLast() {
      guard live.insert(key).inserted, Files.exists(objectPath(key)) else { continue }
      waiting += childKeys(of: key)
    }
    return live
  }

  /// The last name each key was bound to.
  private func formerNames() -> [String: String] {
    var names: [String: String] = [:]
    for entry in journal.entries() where entry["event"] == "bind" {
      if let key = entry["key"]?.stringValue { names[key] = entry["name"]?.stringValue }
    }
    return names
  }
}
