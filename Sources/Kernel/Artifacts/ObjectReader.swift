import Foundation

/// Reads the payload of an object file. Whole texts and lists are checked against the payload table, large arrays by
/// the checksum of each chunk.
final class ObjectReader: ArtifactReader, Sendable {
  let file: HDF5File
  private let key: String
  private let payload: [String: JSONValue]
  /// Nil for checkpoints, which have no children.
  private let store: Store?

  init(_ file: HDF5File, key: String, store: Store?) throws {
    self.file = file
    self.key = key
    self.store = store
    let table = try ObjectReader.text("provenance/payload", in: file)
    guard try file.attribute("prn_content").stringValue == SHA256.hex(of: table),
      let payload = try? JSONValue(parsing: table).objectValue
    else {
      throw ObjectDamage.payloadTable
    }
    self.payload = payload
  }

  func attribute(_ name: String) throws -> JSONValue { try reading { try file.attribute(name) } }

  func has(_ path: String) -> Bool { payload[path] != nil }

  func shape(_ path: String) throws -> [Int] { try reading { try file.describe(path).shape } }

  /// Damage found while reading sets the object aside, so that the next run makes it anew.
  private func reading<T>(_ body: () throws -> T) throws -> T {
    guard let store else { return try body() }
    return try store.used(key, body)
  }

  func array<E: ArtifactElement>(_ path: String, as element: E.Type) throws -> [E] {
    try reading { try numbers(path, as: element) }
  }

  private func numbers<E: ArtifactElement>(_ path: String, as element: E.Type) throws -> [E] {
    let described = try file.describe(path)
    let type = StoredType(of: E.self)
    guard described.type == type else {
      throw HDF5Failure.wrongType(dataset: path, stored: described.type.rawValue, wanted: type.rawValue)
    }
    return try [E](unsafeUninitializedCapacity: described.count) { buffer, count in
      let whole = UnsafeMutableBufferPointer(rebasing: buffer[..<described.count])
      try file.read(path, type: type, into: UnsafeMutableRawBufferPointer(whole))
      count = described.count
    }
  }

  func read<E: ArtifactElement>(
    _ path: String, rows: Range<Int>, into destination: UnsafeMutableBufferPointer<E>
  ) throws {
    try reading {
      try file.read(path, type: StoredType(of: E.self), rows: rows, into: UnsafeMutableRawBufferPointer(destination))
    }
  }

  func strings(_ path: String) throws -> [String] {
    let (described, bytes) = try reading {
      let described = try file.describe(path)
      return (described, try checkedBytes(path, described))
    }
    return (0..<described.count).map { index in
      ObjectReader.unpadded(bytes[index * described.elementSize..<(index + 1) * described.elementSize])
    }
  }

  func text(_ path: String) throws -> String {
    let bytes = try reading { try checkedBytes(path, try file.describe(path)) }
    return ObjectReader.unpadded(bytes[...])
  }

  var children: [ArtifactReference] {
    get throws { try ObjectReader.children(in: file) }
  }

  func open(_ child: ArtifactReference) throws -> any ArtifactReader {
    guard let store else { throw StoreFailure.missingObject(key: child.key).diagnostic }
    return try store.open(child)
  }

  func source(content: String) throws -> String {
    guard let store else { throw StoreFailure.unknownSource(content: content).diagnostic }
    return try store.source(content: content)
  }

  /// Reads everything and compares it with the payload table.
  /// - Throws: `ObjectDamage` or `HDF5Failure` at the first difference.
  func verify() throws {
    for (entry, expected) in payload.sorted(by: { $0.key < $1.key }) {
      if let at = entry.firstIndex(of: "@") {
        let name = String(entry[entry.index(after: at)...])
        let found = try file.attribute(name, of: String(entry[..<at]))
        // Compared as text, because a number such as 9.0 and the whole number 9 are the same value.
        guard found.canonical == expected.canonical else { throw ObjectDamage.changed(part: entry) }
      } else {
        let described = try file.describe(entry)
        guard described.shape == expected["shape"]?.arrayValue?.compactMap(\.intValue) else {
          throw ObjectDamage.changed(part: entry)
        }
        guard try hash(entry, described) == expected["sha256"]?.stringValue else {
          throw ObjectDamage.changed(part: entry)
        }
      }
    }
  }

