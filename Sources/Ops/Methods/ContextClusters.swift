import Glibc
import Numerics

// K-means over tokens (FANG, "Context Clustering"): Lloyd's algorithm, greedy k-means++ seeds, as scikit-learn does it.
//
// Tokens are cut into at most 64 chunks, by their number alone; sums of a chunk are in double and chunks are added in
// order, so labels and centres do not depend on the number of threads.

/// A partition of tokens.
package struct ContextClusters: Sendable {
  /// Cluster of every token. Clusters are numbered by falling size, ties by their first token.
  package var labels: [Int32]
  /// K×p means of the tokens of each cluster.
  package var centers: Matrix<Double>
  /// Tokens per cluster.
  package var sizes: [Int]
  /// Σ ‖x − centre of its cluster‖².
  package var inertia: Double
  /// Inertia at each assignment; never rises.
  package var history: [Double]
  /// Whether labels repeated, or centres moved less than the tolerance, within the allowed iterations.
  package var hasConverged: Bool
  /// Which start won.
  package var restart: Int
}

/// Why tokens could not be clustered.
package enum ClusterError: Error, Equatable, CustomStringConvertible {
  case tooFewTokens(tokens: Int, clusters: Int)
  case tooFewDistinctTokens(clusters: Int)
  case clusterLeftEmpty(Int)
  case notFinite(token: Int)
  case tooManyComponents(asked: Int, tokens: Int, columns: Int)

  package var description: String {
    switch self {
    case .tooFewTokens(let tokens, let K): "\(tokens) tokens cannot form \(K) clusters"
    case .tooFewDistinctTokens(let K): "there are fewer than \(K) different tokens to form clusters from"
    case .clusterLeftEmpty(let k): "cluster \(k) was left without tokens after the last assignment; try another seed"
    case .notFinite(let token): "token \(token) holds NaN or infinity"
    case .tooManyComponents(let asked, let tokens, let columns):
      "\(asked) principal components cannot come from \(tokens) tokens of \(columns) columns"
    }
  }
}

/// The best of several starts, the first of equally good ones.
///
/// - Parameters:
///   - X: tokens×p, usually projected on principal components.
///   - K: number of clusters.
///   - name: names the random streams; one per restart.
///   - tolerance: centres have settled when their squared shifts sum to no more than this times the mean variance.
package func contextClusters(
  _ X: Matrix<Float>, clusters K: Int, restarts: Int = 10, seed: Int, name: String, maximumIterations: Int = 300,
  tolerance: Double = 1e-4, progress: (Int, Int) throws -> Void = { _, _ in }
) throws -> ContextClusters {
  guard K >= 1, X.rows >= K else { throw ClusterError.tooFewTokens(tokens: X.rows, clusters: K) }
  let points = try ClusterPoints(X)
  var best: ContextClusters?
  for restart in 0..<max(restarts, 1) {
    var stream = RandomStream(seed: seed, name: "\(name)/restart \(restart)")
    let start = try greedySeeds(points, clusters: K, using: &stream)
    var found = try lloyd(points, from: start, maximumIterations: maximumIterations, tolerance: tolerance)
    found.restart = restart
    if found.inertia < best?.inertia ?? .infinity { best = found }
    try progress(restart + 1, max(restarts, 1))
  }
  guard let best else { throw ClusterError.tooFewDistinctTokens(clusters: K) }
  return canonical(best)
}

/// Lloyd's algorithm from given centres: assign every token to the nearest, move every centre to the mean, repeat.
///
/// - Parameter start: K×p.
package func contextClusters(
  _ X: Matrix<Float>, from start: Matrix<Double>, maximumIterations: Int = 300, tolerance: Double = 1e-4
) throws -> ContextClusters {
  guard start.rows >= 1, X.rows >= start.rows else {
    throw ClusterError.tooFewTokens(tokens: X.rows, clusters: start.rows)
  }
  let points = try ClusterPoints(X)
  let shifted = start.copy()
  shifted.addToRows(points.mean, scaledBy: -1)
  return canonical(try lloyd(points, from: shifted, maximumIterations: maximumIterations, tolerance: tolerance))
}

/// Clusters renumbered by falling size, ties by first token.
private func canonical(_ found: ContextClusters) -> ContextClusters {
  var first = [Int](repeating: Int.max, count: found.sizes.count)
  for (t, k) in found.labels.enumerated() where first[Int(k)] == Int.max { first[Int(k)] = t }
  let order = found.sizes.indices.sorted { (-found.sizes[$0], first[$0]) < (-found.sizes[$1], first[$1]) }
  var place = [Int32](repeating: 0, count: order.count)
  for (new, old) in order.enumerated() { place[old] = Int32(new) }
  var result = found
  result.labels = found.labels.map { place[Int($0)] }
  result.sizes = order.map { found.sizes[$0] }
  result.centers = found.centers.gathering(rows: order)
  return result
}

