import Numerics

// How networks hang together. Nodes are networks, n of them; W n×n holds their edges, symmetric with a zero diagonal.

/// Correlations of courses.
///
/// - Parameter A: T×n courses.
/// - Returns: n×n with a zero diagonal; a course that does not vary has no edges.
package func courseCorrelations(_ A: Matrix<Double>) -> Matrix<Double> {
  withoutDiagonal(covariance(standardisedColumns(A)))
}

/// Partial correlations of courses, -P_ij / √(P_ii P_jj) with P the inverse of the shrunk covariance
/// (1 - ρ) C + ρ μ I, μ the mean variance and ρ as Ledoit and Wolf (2004) choose it; courses are standardised first.
///
/// - Parameter A: T×n courses.
package func coursePartialCorrelations(_ A: Matrix<Double>) throws -> Matrix<Double> {
  let Z = standardisedColumns(A)
  let (T, n) = (Double(A.rows), A.columns)
  let C = covariance(Z)
  let mu = (0..<n).reduce(0) { $0 + C[$1, $1] } / Double(max(1, n))
  let squares = C.values.reduce(0) { $0 + $1 * $1 }
  // Σ over pairs of the mean of z_i² z_j² is the mean over tokens of (Σ z²)².
  let norms = (0..<A.rows).map { t in Z.row(t).reduce(0) { $0 + $1 * $1 } }
  let fourth = norms.reduce(0) { $0 + $1 * $1 } / T
  let spread = (fourth - squares) / T
  let distance = squares - Double(n) * mu * mu
  let rho = distance > 0 ? min(1, max(0, spread / distance)) : 1
  let shrunk = (1 - rho) * C
  for i in 0..<n { shrunk[i, i] += rho * mu }
  let P = try cholesky(shrunk, damping: 1e-12).inverse()
  let result = Matrix<Double>(rows: n, columns: n)
  for i in 0..<n {
    for j in 0..<n where i != j { result[i, j] = -P[i, j] / (P[i, i] * P[j, j]).squareRoot() }
  }
  return result
}

/// ZᵀZ / T.
private func covariance(_ Z: Matrix<Double>) -> Matrix<Double> {
  let C = Matrix<Double>(rows: Z.columns, columns: Z.columns)
  gram(Z, into: C, alpha: 1 / Double(max(1, Z.rows)))
  return C
}

private func standardisedColumns(_ A: Matrix<Double>) -> Matrix<Double> {
  let columns = (0..<A.columns).flatMap { standardised(A.column($0)) }
  return Matrix(rows: A.columns, columns: A.rows, values: columns).T.copy()
}

private func withoutDiagonal(_ A: Matrix<Double>) -> Matrix<Double> {
  for i in 0..<A.rows { A[i, i] = 0 }
  return A
}

// MARK: - Modules

/// What a pair of nodes adds to the modularity when they are in one module, so that Q is the sum over pairs of one
/// module (Rubinov and Sporns 2011, eq. 4, with the resolution of Reichardt and Bornholdt 2006):
///
///     B = (W⁺ - γ k⁺k⁺ᵀ/s⁺)/s⁺ - (W⁻ - γ k⁻k⁻ᵀ/s⁻)/(s⁺ + s⁻)
///
/// k are sums of rows, s of all. Without negative edges this is Newman's.
package func modularityMatrix(_ W: Matrix<Double>, gamma: Double) -> Matrix<Double> {
  let (positive, negative) = (W.map { max(0, $0) }, W.map { max(0, -$0) })
  let (a, b) = (strengths(positive), strengths(negative))
  let (plus, minus) = (a.reduce(0, +), b.reduce(0, +))
  let B = Matrix<Double>(rows: W.rows, columns: W.columns)
  for i in 0..<W.rows {
    for j in 0..<W.columns {
      if plus > 0 { B[i, j] += (positive[i, j] - gamma * a[i] * a[j] / plus) / plus }
      if minus > 0 { B[i, j] -= (negative[i, j] - gamma * b[i] * b[j] / minus) / (plus + minus) }
    }
  }
  return B
}

package func modularity(of modules: [Int], _ B: Matrix<Double>) -> Double {
  (0..<B.rows).reduce(0) { sum, i in
    (0..<B.columns).reduce(sum) { modules[i] == modules[$1] ? $0 + B[i, $1] : $0 }
  }
}

/// Modules of largest modularity, as far as moving nodes and then whole modules finds them (Blondel et al. 2008).
///
/// - Parameters:
///   - B: as `modularityMatrix` gives it.
///   - stream: in which order nodes are tried.
/// - Returns: the module of each node, numbered in the order of their first nodes.
package func louvain(_ B: Matrix<Double>, using stream: inout RandomStream) -> [Int] {
  var modules = Array(0..<B.rows)
  var level = B
  while true {
    let moved = movedNodes(level, using: &stream)
    let joined = numbered(moved)
    modules = modules.map { joined[$0] }
    let count = (joined.max() ?? -1) + 1
    guard count < level.rows else { return numbered(modules) }
    let next = Matrix<Double>(rows: count, columns: count)
    for i in 0..<level.rows {
      for j in 0..<level.columns { next[joined[i], joined[j]] += level[i, j] }
    }
    level = next
  }
}

