import Glibc

/// The small files of a model by name: those of its folder, or what a file that holds a whole model says in their place.
public struct ModelFiles: Sendable {
  /// The folder, or the one file.
  public let path: String
  /// What stands for the files of a folder; nil for a folder.
  private let contents: [String: @Sendable () throws -> [UInt8]]?

  /// The files of a folder.
  ///
  /// - Throws: `CheckpointError` when there is no such folder.
  public init(folder: String) throws {
    var status = stat()
    if stat(folder, &status) != 0 { throw CheckpointError.noFolder(folder) }
    if status.st_mode & S_IFMT != S_IFDIR { throw CheckpointError.notAFolder(folder) }
    path = folder
    contents = nil
  }

  /// Files that are made when they are asked for.
  init(path: String, contents: [String: @Sendable () throws -> [UInt8]]) {
    self.path = path
    self.contents = contents
  }

  public func contains(_ name: String) -> Bool { contents.map { $0[name] != nil } ?? Self.exists(path + "/" + name) }

  /// Bytes of a file, without reading it where it is one; nil when there is none.
  func size(of name: String) -> Int? {
    if let contents { return (try? contents[name]?())?.count }
    var status = stat()
    return stat(path + "/" + name, &status) == 0 ? Int(status.st_size) : nil
  }

  public func bytes(_ name: String) throws -> [UInt8] {
    if let contents {
      guard let make = contents[name] else { throw CheckpointError.missing(file: name, folder: path) }
      return try make()
    }
    guard contains(name) else { throw CheckpointError.missing(file: name, folder: path) }
    let mapping: MappedFile
    do {
      mapping = try MappedFile(path: path + "/" + name)
    } catch SafetensorsError.system(_, _, let reason) {
      throw CheckpointError.unreadable(file: name, reason: reason)
    } catch SafetensorsError.notAFile {
      throw CheckpointError.unreadable(file: name, reason: "it is not a regular file")
    }
    let bytes = try withExtendedLifetime(mapping) { [UInt8](try mapping.slice(0..<mapping.count)) }
    if bytes.starts(with: "version https://git-lfs".utf8) { throw CheckpointError.pointerFile(name) }
    return bytes
  }

  /// A file as JSON.
  ///
  /// - Parameter dialect: Python's for the files that Python writes.
  func json(_ name: String, dialect: JSON.Dialect = .python) throws -> JSON {
    let bytes = try bytes(name)
    do {
      return try JSON.parse(bytes, dialect: dialect)
    } catch let error as JSONError {
      throw CheckpointError.json(file: name, error)
    }
  }

  /// The fields of a JSON file; nil when there is no such file.
  func fields(_ name: String) throws -> JSONFields? {
    contains(name) ? try JSONFields(json(name), file: name) : nil
  }

  static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }
}
