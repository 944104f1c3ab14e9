import Glibc
import Numerics

// FastICA (Hyvärinen and Oja 2000): the rotation of whitened data whose rows are as far from Gaussian as possible.
//
// The data are Y₁, k×N with Y₁ Y₁ᵀ / N = I. W is k×k with W Wᵀ = I, and the sources are W Y₁. A step costs two products
// of k×k by k×N. Columns are cut into tiles of fixed width whose sums are added in order.

/// The nonlinearity g that measures non-Gaussianity.
package enum Contrast: String, Sendable, CaseIterable {
  /// g = y³, g′ = 3y²
  case cube
  /// g = tanh y, g′ = 1 − tanh² y
  case logcosh
  /// g = y exp(−y²/2), g′ = (1 − y²) exp(−y²/2)
  case exp

  package var meaning: String {
    switch self {
    case .cube: "u^3, kurtosis"
    case .logcosh: "tanh u"
    case .exp: "u exp(-u^2/2)"
    }
  }
}

/// Whether rows of W are found together or one after the other.
package enum UnmixingOrder: String, Sendable, CaseIterable {
  case parallel, deflation

  package var meaning: String {
    switch self {
    case .parallel: "all components at once"
    case .deflation: "one component after the other"
    }
  }
}

/// A rotation, and how it was found.
package struct Unmixing: Sendable {
  /// k×k, W Wᵀ = I.
  package var W: Matrix<Double>
  /// Steps taken; for deflation the most that any row took.
  package var iterations: Int
  /// max_i | |⟨w′_i, w_i⟩| − 1 | at the last step.
  package var change: Double
  package var hasConverged: Bool
  /// Which start won.
  package var restart: Int
  /// Fresh starts after overflow.
  package var reseeds: Int
}

/// Makes the rows of `W` orthonormal while turning each as little as possible:
///
///     W ← (W Wᵀ)^(-½) W      symmetric decorrelation, Hyvärinen and Oja (2000)
///
/// - Parameter W: k×k, full rank.
package func decorrelated(_ W: Matrix<Double>) throws -> Matrix<Double> {
  try inverseSquareRoot(W * W.T) * W
}

/// The fixed-point loop from a given start:
///
///     Y = W Y₁    W′ = sym( E[g(Y) Y₁ᵀ] − diag(E[g′(Y)]) W )    until  max_i | |⟨w′_i, w_i⟩| − 1 | < tolerance
///
/// - Parameters:
///   - Y1: k×N, whitened.
///   - start: k×k, full rank.
///   - progress: called after each step; stops the work by throwing.
package func fastICA(
  _ Y1: Matrix<Double>, from start: Matrix<Double>, contrast: Contrast = .cube, order: UnmixingOrder = .parallel,
  tolerance: Double = 1e-4, maximumIterations: Int = 300, progress: () throws -> Void = {}
) throws -> Unmixing {
  let tiles = ContrastTiles(Y1, contrast)
  switch order {
  case .parallel:
    var result = Unmixing(
      W: try decorrelated(start), iterations: 0, change: .infinity, hasConverged: false, restart: 0, reseeds: 0)
    while result.iterations < maximumIterations && !result.hasConverged {
      let next = try decorrelated(tiles.step(result.W))
      result.change = turn(from: result.W, to: next)
      result.W = next
      result.iterations += 1
      result.hasConverged = result.change < tolerance
      guard result.change.isFinite else { return result }
      try progress()
    }
    return result
  case .deflation:
    return try deflated(tiles, from: start, tolerance: tolerance, maximumIterations: maximumIterations, progress)
  }
}

/// One row after the other, each kept orthogonal to those before (Gram-Schmidt).
private func deflated(
  _ tiles: ContrastTiles, from start: Matrix<Double>, tolerance: Double, maximumIterations: Int,
  _ progress: () throws -> Void
) throws -> Unmixing {
  let k = start.rows
  let W = Matrix<Double>(rows: k, columns: k)
  var result = Unmixing(W: W, iterations: 0, change: 0, hasConverged: true, restart: 0, reseeds: 0)
  for j in 0..<k {
    var w = normalized(start.rows(j..<(j + 1)).copy())
    var change = Double.infinity
    var iterations = 0
    while iterations < maximumIterations && !(change < tolerance) {
      let next = tiles.step(w)
      if j > 0 { next.add(next * W.rows(0..<j).T * W.rows(0..<j), scaledBy: -1) }
      let unit = normalized(next)
      change = turn(from: w, to: unit)
      w = unit
      iterations += 1
      guard change.isFinite else { break }
      try progress()
    }
    W.rows(j..<(j + 1)).assign(w)
    result.iterations = max(result.iterations, iterations)
    result.change = change.isFinite ? max(result.change, change) : change
    result.hasConverged = result.hasConverged && change < tolerance
    guard change.isFinite else { return result }
  }
  return result
}

