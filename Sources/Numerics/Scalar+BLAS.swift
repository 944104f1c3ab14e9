import COpenBLAS
import Glibc
import Synchronization

// The only callers of cblas. One thread each: `Matrix` cuts the work and spreads it (Matrix+Arithmetic.swift).

extension BLAS {
  /// Seconds spent in matrix products so far, summed over the threads. For benchmarks.
  public static var productSeconds: Double { Double(nanoseconds.load(ordering: .relaxed)) * 1e-9 }

  private static let nanoseconds = Atomic<UInt64>(0)

  private static func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  static func counted(_ product: () -> Void) {
    let start = now()
    product()
    nanoseconds.wrappingAdd(now() - start, ordering: .relaxed)
  }
}

extension Float: Scalar {}
extension Double: Scalar {}
extension Float {
  public static func gemm(
    _ m: Int, _ n: Int, _ k: Int, _ alpha: Float, _ A: Operand<Float>, _ B: Operand<Float>, _ beta: Float,
    _ C: UnsafeMutablePointer<Float>, _ ldc: Int
  ) {
    BLAS.counted {
      cblas_sgemm(
        CblasRowMajor, A.flag, B.flag, Int32(m), Int32(n), Int32(k), alpha, A.pointer, A.ld, B.pointer, B.ld, beta, C,
        Int32(ldc))
    }
  }

  public static func gemv(
    _ rows: Int, _ columns: Int, _ alpha: Float, _ A: Operand<Float>, _ x: UnsafePointer<Float>, _ incx: Int,
    _ beta: Float, _ y: UnsafeMutablePointer<Float>, _ incy: Int
  ) {
    cblas_sgemv(
      CblasRowMajor, A.flag, Int32(rows), Int32(columns), alpha, A.pointer, A.ld, x, Int32(incx), beta, y, Int32(incy))
  }

  public static func trsm(
    _ m: Int, _ n: Int, left: Bool, _ L: Operand<Float>, _ B: UnsafeMutablePointer<Float>, _ ldb: Int
  ) {
    cblas_strsm(
      CblasRowMajor, left ? CblasLeft : CblasRight, CblasLower, L.flag, CblasNonUnit, Int32(m), Int32(n), 1, L.pointer,
      L.ld, B, Int32(ldb))
  }
}

extension Double {
  public static func gemm(
    _ m: Int, _ n: Int, _ k: Int, _ alpha: Double, _ A: Operand<Double>, _ B: Operand<Double>, _ beta: Double,
    _ C: UnsafeMutablePointer<Double>, _ ldc: Int
  ) {
    BLAS.counted {
      cblas_dgemm(
        CblasRowMajor, A.flag, B.flag, Int32(m), Int32(n), Int32(k), alpha, A.pointer, A.ld, B.pointer, B.ld, beta, C,
        Int32(ldc))
    }
  }

  public static func gemv(
    _ rows: Int, _ columns: Int, _ alpha: Double, _ A: Operand<Double>, _ x: UnsafePointer<Double>, _ incx: Int,
    _ beta: Double, _ y: UnsafeMutablePointer<Double>, _ incy: Int
  ) {
    cblas_dgemv(
      CblasRowMajor, A.flag, Int32(rows), Int32(columns), alpha, A.pointer, A.ld, x, Int32(incx), beta, y, Int32(incy))
  }

  public static func trsm(
    _ m: Int, _ n: Int, left: Bool, _ L: Operand<Double>, _ B: UnsafeMutablePointer<Double>, _ ldb: Int
  ) {
    cblas_dtrsm(
      CblasRowMajor, left ? CblasLeft : CblasRight, CblasLower, L.flag, CblasNonUnit, Int32(m), Int32(n), 1, L.pointer,
      L.ld, B, Int32(ldb))
  }
}
