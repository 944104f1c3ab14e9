import Glibc

/// A matrix: a *window* (offset, row stride, transposed or not) on shared row-major storage.
///
/// `X.T`, `X.rows(0..<n)` and `X.columns(a..<b)` copy nothing: they are other windows on the same numbers, so writing
/// through one of them, or through a copy of the struct, **writes what all of them see**. Arithmetic and everything
/// that says so (`copy`, `gathering`, conversions) returns new storage. The type is `Sendable` so that disjoint
/// windows can be filled by different threads; that they are disjoint is up to the caller.
public struct Matrix<Element: Scalar>: @unchecked Sendable {
  public let rows: Int
  public let columns: Int
  /// Whether rows of this window are columns of the storage.
  public let isTransposed: Bool
  /// Elements from one row of the *storage* to the next.
  public let stride: Int
  @usableFromInline let storage: MatrixStorage<Element>
  @usableFromInline let offset: Int

  @usableFromInline
  init(storage: MatrixStorage<Element>, offset: Int, rows: Int, columns: Int, stride: Int, isTransposed: Bool) {
    self.storage = storage
    self.offset = offset
    self.rows = rows
    self.columns = columns
    self.stride = stride
    self.isTransposed = isTransposed
  }

  /// Zeros.
  public init(rows: Int, columns: Int) {
    precondition(rows >= 0 && columns >= 0, "a matrix of \(rows)x\(columns)")
    self.init(
      storage: MatrixStorage(count: rows * columns, zeroed: true), offset: 0, rows: rows, columns: columns,
      stride: columns, isTransposed: false)
  }

  /// Storage with arbitrary content, for results that will be written whole.
  @usableFromInline
  init(unwritten rows: Int, _ columns: Int) {
    self.init(
      storage: MatrixStorage(count: rows * columns, zeroed: false), offset: 0, rows: rows, columns: columns,
      stride: columns, isTransposed: false)
  }

  /// Filled in by `body`, which gets all `rows * columns` elements in row-major order, unset.
  @inlinable
  public init(rows: Int, columns: Int, initializing body: (UnsafeMutableBufferPointer<Element>) throws -> Void) rethrows
  {
    self.init(unwritten: rows, columns)
    try body(UnsafeMutableBufferPointer(start: storage.pointer, count: rows * columns))
  }

  /// `values` in row-major order.
  public init(rows: Int, columns: Int, values: [Element]) {
    precondition(values.count == rows * columns, "\(values.count) values for a \(rows)x\(columns) matrix")
    self.init(unwritten: rows, columns)
    values.withUnsafeBufferPointer { source in
      if let start = source.baseAddress { storage.pointer.update(from: start, count: values.count) }
    }
  }

  /// One array per row, all of one length.
  public init(_ rows: [[Element]]) {
    let columns = rows.first?.count ?? 0
    precondition(rows.allSatisfy { $0.count == columns }, "rows of different lengths")
    self.init(rows: rows.count, columns: columns, values: rows.flatMap { $0 })
  }

  /// A window on numbers that belong to `owner` (a mapped file, say), which stays alive as long as the window does.
  public init(
    borrowing pointer: UnsafeMutablePointer<Element>, rows: Int, columns: Int, stride: Int? = nil, from owner: AnyObject
  ) {
    self.init(
      storage: MatrixStorage(pointer, lentBy: owner), offset: 0, rows: rows, columns: columns,
      stride: stride ?? columns, isTransposed: false)
  }

  /// n×n, ones on the diagonal.
  public static func identity(_ n: Int) -> Matrix { diagonal([Element](repeating: 1, count: n)) }

  /// n×n, `values` on the diagonal.
  public static func diagonal(_ values: [Element]) -> Matrix {
    let result = Matrix(rows: values.count, columns: values.count)
    for (i, value) in values.enumerated() { result[i, i] = value }
    return result
  }

  @inlinable
  public subscript(i: Int, j: Int) -> Element {
    get {
      precondition(i >= 0 && i < rows && j >= 0 && j < columns, "element outside the matrix")
      return withExtendedLifetime(storage) {
        storage.pointer[offset &+ (isTransposed ? j &* stride &+ i : i &* stride &+ j)]
      }
    }
    nonmutating set {
      precondition(i >= 0 && i < rows && j >= 0 && j < columns, "element outside the matrix")
      withExtendedLifetime(storage) {
        storage.pointer[offset &+ (isTransposed ? j &* stride &+ i : i &* stride &+ j)] = newValue
      }
    }
  }

  /// Number of elements.
  public var count: Int { rows * columns }

  /// Whether the elements lie in memory in row-major order without gaps.
  public var isContiguous: Bool { !isTransposed && (stride == columns || rows <= 1) }
}

// MARK: Windows and copies

extension Matrix {
  /// columns×rows, the same numbers.
  public var T: Matrix {
    Matrix(
      storage: storage, offset: offset, rows: columns, columns: rows, stride: stride, isTransposed: !isTransposed)
  }

