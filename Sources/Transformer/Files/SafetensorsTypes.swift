/// The element types a safetensors file may name.
public enum TensorType: String, Sendable, CaseIterable {
  case bool = "BOOL"
  case f4 = "F4"
  case f6e2m3 = "F6_E2M3"
  case f6e3m2 = "F6_E3M2"
  case u8 = "U8"
  case i8 = "I8"
  case f8e5m2 = "F8_E5M2"
  case f8e4m3 = "F8_E4M3"
  case f8e8m0 = "F8_E8M0"
  case f8e4m3fnuz = "F8_E4M3FNUZ"
  case f8e5m2fnuz = "F8_E5M2FNUZ"
  case i16 = "I16"
  case u16 = "U16"
  case f16 = "F16"
  case bf16 = "BF16"
  case i32 = "I32"
  case u32 = "U32"
  case f32 = "F32"
  case c64 = "C64"
  case f64 = "F64"
  case i64 = "I64"
  case u64 = "U64"

  /// Bits per element.
  public var bits: Int {
    switch self {
    case .f4: 4
    case .f6e2m3, .f6e3m2: 6
    case .bool, .u8, .i8, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz: 8
    case .i16, .u16, .f16, .bf16: 16
    case .i32, .u32, .f32: 32
    case .c64, .f64, .i64, .u64: 64
    }
  }

  /// Whether `prn` reads and writes numbers of this type; the others are only listed.
  public var isComputable: Bool {
    switch self {
    case .f16, .bf16, .f32, .f64: true
    default: false
    }
  }
}

/// Where one tensor lies and what it holds.
public struct TensorInfo: Sendable, Equatable {
  /// The type of the numbers; single precision when they lie in blocks, which hold numbers that no other type has.
  public let type: TensorType
  /// Outermost axis first; empty for a scalar.
  public let shape: [Int]
  /// Bytes from the start of the file. Nothing promises alignment.
  public let byteRange: Range<Int>
  /// How rows are cut in blocks of fewer bits, when they are.
  let blocks: GGUFType?
  /// Where in the file each row stands; nil when rows stand in their order.
  var rowOrder: [Int]?

  init(type: TensorType, shape: [Int], byteRange: Range<Int>, blocks: GGUFType? = nil) {
    self.type = type
    self.shape = shape
    self.byteRange = byteRange
    self.blocks = blocks
  }

  /// Elements.
  public var count: Int { shape.reduce(1, *) }
  /// Rows of the tensor seen as a matrix: the first axis; 1 for a scalar.
  public var rows: Int { shape.first ?? 1 }
  /// Elements of one row: the product of the other axes.
  public var columns: Int { shape.dropFirst().reduce(1, *) }
  /// What the file calls its numbers.
  public var typeName: String { blocks?.rawValue ?? "\(type)" }
  /// Bytes of one row in the file.
  var rowBytes: Int { bytes(of: columns) }
  /// Bytes that so many numbers take.
  func bytes(of numbers: Int) -> Int { blocks?.byteCount(numbers) ?? numbers * type.bits / 8 }
}

/// Why a safetensors file cannot be used. `file` is its name, `tensor` the name of the tensor at fault.
public enum SafetensorsError: Error, Equatable, Sendable {
  case system(file: String, action: String, reason: String)
  case notAFile(file: String)
  case pointerFile(file: String)
  case pickle(file: String)
  case tooShort(file: String, bytes: Int)
  case headerTooLong(file: String, length: UInt64, limit: Int)
  case headerNotAnObject(file: String)
  case header(file: String, JSONError)
  case metadata(file: String)
  case entry(file: String, tensor: ByteString, problem: EntryProblem)
  case gap(file: String, tensor: ByteString, expected: Int, found: Int)
  case length(file: String, expected: Int, found: Int)
  case changed(file: String)
  case noTensor(file: String, tensor: ByteString)
  case notComputable(file: String, tensor: ByteString, type: TensorType)
  case rows(file: String, tensor: ByteString, asked: Range<Int>, rows: Int)
  case destination(file: String, tensor: ByteString, room: Int, needed: Int)
  case nonFinite(file: String, tensor: ByteString, value: String, index: Int)
  case produced(file: String, tensor: ByteString, expected: Int, found: Int)
  case repeated(file: String, tensor: ByteString)

