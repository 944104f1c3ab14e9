import Numerics
import Ops
import Testing

@Suite struct ContextClustersTests {
  /// Tokens around five centres in eight dimensions, and which centre each came from.
  func blobs(_ seed: UInt64, tokens: Int = 1500) -> (X: Matrix<Float>, origin: [Int]) {
    var random = SplitMix(seed)
    let centers = random.matrix(5, 8)
    let origin = (0..<tokens).map { _ in Int(random.next() % 5) }
    let X = Matrix<Float>(
      rows: tokens, columns: 8,
      values: origin.flatMap { k in (0..<8).map { Float(6 * centers[k, $0] + random.normal()) } })
    return (X, origin)
  }

  @Test("5.2 from the same start it agrees with scikit-learn's Lloyd") func scikitLearnAgrees() throws {
    let arrays = try fixture("kmeans.txt")
    let X = Matrix<Float>(try #require(arrays["X"]))
    let found = try contextClusters(X, from: try #require(arrays["start"]))
    let labels = try #require(arrays["labels"]).values.map { Int($0) }
    let inertia = try #require(arrays["inertia"])[0, 0]
    // Ours are renumbered: the map from their numbers to ours must be one to one.
    let pairs = Set(zip(labels, found.labels).map { "\($0)-\($1)" })
    #expect(pairs.count == 5)
    #expect(abs(found.inertia - inertia) < 1e-5 * inertia)
    let theirs = try #require(arrays["centers"])
    for (t, k) in found.labels.enumerated() {
      for j in 0..<4 { #expect(abs(found.centers[Int(k), j] - theirs[labels[t], j]) < 1e-3) }
    }
  }

  @Test("5.2 inertia never rises and each centre is the mean of its points") func invariants() throws {
    let (X, _) = blobs(1)
    let found = try contextClusters(X, clusters: 7, restarts: 3, seed: 0, name: "test")
    for (a, b) in zip(found.history, found.history.dropFirst()) { #expect(b <= a * (1 + 1e-6)) }
    for k in 0..<7 {
      let members = found.labels.indices.filter { found.labels[$0] == k }
      #expect(members.count == found.sizes[k])
      let mean = Matrix<Double>(X.gathering(rows: members)).columnMeans
      #expect(maxDifference(mean, found.centers.row(k)) < 1e-5)
    }
    #expect(found.sizes == found.sizes.sorted(by: >))
    #expect(found.hasConverged)
  }

  @Test("5.2 finds planted clusters, numbered by size") func plantedClusters() throws {
    let (X, origin) = blobs(2)
    let found = try contextClusters(X, clusters: 5, restarts: 5, seed: 1, name: "test")
    #expect(Set(zip(origin, found.labels).map { "\($0)-\($1)" }).count == 5)
  }

  @Test("5.2 translation and rotation of the tokens leave the partition") func translationAndRotation() throws {
    let (X, _) = blobs(3)
    let plain = try contextClusters(X, clusters: 5, seed: 4, name: "test")
    let moved = X.copy()
    moved.addToRows([Float](repeating: 40, count: 8))
    var random = SplitMix(5)
    let Q = Matrix<Float>(orthonormalised(random.matrix(8, 8)).copy())
    #expect(try contextClusters(moved, clusters: 5, seed: 4, name: "test").labels == plain.labels)
    #expect(try contextClusters(X * Q, clusters: 5, seed: 4, name: "test").labels == plain.labels)
  }

  @Test("the same bits for one thread and for many") func threadCount() throws {
    let (X, _) = blobs(6, tokens: 5000)
    let before = Parallel.threads
    defer { Parallel.threads = before }
    Parallel.threads = 1
    let one = try contextClusters(X, clusters: 6, restarts: 2, seed: 0, name: "test")
    Parallel.threads = 4
    let many = try contextClusters(X, clusters: 6, restarts: 2, seed: 0, name: "test")
    #expect(one.labels == many.labels && one.inertia == many.inertia && one.centers.values == many.centers.values)
  }

  @Test("5.2 an empty cluster takes the farthest token") func emptyCluster() throws {
    let X = Matrix<Float>([[0, 0], [1, 0], [0, 1], [50, 50]])
    // The third centre is far from everything.
    let found = try contextClusters(X, from: Matrix<Double>([[0, 0], [0.2, 0.1], [-900, -900]]))
    #expect(found.sizes.allSatisfy { $0 > 0 })
    #expect(found.inertia < 3)
  }

  @Test("bad input is named") func badInput() {
    let same = Matrix<Float>([[1, 1], [1, 1], [1, 1]])
    #expect(throws: ClusterError.tooFewDistinctTokens(clusters: 2)) {
      try contextClusters(same, clusters: 2, seed: 0, name: "test")
    }
    #expect(throws: ClusterError.tooFewTokens(tokens: 3, clusters: 4)) {
      try contextClusters(same, clusters: 4, seed: 0, name: "test")
    }
    #expect(throws: ClusterError.notFinite(token: 1)) {
      try contextClusters(Matrix<Float>([[1, 1], [.nan, 1], [1, 2]]), clusters: 2, seed: 0, name: "test")
    }
  }

  @Test("5.2 principal components: orthonormal, of falling variance, as scikit-learn's") func components() throws {
    let arrays = try fixture("kmeans.txt")
    let X = Matrix<Float>(try #require(arrays["X"]))
    let found = try principalComponents(columns: X.columns, count: 2) { try $0(X, 0..<X.rows) }
    #expect(maxDifference(found.axes.gram, .identity(2)) < 1e-12)
    #expect(maxDifference(found.explained, try #require(arrays["variance"]).values) < 1e-6)
    let moments = found.projected(X).columnMoments
    #expect(maxDifference(moments.variance(ddof: 1), found.variances) < 1e-4)
    #expect(moments.mean.allSatisfy { abs($0) < 1e-4 })
  }

  @Test("leading eigenvectors by Krylov iteration equal LAPACK's") func leadingEigenvectors() throws {
    var random = SplitMix(9)
    let n = 1100
    let X = random.matrix(300, n)
    X.scaleRows(by: (0..<300).map { 10 / Double($0 + 1) })
    let A = X.gram
    let found = try leadingEigen(A, 12)
    let exact = try topEigen(A, 12)
    #expect(maxDifference(found.values, exact.values) < 1e-9 * exact.values[0])
    let overlap = (found.vectors.T * exact.vectors).diagonal.map { abs($0) }
    #expect(overlap.allSatisfy { abs($0 - 1) < 1e-9 })
    let residual = A * found.vectors
    for j in 0..<12 {
      residual.columns(j..<(j + 1)).add(found.vectors.columns(j..<(j + 1)), scaledBy: -found.values[j])
    }
    #expect(norm(residual) < 1e-9 * exact.values[0])
  }
}
