import CHDF5

/// What the elements of a dataset are, by the short names used in payload tables.
package enum StoredType: String, Sendable {
  case float32 = "f32"
  case float64 = "f64"
  case int32 = "i32"
  case int64 = "i64"
  case uint8 = "u8"
  case string = "str"

  init<E: ArtifactElement>(of element: E.Type) {
    switch element {
    case is Double.Type: self = .float64
    case is Int32.Type: self = .int32
    case is Int64.Type: self = .int64
    case is UInt8.Type: self = .uint8
    default: self = .float32
    }
  }

  /// The type in the file, which is also that in memory: all are little-endian.
  /// A string has none of its own, its width belongs to the dataset.
  var numeric: hid_t? {
    switch self {
    case .float32: h5Float32
    case .float64: h5Float64
    case .int32: h5Int32
    case .int64: h5Int64
    case .uint8: h5UInt8
    case .string: nil
    }
  }

  /// Bytes of one element; of a string, 1.
  var size: Int {
    switch self {
    case .float64, .int64: 8
    case .float32, .int32: 4
    case .uint8, .string: 1
    }
  }

  var isFloatingPoint: Bool { self == .float32 || self == .float64 }
}

/// When datasets are compressed: `set store.compress`.
public enum Compression: String, Choice {
  case auto, none, gzip

  public var meaning: String {
    switch self {
    case .auto:
      "integers, masks and labels always; floating point only where the first chunk shrinks below 0.7 of its size"
    case .none: "nothing"
    case .gzip: "everything"
    }
  }
}

/// The shape of one chunk: about 1 MiB of whole rows, or of parts of a row when a single row is longer.
/// Empty when the dataset is not chunked: scalars and empty arrays.
package func chunkShape(_ shape: [Int], elementSize: Int) -> [Int] {
  guard !shape.isEmpty, !shape.contains(0) else { return [] }
  var room = max(1, (1 << 20) / max(1, elementSize))
  var chunk = [Int](repeating: 1, count: shape.count)
  for axis in shape.indices.reversed() {
    chunk[axis] = min(shape[axis], room)
    room /= chunk[axis]
    if room == 0 || chunk[axis] < shape[axis] { break }
  }
  return chunk
}
