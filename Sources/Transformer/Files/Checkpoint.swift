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
    case .notAFolder(let folder):
      "`\(folder)` is not a folder; a model is a folder with config.json and its weights, or a GGUF file"
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

/// A model as it lies on disk: its configuration, and one namespace of tensors over all its weight files, both in the
/// terms of a Hugging Face folder.
public final class Checkpoint: Sendable {
  /// Configuration, tokenizer and what else a folder holds beside the weights.
  public let files: ModelFiles
  public let config: JSONFields
  /// Things that are odd but harmless, one sentence each.
  public let warnings: [String]
  public let shards: [TensorFile]
  private let shardOf: [ByteString: Int]

  /// - Throws: `CheckpointError`, `SafetensorsError` or `FieldError`.
  public init(folder: String) throws {
    files = try ModelFiles(folder: folder)
    config = try JSONFields(files.json("config.json"), file: "config.json")

    let single = "model.safetensors"
    let index = "model.safetensors.index.json"
    var warnings: [String] = []
    var shardOf: [ByteString: Int] = [:]
    if ModelFiles.exists(folder + "/" + single) {
      let shard = try TensorFile(safetensors: folder + "/" + single)
      for name in shard.tensors.keys { shardOf[name] = 0 }
      shards = [shard]
    } else if ModelFiles.exists(folder + "/" + index) {
      let map = try JSONFields(files.json(index), file: index).object("weight_map")
      let names = try Self.shardNames(map, index: index)
      var shards: [TensorFile] = []
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
    } else {
      throw Self.explainMissingWeights(folder)
    }
    self.shardOf = shardOf
    self.warnings = warnings
  }

  /// Opens one file that holds a whole model.
  init(_ file: TensorFile, files: ModelFiles) throws {
    self.files = files
    config = try JSONFields(files.json("config.json"), file: "config.json")
    shards = [file]
    shardOf = file.tensors.mapValues { _ in 0 }
    warnings = []
  }

  /// Opens a folder, or a GGUF file.
  public convenience init(_ path: String) throws {
    var status = stat()
    if stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG {
      let model = try GGUFModel(path)
      try self.init(model.tensors, files: model.files)
    } else {
      try self.init(folder: path)
    }
  }

  /// Names in byte order.
  public var tensorNames: [ByteString] { shardOf.keys.sorted() }

  public func contains(_ name: ByteString) -> Bool { shardOf[name] != nil }

  /// The file that holds a tensor.
  public func shard(of name: ByteString) throws -> TensorFile {
    guard let number = shardOf[name] else { throw CheckpointError.noTensor(folder: files.path, tensor: name) }
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

  /// Hands all numbers of a tensor to a sink of its type, bytes as they are where the file has that type.
  func append(_ name: ByteString, to sink: TensorSink) throws {
    let info = try info(name)
    if info.blocks == nil, info.rowOrder == nil {
      return try withBytes(of: name) { try sink.append(bytes: $0) }
    }
    let rows = max(1, (1 << 20) / max(1, info.columns))
    for start in stride(from: 0, to: info.rows, by: rows) {
      let range = start..<min(start + rows, info.rows)
      let count = range.count * info.columns
      try sink.append(
        [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
          try read(name, rows: range, into: buffer)
          initialized = count
        })
    }
  }

  /// Whether two tensors have one type and shape and the same bytes.
  public func areEqual(_ name: ByteString, _ other: ByteString) throws -> Bool {
    let (info, otherInfo) = (try info(name), try info(other))
    guard info.type == otherInfo.type, info.blocks == otherInfo.blocks, info.shape == otherInfo.shape else {
      return false
    }
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

  private static func shard(_ name: String, in folder: String, index: String) throws -> TensorFile {
    let path = folder + "/" + name
    if !ModelFiles.exists(path) { throw CheckpointError.shardMissing(index: index, file: name) }
    return try TensorFile(safetensors: path)
  }

  /// The weight files that the index of a folder names; none when there is no index, or one that cannot be read, as opening
  /// the folder then tells.
  public static func indexed(in folder: String) -> [String] {
    let index = "model.safetensors.index.json"
    guard let map = try? ModelFiles(folder: folder).fields(index)?.object("weight_map")
    else { return [] }
    return (try? shardNames(map, index: index)) ?? []
  }

  private static func explainMissingWeights(_ folder: String) -> CheckpointError {
    for file in ["pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.00.pth", "model.pt"]
    where ModelFiles.exists(folder + "/" + file) {
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
