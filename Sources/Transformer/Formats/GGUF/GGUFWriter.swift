/// A value of a GGUF file's metadata.
enum GGUFValue: Sendable {
  case count(Int)
  case number(Float)
  case flag(Bool)
  case text(String)
  case integers([Int32])
  case numbers([Float])
  case texts([ByteString])
}

/// Writes a GGUF file, version 3: metadata, then the tensors' descriptions, then their data, each padded to 32 bytes.
struct GGUFWriter {
  typealias Entry = (key: String, value: GGUFValue)

  struct Tensor {
    let name: String
    let type: GGUFType
    /// Outermost axis first.
    let shape: [Int]
    /// Hands all numbers, row by row, to its argument.
    let produce: (([Float]) throws -> Void) throws -> Void

    init(
      _ name: String, _ type: GGUFType, _ shape: [Int], produce: @escaping (([Float]) throws -> Void) throws -> Void
    ) {
      self.name = name
      self.type = type
      self.shape = shape
      self.produce = produce
    }

    var byteCount: Int { type.byteCount(shape.reduce(1, *)) }
  }

  let metadata: [Entry]
  let tensors: [Tensor]

  private static let alignment = 32
  private static func padding(_ count: Int) -> Int { (alignment - count % alignment) % alignment }

  /// Writes to a temporary name in the same folder, synced, then renamed.
  func write(to path: String, pulse: () throws -> Void) throws {
    let output = try OutputFile(path: path)
    func write(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try output.write($0) } }
    let header = header
    try write(header + Array(repeating: 0, count: Self.padding(header.count)))
    for tensor in tensors {
      try pulse()
      try tensor.produce { numbers in
        if let number = numbers.first(where: { abs($0) > tensor.type.largest }) {
          throw ModelError.cannotExport(
            reason:
              "`\(tensor.name)` holds \(number), which \(tensor.type.rawValue) cannot; write type=f32 or type=bf16")
        }
        try tensor.type.write(numbers, to: output)
      }
      try write(Array(repeating: 0, count: Self.padding(tensor.byteCount)))
    }
    try output.finish()
  }

  private var header: [UInt8] {
    var header = GGUFBytes()
    header.bytes += "GGUF".utf8
    header.append(UInt32(3))
    header.append(UInt64(tensors.count))
    header.append(UInt64(metadata.count))
    for entry in metadata {
      header.append(ByteString(entry.key))
      header.append(entry.value)
    }
    var offset = 0
    for tensor in tensors {
      header.append(ByteString(tensor.name))
      header.append(UInt32(tensor.shape.count))
      for size in tensor.shape.reversed() { header.append(UInt64(size)) }
      header.append(tensor.type.id)
      header.append(UInt64(offset))
      offset += tensor.byteCount + Self.padding(tensor.byteCount)
    }
    return header.bytes
  }
}

/// The little-endian bytes of a GGUF header.
private struct GGUFBytes {
  var bytes: [UInt8] = []

  mutating func append(_ number: some FixedWidthInteger) {
    withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func append(_ text: ByteString) {
    append(UInt64(text.bytes.count))
    bytes += text.bytes
  }

  /// The number of a value's type, and the value.
  mutating func append(_ value: GGUFValue) {
    switch value {
    case .count(let count):
      append(UInt32(4))
      append(UInt32(count))
    case .number(let number):
      append(UInt32(6))
      append(number.bitPattern)
    case .flag(let flag):
      append(UInt32(7))
      append(UInt8(flag ? 1 : 0))
    case .text(let text):
      append(UInt32(8))
      append(ByteString(text))
    case .integers(let integers): array(5, integers) { $0.append($1) }
    case .numbers(let numbers): array(6, numbers) { $0.append($1.bitPattern) }
    case .texts(let texts): array(8, texts) { $0.append($1) }
    }
  }

  private mutating func array<Element>(
    _ type: UInt32, _ elements: [Element], _ each: (inout GGUFBytes, Element) -> Void
  ) {
    append(UInt32(9))
    append(type)
    append(UInt64(elements.count))
    for element in elements { each(&self, element) }
  }
}
