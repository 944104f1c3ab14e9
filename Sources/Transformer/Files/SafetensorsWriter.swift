import Glibc

/// A tensor to be written. Its data is asked for when its turn comes, so that one tensor at a time is in memory.
public struct TensorSource {
  public let name: ByteString
  public let type: TensorType
  public let shape: [Int]
  let produce: (TensorSink) throws -> Void

  /// - Parameter produce: hands all elements, row by row, to the sink, in as many chunks as it likes.
  public init(
    _ name: ByteString, type: TensorType, shape: [Int], produce: @escaping (TensorSink) throws -> Void
  ) {
    self.name = name
    self.type = type
    self.shape = shape
    self.produce = produce
  }

  var byteCount: Int { (shape.reduce(1, *) * type.bits + 7) / 8 }
}

/// Takes the elements of one tensor, in order.
public final class TensorSink {
  private let output: OutputFile
  private let type: TensorType
  private(set) var byteCount = 0

  init(_ output: OutputFile, _ type: TensorType) {
    self.output = output
    self.type = type
  }

  /// Bytes in the stored type.
  public func append(bytes: UnsafeRawBufferPointer) throws {
    try output.write(bytes)
    byteCount += bytes.count
  }

  /// Numbers, rounded to the stored type a block at a time.
  public func append(_ numbers: UnsafeBufferPointer<Float>) throws {
    let size = type.bits / 8
    let block = 1 << 16
    try withUnsafeTemporaryAllocation(byteCount: block * size, alignment: 64) { buffer in
      guard let scratch = buffer.baseAddress else { return }
      for start in stride(from: 0, to: numbers.count, by: block) {
        let part = UnsafeBufferPointer(rebasing: numbers[start..<min(start + block, numbers.count)])
        narrow(part, to: type, into: scratch)
        try append(bytes: UnsafeRawBufferPointer(start: scratch, count: part.count * size))
      }
    }
  }

  public func append(_ numbers: [Float]) throws { try numbers.withUnsafeBufferPointer { try append($0) } }
}

/// Files of tensors as Hugging Face has them.
public enum Safetensors {
  /// Writes a file: to a temporary name in the same folder, synced, then renamed, so that the final name never
  /// stands for half a file. Tensors are sorted by alignment, then by name, as the reference writer does.
  ///
  /// - Throws: `SafetensorsError`, or whatever a tensor's source throws.
  public static func write(
    _ tensors: [TensorSource], metadata: [(String, String)] = [("format", "pt")], to path: String
  ) throws {
    let sorted = tensors.sorted { ($1.type.bits, $0.name) < ($0.type.bits, $1.name) }
    let output = try OutputFile(path: path)
    var members: [JSON.Member] = []
    if !metadata.isEmpty {
      let texts = metadata.map { JSON.Member(ByteString($0.0), .text($0.1)) }
      members.append(JSON.Member("__metadata__", .object(texts)))
    }
    var offset = 0
    var known: Set<ByteString> = []
    for tensor in sorted {
      if !known.insert(tensor.name).inserted {
        throw SafetensorsError.repeated(file: output.name, tensor: tensor.name)
      }
      members.append(
        JSON.Member(
          tensor.name,
          .object([
            JSON.Member("dtype", .text(tensor.type.rawValue)),
            JSON.Member("shape", .array(tensor.shape.map { .integer($0) })),
            JSON.Member("data_offsets", .array([.integer(offset), .integer(offset + tensor.byteCount)])),
          ])))
      offset += tensor.byteCount
    }
    var header = JSON.object(members).serialized()
    header.append(contentsOf: repeatElement(UInt8(ascii: " "), count: (8 - header.count % 8) % 8))
    try withUnsafeBytes(of: UInt64(header.count).littleEndian) { try output.write($0) }
    try header.withUnsafeBytes { try output.write($0) }
    for tensor in sorted {
      let sink = TensorSink(output, tensor.type)
      try tensor.produce(sink)
      if sink.byteCount != tensor.byteCount {
        throw SafetensorsError.produced(
          file: output.name, tensor: tensor.name, expected: tensor.byteCount, found: sink.byteCount)
      }
    }
    try output.finish()
  }

