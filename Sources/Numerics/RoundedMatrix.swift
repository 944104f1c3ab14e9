import CKernels

/// How the factors of a product are rounded. Sums are single precision either way.
public enum Precision: String, CaseIterable, Sendable {
  case float32 = "f32"
  /// The upper half of a float: 8 bits of mantissa. Processors with AVX512-BF16 multiply these four times as fast; on
  /// others the same numbers take longer.
  case bfloat16 = "bf16"

  public var meaning: String {
    switch self {
    case .float32: "single precision"
    case .bfloat16: "weights and inputs rounded to 8 bits of mantissa, sums in single precision"
    }
  }

  /// What a weight takes in memory, with its rounded form beside it.
  public var bytesPerWeight: Int { self == .float32 ? 4 : 6 }

  /// Whether this processor computes in it faster than in single precision.
  public var isNative: Bool { self == .float32 || prn_has_bfloat() == 1 }
}

/// A matrix with its numbers rounded to bfloat16, laid out to be the right factor of products.
///
/// Every number of a product is one sum in the order of the inner index, whatever the number of threads.
public struct RoundedMatrix: @unchecked Sendable {
  public let rows: Int
  public let columns: Int
  /// Pairs of rows, panel after panel of `PRN_PANEL` columns.
  private let panels: MatrixStorage<UInt32>

  /// - Parameter B: k × n; may be a transposed window.
  public init(_ B: Matrix<Float>) {
    rows = B.rows
    columns = B.columns
    let pairs = (B.rows + 1) / 2
    let ranges = Self.ranges(B.columns)
    panels = MatrixStorage(count: ranges.count * pairs * Self.width, zeroed: false)
    let (panels, stored) = (panels, B.isTransposed ? B.T : B)
    Parallel.forEach(ranges.count) { panel in
      stored.withUnsafePointer { start, stride in
        let (rowStride, columnStride) = B.isTransposed ? (1, stride) : (stride, 1)
        prn_bfloat_pack(
          start + ranges[panel].lowerBound * columnStride, rowStride, columnStride, B.rows, ranges[panel].count,
          panels.pointer + panel * pairs * Self.width)
      }
    }
  }

  fileprivate static var width: Int { Int(PRN_PANEL) }
  fileprivate static func ranges(_ columns: Int) -> [Range<Int>] { Parallel.ranges(columns, of: width) }

  fileprivate func panel(_ index: Int) -> UnsafePointer<UInt32> {
    UnsafePointer(panels.pointer + index * ((rows + 1) / 2) * Self.width)
  }
}

/// C ← A·B, or C ← C + A·B, with the numbers of A rounded to bfloat16 as well.
///
/// - Parameters: A m×k, not transposed; B k×n; C m×n, not transposed, apart from A.
public func multiply(_ A: Matrix<Float>, _ B: RoundedMatrix, into C: Matrix<Float>, adding: Bool = false) {
  precondition(
    A.columns == B.rows && C.rows == A.rows && C.columns == B.columns,
    "a product of \(A.shape) and \(B.rows)x\(B.columns) into \(C.shape)")
  let pairs = (A.columns + 1) / 2
  let rounded = MatrixStorage<UInt16>(count: A.rows * 2 * pairs, zeroed: false)
  let strips = Parallel.ranges(A.rows, of: 64)
  Parallel.forEach(strips.count) { strip in
    A.withUnsafePointer { start, stride in
      for row in strips[strip] {
        let target = rounded.pointer + row * 2 * pairs
        prn_bfloat_round(start + row * stride, target, A.columns)
        if A.columns % 2 == 1 { target[A.columns] = 0 }
      }
    }
  }
  // Few enough rows for their numbers to stay in the cache while panels pass.
  let blocks = Parallel.ranges(A.rows, of: 480)
  let panels = RoundedMatrix.ranges(B.columns)
  Parallel.forEach(blocks.count * panels.count) { task in
    let (rows, panel) = (blocks[task / panels.count], task % panels.count)
    C.withUnsafeMutablePointer { start, stride in
      BLAS.counted {
        prn_bfloat_product(
          rounded.pointer + rows.lowerBound * 2 * pairs, 2 * pairs, rows.count, B.panel(panel), pairs,
          start + rows.lowerBound * stride + panels[panel].lowerBound, stride, panels[panel].count, adding ? 1 : 0)
      }
    }
  }
}
