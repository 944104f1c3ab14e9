import Numerics

// Structured Optimal Brain Compression (Frantar and Alistarh 2022; ZipLM, Kurtic et al. 2023; FANG eq. 9, 10).
//
//     min ‖W X − Ŵ X‖²   such that Ŵ is zero on the columns M
//
// W is d×n, X n×tokens. H = X Xᵀ + λI is n×n, G = H⁻¹. R are the columns that stay. Three facts carry everything here:
//
//   (a) the best Ŵ for a given M is a least-squares refit,  Ŵ_R = W H_:,R (H_RR)⁻¹ = W_R − W_M (G_MM)⁻¹ G_MR;
//   (b) its damped loss is  tr(W_M (G_MM)⁻¹ W_Mᵀ);
//   (c) removing columns one after the other, each followed by its own update, ends in (a).
//
// So selection never has to touch W, and one refit at the end is exact. All in double: in single precision H of a real
// layer cannot be factored.

/// Why curvature could not be inverted.
package enum OptimalBrainError: Error, Equatable, CustomStringConvertible {
  case noSignal
  case notFinite(row: Int)
  case notSymmetric(row: Int, column: Int)
  case singular(pivot: Int, value: Double, damping: Double)
  case tooManyRemoved(Int, of: Int)

  package var description: String {
    switch self {
    case .noSignal: "the Gram matrix is zero: no calibration token has reached this input"
    case .notFinite(let row): "row \(row) of the Gram matrix holds NaN or infinity"
    case .notSymmetric(let i, let j): "the Gram matrix is not symmetric at (\(i), \(j))"
    case .singular(let pivot, let value, let damping):
      damping > 0
        ? "the Gram matrix has no inverse even with damping \(damping): pivot \(pivot) is \(value)"
        : "the Gram matrix has no inverse: pivot \(pivot) is \(value); use damping or more tokens than inputs"
    case .tooManyRemoved(let count, let n): "\(count) of \(n) inputs cannot be removed; at least one must stay"
    }
  }
}

/// H and its inverse, ready for eq. 9 and 10.
package struct Curvature: Sendable {
  /// n×n, X Xᵀ as it was given.
  package var gram: Matrix<Double>
  /// λ, added to the diagonal; 1 stands there for a dead input.
  package var lambda: Double
  /// λ over the mean diagonal of live inputs, as it was used in the end.
  package var damping: Double
  /// n×n, G = H⁻¹.
  package var inverse: Matrix<Double>
  /// Inputs that are zero on every token. Removing them costs nothing.
  package var dead: [Int]
  /// How many times the damping had to be raised tenfold.
  package var retries: Int
}

/// Damps and inverts X Xᵀ.
///
/// λ = damping · mean(diag) over live inputs. When the factorisation fails, λ is raised tenfold, three times at most.
///
/// - Parameter gram: n×n, symmetric. Not changed.
package func curvature(of gram: Matrix<Double>, damping: Double = 0.01) throws -> Curvature {
  precondition(gram.rows == gram.columns && damping >= 0, "curvature of \(gram.shape), damping \(damping)")
  try requireSymmetric(gram)
  let diagonal = gram.diagonal
  let dead = diagonal.indices.filter { diagonal[$0] <= 0 }
  guard dead.count < diagonal.count else { throw OptimalBrainError.noSignal }
  let mean = diagonal.reduce(0, +) / Double(diagonal.count - dead.count)
  var used = damping
  for retry in 0...3 {
    do {
      let G = try cholesky(withLiveDiagonal(gram, dead), damping: used * mean).inverse()
      return Curvature(gram: gram, lambda: used * mean, damping: used, inverse: G, dead: dead, retries: retry)
    } catch {
      guard retry < 3, damping > 0 else {
        throw OptimalBrainError.singular(pivot: error.index, value: error.pivot, damping: used)
      }
      used *= 10
    }
  }
  throw OptimalBrainError.noSignal  // not reached: the last round returns or throws
}

/// `gram` with ones on the diagonal of dead inputs; itself when there are none.
private func withLiveDiagonal(_ gram: Matrix<Double>, _ dead: [Int]) -> Matrix<Double> {
  if dead.isEmpty { return gram }
  let H = gram.copy()
  for j in dead { H[j, j] = 1 }
  return H
}

private func requireSymmetric(_ H: Matrix<Double>) throws {
  let n = H.rows
  let scale = H.diagonal.reduce(0) { max($0, abs($1)) }
  let H = H.isTransposed ? H.T : H
  let chunks = Parallel.ranges(n, of: 128)
  try H.withUnsafePointer { h, step in
    nonisolated(unsafe) let h = h
    try Parallel.forEach(chunks.count) { (chunk: Int) throws -> Void in
      for block in chunks.prefix(chunk + 1) {
        for i in chunks[chunk] {
          for j in block where j <= i {
            let (a, b) = (h[i * step + j], h[j * step + i])
            guard a.isFinite && b.isFinite else { throw OptimalBrainError.notFinite(row: i) }
            guard abs(a - b) <= 1e-6 * scale else { throw OptimalBrainError.notSymmetric(row: i, column: j) }
          }
        }
      }
    }
  }
}

