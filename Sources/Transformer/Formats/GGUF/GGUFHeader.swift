/// Why a GGUF file cannot be read. `file` is its name.
public enum GGUFError: Error, Equatable, Sendable {
  case magic(file: String)
  case pointerFile(file: String)
  case version(file: String, UInt32)
  case damaged(file: String, offset: Int)
  case repeated(file: String, name: ByteString)
  case missing(file: String, key: String)
  case value(file: String, key: String, problem: String)
  case split(file: String, parts: Int)
  case type(file: String, tensor: ByteString, id: UInt32)
  case tensor(file: String, name: ByteString, problem: String)
  case architecture(file: String, found: String)
  case noTensor(file: String, name: String)
}

extension GGUFError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .magic(let file):
      "\(file) is not a GGUF file; a model is a folder with config.json and safetensors files, or a GGUF file"
    case .pointerFile(let file):
      "\(file) is a Git LFS pointer, not the weights; fetch the file itself with `git lfs pull`"
    case .version(let file, let version): "\(file) is a GGUF file of version \(version); versions 2 and 3 are read"
    case .damaged(let file, let offset): "\(file) is damaged or cut short (at byte \(offset))"
    case .repeated(let file, let name): "\(file): `\(name)` occurs twice"
    case .missing(let file, let key): "\(file): `\(key)` is missing"
    case .value(let file, let key, let problem): "\(file): `\(key)` \(problem)"
    case .split(let file, let parts):
      "\(file) is one of \(parts) parts of a model; join them with `llama-gguf-split --merge`"
    case .type(let file, let tensor, let id):
      "\(file): tensor `\(tensor)` is of type \(Self.typeNames[id].map { "\($0)" } ?? "number \(id)"); the types that are read are \(GGUFType.allCases.map { $0.rawValue.uppercased() }.joined(separator: ", "))"
    case .tensor(let file, let name, let problem): "\(file): tensor `\(name)` \(problem)"
    case .architecture(let file, let found):
      "\(file) holds a model of architecture `\(found)`; those that are read are \(GGUFArchitecture.all.map(\.name).joined(separator: ", "))"
    case .noTensor(let file, let name): "\(file) has no tensor `\(name)`"
    }
  }

  /// What ggml calls the types that are not read.
  private static let typeNames: [UInt32: String] = [
    9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
    20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 29: "IQ1_M",
    34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4",
  ]
}

/// The metadata and the table of tensors of a GGUF file, version 2 or 3.
struct GGUFHeader {
  let file: String
  private(set) var metadata: [String: GGUFValue] = [:]
  /// By the names that the file gives them.
  private(set) var tensors: [ByteString: TensorInfo] = [:]

  /// - Throws: `GGUFError` for anything that the format forbids.
  init(_ bytes: UnsafeRawBufferPointer, file: String) throws {
    self.file = file
    if bytes.starts(with: "version https://git-lfs".utf8) { throw GGUFError.pointerFile(file: file) }
    guard bytes.starts(with: "GGUF".utf8) else { throw GGUFError.magic(file: file) }
    var reader = Reader(bytes: bytes, file: file, at: 4)
    let version = try reader.number(UInt32.self)
    guard 2...3 ~= version else { throw GGUFError.version(file: file, version) }
    let (tensorCount, entryCount) = (try reader.number(UInt64.self), try reader.number(UInt64.self))
    for _ in 0..<(try reader.count(entryCount, ofAtLeast: 13)) {
      let key = try reader.text()
      let value = try reader.value(reader.number(UInt32.self))
      guard metadata.updateValue(value, forKey: key.text) == nil else {
        throw GGUFError.repeated(file: file, name: key)
      }
    }
    if let parts = try integer("split.count"), parts > 1 { throw GGUFError.split(file: file, parts: parts) }

    let alignment = try integer("general.alignment") ?? 32
    guard alignment > 0, alignment.nonzeroBitCount == 1, alignment <= 1 << 20 else {
      throw GGUFError.value(file: file, key: "general.alignment", problem: "must be a power of two")
    }
    var described: [(name: ByteString, info: TensorInfo)] = []
    // Bytes from the start of the data; each tensor is padded to the alignment.
    var next = 0
    for _ in 0..<(try reader.count(tensorCount, ofAtLeast: 24)) {
      let (name, info) = try reader.tensor()
      guard info.byteRange.lowerBound == next else {
        throw GGUFError.tensor(
          file: file, name: name,
          problem: "starts at byte \(info.byteRange.lowerBound) of the data where \(next) is next")
      }
      next = (info.byteRange.upperBound + alignment - 1) / alignment * alignment
      described.append((name, info))
    }
    let start = (reader.at + alignment - 1) / alignment * alignment
    for (name, info) in described {
      let range = info.byteRange.lowerBound + start..<info.byteRange.upperBound + start
      guard range.upperBound <= bytes.count else {
        throw GGUFError.tensor(
          file: file, name: name, problem: "ends at byte \(range.upperBound) of \(bytes.count): the file is cut short")
      }
      let info = TensorInfo(type: info.type, shape: info.shape, byteRange: range, blocks: info.blocks)
      guard tensors.updateValue(info, forKey: name) == nil else { throw GGUFError.repeated(file: file, name: name) }
    }
  }

  /// A whole number of any kind; nil when there is none of that name.
  func integer(_ key: String) throws -> Int? {
    switch metadata[key] {
    case nil: return nil
    case .count(let number)?: return number
    case .integers(let numbers)? where Set(numbers).count == 1: return numbers.first.map(Int.init)
    default: throw GGUFError.value(file: file, key: key, problem: "is not a whole number")
    }
  }

