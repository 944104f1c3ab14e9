import Numerics

// Functional networks of a layer (CanICA pruning; group ICA after Varoquaux et al. 2010).
//
//   signals  T×N   rows are tokens, columns are "voxels": gate and up signals of n neurons side by side, N = 2n
//   Z        T×N   each column with mean 0 and standard deviation 1
//   B        k×N   the k leading right singular vectors of Z, or of the stacked subject bases
//   Y₁       k×N   B whitened
//   z        k×N   networks: rows of W Y₁ from FastICA, standardised again
//
// Goals in this order: the same bits for any number of threads; memory for one copy of the signals and a square matrix of
// the smaller of T and N; speed. B comes from eigenvectors of that matrix, Z Zᵀ or ZᵀZ: Z itself only exists a thousand
// rows or columns at a time. Products of a tile are in single precision, sums over tiles in double. Whitening restores
// exact orthogonality.

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
  let found = try rightSingularVectors(
    of: Z.rows, Z.columns, tiles: Z.tiles, components: k, block: { Z.tile($1, rows: $0) }, progress)
  return try sharedSubspace(found, components: k)
}

/// The k leading right singular vectors of Z, or as many as it has.
package func leadingDirections(
  _ Z: ScaledSignals, atMost k: Int, progress: () throws -> Void = {}
) throws -> SharedSubspace {
  let found = try rightSingularVectors(
    of: Z.rows, Z.columns, tiles: Z.tiles, components: min(k, min(Z.rows, Z.columns) - 1),
    block: { Z.tile($1, rows: $0) }, progress)
  return try sharedSubspace(found, components: found.B.rows)
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
    let found = try rightSingularVectors(
      of: rows.count, Z.columns, tiles: Z.tiles, components: min(p, rows.count, Z.columns),
      block: { Z.tile($1, rows: ($0.lowerBound + rows.lowerBound)..<($0.upperBound + rows.lowerBound)) }, progress)
    bases.append(Matrix<Float>(found.B))
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
  let found = try rightSingularVectors(
    of: stack.rows, stack.columns, tiles: Z.tiles, components: k, block: { stack.rows($0).columns($1).copy() }, progress
  )
  return try sharedSubspace(found, components: k)
}

private func sharedSubspace(_ found: RightSingularVectors, components k: Int) throws -> SharedSubspace {
  guard found.B.rows == k else { throw NetworkError.rankTooLow(rank: found.B.rows, asked: k) }
  found.B.scaleRows(by: (0..<k).map { dominantSign(found.B.row($0)) })
  return SharedSubspace(B: found.B, values: found.values, explained: found.values.map { $0 / found.total })
}

private struct RightSingularVectors {
  /// One orthonormal row each.
  var B: Matrix<Double>
  /// Their squared singular values, falling.
  var values: [Double]
  /// The sum of all squared singular values.
  var total: Double
}