// MARK: Scores

/// Eq. 9: e_j = ‖W_:,j‖² / G_jj, the loss of removing column j alone; 0 for dead inputs.
package func optimalBrainScores(_ W: Matrix<Double>, _ H: Curvature) -> [Double] {
  var e = zip(columnNorms(W), H.inverse.diagonal).map { $0 * $0 / $1 }
  for j in H.dead { e[j] = 0 }
  return e
}

/// The loss of removing a whole unit of consecutive columns, e_S = tr(W_S (G_SS)⁻¹ W_Sᵀ).
///
/// - Parameter width: columns of one unit.
/// - Returns: n / width scores.
package func unitRemovalLosses(_ W: Matrix<Double>, _ H: Curvature, width: Int) throws -> [Double] {
  let W = silenced(W, H.dead)
  return try Parallel.map(W.columns / width) { u in
    let S = (u * width)..<((u + 1) * width)
    return try removalLoss(W.columns(S), H.inverse.rows(S).columns(S))
  }
}

/// (b): tr(W_M (G_MM)⁻¹ W_Mᵀ), the damped loss of removing the columns M together.
package func removalLoss(_ W: Matrix<Double>, _ H: Curvature, removed M: [Int]) throws -> Double {
  if M.isEmpty { return 0 }
  return try removalLoss(
    silenced(W, H.dead).gathering(columns: M), H.inverse.gathering(rows: M).gathering(columns: M))
}

private func removalLoss(_ W_M: Matrix<Double>, _ G_MM: Matrix<Double>) throws -> Double {
  let factor = try factored(G_MM)
  let W_MT = W_M.T.copy()
  let solved = factor.solve(W_MT)
  return zip(W_MT.values, solved.values).reduce(0) { $0 + $1.0 * $1.1 }
}

/// W with zeros in the columns of dead inputs, which contribute nothing.
func silenced(_ W: Matrix<Double>, _ dead: [Int]) -> Matrix<Double> {
  if dead.isEmpty { return W }
  let copy = W.copy()
  for j in dead { copy.columns(j..<(j + 1)).scale(by: 0) }
  return copy
}

func factored(_ A: Matrix<Double>) throws -> Cholesky<Double> {
  do {
    return try cholesky(A)
  } catch {
    throw OptimalBrainError.singular(pivot: error.index, value: error.pivot, damping: 0)
  }
}

// MARK: Refit

/// (a): the best W that is zero on M, for the tokens behind H.
///
/// - Parameters:
///   - W: d×n, before pruning.
///   - removed: the columns M.
///   - gram: n×n, X Xᵀ.
///   - lambda: added to its diagonal.
///   - inverse: n×n, G; with it the smaller of the two systems of (a) is solved.
/// - Returns: d×n, zero on M. Dead inputs that stay keep their weights.
package func refit(
  _ W: Matrix<Double>, removed M: [Int], gram: Matrix<Double>, lambda: Double, inverse: Matrix<Double>? = nil
) throws -> Matrix<Double> {
  let n = W.columns
  precondition(gram.rows == n && gram.columns == n, "a refit of \(W.shape) with a Gram matrix of \(gram.shape)")
  let M = M.sorted()
  guard M.count < n else { throw OptimalBrainError.tooManyRemoved(M.count, of: n) }
  let result = W.copy()
  if M.isEmpty { return result }
  let isRemoved = Set(M)
  let R = (0..<n).filter { !isRemoved.contains($0) }
  let W_M = W.gathering(columns: M)
  let W_R = W.gathering(columns: R)
  if let G = inverse, M.count < R.count {
    // Eq. 10: Ŵ_R = W_R − W_M (G_MM)⁻¹ G_MR
    let G_M = G.gathering(rows: M)
    let solved = try factored(G_M.gathering(columns: M)).solve(W_M.T.copy())
    multiply(solved.T, G_M.gathering(columns: R), into: W_R, alpha: -1, beta: 1)
  } else {
    // Ŵ_R = W_R + W_M H_MR (H_RR)⁻¹, as H_:,R without the part in R itself; λ stands on the diagonal only.
    let pull = (gram.gathering(columns: M) * W_M.T).gathering(rows: R)
    let factor: Cholesky<Double>
    do {
      factor = try cholesky(kept(gram, R), damping: lambda)
    } catch {
      throw OptimalBrainError.singular(pivot: R[error.index], value: error.pivot, damping: lambda)
    }
    W_R.add(factor.solve(pull).T)
  }
  scatter(W_R, into: result, columns: R)
  for j in M { result.columns(j..<(j + 1)).scale(by: 0) }
  return result
}

/// H_RR, with ones on the diagonal of dead inputs.
private func kept(_ gram: Matrix<Double>, _ R: [Int]) -> Matrix<Double> {
  let H_RR = gram.gathering(rows: R).gathering(columns: R)
  for (place, j) in R.enumerated() where gram[j, j] <= 0 { H_RR[place, place] = 1 }
  return H_RR
}