  func number(_ key: String) throws -> Double? {
    switch metadata[key] {
    case nil: return nil
    case .count(let number)?: return Double(number)
    // The shortest decimals that mean the same number in single precision are those it was made from.
    case .number(let number)? where number.isFinite: return Double("\(number)")
    default: throw GGUFError.value(file: file, key: key, problem: "is not a number")
    }
  }

  func flag(_ key: String) throws -> Bool? {
    switch metadata[key] {
    case nil: return nil
    case .flag(let flag)?: return flag
    default: throw GGUFError.value(file: file, key: key, problem: "is not true or false")
    }
  }

  func text(_ key: String) throws -> String? {
    switch metadata[key] {
    case nil: return nil
    case .text(let text)?: return text
    default: throw GGUFError.value(file: file, key: key, problem: "is not a text")
    }
  }
}

extension GGUFHeader {
  /// Takes numbers and texts from the bytes of a file, one after the other.
  private struct Reader {
    let bytes: UnsafeRawBufferPointer
    let file: String
    var at: Int

    private mutating func take(_ count: Int) throws -> Int {
      guard count >= 0, count <= bytes.count - at else { throw GGUFError.damaged(file: file, offset: at) }
      defer { at += count }
      return at
    }

    mutating func number<Number: FixedWidthInteger>(_ type: Number.Type) throws -> Number {
      let offset = try take(MemoryLayout<Number>.size)
      return Number(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Number.self))
    }

    /// A count of things that take so many bytes each, no more than can be left.
    func count(_ number: UInt64, ofAtLeast size: Int) throws -> Int {
      guard number <= UInt64(bytes.count - at) / UInt64(size) else { throw GGUFError.damaged(file: file, offset: at) }
      return Int(number)
    }

    mutating func text() throws -> ByteString {
      let length = try count(number(UInt64.self), ofAtLeast: 1)
      let start = try take(length)
      return ByteString([UInt8](bytes[start..<start + length]))
    }

    mutating func value(_ type: UInt32) throws -> GGUFValue {
      switch type {
      case 0: .count(Int(try number(UInt8.self)))
      case 1: .count(Int(try number(Int8.self)))
      case 2: .count(Int(try number(UInt16.self)))
      case 3: .count(Int(try number(Int16.self)))
      case 4: .count(Int(try number(UInt32.self)))
      case 5: .count(Int(try number(Int32.self)))
      case 6: .number(Float(bitPattern: try number(UInt32.self)))
      case 7: .flag(try number(UInt8.self) != 0)
      case 8: .text(try text().text)
      case 9: try list(number(UInt32.self))
      case 10: .count(Int(clamping: try number(UInt64.self)))
      case 11: .count(Int(clamping: try number(Int64.self)))
      case 12: .number(Float(Double(bitPattern: try number(UInt64.self))))
      default: throw GGUFError.damaged(file: file, offset: at)
      }
    }

    private mutating func list(_ type: UInt32) throws -> GGUFValue {
      let sizes = [1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8]
      guard Int(type) < sizes.count, type != 9 else { throw GGUFError.damaged(file: file, offset: at) }
      let count = try count(number(UInt64.self), ofAtLeast: sizes[Int(type)])
      switch type {
      case 8:
        var texts: [ByteString] = []
        texts.reserveCapacity(count)
        for _ in 0..<count { texts.append(try text()) }
        return .texts(texts)
      case 6:
        return .numbers(try (0..<count).map { _ in Float(bitPattern: try number(UInt32.self)) })
      case 12:
        return .numbers(try (0..<count).map { _ in Float(Double(bitPattern: try number(UInt64.self))) })
      default:
        return .integers(
          try (0..<count).map { _ in
            switch try value(type) {
            case .count(let number): Int32(clamping: number)
            case .flag(let flag): flag ? 1 : 0
            default: 0
            }
          })
      }
    }

    /// The description of a tensor; its range counts from the start of the data.
    mutating func tensor() throws -> (ByteString, TensorInfo) {
      let name = try text()
      func problem(_ problem: String) -> GGUFError { .tensor(file: file, name: name, problem: problem) }
      let axes = try number(UInt32.self)
      guard axes <= 4 else { throw problem("has \(axes) axes") }
      var shape: [Int] = []
      var count = 1
      for _ in 0..<axes {
        guard let size = Int(exactly: try number(UInt64.self)), size > 0 else { throw problem("has an empty axis") }
        let (product, overflow) = count.multipliedReportingOverflow(by: size)
        guard !overflow, product < 1 << 48 else { throw problem("is too large for any file") }
        count = product
        shape.insert(size, at: 0)
      }
      let id = try number(UInt32.self)
      guard let type = GGUFType(id: id) else { throw GGUFError.type(file: file, tensor: name, id: id) }
      guard let start = Int(exactly: try number(UInt64.self)), start < 1 << 60 else {
        throw GGUFError.damaged(file: file, offset: at)
      }
      let row = shape.dropFirst().reduce(1, *)
      guard type.plain != nil || shape.count > 1 && row.isMultiple(of: type.block.numbers) else {
        throw problem("has rows of \(row), which cannot be cut in blocks of \(type.block.numbers)")
      }
      let info = TensorInfo(
        type: type.plain ?? .f32, shape: shape, byteRange: start..<start + type.byteCount(count),
        blocks: type.plain == nil ? type : nil)
      return (name, info)
    }
  }
}
