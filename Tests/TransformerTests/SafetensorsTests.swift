import Glibc
import Testing

@testable import Transformer

/// A folder for one test, removed when released.
final class ScratchFolder {
  let path: String

  init() throws {
    var template = Array("/tmp/prn-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw SafetensorsError.system(file: "", action: "made", reason: systemMessage())
    }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit {
    for file in (try? files()) ?? [] { unlink(path + "/" + file) }
    rmdir(path)
  }

  func files() throws -> [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  @discardableResult
  func write(_ bytes: [UInt8], to name: String) throws -> String {
    let file = open(path + "/" + name, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    if file < 0 { throw SafetensorsError.system(file: name, action: "made", reason: systemMessage()) }
    defer { close(file) }
    let written = bytes.withUnsafeBytes { $0.baseAddress.map { Glibc.write(file, $0, bytes.count) } ?? 0 }
    if written != bytes.count { throw SafetensorsError.system(file: name, action: "written", reason: systemMessage()) }
    return path + "/" + name
  }
}

func littleEndian(_ number: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }

/// The bytes of a file with this header and so many bytes of data.
func safetensors(_ header: String, data: Int) -> [UInt8] {
  littleEndian(UInt64(header.utf8.count)) + Array(header.utf8) + [UInt8](repeating: 0, count: data)
}

/// The verdicts are those of the reference reader, safetensors 0.8.0, except where marked as stricter.
@Suite struct SafetensorsTests {
  static func entry(_ name: String, _ type: String, _ shape: String, _ begin: Int, _ end: Int) -> String {
    "\"\(name)\":{\"dtype\":\"\(type)\",\"shape\":\(shape),\"data_offsets\":[\(begin),\(end)]}"
  }

  static let a = entry("a", "F32", "[2]", 0, 8)

  static let refused: [(String, [UInt8])] = [
    ("empty file", []),
    ("seven bytes", [2, 0, 0, 0, 0, 0, 0]),
    ("header longer than the file", littleEndian(100) + Array("{}".utf8)),
    ("header over the limit", littleEndian(100_000_001) + Array("{}".utf8)),
    ("header length with all bits set", littleEndian(.max) + Array("{}".utf8)),
    ("empty header", littleEndian(0)),
    ("zero padding", safetensors("{\(a)}\u{0}\u{0}", data: 8)),
    ("byte order mark", safetensors("\u{FEFF}{\(a)}", data: 8)),
    ("bad UTF-8", littleEndian(6) + [0x7B, 0x22, 0xFF, 0x22, 0x3A, 0x7D]),
    ("lone surrogate", safetensors("{\"\\ud800\":\(a.dropFirst(4))}", data: 8)),
    ("array as root", safetensors("[]", data: 0)),
    ("trailing JSON", safetensors("{\(a)}{}", data: 8)),
    ("one byte too few", safetensors("{\(a)}", data: 7)),
    ("one byte too many", safetensors("{\(a)}", data: 9)),
    ("data without tensors", safetensors("{}", data: 1)),
    ("first tensor not at 0", safetensors("{\(entry("a", "F32", "[1]", 4, 8))}", data: 8)),
    ("gap", safetensors("{\(entry("a", "F32", "[1]", 0, 4)),\(entry("b", "F32", "[1]", 8, 12))}", data: 12)),
    ("overlap", safetensors("{\(entry("a", "F32", "[2]", 0, 8)),\(entry("b", "F32", "[1]", 4, 8))}", data: 8)),
    ("two names on one range", safetensors("{\(a),\(entry("b", "F32", "[2]", 0, 8))}", data: 8)),
    ("end before begin", safetensors("{\(entry("a", "F32", "[2]", 8, 0))}", data: 8)),
    ("size unlike the shape", safetensors("{\(entry("a", "F32", "[3]", 0, 8))}", data: 8)),
    ("shape overflow", safetensors("{\(entry("a", "F32", "[4294967296,4294967296]", 0, 8))}", data: 8)),
    ("byte count overflow", safetensors("{\(entry("a", "F32", "[4611686018427387904]", 0, 0))}", data: 0)),
    ("size over 64 bits", safetensors("{\(entry("a", "F32", "[18446744073709551618]", 0, 8))}", data: 8)),
    ("negative size", safetensors("{\(entry("a", "F32", "[-2]", 0, 8))}", data: 8)),
    ("size 2.0", safetensors("{\(entry("a", "F32", "[2.0]", 0, 8))}", data: 8)),
    ("size 2e0", safetensors("{\(entry("a", "F32", "[2e0]", 0, 8))}", data: 8)),
    ("size as text", safetensors("{\(entry("a", "F32", "[\"2\"]", 0, 8))}", data: 8)),
    ("shape as number", safetensors("{\(entry("a", "F32", "2", 0, 8))}", data: 8)),
    ("three offsets", safetensors("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,8]}}", data: 8)),
    ("one offset", safetensors("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8]}}", data: 8)),
    ("offset 8.0", safetensors("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8.0]}}", data: 8)),
    ("unknown type", safetensors("{\(entry("a", "F33", "[2]", 0, 8))}", data: 8)),
    ("lower-case type", safetensors("{\(entry("a", "f32", "[2]", 0, 8))}", data: 8)),
    ("type as number", safetensors("{\"a\":{\"dtype\":32,\"shape\":[2],\"data_offsets\":[0,8]}}", data: 8)),
    ("no type", safetensors("{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", data: 8)),
    ("no shape", safetensors("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", data: 8)),
    ("no offsets", safetensors("{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", data: 8)),
    (
      "field twice",
      safetensors("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", data: 8)
    ),
    ("partial byte", safetensors("{\(entry("a", "F4", "[3]", 0, 2))}", data: 2)),
    ("metadata value not a text", safetensors("{\"__metadata__\":{\"a\":1},\(a)}", data: 8)),
    ("metadata not an object", safetensors("{\"__metadata__\":[],\(a)}", data: 8)),
    ("stricter: white space first", safetensors(" {\(a)}", data: 8)),
    ("stricter: tensor twice", safetensors("{\(a),\(a)}", data: 8)),
    ("stricter: tensor as a list", safetensors("{\"a\":[\"F32\",[2],[0,8]]}", data: 8)),
    ("too deep", safetensors("{\"a\":" + String(repeating: "[", count: 1000), data: 0)),
    ("LFS pointer", Array("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n".utf8)),
    ("zip pickle", Array("PK\u{3}\u{4}".utf8) + [UInt8](repeating: 0, count: 100)),
  ]

  static let accepted: [(String, [UInt8])] = [
    ("no tensors", safetensors("{}", data: 0)),
    ("not padded", safetensors("{\(a)}", data: 8)),
    ("padded with spaces", safetensors("{\(a)}     ", data: 8)),
    ("padded with line ends", safetensors("{\(a)}\n\n\r\t ", data: 8)),
    ("other order", safetensors("{\(entry("b", "F32", "[1]", 8, 12)),\(a)}", data: 12)),
    ("unaligned", safetensors("{\(entry("x", "U8", "[1]", 0, 1)),\(entry("y", "F32", "[2]", 1, 9))}", data: 9)),
    ("scalar", safetensors("{\(entry("a", "F32", "[]", 0, 4))}", data: 4)),
    (
      "empty tensors on one offset",
      safetensors(
        "{\(entry("b", "F32", "[0]", 0, 0)),\(a),\(entry("c", "F16", "[0,7]", 0, 0)),\(entry("d", "F16", "[7,0]", 8, 8))}",
        data: 8)
    ),
    ("escaped name", safetensors("{\"\\u0061\\n\":\(a.dropFirst(4))}", data: 8)),
    ("empty name", safetensors("{\"\":\(a.dropFirst(4))}", data: 8)),
    (
      "unknown fields",
      safetensors("{\"a\":{\"dtype\":\"F32\",\"more\":{\"x\":[1]},\"shape\":[2],\"data_offsets\":[0,8]}}", data: 8)
    ),
    ("metadata null", safetensors("{\"__metadata__\":null,\(a)}", data: 8)),
    ("metadata", safetensors("{\"__metadata__\":{\"format\":\"pt\"},\(a)}", data: 8)),
    (
      "every type",
      safetensors(
        "{" + TensorType.allCases.enumerated().map { entry("t\($0)", $1.rawValue, "[0]", 0, 0) }.joined(separator: ",")
          + "}", data: 0)
    ),
    ("half bytes", safetensors("{\(entry("a", "F4", "[4]", 0, 2))}", data: 2)),
  ]

  @Test(arguments: refused.indices) func hostileFilesAreRefused(_ index: Int) throws {
    let (what, bytes) = Self.refused[index]
    let folder = try ScratchFolder()
    let path = try folder.write(bytes, to: "bad.safetensors")
    do {
      _ = try TensorFile(safetensors: path)
      Issue.record("accepted: \(what)")
    } catch let error as SafetensorsError {
      #expect("\(error)".contains("bad.safetensors"), "\(what)")
    }
  }

  @Test(arguments: accepted.indices) func oddButLegalFilesAreAccepted(_ index: Int) throws {
    let folder = try ScratchFolder()
    let file = try TensorFile(safetensors: try folder.write(Self.accepted[index].1, to: "odd.safetensors"))
    for (name, info) in file.tensors where info.type.isComputable {
      #expect(try file.read(name) == [Float](repeating: 0, count: info.count))
    }
  }

  @Test func messagesNameFileAndTensor() throws {
    func message(_ header: String, data: Int) throws -> String {
      let folder = try ScratchFolder()
      do {
        _ = try TensorFile(safetensors: try folder.write(safetensors(header, data: data), to: "m.safetensors"))
        return ""
      } catch { return "\(error)" }
    }
    #expect(
      try message("{\(Self.entry("a", "F32", "[3]", 0, 8))}", data: 8)
        == "m.safetensors: tensor `a` needs 12 bytes by its shape and type and has 8")
    #expect(
      try message("{\(Self.entry("a\\u001b[2J", "F9", "[3]", 0, 8))}", data: 8)
        == "m.safetensors: tensor `a\u{FFFD}[2J` is of the unknown type `F9`")
    #expect(
      try message("{\(Self.a)}", data: 7)
        == "m.safetensors should have 70 bytes by its header and has 69; it is cut short or has bytes too many")
    #expect(
      try message("{\"a\":1,\"a\":2}", data: 0)
        == "m.safetensors: the header is not valid JSON: `a` occurs twice in one object (byte 7)")
  }