/// The best W that is zero on M, reads X̃ and is to give what the dense model gives, W X (SoBP's reconstruction):
///
///     Ŵ_R = W (X X̃ᵀ + λI)_:,R ((X̃ X̃ᵀ + λI)_RR)⁻¹
///
/// With X = X̃ it is (a).
///
/// - Parameters:
///   - gram: n×n, X̃ X̃ᵀ.
///   - cross: n×n, X X̃ᵀ.
package func refit(
  _ W: Matrix<Double>, removed M: [Int], gram: Matrix<Double>, lambda: Double, cross: Matrix<Double>
) throws -> Matrix<Double> {
  let n = W.columns
  precondition(gram.rows == n && cross.rows == n && cross.columns == n, "a refit of \(W.shape) to \(cross.shape)")
  let isRemoved = Set(M)
  let R = (0..<n).filter { !isRemoved.contains($0) }
  guard !R.isEmpty else { throw OptimalBrainError.tooManyRemoved(M.count, of: n) }
  let shifted = cross.copy()
  for j in 0..<n { shifted[j, j] += lambda }
  let factor: Cholesky<Double>
  do {
    factor = try cholesky(kept(gram, R), damping: lambda)
  } catch {
    throw OptimalBrainError.singular(pivot: R[error.index], value: error.pivot, damping: lambda)
  }
  let W_R = factor.solve((W * shifted.gathering(columns: R)).T.copy()).T.copy()
  // An input that no token reaches keeps its weights, as in (a).
  for (place, j) in R.enumerated() where gram[j, j] <= 0 {
    W_R.columns(place..<place + 1).assign(W.columns(j..<j + 1))
  }
  let result = Matrix<Double>(rows: W.rows, columns: n)
  scatter(W_R, into: result, columns: R)
  return result
}

/// (a) with what `curvature` found.
package func refit(_ W: Matrix<Double>, removed M: [Int], _ H: Curvature) throws -> Matrix<Double> {
  try refit(W, removed: M, gram: H.gram, lambda: H.lambda, inverse: H.inverse)
}

/// Refits each group of columns by itself (FANG: "each sub-matrix is pruned independently"): columns of other groups and
/// of no group keep their bits.
///
/// - Parameters:
///   - groups: the columns of each group.
///   - removed: what goes, of any group.
///   - gram: m×m for group k, its columns in the order of `groups[k]` (eq. 11).
///   - damping: relative to the mean diagonal of live inputs of each group.
package func refitWithinGroups(
  _ W: Matrix<Double>, groups: [[Int]], removed: [Int], gram: (Int) throws -> Matrix<Double>, damping: Double
) throws -> Matrix<Double> {
  let isRemoved = Set(removed)
  let result = W.copy()
  for (k, members) in groups.enumerated() {
    let M = members.indices.filter { isRemoved.contains(members[$0]) }
    if M.isEmpty { continue }
    let H = try gram(k)
    let fitted = try refit(
      W.gathering(columns: members), removed: M, gram: H, lambda: damping * liveMean(H.diagonal))
    scatter(fitted, into: result, columns: members)
  }
  return result
}

/// The mean of what is above zero; 0 for nothing.
package func liveMean(_ diagonal: [Double]) -> Double {
  let live = diagonal.filter { $0 > 0 }
  return live.isEmpty ? 0 : live.reduce(0, +) / Double(live.count)
}

/// Writes the columns of `source` to the places `columns` of `target`.
private func scatter(_ source: Matrix<Double>, into target: Matrix<Double>, columns: [Int]) {
  let source = source.isTransposed ? source.copy() : source
  source.withUnsafePointer { from, fromStep in
    target.withUnsafeMutablePointer { to, toStep in
      for o in 0..<source.rows {
        for (place, j) in columns.enumerated() { to[o * toStep + j] = from[o * fromStep + place] }
      }
    }
  }
}

// MARK: Weight and bias together

/// The covariance form of H, for which the best bias is taken along (an extension uniting FLAP and OBC).
///
///     X Xᵀ − T x̄ x̄ᵀ
///
/// - Parameters:
///   - mean: n means of the inputs.
///   - tokens: T.
package func centered(_ gram: Matrix<Double>, mean: [Double], tokens: Int) -> Matrix<Double> {
  let C = gram.copy()
  C.withUnsafeMutablePointer { c, step in
    for i in 0..<mean.count {
      let scaled = Double(tokens) * mean[i]
      for j in 0..<mean.count { c[i * step + j] -= scaled * mean[j] }
      // What is left of a constant input is rounding, of either sign.
      if c[i * step + i] < 1e-14 * gram[i, i] { c[i * step + i] = max(c[i * step + i], 0) }
    }
  }
  return C
}

/// b = W x̄ − Ŵ x̄: with it and a refit on the centred H, weight and bias are the joint optimum.
package func centeringBias(_ W: Matrix<Double>, _ fitted: Matrix<Double>, mean: [Double]) -> [Double] {
  ((W - fitted) * Matrix(rows: mean.count, columns: 1, values: mean)).values
}
