/// How the numbers of a tensor are stored in a GGUF file: one by one, or in blocks of few bits with scales of their own.
public enum GGUFType: String, CaseIterable, Sendable {
  case f32, f16, bf16, f64
  // Blocks of 32 numbers: a scale in half precision, and where the second figure is 1 an offset.
  case q40 = "q4_0"
  case q41 = "q4_1"
  case q50 = "q5_0"
  case q51 = "q5_1"
  case q80 = "q8_0"
  // Blocks of 256 numbers: scales of parts, in units of a scale of the whole.
  case q4K = "q4_K"
  case q5K = "q5_K"
  case q6K = "q6_K"

  /// Those that an export can be asked for.
  public static let written: [GGUFType] = [.f32, .f16, .bf16, .q80]

  /// The nearest that is written to a checkpoint's type; single precision for what has none.
  init(_ info: TensorInfo?) {
    switch (info?.type, info?.blocks) {
    case (_, .q80?): self = .q80
    case (.f16?, nil): self = .f16
    case (.bf16?, nil): self = .bf16
    default: self = .f32
    }
  }

  /// The type of a number that stands for the kind in a tensor's description; nil for one that is not known.
  init?(id: UInt32) {
    guard let type = Self.allCases.first(where: { $0.id == id }) else { return nil }
    self = type
  }

  /// The number that stands for it in a tensor's description.
  var id: UInt32 {
    switch self {
    case .f32: 0
    case .f16: 1
    case .q40: 2
    case .q41: 3
    case .q50: 6
    case .q51: 7
    case .q80: 8
    case .q4K: 12
    case .q5K: 13
    case .q6K: 14
    case .f64: 28
    case .bf16: 30
    }
  }

  /// `general.file_type` of a file that holds mostly this.
  var fileType: Int {
    switch self {
    case .f16: 1
    case .q80: 7
    case .bf16: 32
    default: 0
    }
  }

  /// The type of its numbers where they are stored one by one; nil for blocks.
  var plain: TensorType? {
    switch self {
    case .f32: .f32
    case .f16: .f16
    case .bf16: .bf16
    case .f64: .f64
    default: nil
    }
  }

  /// The largest number that one of those that are written holds: beyond it half precision, of a number or of a block's
  /// scale, is infinite.
  var largest: Float {
    switch self {
    case .f16: Float(Float16.greatestFiniteMagnitude)
    case .q80: 127 * Float(Float16.greatestFiniteMagnitude)
    default: .greatestFiniteMagnitude
    }
  }

  /// Numbers in a block and its bytes.
  var block: (numbers: Int, bytes: Int) {
    switch self {
    case .f32: (1, 4)
    case .f16, .bf16: (1, 2)
    case .f64: (1, 8)
    case .q40: (32, 18)
    case .q41: (32, 20)
    case .q50: (32, 22)
    case .q51: (32, 24)
    case .q80: (32, 34)
    case .q4K: (256, 144)
    case .q5K: (256, 176)
    case .q6K: (256, 210)
    }
  }

  /// This type, or half precision where rows of so many numbers cannot be cut in blocks.
  func holding(_ columns: Int) -> GGUFType { columns.isMultiple(of: block.numbers) ? self : .f16 }

  func byteCount(_ numbers: Int) -> Int { numbers / block.numbers * block.bytes }
}