  @Test func missingFilesAndFoldersAreNamed() throws {
    let folder = try ScratchFolder()
    #expect(throws: SafetensorsError.self) { try TensorFile(safetensors: folder.path + "/none.safetensors") }
    #expect(throws: SafetensorsError.self) { try TensorFile(safetensors: folder.path) }
  }

  /// Every type is converted exactly, from offsets without alignment.
  @Test func numbersAreConvertedFromAnyOffset() throws {
    let folder = try ScratchFolder()
    let header =
      "{\(Self.entry("pad", "U8", "[1]", 0, 1)),\(Self.entry("f32", "F32", "[2]", 1, 9)),"
      + "\(Self.entry("f16", "F16", "[6]", 9, 21)),\(Self.entry("bf16", "BF16", "[2]", 21, 25)),"
      + "\(Self.entry("f64", "F64", "[1]", 25, 33))}"
    var bytes = safetensors(header, data: 1)
    for number: Float in [1.5, -0.0] { bytes += littleEndian(UInt64(number.bitPattern)).prefix(4) }
    // 1, -2, the largest, the smallest normal, the smallest subnormal, infinity
    for half: UInt64 in [0x3C00, 0xC000, 0x7BFF, 0x0400, 0x0001, 0x7C00] { bytes += littleEndian(half).prefix(2) }
    for half: UInt64 in [0x3F80, 0xC2F7] { bytes += littleEndian(half).prefix(2) }
    bytes += littleEndian((1.0 / 3).bitPattern)
    let file = try TensorFile(safetensors: try folder.write(bytes, to: "n.safetensors"))
    #expect(try file.read("f32").map(\.bitPattern) == [Float(1.5).bitPattern, Float(-0.0).bitPattern])
    let halves: [Float] = [1, -2, 65504, 0x1p-14, 0x1p-24, .infinity]
    #expect(try file.read("f16") == halves)
    #expect(try file.read("bf16") == [1, -123.5])
    #expect(try file.read("f64") == [Float(1.0 / 3)])
    #expect(throws: SafetensorsError.notComputable(file: "n.safetensors", tensor: "pad", type: .u8)) {
      try file.read("pad")
    }
    #expect(throws: SafetensorsError.noTensor(file: "n.safetensors", tensor: "x")) { try file.read("x") }
    #expect(try file.firstNonFinite(in: "f16") == 5)
    #expect(try file.firstNonFinite(in: "bf16") == nil)
    #expect(throws: SafetensorsError.nonFinite(file: "n.safetensors", tensor: "f16", value: "infinity", index: 5)) {
      try file.requireFinite("f16")
    }
    try file.requireFinite("f64")
  }

  @Test func rowsAreReadAloneAndBoundsAreChecked() throws {
    let folder = try ScratchFolder()
    let path = folder.path + "/rows.safetensors"
    try Safetensors.write(
      [TensorSource("w", type: .f32, shape: [4, 3]) { try $0.append((0..<12).map { Float($0) }) }], to: path)
    let file = try TensorFile(safetensors: path)
    var rows = [Float](repeating: -1, count: 6)
    try rows.withUnsafeMutableBufferPointer { try file.read("w", rows: 1..<3, into: $0) }
    #expect(rows == [3, 4, 5, 6, 7, 8])
    #expect(throws: SafetensorsError.rows(file: "rows.safetensors", tensor: "w", asked: 3..<5, rows: 4)) {
      try rows.withUnsafeMutableBufferPointer { try file.read("w", rows: 3..<5, into: $0) }
    }
    #expect(throws: SafetensorsError.destination(file: "rows.safetensors", tensor: "w", room: 6, needed: 9)) {
      try rows.withUnsafeMutableBufferPointer { try file.read("w", rows: 0..<3, into: $0) }
    }
    try file.prefetch("w")
    try file.release("w")
    #expect(try file.read("w") == (0..<12).map { Float($0) })
  }

  /// Touching a page beyond the new end would end the process.
  @Test func fileThatShrinksIsAnError() throws {
    let folder = try ScratchFolder()
    let path = folder.path + "/s.safetensors"
    try Safetensors.write(
      [TensorSource("w", type: .f32, shape: [5000]) { try $0.append([Float](repeating: 1, count: 5000)) }], to: path)
    let file = try TensorFile(safetensors: path)
    truncate(path, 100)
    #expect(throws: SafetensorsError.changed(file: "s.safetensors")) { try file.read("w") }
  }
}
