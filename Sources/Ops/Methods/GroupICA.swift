import Numerics

// Functional networks of a layer (CanICA pruning; group ICA after Varoquaux et al. 2010).
//
//   signals  T×N   rows are tokens, columns are "voxels": gate and up signals of n neurons side by side, N = 2n
//   Z        T×N   each column with mean 0 and standard deviation 1
//   B        k×N   the k leading right singular vectors of Z, or of the stacked subject bases
//   Y₁       k×N   B whitened
//   z        k×N   networks: rows of W Y₁ from FastICA, standardised again
//
// Goals in this order: the same bits for any number of threads; memory for one copy of the signals and a T×T matrix;
// speed. T×T is the small side, so B comes from eigenvectors of Z Zᵀ: Z itself only exists a thousand columns at a time.
// Products of a tile are in single precision, sums over tiles in double. Whitening restores exact orthogonality.

/// How signals are put on one scale before networks are sought.
package enum SignalScale: String, Sendable, CaseIterable {
  /// Each column over all rows (the authors').
  case zscore
  /// Each column over the rows of each subject.
  case zscorePerSubject
  /// Means taken off, amplitudes kept.
  case center
}

/// Signals with a shift and a factor per column, applied when a tile is asked for.
package struct ScaledSignals: Sendable {
  /// T, tokens.
  package let rows: Int
  /// N.
  package let columns: Int
  /// Columns without variance, which are zero everywhere.
  package let dead: [Int]
  /// Columns of one tile; no tile crosses from one part into the next.
  let tiles: [Range<Int>]
  private let parts: [(signals: Matrix<Float>, start: Int)]
  private let blocks: [(rows: Range<Int>, mean: [Float], factor: [Float])]

  /// - Parameters:
  ///   - parts: T×n matrices, to be read side by side. Not copied.
  ///   - subjects: consecutive ranges of rows that belong together, for `zscorePerSubject`.
  package init(_ parts: [Matrix<Float>], scale: SignalScale = .zscore, subjects: [Range<Int>] = []) throws {
    let T = parts.first?.rows ?? 0
    precondition(parts.allSatisfy { $0.rows == T }, "signals of different lengths side by side")
    guard T >= 2 else { throw NetworkError.tooFewTokens(T) }
    rows = T
    var placed: [(signals: Matrix<Float>, start: Int)] = []
    var tiles: [Range<Int>] = []
    var N = 0
    for part in parts {
      placed.append((part, N))
      tiles += Parallel.ranges(part.columns, of: 1024).map { ($0.lowerBound + N)..<($0.upperBound + N) }
      N += part.columns
    }
    columns = N
    self.parts = placed
    self.tiles = tiles
    let ranges = scale == .zscorePerSubject && !subjects.isEmpty ? subjects : [0..<T]
    var isAlive = [Bool](repeating: false, count: N)
    blocks = try ranges.map { range in
      var (mean, sd): ([Double], [Double]) = ([], [])
      for part in parts {
        let moments = part.rows(range).columnMoments
        mean += moments.mean
        sd += moments.count > 1 ? moments.standardDeviation(ddof: 1) : moments.mean.map { _ in 0 }
      }
      if let bad = sd.firstIndex(where: { !$0.isFinite }) { throw NetworkError.notFinite(column: bad) }
      let least = 1e-8 * median(sd)
      for j in sd.indices where sd[j] > least { isAlive[j] = true }
      let factor = sd.map { $0 > least ? Float(scale == .center ? 1 : 1 / $0) : 0 }
      return (range, mean.map { Float($0) }, factor)
    }
    dead = isAlive.indices.filter { !isAlive[$0] }
    guard 2 * dead.count <= N else { throw NetworkError.mostlyConstant(constant: dead.count, columns: N) }
  }

  /// Z[rows, columns of one tile], new storage.
  func tile(_ columns: Range<Int>, rows wanted: Range<Int>? = nil) -> Matrix<Float> {
    let wanted = wanted ?? 0..<rows
    let result = Matrix<Float>(rows: wanted.count, columns: columns.count)
    guard let part = parts.last(where: { $0.start <= columns.lowerBound }) else { return result }
    let pieces = Parallel.ranges(wanted.count, of: 512)
    part.signals.withUnsafePointer { source, step in
      result.withUnsafeMutablePointer { target, width in
        nonisolated(unsafe) let (source, target) = (source, target)
        Parallel.forEach(pieces.count) { piece in
          for block in blocks {
            let first = max(block.rows.lowerBound - wanted.lowerBound, pieces[piece].lowerBound)
            let last = min(block.rows.upperBound - wanted.lowerBound, pieces[piece].upperBound)
            guard first < last else { continue }
            block.mean.withUnsafeBufferPointer { mean in
              block.factor.withUnsafeBufferPointer { factor in
                for t in first..<last {
                  let from = source + (t + wanted.lowerBound) * step + (columns.lowerBound - part.start)
                  let to = target + t * width
                  for j in 0..<columns.count {
                    let column = columns.lowerBound + j
                    to[j] = (from[j] - mean[column]) * factor[column]
                  }
                }
              }
            }
          }
        }
      }
    }
    return result
  }
}