/// Each node goes to the module where it adds most, until none moves; of equal modules the lower label wins.
private func movedNodes(_ B: Matrix<Double>, using stream: inout RandomStream) -> [Int] {
  let n = B.rows
  var modules = Array(0..<n)
  var order = modules
  stream.shuffle(&order)
  var hasMoved = true
  while hasMoved {
    hasMoved = false
    for i in order {
      var gain = [Double](repeating: 0, count: n)
      for (j, value) in B.row(i).enumerated() where j != i { gain[modules[j]] += value }
      let own = modules[i]
      var best = own
      for module in 0..<n where gain[module] > gain[best] + 1e-12 { best = module }
      guard best != own else { continue }
      modules[i] = best
      hasMoved = true
    }
  }
  return modules
}

/// The same modules, numbered in the order of their first nodes.
private func numbered(_ modules: [Int]) -> [Int] {
  var label: [Int: Int] = [:]
  return modules.map { module in
    if let known = label[module] { return known }
    label[module] = label.count
    return label.count - 1
  }
}

/// The best of several Louvain runs.
package struct NetworkModules: Sendable, Equatable {
  package var modules: [Int]
  package var Q: Double
  /// Share of the runs that reached this Q.
  package var agreement: Double

  /// - Parameters:
  ///   - runs: of Louvain, each in an order of its own; the first of equal Q wins.
  ///   - name: of the random stream.
  package init(_ W: Matrix<Double>, gamma: Double, runs: Int, seed: Int, name: String) {
    let B = modularityMatrix(W, gamma: gamma)
    let found = (0..<runs).map { run in
      var stream = RandomStream(seed: seed, name: "\(name) order \(run)")
      let modules = louvain(B, using: &stream)
      return (modules: modules, Q: modularity(of: modules, B))
    }
    let best = found.indices.reduce(0) { found[$1].Q > found[$0].Q + 1e-12 ? $1 : $0 }
    modules = found[best].modules
    Q = found[best].Q
    agreement = Double(found.count { $0.Q >= found[best].Q - 1e-9 }) / Double(max(1, runs))
  }
}

// MARK: - Nodes

/// Sum of the edges of each node.
package func strengths(_ W: Matrix<Double>) -> [Double] { (0..<W.rows).map { W.row($0).reduce(0, +) } }

/// How evenly the positive edges of a node spread over the modules, 1 - Σ_c (k_ic / k_i)² (Guimerà and Amaral 2005):
/// 0 for a node whose edges stay in one module.
package func participation(_ W: Matrix<Double>, _ modules: [Int]) -> [Double] {
  let count = (modules.max() ?? -1) + 1
  return (0..<W.rows).map { i in
    var own = [Double](repeating: 0, count: count)
    for (j, weight) in W.row(i).enumerated() { own[modules[j]] += max(0, weight) }
    let total = own.reduce(0, +)
    return total > 0 ? 1 - own.reduce(0) { $0 + ($1 / total) * ($1 / total) } : 0
  }
}

/// The strength of a node inside its module, in standard deviations of those of the module (Guimerà and Amaral 2005).
package func withinModuleZ(_ W: Matrix<Double>, _ modules: [Int]) -> [Double] {
  let inside = (0..<W.rows).map { i in
    W.row(i).enumerated().reduce(0.0) { modules[$1.offset] == modules[i] ? $0 + $1.element : $0 }
  }
  var result = [Double](repeating: 0, count: W.rows)
  for module in Set(modules) {
    let members = modules.indices.filter { modules[$0] == module }
    for (member, z) in zip(members, standardised(members.map { inside[$0] })) { result[member] = z }
  }
  return result
}

// MARK: - Chance, and another text

/// Each course turned by an offset of its own, at least `least` tokens from where it stood: what is left of the edges
/// when networks do not know of each other, but keep their own rhythm.
package func rolledCourses(_ A: Matrix<Double>, least: Int, using stream: inout RandomStream) -> Matrix<Double> {
  precondition(A.rows > 2 * least, "\(A.rows) tokens, turned by at least \(least)")
  let T = A.rows
  let columns = (0..<A.columns).flatMap { i -> [Double] in
    let offset = least + stream.below(T - 2 * least + 1)
    let course = A.column(i)
    return Array(course[offset...] + course[..<offset])
  }
  return Matrix(rows: A.columns, columns: T, values: columns).T.copy()
}

/// Cohen's kappa of "in the same module" over all pairs of nodes; NaN when chance explains all.
package func sameModuleKappa(_ a: [Int], _ b: [Int]) -> Double {
  var counts = [[0.0, 0.0], [0.0, 0.0]]
  for i in a.indices {
    for j in (i + 1)..<max(i + 1, a.count) { counts[a[i] == a[j] ? 1 : 0][b[i] == b[j] ? 1 : 0] += 1 }
  }
  let total = counts.joined().reduce(0, +)
  let observed = (counts[0][0] + counts[1][1]) / total
  let (first, second) = ((counts[1][0] + counts[1][1]) / total, (counts[0][1] + counts[1][1]) / total)
  let chance = first * second + (1 - first) * (1 - second)
  return (observed - chance) / (1 - chance)
}

/// The edges of all pairs, row by row above the diagonal.
package func upperEdges(_ W: Matrix<Double>) -> [Double] {
  (0..<W.rows).flatMap { i in Array(W.row(i)[(i + 1)...]) }
}
