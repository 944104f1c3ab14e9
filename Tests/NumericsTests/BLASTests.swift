import Numerics
import Testing

/// Switching kernels for real would pull them from under the other tests, so only what changes nothing is tried here.
struct BLASTests {
  @Test func unknownKernelsAreNamedInTheError() {
    do throws(BLAS.Failure) {
      try BLAS.configure(core: "pentium")
      Issue.record("kernels named pentium were accepted")
    } catch {
      #expect(error.description.contains("'pentium'") && error.description.contains("Haswell"))
    }
  }

  @Test func kernelsThatWouldCrashAreRefused() {
    // FMA4 left the market in 2015.
    #expect(throws: BLAS.Failure.unsupportedCore("Bulldozer")) { try BLAS.configure(core: "bulldozer") }
  }

  @Test func autoKeepsWhatOpenBLASChose() throws {
    let before = BLAS.core
    try BLAS.configure(core: "auto")
    #expect(BLAS.core == before)
    #expect(BLAS.description.contains(before))
  }
}