/// The signals of attention units: each feature of a head is put on one scale, and a head's signal is the mean of its
/// features.
///
/// - Parameters:
///   - H: T×(u·g·d), heads side by side; the input of the output projection.
///   - g: query heads of a unit.
///   - d: features of a head.
/// - Returns: g matrices T×u; the s-th has head s of every unit.
package func headSignals(
  _ H: Matrix<Float>, perUnit g: Int, size d: Int, scale: SignalScale = .zscore, subjects: [Range<Int>] = []
) throws -> [Matrix<Float>] {
  let Z = try ScaledSignals([H], scale: scale, subjects: subjects)
  let units = H.columns / (g * d)
  let signals = (0..<g).map { _ in Matrix<Float>(rows: H.rows, columns: units) }
  let average = Matrix<Float>(rows: d, columns: 1, values: [Float](repeating: 1 / Float(d), count: d))
  for head in 0..<(units * g) {
    multiply(
      Z.tile((head * d)..<((head + 1) * d)), average, into: signals[head % g].columns((head / g)..<(head / g + 1)))
  }
  return signals
}

/// The space in which networks are sought.
package struct SharedSubspace: Sendable {
  /// k×N, orthonormal rows; the largest entry of each is positive.
  package var B: Matrix<Double>
  /// k squared singular values, falling.
  package var values: [Double]
  /// Share of the sum of all squared singular values that each row of B explains.
  package var explained: [Double]
}

/// The k leading right singular vectors of Z (the authors' group step: all samples stacked).
package func sharedSubspace(
  _ Z: ScaledSignals, components k: Int, progress: () throws -> Void = {}
) throws -> SharedSubspace {
  let largest = min(Z.rows, Z.columns) - 1
  guard k >= 1, k <= largest else { throw NetworkError.tooManyComponents(asked: k, largest: largest) }
  return try leadingRows(of: Z.rows, Z.columns, tiles: Z.tiles, components: k, tile: { Z.tile($0) }, progress)
}

/// Canonical group step (Varoquaux et al. 2010): every subject is reduced to orthonormal directions, which drops their
/// variances, and the group space is that of the stacked bases.
///
/// - Parameters:
///   - subjects: ranges of rows.
///   - subjectComponents: p, directions kept per subject; fewer where a subject has fewer.
package func canonicalSubspace(
  _ Z: ScaledSignals, subjects: [Range<Int>], subjectComponents p: Int, components k: Int,
  progress: () throws -> Void = {}
) throws -> SharedSubspace {
  var bases: [Matrix<Float>] = []
  for rows in subjects {
    let kept = min(p, rows.count, Z.columns)
    let A = Matrix<Double>(rows: rows.count, columns: rows.count)
    for columns in Z.tiles { accumulateGram(Z.tile(columns, rows: rows).T, into: A) }
    let (values, U) = try leadingEigen(A, kept)
    let rank = values.prefix { $0 > 1e-6 * (values.first ?? 0) && $0 > 0 }.count
    let basis = Matrix<Float>(rows: rank, columns: Z.columns)
    let map = Matrix<Float>(scaledRows(U.columns(0..<rank).T, values.prefix(rank).map { 1 / $0.squareRoot() }))
    for columns in Z.tiles { multiply(map, Z.tile(columns, rows: rows), into: basis.columns(columns)) }
    bases.append(basis)
    try progress()
  }
  let stack = Matrix<Float>(rows: bases.reduce(0) { $0 + $1.rows }, columns: Z.columns)
  var start = 0
  for basis in bases {
    stack.rows(start..<(start + basis.rows)).assign(basis)
    start += basis.rows
  }
  bases = []
  let largest = min(stack.rows, Z.columns - 1)
  guard k >= 1, k <= largest else { throw NetworkError.tooManyComponents(asked: k, largest: largest) }
  return try leadingRows(
    of: stack.rows, stack.columns, tiles: Z.tiles, components: k, tile: { stack.columns($0).copy() }, progress)
}

