import Glibc
import Testing

@testable import Transformer

@Suite struct SafetensorsWriterTests {
  private func source(_ name: ByteString, _ type: TensorType, _ numbers: [Float]) -> TensorSource {
    TensorSource(name, type: type, shape: [numbers.count]) { try $0.append(numbers) }
  }

  @Test func writtenNumbersReadBack() throws {
    let folder = try ScratchFolder()
    let numbers: [Float] = [0, 1, -2.5, 1024, 0.125]
    let path = folder.path + "/w.safetensors"
    let types: [TensorType] = [.f16, .f64, .bf16, .f32]
    try Safetensors.write(types.map { source("t.\($0.rawValue)", $0, numbers) }, to: path)
    let file = try TensorFile(safetensors: path)
    for type in types { #expect(try file.read("t.\(type.rawValue)") == numbers) }
    #expect(file.metadata == ["format": "pt"])
    // Wider types first, then by name, so that every tensor is aligned.
    for info in file.tensors.values { #expect(info.byteRange.lowerBound % (info.type.bits / 8) == 0) }
    #expect(try folder.files() == ["w.safetensors"])
  }

  @Test func halvesAreRoundedToTheNearestEven() throws {
    let folder = try ScratchFolder()
    let path = folder.path + "/b.safetensors"
    // One is followed by 1.0078125 and 1.015625: two ties, one just above a tie, and the limits.
    let numbers: [Float] = [1.00390625, 1.01171875, 1.0039215, .infinity, .nan, 3.4e38]
    let expected: [Float] = [1, 1.015625, 1.0078125, .infinity]
    try Safetensors.write([source("b", .bf16, numbers)], to: path)
    let read = try TensorFile(safetensors: path).read("b")
    #expect(Array(read.prefix(4)) == expected)
    #expect(read[4].isNaN)
    #expect(read[5] == .infinity)
  }

  @Test func wrongAmountsLeaveNoFile() throws {
    let folder = try ScratchFolder()
    let path = folder.path + "/w.safetensors"
    let short = TensorSource("x", type: .f32, shape: [3]) { try $0.append([1, 2]) }
    #expect(throws: SafetensorsError.produced(file: "w.safetensors", tensor: "x", expected: 12, found: 8)) {
      try Safetensors.write([short], to: path)
    }
    #expect(throws: SafetensorsError.repeated(file: "w.safetensors", tensor: "x")) {
      try Safetensors.write([source("x", .f32, [1]), source("x", .f16, [1])], to: path)
    }
    #expect(try folder.files().isEmpty)
    #expect(throws: SafetensorsError.self) { try Safetensors.write([], to: folder.path + "/none/w.safetensors") }
  }

  @Test func largeModelsAreSharded() throws {
    let folder = try ScratchFolder()
    try folder.write(Array("{\"hidden_size\": 8}".utf8), to: "config.json")
    let tensors = (0..<5).map { source("layer.\($0)", .f32, [Float($0), 1, 2]) }
    let files = try Safetensors.writeSharded(tensors, toFolder: folder.path, shardLimit: 24)
    #expect(
      files == [
        "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors",
        "model.safetensors.index.json",
      ])
    let index = try ModelFiles(folder: folder.path).json("model.safetensors.index.json")
    #expect(index["metadata"]?["total_size"] == .integer(60))
    #expect(index["weight_map"]?["layer.4"] == .string("model-00003-of-00003.safetensors"))
    let checkpoint = try Checkpoint(folder: folder.path)
    #expect(checkpoint.tensorNames == (0..<5).map { "layer.\($0)" })
    #expect(try checkpoint.read("layer.3") == [3, 1, 2])
    #expect(checkpoint.shards.count == 3)
    #expect(checkpoint.warnings.isEmpty)
    #expect(try Safetensors.writeSharded(tensors, toFolder: folder.path) == ["model.safetensors"])
  }
}

@Suite struct SafetensorsCheckpointTests {
  private static let tensor = safetensors("{\(SafetensorsTests.a)}", data: 8)

  private func folder(_ files: [String: [UInt8]]) throws -> ScratchFolder {
    let folder = try ScratchFolder()
    for (name, bytes) in files { try folder.write(bytes, to: name) }
    return folder
  }