/// The k leading right singular vectors of an m×N matrix Z that is given block by block, fewer where its rank is lower.
///
/// They are eigenvectors of ZᵀZ, or Zᵀ times those of Z Zᵀ: the smaller of the two is made.
private func rightSingularVectors(
  of m: Int, _ N: Int, tiles: [Range<Int>], components k: Int,
  block: (_ rows: Range<Int>, _ columns: Range<Int>) -> Matrix<Float>, _ progress: () throws -> Void
) throws -> RightSingularVectors {
  let isTall = m > N
  let A = Matrix<Double>(rows: min(m, N), columns: min(m, N))
  if isTall {
    for rows in Parallel.ranges(m, of: 1024) {
      let slab = Matrix<Float>(rows: rows.count, columns: N)
      for columns in tiles { slab.columns(columns).assign(block(rows, columns)) }
      accumulateGram(slab, into: A)
      try progress()
    }
  } else {
    for columns in tiles {
      accumulateGram(block(0..<m, columns).T, into: A)
      try progress()
    }
  }
  let (all, U) = try leadingEigen(A, k)
  // Signals are in single precision: an eigenvalue below 1e-6 of the first is made of their rounding.
  let values = Array(all.prefix { $0 > 1e-6 * (all.first ?? 0) && $0 > 0 })
  try progress()
  let vectors = U.columns(0..<values.count).T
  let total = A.diagonal.reduce(0, +)
  if isTall { return RightSingularVectors(B: vectors.copy(), values: values, total: total) }
  let map = Matrix<Float>(scaledRows(vectors, values.map { 1 / $0.squareRoot() }))
  let B = Matrix<Double>(rows: values.count, columns: N)
  for columns in tiles { B.columns(columns).assign(Matrix<Double>(map * block(0..<m, columns))) }
  return RightSingularVectors(B: B, values: values, total: total)
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
  let z = standardisedMaps(W * Y1)
  let courses = Matrix<Double>(rows: Z.rows, columns: z.rows)
  var total = 0.0
  for columns in Z.tiles {
    let tile = Z.tile(columns)
    courses.add(Matrix<Double>(tile * Matrix<Float>(z.columns(columns)).T))
    total += tile.columnMoments.sumOfSquares.reduce(0, +)
  }
  let explained = courses.columnMoments.sumOfSquares.map { $0 / (Double(N) * total) }
  let order = argsort(explained, descending: true)
  courses.scale(by: 1 / Double(N))
  return ordered(z, explained: explained, order, courses)
}

/// Networks whose maps are correlated, on the same scale: courses are those of dual regression, and a network explains the
/// share ‖a_i z_iᵀ‖² / ‖Z‖².
///
/// - Parameter maps: k×N.
/// - Returns: the networks, and which row of `maps` each was.
package func correlatedNetworks(
  _ maps: Matrix<Double>, signals Z: ScaledSignals
) throws -> (networks: FunctionalNetworks, order: [Int]) {
  let z = standardisedMaps(maps)
  let courses = try networkCourses(Z, maps: z)
  let total = Z.tiles.reduce(0) { $0 + Z.tile($1).columnMoments.sumOfSquares.reduce(0, +) }
  let explained = courses.columnMoments.sumOfSquares.map { $0 * Double(z.columns - 1) / total }
  let order = argsort(explained, descending: true)
  return (ordered(z, explained: explained, order, courses), order)
}

/// Maps that explain signals best given codes, argmin ‖Z - C D‖ with centred codes.
///
/// - Parameter codes: T×k.
/// - Returns: k×N.
package func regressedMaps(_ codes: Matrix<Float>, signals Z: ScaledSignals) throws -> Matrix<Double> {
  let C = Matrix<Double>(codes)
  C.addToRows(C.columnMeans, scaledBy: -1)
  let inverse = try pseudoInverse(C.T * C)
  let rows = Matrix<Float>(C).T
  let D = Matrix<Double>(rows: C.columns, columns: Z.columns)
  for columns in Z.tiles { D.columns(columns).assign(inverse * Matrix<Double>(rows * Z.tile(columns))) }
  return D
}

/// Rows with mean 0 and variance 1 (ddof 1), the largest entry positive; a row that does not vary is zero.
private func standardisedMaps(_ maps: Matrix<Double>) -> Matrix<Double> {
  let z = maps.copy()
  for i in 0..<z.rows {
    let row = z.row(i)
    let center = mean(row)
    let deviation = standardDeviation(row, ddof: 1)
    let factor = deviation > 0 ? dominantSign(row.map { $0 - center }) / deviation : 0
    z.rows(i..<(i + 1)).assign(Matrix(rows: 1, columns: z.columns, values: row.map { ($0 - center) * factor }))
  }
  return z
}

private func ordered(
  _ z: Matrix<Double>, explained: [Double], _ order: [Int], _ courses: Matrix<Double>
) -> FunctionalNetworks {
  let sorted = z.gathering(rows: order)
  let kurtosis = (0..<sorted.rows).map { i in
    sorted.row(i).reduce(0) { $0 + $1 * $1 * $1 * $1 } / Double(z.columns) - 3
  }
  return FunctionalNetworks(
    z: sorted, explained: order.map { explained[$0] }, kurtosis: kurtosis,
    courses: courses.T.gathering(rows: order).T)
}
