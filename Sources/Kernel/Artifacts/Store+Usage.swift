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
    for key in objectKeys() {
      sizes[key] = Files.status(objectPath(key))?.size ?? 0
      let file = try? HDF5File(reading: objectPath(key))
      types[key] = (try? file?.attribute("prn_type").stringValue).flatMap { $0 } ?? "unreadable"
    }
    let bound = sessions().flatMap { session in
      names(in: session).compactMap { name in key(of: name, in: session).map { (session, name, $0) } }
    }
    let needs = bound.map { reachable(from: [$0.2]) }
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
      objectBytes: sizes.values.reduce(0, +), partialBytes: bytes(below: "partial"), trashBytes: bytes(below: "trash"),
      quarantineBytes: bytes(below: "quarantine"), temporaryBytes: bytes(below: "tmp"))
  }

  private func bytes(below folder: String) -> Int {
    Files.names(in: root + "/" + folder).reduce(0) { sum, name in
      let path = folder + "/" + name
      guard let status = Files.status(root + "/" + path, ofLink: true) else { return sum }
      return sum + (status.isFolder ? bytes(below: path) : status.size)
    }
  }
}
