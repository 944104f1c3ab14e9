import Foundation
import Numerics
import Ops
import Testing

/// The sizes of a 7B layer. Off unless PRN_TIMINGS is set; numbers only mean something in a release build.
@Suite(.serialized, .enabled(if: ProcessInfo.processInfo.environment["PRN_TIMINGS"] != nil)) struct MethodTimings {
  func measure<Result>(_ what: String, _ body: () throws -> Result) rethrows -> Result {
    let clock = ContinuousClock()
    let start = clock.now
    let result = try body()
    print("\(what): \(clock.now - start) (\(BLAS.description))")
    return result
  }

  @Test func transportation() throws {
    var random = SplitMix(1)
    for n in [2408, 9632] {
      let values = (0..<(7 * n)).map { _ in exp(2 * random.normal()) }
      let S = Matrix(rows: 7, columns: n, values: values)
      let found = try measure("assign \(n) neurons to 7 groups") {
        try assignExactly(S, capacities: [Int](repeating: n / 7, count: 7))
      }
      print("  violation \(found.violation)")
    }
  }

  @Test func clustering() throws {
    var stream = RandomStream(seed: 0, name: "timings")
    let tokens = 131_072
    let C: Matrix<Float> = stream.gaussianMatrix(rows: 40, columns: 64)
    let X: Matrix<Float> = stream.gaussianMatrix(rows: tokens, columns: 64)
    for t in 0..<tokens { X.rows(t..<(t + 1)).add(C.rows((t % 40)..<(t % 40 + 1))) }
    for restarts in [1, 10] {
      let found = try measure("k-means \(tokens) tokens x 64, 7 clusters, \(restarts) restarts") {
        try contextClusters(X, clusters: 7, restarts: restarts, seed: 0, name: "timings")
      }
      print("  inertia \(found.inertia), iterations \(found.history.count)")
    }
  }

  @Test func optimalBrain() throws {
    var stream = RandomStream(seed: 1, name: "timings")
    for (d, n, removed) in [(1024, 2816, 845), (4096, 11_008, 3302)] {
      let W: Matrix<Double> = stream.gaussianMatrix(rows: d, columns: n)
      let X: Matrix<Float> = stream.gaussianMatrix(rows: 2048, columns: n)
      let gram = Matrix<Double>(rows: n, columns: n)
      for i in 0..<n { gram[i, i] = 10_000 + Double(i % 97) * 100 }
      measure("Gram of 2048 tokens, n = \(n)") { accumulateGram(X, into: gram) }
      let H = try measure("curvature, n = \(n)") { try curvature(of: gram) }
      let scores = optimalBrainScores(W, H)
      let M = lowest(removed, of: scores, among: Array(0..<n))
      _ = try measure("refit without \(removed) of \(n)") { try refit(W, removed: M, H) }
      let found = try measure("greedy removal of \(removed) of \(n)") {
        try greedyRemoval(W, overwriting: H.inverse, dead: [], count: removed)
      }
      print("  loss \(found.losses.reduce(0, +))")
    }
  }

  @Test func networks() throws {
    var stream = RandomStream(seed: 2, name: "timings")
    let (T, N, k) = (7600, 22_016, 128)
    let X: Matrix<Float> = stream.gaussianMatrix(rows: T, columns: N)
    X.scale(by: 0.5)
    let S = Matrix<Float>(rows: 160, columns: N)
    for i in 0..<160 {
      for j in 0..<N where stream.uniform() < 0.1 {
        S[i, j] = Float((stream.uniform() < 0.5 ? -1 : 1) * -log(1 - stream.uniform()))
      }
    }
    let A: Matrix<Float> = stream.gaussianMatrix(rows: T, columns: 160)
    multiply(A, S, into: X, beta: 1)
    try measure("networks of \(T) tokens x \(N) signals, k = \(k), in all") {
      let Z = try measure("  moments") { try ScaledSignals([X.columns(0..<(N / 2)), X.columns((N / 2)..<N)]) }
      let B = try measure("  subspace") { try sharedSubspace(Z, components: k).B }
      let Y1 = try measure("  whitening") { try whitened(B) }
      let W = try measure("  FastICA") { try unmixing(Y1, seed: 0, name: "timings") }
      print("  \(W.iterations) steps, change \(W.change)")
      let found = measure("  networks") { functionalNetworks(Y1, W: W.W, signals: Z) }
      _ = measure("  scores") { keyNeuronScores(found.z, halves: 2) }
      print("  explained \(found.explained.reduce(0, +))")
    }
  }
}