/// The best of several random starts: nilearn's rule, the one whose largest row sum Σ_j |s_ij| is smallest, that is the
/// sparsest. A start that overflows is drawn again, three times at most.
///
/// - Parameter name: names the random streams, one per start.
package func unmixing(
  _ Y1: Matrix<Double>, contrast: Contrast = .cube, order: UnmixingOrder = .parallel, restarts: Int = 1, seed: Int,
  name: String, tolerance: Double = 1e-4, maximumIterations: Int = 300, progress: () throws -> Void = {}
) throws -> Unmixing {
  var best: (unmixing: Unmixing, spread: Double)?
  for restart in 0..<max(restarts, 1) {
    var stream = RandomStream(seed: seed, name: "\(name)/restart \(restart)")
    var reseeds = 0
    while true {
      let start: Matrix<Double> = stream.gaussianMatrix(rows: Y1.rows, columns: Y1.rows)
      var attempt: Unmixing?
      do {
        attempt = try fastICA(
          Y1, from: start, contrast: contrast, order: order, tolerance: tolerance,
          maximumIterations: maximumIterations, progress: progress)
      } catch is DecompositionFailure {
        // Overflow inside a step shows here, or as a change that is not finite.
      }
      if var found = attempt, found.change.isFinite || found.iterations == 0 {
        found.restart = restart
        found.reseeds = reseeds
        let spread = restarts > 1 ? largestRowSum(found.W * Y1) : 0
        if spread < best?.spread ?? .infinity { best = (found, spread) }
        break
      }
      guard reseeds < 3 else { throw NetworkError.diverged(attempts: reseeds + 1) }
      reseeds += 1
    }
  }
  guard let best else { throw NetworkError.diverged(attempts: max(restarts, 1)) }
  return best.unmixing
}

private func largestRowSum(_ S: Matrix<Double>) -> Double {
  (0..<S.rows).map { S.row($0).reduce(0) { $0 + abs($1) } }.max() ?? 0
}

/// max_i | |⟨w′_i, w_i⟩| − 1 |; NaN when anything is.
private func turn(from W: Matrix<Double>, to next: Matrix<Double>) -> Double {
  var largest = 0.0
  for i in 0..<W.rows {
    let cosine = zip(W.row(i), next.row(i)).reduce(0) { $0 + $1.0 * $1.1 }
    if !cosine.isFinite { return .nan }
    largest = max(largest, abs(abs(cosine) - 1))
  }
  return largest
}

private func normalized(_ w: Matrix<Double>) -> Matrix<Double> {
  let norm = w.values.reduce(0) { $0 + $1 * $1 }.squareRoot()
  return w.map { $0 / norm }
}

/// Y₁ in tiles of columns, with room for what a step computes on each.
private struct ContrastTiles {
  let Y1: Matrix<Double>
  let contrast: Contrast
  let ranges: [Range<Int>]
  let room: [Matrix<Double>]

  init(_ Y1: Matrix<Double>, _ contrast: Contrast) {
    self.Y1 = Y1
    self.contrast = contrast
    ranges = Parallel.ranges(Y1.columns, of: 1024)
    room = ranges.map { Matrix(rows: Y1.rows, columns: $0.count) }
  }

  /// E[g(Y) Y₁ᵀ] − diag(E[g′(Y)]) W with Y = W Y₁.
  ///
  /// - Parameter W: m×k, m ≤ k.
  func step(_ W: Matrix<Double>) -> Matrix<Double> {
    let (m, k) = (W.rows, Y1.rows)
    // Row i of a tile's result: the sums of g(y_i) Y₁ᵀ, then that of g′(y_i).
    let parts = ranges.map { _ in Matrix<Double>(rows: m, columns: k + 1) }
    let (Y1, contrast, ranges, room) = (self.Y1, self.contrast, self.ranges, self.room)
    Parallel.forEach(ranges.count) { tile in
      let X = Y1.columns(ranges[tile])
      let Y = room[tile].rows(0..<m)
      multiply(W, X, into: Y)
      let slopes = bend(Y, contrast)
      multiply(Y, X.T, into: parts[tile].columns(0..<k))
      for i in 0..<m { parts[tile][i, k] = slopes[i] }
    }
    let total = Matrix<Double>(rows: m, columns: k + 1)
    for part in parts { total.add(part) }
    total.scale(by: 1 / Double(Y1.columns))
    let next = total.columns(0..<k).copy()
    let turned = W.copy()
    turned.scaleRows(by: total.column(k))
    next.add(turned, scaledBy: -1)
    return next
  }
}

/// Y ← g(Y), in place; returns Σ g′ per row.
private func bend(_ Y: Matrix<Double>, _ contrast: Contrast) -> [Double] {
  Y.withUnsafeMutablePointer { start, step in
    (0..<Y.rows).map { i in
      let y = start + i * step
      var slope = 0.0
      switch contrast {
      case .cube:
        slope = cubed(y, Y.columns)
      case .logcosh:
        for j in 0..<Y.columns {
          let t = tanh(y[j])
          y[j] = t
          slope += 1 - t * t
        }
      case .exp:
        for j in 0..<Y.columns {
          let square = y[j] * y[j]
          let e = Glibc.exp(-square / 2)
          y[j] *= e
          slope += (1 - square) * e
        }
      }
      return slope
    }
  }
}

/// y ← y³; returns Σ 3y², in eight lanes.
private func cubed(_ y: UnsafeMutablePointer<Double>, _ n: Int) -> Double {
  var lanes = SIMD8<Double>(repeating: 0)
  var j = 0
  while j + 8 <= n {
    let raw = UnsafeMutableRawPointer(y + j)
    let v = raw.loadUnaligned(as: SIMD8<Double>.self)
    let square = v * v
    lanes += square
    raw.storeBytes(of: square * v, as: SIMD8<Double>.self)
    j += 8
  }
  var sum = lanes.sum()
  while j < n {
    let square = y[j] * y[j]
    sum += square
    y[j] *= square
    j += 1
  }
  return 3 * sum
}
