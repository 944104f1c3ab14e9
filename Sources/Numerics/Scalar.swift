import COpenBLAS

/// A number that BLAS and LAPACK know: `Float` or `Double`, and no other type.
///
/// The requirements route to the routines of the right precision; use `Matrix`, which checks shapes, instead.
public protocol Scalar: BinaryFloatingPoint, BitwiseCopyable, Sendable {
  /// Row-major C ← α op(A) op(B) + β C, one thread.
  static func gemm(
    _ m: Int, _ n: Int, _ k: Int, _ alpha: Self, _ A: Operand<Self>, _ B: Operand<Self>, _ beta: Self,
    _ C: UnsafeMutablePointer<Self>, _ ldc: Int)
  /// y ← α op(A) x + β y, where A is stored as `rows`×`columns`, one thread.
  static func gemv(
    _ rows: Int, _ columns: Int, _ alpha: Self, _ A: Operand<Self>, _ x: UnsafePointer<Self>, _ incx: Int,
    _ beta: Self, _ y: UnsafeMutablePointer<Self>, _ incy: Int)
  /// Row-major B ← op(L)⁻¹ B (left) or B op(L)⁻¹ (right), L lower triangular, B m×n, one thread.
  static func trsm(
    _ m: Int, _ n: Int, left: Bool, _ L: Operand<Self>, _ B: UnsafeMutablePointer<Self>, _ ldb: Int)

  // LAPACK, column-major, as its manual says. Each returns `info`.
  static func potrf(_ n: Int, _ A: UnsafeMutablePointer<Self>, _ lda: Int) -> Int
  static func syevd(
    _ n: Int, vectors: Bool, _ A: UnsafeMutablePointer<Self>, _ lda: Int, _ w: UnsafeMutablePointer<Self>
  ) -> Int
  static func syevr(
    _ n: Int, _ A: UnsafeMutablePointer<Self>, _ lda: Int, _ range: ClosedRange<Int>,
    _ w: UnsafeMutablePointer<Self>, _ Z: UnsafeMutablePointer<Self>, _ ldz: Int
  ) -> Int
  static func gesdd(
    _ m: Int, _ n: Int, _ A: UnsafeMutablePointer<Self>, _ lda: Int, _ s: UnsafeMutablePointer<Self>,
    _ U: UnsafeMutablePointer<Self>, _ ldu: Int, _ VT: UnsafeMutablePointer<Self>, _ ldvt: Int
  ) -> Int
  static func geqrf(
    _ m: Int, _ n: Int, _ A: UnsafeMutablePointer<Self>, _ lda: Int, _ tau: UnsafeMutablePointer<Self>
  ) -> Int
  static func orgqr(
    _ m: Int, _ n: Int, _ A: UnsafeMutablePointer<Self>, _ lda: Int, _ tau: UnsafePointer<Self>
  ) -> Int
}

/// One side of a product: where it starts, the distance between its stored rows, and whether to read it transposed.
public struct Operand<Element> {
  let pointer: UnsafePointer<Element>
  let stride: Int
  let isTransposed: Bool

  var flag: CBLAS_TRANSPOSE { isTransposed ? CblasTrans : CblasNoTrans }
  var ld: Int32 { Int32(stride) }

  /// The same matrix, starting `rows` and `columns` further on.
  func advanced(rows: Int, columns: Int) -> Operand {
    Operand(
      pointer: pointer + (isTransposed ? columns * stride + rows : rows * stride + columns), stride: stride,
      isTransposed: isTransposed)
  }
}

extension Matrix {
  /// This window as a side of a product. Valid while the storage is kept alive.
  var operand: Operand<Element> {
    Operand(pointer: UnsafePointer(storage.pointer + offset), stride: max(stride, 1), isTransposed: isTransposed)
  }
}