  /// Writes `model.safetensors` into a folder or, when the data exceeds the limit, numbered shards and their index.
  ///
  /// - Parameters:
  ///   - tensors: shards are filled in this order.
  ///   - shardLimit: bytes of data in one shard; a larger tensor gets a shard of its own.
  /// - Returns: the names of the files, the index last.
  @discardableResult
  public static func writeSharded(
    _ tensors: [TensorSource], metadata: [(String, String)] = [("format", "pt")], toFolder folder: String,
    shardLimit: Int = 5_000_000_000
  ) throws -> [String] {
    var shards: [[TensorSource]] = [[]]
    var filled = 0
    for tensor in tensors {
      if filled > 0, filled + tensor.byteCount > shardLimit {
        shards.append([])
        filled = 0
      }
      shards[shards.count - 1].append(tensor)
      filled += tensor.byteCount
    }
    if shards.count == 1 {
      try write(tensors, metadata: metadata, to: folder + "/model.safetensors")
      return ["model.safetensors"]
    }
    func numbered(_ number: Int) -> String {
      String(repeating: "0", count: max(0, 5 - String(number).count)) + String(number)
    }
    var files: [String] = []
    var map: [JSON.Member] = []
    for (index, shard) in shards.enumerated() {
      let file = "model-\(numbered(index + 1))-of-\(numbered(shards.count)).safetensors"
      try write(shard, metadata: metadata, to: folder + "/" + file)
      files.append(file)
      map += shard.map { JSON.Member($0.name, .text(file)) }
    }
    let total = tensors.reduce(0) { $0 + $1.byteCount }
    let index = JSON.object([
      JSON.Member("metadata", .object([JSON.Member("total_size", .integer(total))])),
      JSON.Member("weight_map", .object(map.sorted { $0.key < $1.key })),
    ])
    let name = "model.safetensors.index.json"
    try OutputFile.write(index.serialized(indented: true) + [0x0A], to: folder + "/" + name)
    return files + [name]
  }
}

/// A file under a temporary name until `finish`; given up when released before that.
public final class OutputFile {
  public let name: String
  private let path: String
  private let temporaryPath: String
  private let descriptor: Int32
  private var isFinished = false

  public init(path: String) throws {
    self.path = path
    name = path.split(separator: "/").last.map(String.init) ?? path
    temporaryPath = path + ".part-" + String(UInt64.random(in: 0...UInt64.max), radix: 36)
    // Who may read it is for the user to say: 0666 less the umask.
    descriptor = open(temporaryPath, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    if descriptor < 0 { throw failure("created") }
  }

  /// Writes a whole file.
  static func write(_ bytes: [UInt8], to path: String) throws {
    let file = try OutputFile(path: path)
    try bytes.withUnsafeBytes { try file.write($0) }
    try file.finish()
  }

  deinit {
    if descriptor < 0 { return }
    close(descriptor)
    if !isFinished { unlink(temporaryPath) }
  }

  public func write(_ bytes: UnsafeRawBufferPointer) throws {
    var rest = bytes
    while let start = rest.baseAddress, rest.count > 0 {
      let written = Glibc.write(descriptor, start, min(rest.count, 1 << 30))
      if written < 0 {
        if errno == EINTR { continue }
        throw failure("written")
      }
      rest = UnsafeRawBufferPointer(rebasing: rest[written...])
    }
  }

  /// Makes the file durable and gives it its name.
  public func finish() throws {
    if fsync(descriptor) != 0 { throw failure("written") }
    if rename(temporaryPath, path) != 0 { throw failure("renamed") }
    isFinished = true
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
    let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if directory >= 0 {
      // The rename itself must survive a power cut too; a file system that cannot sync a folder is no reason to fail.
      fsync(directory)
      close(directory)
    }
  }

  private func failure(_ action: String) -> SafetensorsError {
    .system(file: name, action: action, reason: systemMessage())
  }
}
