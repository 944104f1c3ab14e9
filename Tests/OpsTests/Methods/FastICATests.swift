import Numerics
import Ops
import Testing

@Suite struct FastICATests {
  /// k×N independent Laplace sources of mean 0, and a random mixture of them.
  func planted(_ seed: UInt64, k: Int = 6, N: Int = 3000) -> (S: Matrix<Double>, X: Matrix<Double>) {
    var random = SplitMix(seed)
    let S = Matrix(rows: k, columns: N, values: (0..<(k * N)).map { _ in random.laplace() })
    return (S, random.matrix(k, k) * S)
  }

  @Test("2.2 the loop equals scikit-learn's from the same start", arguments: Contrast.allCases)
  func scikitLearnAgrees(contrast: Contrast) throws {
    let arrays = try fixture("fastica.txt")
    let (Y, start) = (try #require(arrays["Y"]), try #require(arrays["start"]))
    let found = try fastICA(Y, from: start, contrast: contrast)
    #expect(maxDifference(found.W, try #require(arrays["parallel_\(contrast.rawValue)"])) < 1e-9)
    #expect(Double(found.iterations) == (try #require(arrays["steps_\(contrast.rawValue)"]))[0, 0])
    let one = try fastICA(
      Y, from: start, contrast: contrast, order: .deflation, tolerance: 1e-10, maximumIterations: 500)
    #expect(maxDifference(one.W, try #require(arrays["deflation_\(contrast.rawValue)"])) < 1e-6)
  }

  @Test("2.2 whitened data have the identity as covariance, and whitening turns them as little as possible")
  func whitening() throws {
    let (_, X) = planted(1)
    let Y = try whitened(X)
    let N = Double(Y.columns)
    #expect(maxDifference(1 / N * (Y * Y.T), .identity(6)) < 1e-12)
    #expect(Y.T.columnMeans.allSatisfy { abs($0) < 1e-12 })
    // Whitening white data changes nothing (00.3: a whitening by singular vectors would turn them at random).
    #expect(maxDifference(try whitened(Y), Y) < 1e-11)
  }

  @Test("2.3 W Wᵀ = I, and for the cube mean(3y²) = 3 exactly", arguments: UnmixingOrder.allCases)
  func rotation(order: UnmixingOrder) throws {
    let (_, X) = planted(2)
    let Y1 = try whitened(X)
    let found = try unmixing(Y1, order: order, seed: 0, name: "test")
    #expect(maxDifference(found.W * found.W.T, .identity(6)) < 1e-10)
    for row in 0..<6 {
      let y = (found.W * Y1).row(row)
      #expect(abs(3 * y.reduce(0) { $0 + $1 * $1 } / Double(y.count) - 3) < 1e-10)
    }
    #expect(found.hasConverged && found.change < 1e-4)
  }

  @Test("2.2 planted sources come back", arguments: Contrast.allCases) func plantedSources(contrast: Contrast) throws {
    let (S, X) = planted(3)
    let Y1 = try whitened(X)
    let found = try unmixing(Y1, contrast: contrast, restarts: 3, seed: 0, name: "test")
    let match = matchNetworks(found.W * Y1, S)
    #expect((match.similarity.min() ?? 0) > 0.98)
    #expect(Set(match.partner).count == 6)
  }

  @Test("2.3 the scale of the rows before whitening is irrelevant") func scaleOfRows() throws {
    let (_, X) = planted(4)
    let scaled = X.copy()
    scaled.scaleRows(by: [1, 10, 0.1, 3, 100, 2])
    let a = try unmixing(whitened(X), seed: 0, name: "test", tolerance: 1e-12)
    let b = try unmixing(whitened(scaled), seed: 0, name: "test", tolerance: 1e-12)
    let match = try matchNetworks(a.W * whitened(X), b.W * whitened(scaled))
    #expect((match.similarity.min() ?? 0) > 0.9999)
  }

  @Test("the same bits for one thread and for many, and for the same seed only") func determinism() throws {
    let (_, X) = planted(5)
    let Y1 = try whitened(X)
    let before = Parallel.threads
    defer { Parallel.threads = before }
    Parallel.threads = 1
    let one = try unmixing(Y1, seed: 3, name: "test")
    Parallel.threads = 4
    #expect(try unmixing(Y1, seed: 3, name: "test").W.values == one.W.values)
    #expect(try unmixing(Y1, seed: 4, name: "test").W.values != one.W.values)
  }

  @Test("2.2 too few steps are recorded, not hidden") func convergenceRecord() throws {
    let (_, X) = planted(6)
    let found = try unmixing(whitened(X), seed: 0, name: "test", tolerance: 1e-14, maximumIterations: 2)
    #expect(!found.hasConverged && found.iterations == 2 && found.change > 0)
  }

  @Test("2.2 data that overflow give an error after three more starts") func overflow() {
    let Y = Matrix(rows: 2, columns: 4, values: [Double](repeating: 1e200, count: 8))
    #expect(throws: NetworkError.diverged(attempts: 4)) { try unmixing(Y, seed: 0, name: "test") }
  }

  @Test("work stops when progress throws") func cancellation() throws {
    struct Stop: Error {}
    let (_, X) = planted(7)
    let Y1 = try whitened(X)
    #expect(throws: Stop.self) { try unmixing(Y1, seed: 0, name: "test") { throw Stop() } }
  }
}