  /// Some consecutive rows, the same numbers.
  public func rows(_ range: Range<Int>) -> Matrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
    return Matrix(
      storage: storage, offset: offset + range.lowerBound * (isTransposed ? 1 : stride), rows: range.count,
      columns: columns, stride: stride, isTransposed: isTransposed)
  }

  /// Some consecutive columns, the same numbers.
  public func columns(_ range: Range<Int>) -> Matrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= columns, "columns \(range) of \(columns)")
    return Matrix(
      storage: storage, offset: offset + range.lowerBound * (isTransposed ? stride : 1), rows: rows,
      columns: range.count, stride: stride, isTransposed: isTransposed)
  }

  /// `body` gets the first element and the distance between rows. The window must not be transposed.
  @inlinable
  public func withUnsafePointer<Result>(_ body: (UnsafePointer<Element>, Int) throws -> Result) rethrows -> Result {
    precondition(!isTransposed, "a transposed window has no row pointer: copy() it first")
    return try withExtendedLifetime(storage) { try body(UnsafePointer(storage.pointer + offset), stride) }
  }

  /// `body` gets the first element and the distance between rows, for writing. The window must not be transposed.
  @inlinable
  public func withUnsafeMutablePointer<Result>(
    _ body: (UnsafeMutablePointer<Element>, Int) throws -> Result
  ) rethrows -> Result {
    precondition(!isTransposed, "a transposed window has no row pointer: copy() it first")
    return try withExtendedLifetime(storage) { try body(storage.pointer + offset, stride) }
  }

  /// New storage, contiguous and not transposed.
  public func copy() -> Matrix {
    let result = Matrix(unwritten: rows, columns)
    result.assign(self)
    return result
  }

  /// Overwrites this window with the numbers of `other`, of the same shape.
  public func assign(_ other: Matrix) {
    precondition(rows == other.rows && columns == other.columns, "assigning \(other.shape) to \(shape)")
    if isTransposed { return T.assign(other.T) }
    withUnsafeMutablePointer { target, step in
      withExtendedLifetime(other.storage) {
        let source = UnsafePointer(other.storage.pointer + other.offset)
        if other.isTransposed {
          transpose(source, other.stride, into: target, step, rows: rows, columns: columns)
        } else {
          for i in 0..<rows { (target + i * step).update(from: source + i * other.stride, count: columns) }
        }
      }
    }
  }

  /// New storage: the rows named by `indices`, in that order.
  public func gathering(rows indices: [Int]) -> Matrix {
    if isTransposed { return T.gathering(columns: indices).T }
    let result = Matrix(unwritten: indices.count, columns)
    withUnsafePointer { source, step in
      result.withUnsafeMutablePointer { target, _ in
        for (i, index) in indices.enumerated() {
          precondition(index >= 0 && index < rows, "row \(index) of \(rows)")
          (target + i * columns).update(from: source + index * step, count: columns)
        }
      }
    }
    return result
  }

  /// New storage: the columns named by `indices`, in that order.
  public func gathering(columns indices: [Int]) -> Matrix {
    if isTransposed { return T.gathering(rows: indices).T }
    precondition(indices.allSatisfy { $0 >= 0 && $0 < columns }, "a column outside 0..<\(columns)")
    let result = Matrix(unwritten: rows, indices.count)
    withUnsafePointer { source, step in
      result.withUnsafeMutablePointer { target, width in
        indices.withUnsafeBufferPointer { indices in
          for i in 0..<rows { gather(source + i * step, indices, into: target + i * width) }
        }
      }
    }
    return result
  }

  /// Row `i` as an array.
  public func row(_ i: Int) -> [Element] { rows(i..<(i + 1)).values }

  /// Column `j` as an array.
  public func column(_ j: Int) -> [Element] { columns(j..<(j + 1)).T.values }

  /// All elements in row-major order.
  public var values: [Element] {
    [Element](unsafeUninitializedCapacity: count) { buffer, initialized in
      if let start = buffer.baseAddress {
        withExtendedLifetime(storage) {
          let source = UnsafePointer(storage.pointer + offset)
          if isTransposed {
            transpose(source, stride, into: start, columns, rows: rows, columns: columns)
          } else {
            for i in 0..<rows { (start + i * columns).update(from: source + i * stride, count: columns) }
          }
        }
      }
      initialized = count
    }
  }

  /// The elements (i, i).
  public var diagonal: [Element] { (0..<min(rows, columns)).map { self[$0, $0] } }

  /// As messages print it: `rows`×`columns`.
  public var shape: String { "\(rows)x\(columns)" }
}

extension Matrix where Element == Double {
  /// New storage, widened.
  public init(_ other: Matrix<Float>) {
    if other.isTransposed { self = Matrix(other.T).T; return }
    self.init(unwritten: other.rows, other.columns)
    other.withUnsafePointer { source, step in
      for i in 0..<other.rows {
        let target = storage.pointer + i * other.columns
        for j in 0..<other.columns { target[j] = Double(source[i &* step &+ j]) }
      }
    }
  }
}

extension Matrix where Element == Float {
  /// New storage, rounded to nearest.
  public init(_ other: Matrix<Double>) {
    if other.isTransposed { self = Matrix(other.T).T; return }
    self.init(unwritten: other.rows, other.columns)
    other.withUnsafePointer { source, step in
      for i in 0..<other.rows {
        let target = storage.pointer + i * other.columns
        for j in 0..<other.columns { target[j] = Float(source[i &* step &+ j]) }
      }
    }
  }
}

/// `target[i, j] = source[j, i]`, in square blocks so that neither side leaves the cache.
@specialized(where Element == Float)
@specialized(where Element == Double)
func transpose<Element: Scalar>(
  _ source: UnsafePointer<Element>, _ sourceStride: Int, into target: UnsafeMutablePointer<Element>,
  _ targetStride: Int, rows: Int, columns: Int
) {
  let block = 32
  for i0 in Swift.stride(from: 0, to: rows, by: block) {
    for j0 in Swift.stride(from: 0, to: columns, by: block) {
      for i in i0..<min(i0 + block, rows) {
        for j in j0..<min(j0 + block, columns) { target[i &* targetStride &+ j] = source[j &* sourceStride &+ i] }
      }
    }
  }
}

@specialized(where Element == Float)
@specialized(where Element == Double)
private func gather<Element: Scalar>(
  _ source: UnsafePointer<Element>, _ indices: UnsafeBufferPointer<Int>, into target: UnsafeMutablePointer<Element>
) {
  for k in 0..<indices.count { target[k] = source[indices[k]] }
}
