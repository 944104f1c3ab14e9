/// The header of a safetensors file: a little-endian length, that many bytes of JSON, then the data without gaps.
struct SafetensorsHeader {
  static let lengthLimit = 100_000_000

  let tensors: [ByteString: TensorInfo]
  let metadata: [ByteString: ByteString]

  /// Accepts what the reference reader (safetensors 0.8) accepts, except for what the format's text forbids: white space
  /// before `{`, a tensor named twice, and a tensor given as a list.
  init(_ bytes: UnsafeRawBufferPointer, file: String) throws {
    if bytes.starts(with: "version https://git-lfs".utf8) { throw SafetensorsError.pointerFile(file: file) }
    if bytes.count < 8 { throw SafetensorsError.tooShort(file: file, bytes: bytes.count) }
    let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    if bytes.starts(with: [0x80, 0x02]) && length > UInt64(bytes.count) || bytes.starts(with: "PK\u{3}\u{4}".utf8) {
      throw SafetensorsError.pickle(file: file)
    }
    let limit = min(Self.lengthLimit, bytes.count - 8)
    if length > UInt64(limit) { throw SafetensorsError.headerTooLong(file: file, length: length, limit: limit) }
    let dataStart = 8 + Int(length)
    let header = UnsafeRawBufferPointer(rebasing: bytes[8..<dataStart])
    if header.first != UInt8(ascii: "{") { throw SafetensorsError.headerNotAnObject(file: file) }

    let root: JSON
    do {
      root = try header.withMemoryRebound(to: UInt8.self) { try JSON.parse($0) }
    } catch let error as JSONError {
      throw SafetensorsError.header(file: file, error)
    }
    guard case .object(let members) = root else { throw SafetensorsError.headerNotAnObject(file: file) }

    var tensors: [ByteString: TensorInfo] = [:]
    var metadata: [ByteString: ByteString] = [:]
    for member in members {
      if member.key == "__metadata__" {
        metadata = try Self.metadata(member.value, file: file)
      } else {
        do {
          tensors[member.key] = try Self.info(member.value, dataStart: dataStart)
        } catch let problem as Problem {
          throw SafetensorsError.entry(file: file, tensor: member.key, problem: problem.problem)
        }
      }
    }

    // The data must be covered exactly once, in whatever order the header names it.
    var next = dataStart
    let inFileOrder = tensors.sorted {
      ($0.value.byteRange.lowerBound, $0.value.byteRange.upperBound, $0.key)
        < ($1.value.byteRange.lowerBound, $1.value.byteRange.upperBound, $1.key)
    }
    for (name, info) in inFileOrder {
      if info.byteRange.lowerBound != next {
        throw SafetensorsError.gap(
          file: file, tensor: name, expected: next - dataStart, found: info.byteRange.lowerBound - dataStart)
      }
      next = info.byteRange.upperBound
    }
    if next != bytes.count { throw SafetensorsError.length(file: file, expected: next, found: bytes.count) }
    self.tensors = tensors
    self.metadata = metadata
  }

  private struct Problem: Error {
    let problem: SafetensorsError.EntryProblem

    init(_ problem: SafetensorsError.EntryProblem) { self.problem = problem }
  }

  private static func metadata(_ value: JSON, file: String) throws -> [ByteString: ByteString] {
    if value == .null { return [:] }
    guard case .object(let members) = value else { throw SafetensorsError.metadata(file: file) }
    var result: [ByteString: ByteString] = [:]
    for member in members {
      guard case .string(let text) = member.value else { throw SafetensorsError.metadata(file: file) }
      result[member.key] = text
    }
    return result
  }

  private static func info(_ value: JSON, dataStart: Int) throws -> TensorInfo {
    guard case .object = value else { throw Problem(.notAnObject) }
    guard let typeName = value["dtype"] else { throw Problem(.missing("dtype")) }
    guard let shapeValue = value["shape"] else { throw Problem(.missing("shape")) }
    guard let offsetsValue = value["data_offsets"] else { throw Problem(.missing("data_offsets")) }
    guard case .string(let name) = typeName else { throw Problem(.type(nil)) }
    guard let type = TensorType(rawValue: name.text) else { throw Problem(.type(name)) }
    guard let shape = wholeNumbers(shapeValue) else { throw Problem(.shape) }
    guard let offsets = wholeNumbers(offsetsValue), offsets.count == 2 else { throw Problem(.offsets) }
    if offsets[1] < offsets[0] { throw Problem(.reversed(offsets[0], offsets[1])) }

    var bits = type.bits
    for size in shape {
      let (product, overflow) = bits.multipliedReportingOverflow(by: size)
      if overflow { throw Problem(.overflow) }
      bits = product
    }
    if bits % 8 != 0 { throw Problem(.partialByte) }
    if bits / 8 != offsets[1] - offsets[0] {
      throw Problem(.size(expected: bits / 8, found: offsets[1] - offsets[0]))
    }
    let (end, overflow) = offsets[1].addingReportingOverflow(dataStart)
    if overflow { throw Problem(.overflow) }
    return TensorInfo(type: type, shape: shape, byteRange: (offsets[0] + dataStart)..<end)
  }

  /// `nil` unless the value is a list of whole numbers from 0 up.
  private static func wholeNumbers(_ value: JSON) -> [Int]? {
    guard case .array(let elements) = value else { return nil }
    var result: [Int] = []
    for element in elements {
      guard case .integer(let number) = element, number >= 0 else { return nil }
      result.append(number)
    }
    return result
  }
}