  /// What is wrong with one entry of a header.
  public enum EntryProblem: Equatable, Sendable {
    case notAnObject
    case missing(String)
    case type(ByteString?)
    case shape
    case offsets
    case reversed(Int, Int)
    case overflow
    case partialByte
    case size(expected: Int, found: Int)
  }
}

extension SafetensorsError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .system(let file, let action, let reason): "\(file) cannot be \(action): \(reason)"
    case .notAFile(let file): "\(file) is not a regular file"
    case .pointerFile(let file):
      "\(file) is a Git LFS pointer, not the weights; fetch the file itself with `git lfs pull`"
    case .pickle(let file):
      "\(file) holds pickled PyTorch weights, which can run code when read; convert it to safetensors first"
    case .tooShort(let file, let bytes):
      "\(file) is not a safetensors file: it has \(bytes) bytes and needs at least 10"
    case .headerTooLong(let file, let length, let limit):
      "\(file) is not a safetensors file, or is cut short: its header would take \(length) bytes and at most \(limit) are possible"
    case .headerNotAnObject(let file): "\(file): the header does not start with `{`"
    case .header(let file, let error): "\(file): the header is not valid JSON: \(error)"
    case .metadata(let file): "\(file): `__metadata__` must hold texts only"
    case .entry(let file, let tensor, let problem): "\(file): tensor `\(tensor)` \(problem)"
    case .gap(let file, let tensor, let expected, let found):
      "\(file): the data of tensor `\(tensor)` starts at byte \(found) where byte \(expected) is next (a gap or an overlap)"
    case .length(let file, let expected, let found):
      "\(file) should have \(expected) bytes by its header and has \(found); it is cut short or has bytes too many"
    case .changed(let file): "\(file) was changed while it was in use"
    case .noTensor(let file, let tensor): "\(file) has no tensor `\(tensor)`"
    case .notComputable(let file, let tensor, let type):
      "\(file): tensor `\(tensor)` is of type \(type.rawValue); only F32, F16, BF16 and F64 can be computed with"
    case .rows(let file, let tensor, let asked, let rows):
      "\(file): tensor `\(tensor)` has \(rows) rows; rows \(asked.lowerBound) to \(asked.upperBound) were asked for"
    case .destination(let file, let tensor, let room, let needed):
      "\(file): tensor `\(tensor)` has \(needed) numbers and there is room for \(room)"
    case .nonFinite(let file, let tensor, let value, let index):
      "\(file): tensor `\(tensor)` holds \(value) at element \(index)"
    case .produced(let file, let tensor, let expected, let found):
      "\(file): tensor `\(tensor)` should take \(expected) bytes and \(found) were given"
    case .repeated(let file, let tensor): "\(file): tensor `\(tensor)` would be written twice"
    }
  }
}

extension SafetensorsError.EntryProblem: CustomStringConvertible {
  public var description: String {
    switch self {
    case .notAnObject: "is not described by an object"
    case .missing(let field): "has no `\(field)`"
    case .type(let name?): "is of the unknown type `\(name)`"
    case .type(nil): "has a `dtype` that is not a text"
    case .shape: "has a `shape` that is not a list of whole numbers"
    case .offsets: "has `data_offsets` that are not two whole numbers"
    case .reversed(let begin, let end): "ends at byte \(end), before it begins at byte \(begin)"
    case .overflow: "has a shape too large for any file"
    case .partialByte: "does not end on a whole byte"
    case .size(let expected, let found): "needs \(expected) bytes by its shape and type and has \(found)"
    }
  }
}
