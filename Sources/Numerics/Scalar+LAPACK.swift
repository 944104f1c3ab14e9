import COpenBLAS

// The only callers of LAPACK, all column-major: row-major LAPACKE would copy and transpose. A row-major lower triangle
// is a column-major upper one, hence `upper` throughout.

private let upper = CChar(UInt8(ascii: "U"))
private let vectors = CChar(UInt8(ascii: "V"))
private let valuesAlone = CChar(UInt8(ascii: "N"))
private let byIndex = CChar(UInt8(ascii: "I"))
private let thin = CChar(UInt8(ascii: "S"))

extension Float {
  public static func potrf(_ n: Int, _ A: UnsafeMutablePointer<Float>, _ lda: Int) -> Int {
    Int(LAPACKE_spotrf_work(LAPACK_COL_MAJOR, upper, Int32(n), A, Int32(lda)))
  }

  public static func syevd(
    _ n: Int, vectors wanted: Bool, _ A: UnsafeMutablePointer<Float>, _ lda: Int, _ w: UnsafeMutablePointer<Float>
  ) -> Int {
    Int(LAPACKE_ssyevd(LAPACK_COL_MAJOR, wanted ? vectors : valuesAlone, upper, Int32(n), A, Int32(lda), w))
  }

  public static func syevr(
    _ n: Int, _ A: UnsafeMutablePointer<Float>, _ lda: Int, _ range: ClosedRange<Int>,
    _ w: UnsafeMutablePointer<Float>, _ Z: UnsafeMutablePointer<Float>, _ ldz: Int
  ) -> Int {
    var found: Int32 = 0
    var support = [Int32](repeating: 0, count: 2 * max(n, 1))
    return Int(
      LAPACKE_ssyevr(
        LAPACK_COL_MAJOR, vectors, byIndex, upper, Int32(n), A, Int32(lda), 0, 0, Int32(range.lowerBound + 1),
        Int32(range.upperBound + 1), 0, &found, w, Z, Int32(ldz), &support))
  }

  public static func gesdd(
    _ m: Int, _ n: Int, _ A: UnsafeMutablePointer<Float>, _ lda: Int, _ s: UnsafeMutablePointer<Float>,
    _ U: UnsafeMutablePointer<Float>, _ ldu: Int, _ VT: UnsafeMutablePointer<Float>, _ ldvt: Int
  ) -> Int {
    Int(
      LAPACKE_sgesdd(
        LAPACK_COL_MAJOR, thin, Int32(m), Int32(n), A, Int32(lda), s, U, Int32(ldu), VT, Int32(ldvt)))
  }

  public static func geqrf(
    _ m: Int, _ n: Int, _ A: UnsafeMutablePointer<Float>, _ lda: Int, _ tau: UnsafeMutablePointer<Float>
  ) -> Int {
    Int(LAPACKE_sgeqrf(LAPACK_COL_MAJOR, Int32(m), Int32(n), A, Int32(lda), tau))
  }

  public static func orgqr(
    _ m: Int, _ n: Int, _ A: UnsafeMutablePointer<Float>, _ lda: Int, _ tau: UnsafePointer<Float>
  ) -> Int {
    Int(LAPACKE_sorgqr(LAPACK_COL_MAJOR, Int32(m), Int32(n), Int32(n), A, Int32(lda), tau))
  }
}

extension Double {
  public static func potrf(_ n: Int, _ A: UnsafeMutablePointer<Double>, _ lda: Int) -> Int {
    Int(LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, upper, Int32(n), A, Int32(lda)))
  }

  public static func syevd(
    _ n: Int, vectors wanted: Bool, _ A: UnsafeMutablePointer<Double>, _ lda: Int, _ w: UnsafeMutablePointer<Double>
  ) -> Int {
    Int(LAPACKE_dsyevd(LAPACK_COL_MAJOR, wanted ? vectors : valuesAlone, upper, Int32(n), A, Int32(lda), w))
  }

  public static func syevr(
    _ n: Int, _ A: UnsafeMutablePointer<Double>, _ lda: Int, _ range: ClosedRange<Int>,
    _ w: UnsafeMutablePointer<Double>, _ Z: UnsafeMutablePointer<Double>, _ ldz: Int
  ) -> Int {
    var found: Int32 = 0
    var support = [Int32](repeating: 0, count: 2 * max(n, 1))
    return Int(
      LAPACKE_dsyevr(
        LAPACK_COL_MAJOR, vectors, byIndex, upper, Int32(n), A, Int32(lda), 0, 0, Int32(range.lowerBound + 1),
        Int32(range.upperBound + 1), 0, &found, w, Z, Int32(ldz), &support))
  }

  public static func gesdd(
    _ m: Int, _ n: Int, _ A: UnsafeMutablePointer<Double>, _ lda: Int, _ s: UnsafeMutablePointer<Double>,
    _ U: UnsafeMutablePointer<Double>, _ ldu: Int, _ VT: UnsafeMutablePointer<Double>, _ ldvt: Int
  ) -> Int {
    Int(
      LAPACKE_dgesdd(
        LAPACK_COL_MAJOR, thin, Int32(m), Int32(n), A, Int32(lda), s, U, Int32(ldu), VT, Int32(ldvt)))
  }

  public static func geqrf(
    _ m: Int, _ n: Int, _ A: UnsafeMutablePointer<Double>, _ lda: Int, _ tau: UnsafeMutablePointer<Double>
  ) -> Int {
    Int(LAPACKE_dgeqrf(LAPACK_COL_MAJOR, Int32(m), Int32(n), A, Int32(lda), tau))
  }

  public static func orgqr(
    _ m: Int, _ n: Int, _ A: UnsafeMutablePointer<Double>, _ lda: Int, _ tau: UnsafePointer<Double>
  ) -> Int {
    Int(LAPACKE_dorgqr(LAPACK_COL_MAJOR, Int32(m), Int32(n), Int32(n), A, Int32(lda), tau))
  }
}
