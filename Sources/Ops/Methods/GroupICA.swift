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
