import Foundation

// What takes how much room.

/// The bytes of a workspace, by type and by name.
public struct StoreUsage: Sendable, Equatable {
  public struct OfType: Sendable, Equatable {
    public let type: String
    public let objects: Int
    public let bytes: Int
  }
  public struct OfName: Sendable, Equatable {
    public let name: String
    public let session: String
    public let type: String
    /// Bytes of the object and its children.
    public let bytes: Int
    /// Those of them that another name needs too.
    public let shared: Int
  }
  public let types: [OfType]
  public let names: [OfName]
  public let objects: Int
  public let objectBytes: Int
  public let partialBytes: Int
  public let trashBytes: Int
  public let quarantineBytes: Int
  public let temporaryBytes: Int
}

extension Store {
  public func usage() throws -> StoreUsage {
    var sizes: [String: Int] = [:]
    var types: [String: String] = [:]
    for key in try objectKeys() {
      sizes[key] = try Files.status(objectPath(key))?.size ?? 0
      types[key] =
        try undamaged { try HDF5File(reading: objectPath(key)).attribute("prn_type").stringValue } ?? "unreadable"
    }
    let bound = try sessions().flatMap { session in
      try names(in: session).compactMap { name in try key(of: name, in: session).map { (session, name, $0) } }
    }
    let needs = try bound.map { try reachable(from: [$0.2]) { key in try undamaged { try childKeys(of: key) } ?? [] } }
    var users: [String: Int] = [:]
    for keys in needs { for key in keys { users[key, default: 0] += 1 } }
    let byName = zip(bound, needs).map { bound, keys in
      StoreUsage.OfName(
        name: bound.1, session: bound.0, type: types[bound.2] ?? "missing",
        bytes: keys.reduce(0) { $0 + (sizes[$1] ?? 0) },
        shared: keys.filter { users[$0, default: 0] > 1 }.reduce(0) { $0 + (sizes[$1] ?? 0) })
    }
    let byType = Dictionary(grouping: sizes.keys) { types[$0] ?? "unreadable" }.map { type, keys in
      StoreUsage.OfType(type: type, objects: keys.count, bytes: keys.reduce(0) { $0 + (sizes[$1] ?? 0) })
    }
    return StoreUsage(
      types: byType.sorted { ($1.bytes, $0.type) < ($0.bytes, $1.type) }, names: byName, objects: sizes.count,
      objectBytes: sizes.values.reduce(0, +), partialBytes: try bytes(below: "partial"),
      trashBytes: try bytes(below: "trash"), quarantineBytes: try bytes(below: "quarantine"),
      temporaryBytes: try bytes(below: "tmp"))
  }

  /// What `body` reads; nil when an object is damaged, which is told where it is used.
  private func undamaged<T>(_ body: () throws -> T?) throws -> T? {
    do { return try body() } catch  where isDamage(error) { return nil }
  }

  private func bytes(below folder: String) throws -> Int {
    try Files.names(in: root + "/" + folder).reduce(0) { sum, name in
      let path = folder + "/" + name
      guard let status = try Files.status(root + "/" + path, ofLink: true) else { return sum }
      return sum + (status.isFolder ? try bytes(below: path) : status.size)
    }
  }
}