/// Tokens with their mean taken off, which keeps the digits of distances.
private struct ClusterPoints: Sendable {
  /// tokens×p, contiguous.
  let X: Matrix<Float>
  let mean: [Double]
  /// Of the p columns, averaged (ddof 0).
  let meanVariance: Double
  let chunks: [Range<Int>]

  init(_ original: Matrix<Float>) throws {
    let moments = original.columnMoments
    if let bad = moments.m2.firstIndex(where: { !$0.isFinite }) {
      throw ClusterError.notFinite(token: original.column(bad).firstIndex { !$0.isFinite } ?? 0)
    }
    mean = moments.mean
    X = original.copy()
    X.addToRows(mean.map { Float(-$0) })
    meanVariance = moments.variance().reduce(0, +) / Double(max(original.columns, 1))
    chunks = Parallel.ranges(original.rows, of: max(1024, (original.rows + 63) / 64))
  }

  var tokens: Int { X.rows }
  var columns: Int { X.columns }
}

// MARK: Seeds

/// Greedy k-means++: each centre is the best of 2 + ⌊ln K⌋ tokens drawn with probability ∝ squared distance to the
/// centres so far.
private func greedySeeds(_ points: ClusterPoints, clusters K: Int, using stream: inout RandomStream) throws -> Matrix<
  Double
> {
  let trials = 2 + Int(log(Double(K)))
  var chosen = [stream.below(points.tokens)]
  var closest = try squaredDistances(points, to: chosen[0], cappedBy: nil).values
  while chosen.count < K {
    let potential = closest.reduce(0, +)
    guard potential > 0 else { throw ClusterError.tooFewDistinctTokens(clusters: K) }
    let draws = (0..<trials).map { _ in stream.uniform() * potential }
    let candidates = tokens(at: draws, of: closest)
    var best: (token: Int, distances: (values: [Double], sum: Double))?
    for token in candidates {
      let distances = try squaredDistances(points, to: token, cappedBy: closest)
      if distances.sum < best?.distances.sum ?? .infinity { best = (token, distances) }
    }
    guard let best else { throw ClusterError.tooFewDistinctTokens(clusters: K) }
    chosen.append(best.token)
    closest = best.distances.values
  }
  return Matrix<Double>(points.X.gathering(rows: chosen))
}

/// For each draw the first token at which the running sum of weights reaches it.
private func tokens(at draws: [Double], of weights: [Double]) -> [Int] {
  var found = [Int](repeating: weights.count - 1, count: draws.count)
  let order = draws.indices.sorted { (draws[$0], $0) < (draws[$1], $1) }
  var next = 0
  var sum = 0.0
  for (t, weight) in weights.enumerated() {
    sum += weight
    while next < order.count, sum >= draws[order[next]] && weight > 0 {
      found[order[next]] = t
      next += 1
    }
    if next == order.count { break }
  }
  return found
}

/// ‖x_t − x_token‖² for all t, not above `cap`, and their sum.
private func squaredDistances(
  _ points: ClusterPoints, to token: Int, cappedBy cap: [Double]?
) throws -> (values: [Double], sum: Double) {
  let center = points.X.row(token)
  let parts = try Parallel.map(points.chunks.count) { chunk in
    let tokens = points.chunks[chunk]
    var values = squaredDistances(points.X.rows(tokens), to: center).map(Double.init)
    if let cap { for i in values.indices { values[i] = min(values[i], cap[tokens.lowerBound + i]) } }
    return values
  }
  return (parts.flatMap { $0 }, parts.reduce(0) { $0 + $1.reduce(0, +) })
}

// MARK: Lloyd

private func lloyd(
  _ points: ClusterPoints, from start: Matrix<Double>, maximumIterations: Int, tolerance: Double
) throws -> ContextClusters {
  var centers = start
  var chunks: [LloydChunk] = []
  var history: [Double] = []
  var hasConverged = false
  for _ in 0..<max(maximumIterations, 1) {
    chunks = try assignTokens(points, centers, before: chunks)
    var sums = LloydSums(chunks)
    history.append(chunks.reduce(0) { $0 + $1.inertia })
    let hasRefilled = try refillEmptyClusters(points, chunks, &sums)
    let moved = sums.means
    if !hasRefilled && !chunks.contains(where: \.hasChanged) {
      hasConverged = true
      break
    }
    let shift = zip(moved.values, centers.values).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    centers = moved
    if shift <= tolerance * points.meanVariance {
      hasConverged = true
      break
    }
  }
  chunks = try assignTokens(points, centers, before: [])
  let final = LloydSums(chunks)
  history.append(chunks.reduce(0) { $0 + $1.inertia })
  let labels = chunks.flatMap(\.labels)
  if let empty = final.counts.firstIndex(of: 0) { throw ClusterError.clusterLeftEmpty(empty) }
  let means = final.means
  let inertia = try exactInertia(points, means, labels)
  means.addToRows(points.mean)
  return ContextClusters(
    labels: labels, centers: means, sizes: final.counts, inertia: inertia, history: history,
    hasConverged: hasConverged, restart: 0)
}