/// The k leading right singular vectors of an m×N matrix that is given tile by tile.
private func leadingRows(
  of m: Int, _ N: Int, tiles: [Range<Int>], components k: Int, tile: (Range<Int>) -> Matrix<Float>,
  _ progress: () throws -> Void
) throws -> SharedSubspace {
  let A = Matrix<Double>(rows: m, columns: m)
  for columns in tiles {
    accumulateGram(tile(columns).T, into: A)
    try progress()
  }
  let (values, U) = try leadingEigen(A, k)
  // Signals are in single precision: an eigenvalue below 1e-6 of the first is made of their rounding.
  let rank = values.prefix { $0 > 1e-6 * (values.first ?? 0) && $0 > 0 }.count
  guard rank == k else { throw NetworkError.rankTooLow(rank: rank, asked: k) }
  try progress()
  let map = Matrix<Float>(scaledRows(U.T, values.map { 1 / $0.squareRoot() }))
  let B = Matrix<Double>(rows: k, columns: N)
  for columns in tiles { B.columns(columns).assign(Matrix<Double>(map * tile(columns))) }
  B.scaleRows(by: (0..<k).map { dominantSign(B.row($0)) })
  let total = A.diagonal.reduce(0, +)
  return SharedSubspace(B: B, values: values, explained: values.map { $0 / total })
}

private func scaledRows(_ A: Matrix<Double>, _ factors: [Double]) -> Matrix<Double> {
  let copy = A.copy()
  copy.scaleRows(by: factors)
  return copy
}

/// Y₁ = √N (B_c B_cᵀ)^(-½) B_c, where B_c is B without its row means; then Y₁ Y₁ᵀ / N = I.
///
/// Symmetric, because the rows of B are orthonormal: nearly all singular values of B_c are equal, and a whitening by its
/// singular vectors would be arbitrary.
///
/// - Parameter B: k×N, full row rank.
package func whitened(_ B: Matrix<Double>) throws -> Matrix<Double> {
  let centered = B.copy()
  for i in 0..<B.rows {
    let row = centered.rows(i..<(i + 1))
    let mean = row.values.reduce(0, +) / Double(B.columns)
    row.withUnsafeMutablePointer { x, _ in for j in 0..<B.columns { x[j] -= mean } }
  }
  let K = try inverseSquareRoot(centered * centered.T)
  return Double(B.columns).squareRoot() * K * centered
}

/// Networks of one layer and run.
package struct FunctionalNetworks: Sendable {
  /// k×N; rows have mean 0 and variance 1 (ddof 1), the largest entry of each is positive; rows by falling `explained`.
  package var z: Matrix<Double>
  /// Share of the variance of Z that each network explains.
  package var explained: [Double]
  /// E[z⁴] − 3.
  package var kurtosis: [Double]
  /// Z zᵀ / N, T×k: how strongly each token drives each network.
  package var courses: Matrix<Double>
}

