import Glibc

/// Why a model folder cannot be opened.
public enum CheckpointError: Error, Equatable, Sendable {
  case noFolder(String)
  case notAFolder(String)
  case missing(file: String, folder: String)
  case unreadable(file: String, reason: String)
  case json(file: String, JSONError)
  case pointerFile(String)
  case onlyPickles(folder: String, file: String)
  case noWeights(folder: String)
  case shardName(index: String, file: ByteString)
  case shardMissing(index: String, file: String)
  case shardLacks(index: String, file: String, tensor: ByteString)
  case noTensor(folder: String, tensor: ByteString)
}

extension CheckpointError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .noFolder(let folder): "there is no folder `\(folder)`"
    case .notAFolder(let folder): "`\(folder)` is not a folder; a model is a folder with config.json and its weights"
    case .missing(let file, let folder): "`\(folder)` has no \(file)"
    case .unreadable(let file, let reason): "\(file) cannot be read: \(reason)"
    case .json(let file, let error): "\(file) is not valid JSON: \(error)"
    case .pointerFile(let file): "\(file) is a Git LFS pointer, not the file itself; fetch it with `git lfs pull`"
    case .onlyPickles(let folder, let file):
      "`\(folder)` has its weights only as \(file), a pickle, which can run code when read; convert it to safetensors first"
    case .noWeights(let folder): "`\(folder)` has neither model.safetensors nor model.safetensors.index.json"
    case .shardName(let index, let file): "\(index): `\(file)` is not a plain file name"
    case .shardMissing(let index, let file): "\(index) names \(file), which is not there"
    case .shardLacks(let index, let file, let tensor):
      "\(index) says that \(file) holds tensor `\(tensor)`; it does not"
    case .noTensor(let folder, let tensor): "the weights in `\(folder)` have no tensor `\(tensor)`"
    }
  }
}

/// A Hugging Face model folder: its configuration and one namespace of tensors over all its weight files.
public final class Checkpoint: Sendable {
  public let folder: String
  public let config: JSONFields
  /// The files that make up the model (configuration and weights), by name; their bytes identify it.
  public let files: [String]
  /// Things that are odd but harmless, one sentence each.
  public let warnings: [String]
  public let shards: [Safetensors]
  private let shardOf: [ByteString: Int]

  /// - Throws: `CheckpointError`, `SafetensorsError` or `FieldError`.
  public init(folder: String) throws {
    self.folder = folder
    try Self.requireFolder(folder)
    config = try JSONFields(try Self.json("config.json", in: folder), file: "config.json")

    let single = "model.safetensors"
    let index = "model.safetensors.index.json"
    var warnings: [String] = []
    var shardOf: [ByteString: Int] = [:]
    if Self.exists(folder + "/" + single) {
      let shard = try Safetensors(path: folder + "/" + single)
      for name in shard.tensors.keys { shardOf[name] = 0 }
      shards = [shard]
      files = ["config.json", single]
    } else if Self.exists(folder + "/" + index) {
      let map = try JSONFields(try Self.json(index, in: folder), file: index).object("weight_map")
      let names = try Self.shardNames(map, index: index)
      var shards: [Safetensors] = []
      for name in names { shards.append(try Self.shard(name, in: folder, index: index)) }
      let number = Dictionary(uniqueKeysWithValues: names.enumerated().map { (ByteString($1), $0) })
      for member in map.members {
        guard case .string(let file) = member.value, let shard = number[file] else { continue }
        if shards[shard].tensors[member.key] == nil {
          throw CheckpointError.shardLacks(index: index, file: shards[shard].file, tensor: member.key)
        }
        shardOf[member.key] = shard
      }
      for (number, shard) in shards.enumerated() {
        for name in shard.names where shardOf[name] != number {
          warnings.append("\(shard.file) holds tensor `\(name)`, which \(index) does not place there; it is not used")
        }
      }
      self.shards = shards
      files = ["config.json", index] + names
    } else {
      throw Self.explainMissingWeights(folder)
    }
    self.shardOf = shardOf
    self.warnings = warnings
  }

  /// Names in byte order.
  public var tensorNames: [ByteString] { shardOf.keys.sorted() }

  public func contains(_ name: ByteString) -> Bool { shardOf[name] != nil }

  /// The file that holds a tensor.
  public func shard(of name: ByteString) throws -> Safetensors {
    guard let number = shardOf[name] else { throw CheckpointError.noTensor(folder: folder, tensor: name) }
    return shards[number]
  }

  public func info(_ name: ByteString) throws -> TensorInfo { try shard(of: name).info(name) }

  /// All numbers of a tensor, row by row.
  public func read(_ name: ByteString) throws -> [Float] { try shard(of: name).read(name) }

  /// Some rows of a tensor: `rows.count` × `columns` numbers.
  public func read(_ name: ByteString, rows: Range<Int>, into destination: UnsafeMutableBufferPointer<Float>) throws {
    try shard(of: name).read(name, rows: rows, into: destination)
  }