/// Some consecutive tokens: where they belong, and the sums their clusters' means need.
private struct LloydChunk: Sendable {
  var labels: [Int32]
  /// ‖x − nearest centre‖² per token.
  var distances: [Float] = []
  /// Tokens per cluster.
  var counts: [Int]
  /// K×p, row-major.
  var sums: [Double]
  var hasChanged = false

  init(tokens: Int, clusters K: Int, columns p: Int) {
    labels = [Int32](repeating: -1, count: tokens)
    counts = [Int](repeating: 0, count: K)
    sums = [Double](repeating: 0, count: K * p)
  }

  var inertia: Double { distances.reduce(0.0) { $0 + Double($1) } }

  /// Moves every token to its nearest centre. Only tokens that change cluster touch the sums.
  mutating func assign(_ X: Matrix<Float>, _ C: Matrix<Float>) {
    let found = nearestRows(X, among: C)
    distances = found.distances
    hasChanged = false
    for t in 0..<X.rows where found.nearest[t] != labels[t] {
      add(X, t, to: Int(labels[t]), sign: -1)
      add(X, t, to: Int(found.nearest[t]), sign: 1)
      hasChanged = true
    }
    labels = found.nearest
  }

  private mutating func add(_ X: Matrix<Float>, _ t: Int, to k: Int, sign: Int) {
    if k < 0 { return }
    counts[k] += sign
    let p = X.columns
    let factor = Double(sign)
    X.withUnsafePointer { x, step in
      sums.withUnsafeMutableBufferPointer { sums in
        for i in 0..<p { sums[k * p + i] += factor * Double(x[t * step + i]) }
      }
    }
  }
}

/// Sums and counts of all chunks, added in order.
private struct LloydSums {
  var counts: [Int]
  var sums: [Double]

  init(_ chunks: [LloydChunk]) {
    counts = [Int](repeating: 0, count: chunks.first?.counts.count ?? 0)
    sums = [Double](repeating: 0, count: chunks.first?.sums.count ?? 0)
    for chunk in chunks {
      for k in counts.indices { counts[k] += chunk.counts[k] }
      for i in sums.indices { sums[i] += chunk.sums[i] }
    }
  }

  /// K×p.
  var means: Matrix<Double> {
    let p = sums.count / max(counts.count, 1)
    return Matrix(
      rows: counts.count, columns: p,
      values: sums.indices.map { counts[$0 / p] > 0 ? sums[$0] / Double(counts[$0 / p]) : 0 })
  }
}

/// argmin_k ‖x − c_k‖² for all tokens. Ties go to the lower cluster.
///
/// - Parameter before: the previous assignment, or nothing to sum afresh.
private func assignTokens(
  _ points: ClusterPoints, _ centers: Matrix<Double>, before: [LloydChunk]
) throws -> [LloydChunk] {
  let C = Matrix<Float>(centers)
  return try Parallel.map(points.chunks.count) { i in
    let tokens = points.chunks[i]
    var chunk =
      before.isEmpty ? LloydChunk(tokens: tokens.count, clusters: C.rows, columns: C.columns) : before[i]
    chunk.assign(points.X.rows(tokens), C)
    return chunk
  }
}

/// An empty cluster takes the token farthest from its centre, the next one the next farthest; they leave their clusters.
/// Returns whether there was one.
private func refillEmptyClusters(
  _ points: ClusterPoints, _ chunks: [LloydChunk], _ sums: inout LloydSums
) throws -> Bool {
  let empty = sums.counts.indices.filter { sums.counts[$0] == 0 }
  if empty.isEmpty { return false }
  let p = points.columns
  let labels = chunks.flatMap(\.labels)
  let distances = chunks.flatMap(\.distances)
  let farthest = distances.indices.sorted { (-distances[$0], $0) < (-distances[$1], $1) }
  guard let first = farthest.first, distances[first] > 0 else {
    throw ClusterError.tooFewDistinctTokens(clusters: sums.counts.count)
  }
  for (k, t) in zip(empty, farthest) {
    let old = Int(labels[t])
    for (i, value) in points.X.row(t).enumerated() {
      sums.sums[old * p + i] -= Double(value)
      sums.sums[k * p + i] = Double(value)
    }
    sums.counts[old] -= 1
    sums.counts[k] = 1
  }
  return true
}

/// Σ ‖x − c‖² from differences, in double.
private func exactInertia(_ points: ClusterPoints, _ centers: Matrix<Double>, _ labels: [Int32]) throws -> Double {
  let p = points.columns
  let sums = try Parallel.map(points.chunks.count) { chunk in
    var sum = 0.0
    points.X.withUnsafePointer { X, step in
      centers.withUnsafePointer { C, width in
        for t in points.chunks[chunk] {
          let (x, c) = (X + t * step, C + Int(labels[t]) * width)
          for i in 0..<p {
            let d = Double(x[i]) - c[i]
            sum += d * d
          }
        }
      }
    }
    return sum
  }
  return sums.reduce(0, +)
}