  /// Finds every part of the payload table in the file, with its shape.
  /// - Throws: `ObjectDamage` naming the first part that is not there.
  func checkComplete() throws {
    for (entry, expected) in payload where !entry.contains("@") {
      guard try file.has(entry), try file.describe(entry).shape == expected["shape"]?.arrayValue?.compactMap(\.intValue)
      else {
        throw ObjectDamage.missingAfterWriting(part: entry)
      }
    }
  }

  private func hash(_ path: String, _ described: DatasetShape) throws -> String {
    let hash = SHA256()
    guard let rows = described.shape.first, described.count > 0 else {
      let bytes = try bytes(path, described)
      bytes.withUnsafeBytes(hash.update)
      return hash.finish()
    }
    let rowBytes = described.count / rows * described.elementSize
    let step = max(1, (8 << 20) / rowBytes)
    var buffer = [UInt8](repeating: 0, count: min(step, rows) * rowBytes)
    for start in stride(from: 0, to: rows, by: step) {
      let part = start..<min(rows, start + step)
      try buffer.withUnsafeMutableBytes {
        let chunk = UnsafeMutableRawBufferPointer(rebasing: $0[..<(part.count * rowBytes)])
        try file.read(path, type: described.type, rows: part, into: chunk)
        hash.update(UnsafeRawBufferPointer(chunk))
      }
    }
    return hash.finish()
  }

  private func bytes(_ path: String, _ described: DatasetShape) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: described.count * described.elementSize)
    try bytes.withUnsafeMutableBytes { try file.read(path, type: described.type, into: $0) }
    return bytes
  }

  private func checkedBytes(_ path: String, _ described: DatasetShape) throws -> [UInt8] {
    guard described.type == .string else {
      throw HDF5Failure.wrongType(dataset: path, stored: described.type.rawValue, wanted: "text")
    }
    let bytes = try bytes(path, described)
    if let expected = payload[path]?["sha256"]?.stringValue, bytes.withUnsafeBytes(SHA256.hex(of:)) != expected {
      throw ObjectDamage.changed(part: path)
    }
    return bytes
  }

  // Parts of any object file, needed before the payload is.

  static func text(_ path: String, in file: HDF5File) throws -> String {
    let described = try file.describe(path)
    var bytes = [UInt8](repeating: 0, count: described.count * described.elementSize)
    try bytes.withUnsafeMutableBytes { try file.read(path, type: .string, into: $0) }
    return unpadded(bytes[...])
  }

  static func json(_ path: String, in file: HDF5File) throws -> JSONValue {
    guard let value = try? JSONValue(parsing: try text(path, in: file)) else { throw ObjectDamage.changed(part: path) }
    return value
  }

  static func children(in file: HDF5File) throws -> [ArtifactReference] {
    guard try file.has("child_key") else { return [] }
    func list(_ path: String) throws -> [String] {
      let described = try file.describe(path)
      var bytes = [UInt8](repeating: 0, count: described.count * described.elementSize)
      try bytes.withUnsafeMutableBytes { try file.read(path, type: .string, into: $0) }
      return (0..<described.count).map {
        unpadded(bytes[$0 * described.elementSize..<($0 + 1) * described.elementSize])
      }
    }
    return zip(try list("child_key"), try list("child_content")).map { ArtifactReference(key: $0, content: $1) }
  }

  private static func unpadded(_ bytes: ArraySlice<UInt8>) -> String {
    let end = bytes.lastIndex { $0 != 0 }.map { $0 + 1 } ?? bytes.startIndex
    return String(decoding: bytes[bytes.startIndex..<end], as: UTF8.self)
  }
}

/// How an object file differs from what was written.
enum ObjectDamage: Explained, Equatable {
  case notAnObject
  case wrongKey(found: String)
  case payloadTable
  case changed(part: String)
  case missingAfterWriting(part: String)

  var diagnostic: Diagnostic {
    switch self {
    case .notAnObject: Diagnostic("it is not a prn artifact", kind: .store)
    case .wrongKey(let found): Diagnostic("it holds the object \(found.prefix(12))", kind: .store)
    case .payloadTable: Diagnostic("its payload table does not match its content hash", kind: .store)
    case .changed(let part): Diagnostic("`\(part)` is not what was written", kind: .store)
    case .missingAfterWriting(let part): Diagnostic("`\(part)` is missing", kind: .store)
    }
  }
}