  /// The bytes of a tensor as they lie in the file, valid during the call and without any alignment.
  public func withBytes<Result>(of name: ByteString, _ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result
  {
    try shard(of: name).withBytes(of: name, body)
  }

  /// Whether two tensors have one type and shape and the same bytes.
  public func areEqual(_ name: ByteString, _ other: ByteString) throws -> Bool {
    let (info, otherInfo) = (try info(name), try info(other))
    guard info.type == otherInfo.type, info.shape == otherInfo.shape else { return false }
    return try withBytes(of: name) { bytes in
      try withBytes(of: other) { others in
        guard let start = bytes.baseAddress, let otherStart = others.baseAddress else { return bytes.isEmpty }
        return memcmp(start, otherStart, bytes.count) == 0
      }
    }
  }

  /// - Throws: `SafetensorsError.notComputable`, naming the tensor, when its type is one that is only listed.
  public func requireComputable(_ name: ByteString) throws { try shard(of: name).requireComputable(name) }

  public func firstNonFinite(in name: ByteString) throws -> Int? { try shard(of: name).firstNonFinite(in: name) }

  /// - Throws: `SafetensorsError.nonFinite`, naming the tensor, when a number is infinite or NaN.
  public func requireFinite(_ name: ByteString) throws { try shard(of: name).requireFinite(name) }

  /// Asks the system to read a tensor ahead of its use.
  public func prefetch(_ name: ByteString) throws { try shard(of: name).prefetch(name) }

  /// Lets the system take back the memory behind a tensor; it can still be read again.
  public func release(_ name: ByteString) throws { try shard(of: name).release(name) }
}

extension Checkpoint {
  static func requireFolder(_ folder: String) throws {
    var status = stat()
    if stat(folder, &status) != 0 { throw CheckpointError.noFolder(folder) }
    if status.st_mode & S_IFMT != S_IFDIR { throw CheckpointError.notAFolder(folder) }
  }

  static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  /// The bytes of a file of the folder.
  static func bytes(_ file: String, in folder: String) throws -> [UInt8] {
    let path = folder + "/" + file
    if !exists(path) { throw CheckpointError.missing(file: file, folder: folder) }
    let mapping: MappedFile
    do {
      mapping = try MappedFile(path: path)
    } catch SafetensorsError.system(_, _, let reason) {
      throw CheckpointError.unreadable(file: file, reason: reason)
    } catch SafetensorsError.notAFile {
      throw CheckpointError.unreadable(file: file, reason: "it is not a regular file")
    }
    let bytes = try withExtendedLifetime(mapping) { [UInt8](try mapping.slice(0..<mapping.count)) }
    if bytes.starts(with: "version https://git-lfs".utf8) { throw CheckpointError.pointerFile(file) }
    return bytes
  }

  /// A file of the folder as JSON; Python writes these files.
  static func json(_ file: String, in folder: String) throws -> JSON {
    let bytes = try bytes(file, in: folder)
    do {
      return try JSON.parse(bytes, dialect: .python)
    } catch let error as JSONError {
      throw CheckpointError.json(file: file, error)
    }
  }

  /// The distinct file names of a `weight_map`, in order; none may leave the folder.
  private static func shardNames(_ map: JSONFields, index: String) throws -> [String] {
    var names: Set<String> = []
    for member in map.members {
      guard case .string(let file) = member.value else {
        throw map.error(member.key.description, "must be a file name, not \(member.value.kind)")
      }
      let isPlain =
        !file.bytes.isEmpty && file != "." && file != ".." && !file.bytes.contains(UInt8(ascii: "/"))
        && !file.bytes.contains(UInt8(ascii: "\\")) && !file.bytes.contains { $0 < 32 }
      if !isPlain { throw CheckpointError.shardName(index: index, file: file) }
      names.insert(file.text)
    }
    return names.sorted()
  }

  private static func shard(_ name: String, in folder: String, index: String) throws -> Safetensors {
    let path = folder + "/" + name
    if !exists(path) { throw CheckpointError.shardMissing(index: index, file: name) }
    return try Safetensors(path: path)
  }

  /// The weight files that the index of a folder names; none when there is no index, or one that cannot be read, as opening
  /// the folder then tells.
  public static func indexed(in folder: String) -> [String] {
    let index = "model.safetensors.index.json"
    guard exists(folder + "/" + index), let json = try? json(index, in: folder),
      let map = try? JSONFields(json, file: index).object("weight_map")
    else { return [] }
    return (try? shardNames(map, index: index)) ?? []
  }

  private static func explainMissingWeights(_ folder: String) -> CheckpointError {
    for file in ["pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.00.pth", "model.pt"]
    where exists(folder + "/" + file) {
      return .onlyPickles(folder: folder, file: file)
    }
    return .noWeights(folder: folder)
  }
}

extension Checkpoint {
  /// The tokens that end a text by config.json; nil when it names none.
  public var endOfText: Set<Int32>? {
    switch config["eos_token_id"] {
    case .integer(let number): Int32(exactly: number).map { [$0] }
    case .array(let numbers):
      Set(numbers.compactMap { if case .integer(let number) = $0 { Int32(exactly: number) } else { nil } })
    default: nil
    }
  }
}