/// The networks W Y₁ in canonical sign and order.
///
/// - Parameters:
///   - W: k×k rotation; the identity gives whitened principal components (`ica=none`).
///   - Z: the signals, for the variance that each network explains: ‖Z zᵀ‖² / (N ‖Z‖²) with z of variance 1.
package func functionalNetworks(
  _ Y1: Matrix<Double>, W: Matrix<Double>, signals Z: ScaledSignals
) -> FunctionalNetworks {
  let N = Y1.columns
  let z = W * Y1
  for i in 0..<z.rows {
    let row = z.row(i)
    let center = mean(row)
    let factor = dominantSign(row.map { $0 - center }) / standardDeviation(row, ddof: 1)
    z.rows(i..<(i + 1)).assign(Matrix(rows: 1, columns: N, values: row.map { ($0 - center) * factor }))
  }
  let courses = Matrix<Double>(rows: Z.rows, columns: z.rows)
  var total = 0.0
  for columns in Z.tiles {
    let tile = Z.tile(columns)
    courses.add(Matrix<Double>(tile * Matrix<Float>(z.columns(columns)).T))
    total += tile.columnMoments.sumOfSquares.reduce(0, +)
  }
  let explained = courses.columnMoments.sumOfSquares.map { $0 / (Double(N) * total) }
  let order = argsort(explained, descending: true)
  let sorted = z.gathering(rows: order)
  let kurtosis = (0..<sorted.rows).map { i in
    sorted.row(i).reduce(0) { $0 + $1 * $1 * $1 * $1 } / Double(N) - 3
  }
  courses.scale(by: 1 / Double(N))
  return FunctionalNetworks(
    z: sorted, explained: order.map { explained[$0] }, kurtosis: kurtosis,
    courses: courses.T.gathering(rows: order).T)
}

// MARK: Key neurons

/// How the networks' values at a neuron become its score.
package enum KeyNeuronRule: Sendable, Equatable {
  /// M_j = max |z|: pruning M_j ≤ θ is the same as the papers' OR over masks |z| > θ.
  case maximum
  /// Σ z², which no rotation changes: N times the leverage of the principal components, whatever ICA found.
  case sumOfSquares
  /// How many networks have |z| > θ.
  case count(above: Double)
}

/// One score per neuron from networks over `halves` signals of each neuron side by side (gate and up: 2).
///
/// - Parameter z: k×N, N = halves · n.
/// - Returns: n scores.
package func keyNeuronScores(_ z: Matrix<Double>, halves: Int, _ rule: KeyNeuronRule = .maximum) -> [Double] {
  precondition(halves >= 1 && z.columns % halves == 0, "\(z.columns) signals in \(halves) halves")
  let n = z.columns / halves
  var scores = [Double](repeating: 0, count: n)
  for i in 0..<z.rows {
    let row = z.row(i)
    for (place, value) in row.enumerated() {
      let j = place % n
      switch rule {
      case .maximum: scores[j] = max(scores[j], abs(value))
      case .sumOfSquares: scores[j] += value * value
      case .count(let threshold): if abs(value) > threshold { scores[j] += 1 }
      }
    }
  }
  return scores
}

// MARK: Stability

/// Which network of one set is which of another.
package struct NetworkMatch: Sendable, Equatable {
  /// For every network of the smaller set, its partner in the larger.
  package var partner: [Int]
  /// |correlation| of each pair.
  package var similarity: [Double]
}

/// The one-to-one pairing of largest total |correlation| (optimal, not greedy).
///
/// - Parameters: k×N and k′×N networks, k ≤ k′.
package func matchNetworks(_ a: Matrix<Double>, _ b: Matrix<Double>) -> NetworkMatch {
  precondition(a.columns == b.columns && a.rows <= b.rows, "matching \(a.shape) with \(b.shape)")
  let C = correlated(a) * correlated(b).T
  let S = Matrix(rows: a.rows, columns: b.rows, values: C.values.map { abs($0) })
  let partner = bestPairing(S)
  return NetworkMatch(partner: partner, similarity: partner.enumerated().map { S[$0.offset, $0.element] })
}

/// Rows with mean 0 and norm 1.
private func correlated(_ z: Matrix<Double>) -> Matrix<Double> {
  let result = z.copy()
  for i in 0..<z.rows {
    let row = z.row(i)
    let center = mean(row)
    let norm = row.reduce(0) { $0 + ($1 - center) * ($1 - center) }.squareRoot()
    let values = row.map { norm > 0 ? ($0 - center) / norm : 0 }
    result.rows(i..<(i + 1)).assign(Matrix(rows: 1, columns: z.columns, values: values))
  }
  return result
}