  private func index(_ map: String) -> [UInt8] { Array("{\"metadata\":{},\"weight_map\":{\(map)}}".utf8) }

  private func message(_ folder: ScratchFolder) -> String {
    do {
      _ = try Checkpoint(folder: folder.path)
      return ""
    } catch { return "\(error)" }
  }

  @Test func foldersThatAreNoModelsAreExplained() throws {
    #expect(throws: CheckpointError.noFolder("/none/at/all")) { try Checkpoint(folder: "/none/at/all") }
    let empty = try folder([:])
    #expect(message(empty) == "`\(empty.path)` has no config.json")
    let config = Array("{}".utf8)
    let bare = try folder(["config.json": config])
    #expect(message(bare) == "`\(bare.path)` has neither model.safetensors nor model.safetensors.index.json")
    let pickle = try folder(["config.json": config, "pytorch_model.bin": [1]])
    #expect(message(pickle).contains("pytorch_model.bin, a pickle"))
    let pointer = try folder([
      "config.json": config, "model.safetensors": Array("version https://git-lfs.github.com/spec/v1\n".utf8),
    ])
    #expect(message(pointer).contains("model.safetensors is a Git LFS pointer"))
    let broken = try folder(["config.json": Array("{".utf8), "model.safetensors": Self.tensor])
    #expect(message(broken) == "config.json is not valid JSON: the text ends too early (byte 1)")
    #expect(throws: CheckpointError.notAFolder(bare.path + "/config.json")) {
      try Checkpoint(folder: bare.path + "/config.json")
    }
  }

  @Test func indexMayNotLeaveTheFolder() throws {
    for name in ["../x.safetensors", "/etc/passwd", "a/b.safetensors", "..", "", "a\\\\b"] {
      let folder = try folder([
        "config.json": Array("{}".utf8), "model.safetensors.index.json": index("\"a\":\"\(name)\""),
      ])
      #expect(message(folder).contains("is not a plain file name"), "\(name)")
    }
  }

  /// As the cache of Hugging Face keeps them.
  @Test func shardsMayBeLinks() throws {
    let folder = try folder([
      "config.json": Array("{}".utf8), "model.safetensors.index.json": index("\"a\":\"link.safetensors\""),
    ])
    let blobs = try self.folder(["x": Self.tensor])
    symlink(blobs.path + "/x", folder.path + "/link.safetensors")
    #expect(try Checkpoint(folder: folder.path).tensorNames == [ByteString("a")])
  }

  @Test func indexAndShardsMustAgree() throws {
    let config = Array("{}".utf8)
    let missing = try folder(["config.json": config, "model.safetensors.index.json": index("\"a\":\"m.safetensors\"")])
    #expect(message(missing) == "model.safetensors.index.json names m.safetensors, which is not there")
    let lacking = try folder([
      "config.json": config, "m.safetensors": Self.tensor,
      "model.safetensors.index.json": index("\"b\":\"m.safetensors\""),
    ])
    #expect(message(lacking) == "model.safetensors.index.json says that m.safetensors holds tensor `b`; it does not")
    let number = try folder(["config.json": config, "model.safetensors.index.json": index("\"b\":1")])
    #expect(message(number) == "model.safetensors.index.json: `weight_map.b` must be a file name, not a whole number")
    let extra = try folder([
      "config.json": config, "m.safetensors": Self.tensor, "n.safetensors": Self.tensor,
      "model.safetensors.index.json": index("\"a\":\"m.safetensors\""),
    ])
    #expect(try Checkpoint(folder: extra.path).warnings.isEmpty)
    let twice = try folder([
      "config.json": config, "m.safetensors": Self.tensor,
      "n.safetensors": safetensors(
        "{\(SafetensorsTests.a),\(SafetensorsTests.entry("b", "F32", "[1]", 8, 12))}", data: 12),
      "model.safetensors.index.json": index("\"a\":\"m.safetensors\",\"b\":\"n.safetensors\""),
    ])
    let checkpoint = try Checkpoint(folder: twice.path)
    #expect(checkpoint.warnings.count == 1)
    #expect(checkpoint.tensorNames == ["a", "b"])
    #expect(throws: CheckpointError.noTensor(folder: twice.path, tensor: "c")) { try checkpoint.read("c") }
  }
}
