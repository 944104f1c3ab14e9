import Numerics

// Greedy Optimal Brain Compression, FANG Algorithm 1, without touching W.
//
// The literal algorithm removes the column of least e_j = ‖W_:,j‖²/G_jj and updates W and G after each, which moves the
// whole of both through memory thousands of times. Only the diagonals of G and of Q = WᵀW decide, and with
//
//     u = G_:,p / √G_pp     a = Q_:,p / √G_pp     c = Q_pp / G_pp     v = a − (c/2) u
//
// one step is  G ← G − u uᵀ  and  Q ← Q − u vᵀ − v uᵀ.  Inside a block of pivots only the two diagonals and the pivot's
// own columns are brought up to date; the matrices themselves follow once per block, by products.

/// The order in which inputs go, and what each step costs.
package struct GreedyOrder: Sendable, Equatable {
  /// Columns in the order of removal.
  package var order: [Int]
  /// e of each step at its time. Their sum is the damped loss of removing all of them with one refit.
  package var losses: [Double]

  /// One score per column such that pruning the lowest repeats the order: the place in it; the last for what stayed.
  package func ranks(columns n: Int) -> [Double] {
    var ranks = [Double](repeating: Double(order.count), count: n)
    for (place, j) in order.enumerated() { ranks[j] = Double(place) }
    return ranks
  }

  /// The largest step cost up to the removal of each column: comparable between layers, and never falling along the
  /// order. What stayed gets infinity.
  package func marginalLosses(columns n: Int) -> [Double] {
    var scores = [Double](repeating: .infinity, count: n)
    var largest = 0.0
    for (j, loss) in zip(order, losses) {
      largest = max(largest, loss)
      scores[j] = largest
    }
    return scores
  }
}

/// Removes `count` columns one at a time, always the one that costs least; ties go by index. Memory: G and Q, 2 n².
///
/// - Parameters:
///   - W: d×n.
///   - G: n×n, inverse of the damped H. **Overwritten.**
///   - dead: columns to remove first, at no cost.
///   - progress: called after each block of pivots with (removed, count); stops the work by throwing.
package func greedyRemoval(
  _ W: Matrix<Double>, overwriting G: Matrix<Double>, dead: [Int], count: Int,
  progress: (Int, Int) throws -> Void = { _, _ in }
) throws -> GreedyOrder {
  let n = W.columns
  guard count < n else { throw OptimalBrainError.tooManyRemoved(count, of: n) }
  var work = GreedyDowndate(G: G, Q: silenced(W, dead).gram)
  var result = GreedyOrder(order: [], losses: [])
  for j in dead.prefix(count) {
    work.retire(j)
    result.order.append(j)
    result.losses.append(0)
  }
  while result.order.count < count {
    let p = work.cheapest()
    result.order.append(work.columns[p.place])
    result.losses.append(p.loss)
    work.remove(p.place)
    if work.isBlockFull {
      work.flush()
      try progress(result.order.count, count)
    }
  }
  return result
}

/// G and Q with a block of removals not yet carried out on them. Only lower triangles are kept true.
private struct GreedyDowndate {
  static let block = 64

  let G: Matrix<Double>
  let Q: Matrix<Double>
  /// Columns of W still in play, or retired since the last compaction; place i of everything below is columns[i].
  var columns: [Int]
  /// diag G and diag Q, always up to date.
  var g: [Double]
  var q: [Double]
  /// Diagonal of G at the start.
  var g0: [Double]
  var isAlive: [Bool]
  /// Rows u and v of the pending steps: the first `block` rows are u, the others v.
  var UV: Matrix<Double>
  var pending = 0

  init(G: Matrix<Double>, Q: Matrix<Double>) {
    self.G = G
    self.Q = Q
    columns = Array(0..<G.rows)
    g = G.diagonal
    q = Q.diagonal
    g0 = g
    isAlive = [Bool](repeating: true, count: G.rows)
    UV = Matrix(rows: 2 * Self.block, columns: G.rows)
  }

  var isBlockFull: Bool { pending == Self.block }

  /// A place whose pivot has lost all its digits is linearly dependent on what is gone: it costs nothing.
  private func isDependent(_ i: Int) -> Bool { g[i] <= 1e-12 * g0[i] }

  func cheapest() -> (place: Int, loss: Double) {
    var best = (place: -1, loss: Double.infinity)
    for i in columns.indices where isAlive[i] {
      let loss = isDependent(i) ? 0 : max(q[i], 0) / g[i]
      if loss < best.loss || best.place < 0 { best = (i, loss) }
    }
    return best
  }

  mutating func retire(_ place: Int) { isAlive[place] = false }

  /// Takes the column at place p out; its rank-one steps are left pending.
  mutating func remove(_ p: Int) {
    isAlive[p] = false
    if isDependent(p) { return }
    let n = columns.count
    let root = g[p].squareRoot()
    let c = q[p] / g[p]
    let U = UV.rows(0..<pending).columns(0..<n)
    let V = UV.rows(Self.block..<(Self.block + pending)).columns(0..<n)
    let u = UV.rows(pending..<(pending + 1)).columns(0..<n)
    let v = UV.rows((Self.block + pending)..<(Self.block + pending + 1)).columns(0..<n)
    copyColumn(p, of: G, into: u)
    copyColumn(p, of: Q, into: v)
    if pending > 0 {
      let (u_p, v_p) = (U.columns(p..<(p + 1)).copy(), V.columns(p..<(p + 1)).copy())
      multiply(U.T, u_p, into: u.T, alpha: -1, beta: 1)
      multiply(U.T, v_p, into: v.T, alpha: -1, beta: 1)
      multiply(V.T, u_p, into: v.T, alpha: -1, beta: 1)
    }
    u.withUnsafeMutablePointer { u, _ in
      v.withUnsafeMutablePointer { v, _ in
        for i in 0..<n {
          u[i] /= root
          v[i] = v[i] / root - c / 2 * u[i]
          g[i] -= u[i] * u[i]
          q[i] -= 2 * u[i] * v[i]
        }
      }
    }
    pending += 1
  }

  /// Column p of a symmetric matrix whose lower triangle is true.
  private func copyColumn(_ p: Int, of A: Matrix<Double>, into row: Matrix<Double>) {
    let n = columns.count
    A.withUnsafePointer { a, step in
      row.withUnsafeMutablePointer { target, _ in
        (target).update(from: a + p * step, count: p + 1)
        for i in (p + 1)..<max(n, p + 1) { target[i] = a[i * step + p] }
      }
    }
  }

  /// Carries the pending steps out, on tiles of the lower triangles.
  mutating func flush() {
    let n = columns.count
    let tiles = Parallel.ranges(n, of: 512)
    let pairs = tiles.indices.flatMap { i in (0...i).map { (i, $0) } }
    let (U, V) = (UV.rows(0..<pending), UV.rows(Self.block..<(Self.block + pending)))
    let (G, Q) = (self.G, self.Q)
    Parallel.forEach(pairs.count) { pair in
      let (I, J) = (tiles[pairs[pair].0], tiles[pairs[pair].1])
      multiply(U.columns(I).T, U.columns(J), into: G.rows(I).columns(J), alpha: -1, beta: 1)
      let tile = Q.rows(I).columns(J)
      multiply(U.columns(I).T, V.columns(J), into: tile, alpha: -1, beta: 1)
      multiply(V.columns(I).T, U.columns(J), into: tile, alpha: -1, beta: 1)
    }
    pending = 0
    if isAlive.count(where: { $0 }) < n * 7 / 8 { compact() }
  }

  /// Moves what is alive to the front, in place: sources never lie before their targets.
  private mutating func compact() {
    let alive = columns.indices.filter { isAlive[$0] }
    for A in [G, Q] {
      A.withUnsafeMutablePointer { a, step in
        for (i, from) in alive.enumerated() {
          let (target, source) = (a + i * step, a + from * step)
          for j in 0...i { target[j] = source[alive[j]] }
        }
      }
    }
    columns = alive.map { columns[$0] }
    g = alive.map { g[$0] }
    q = alive.map { q[$0] }
    g0 = alive.map { g0[$0] }
    isAlive = [Bool](repeating: true, count: alive.count)
  }
}

/// Removes whole units of consecutive columns (attention heads), the cheapest by e_S first, with the inverse updated
/// after each:
///
///     W ← W − W_S (G_SS)⁻¹ G_S,:     G ← G − G_:,S (G_SS)⁻¹ G_S,:
///
/// - Parameters:
///   - W: d×n.
///   - width: columns of one unit.
///   - count: how many units to remove.
/// - Returns: units in the order of removal, and e_S of each at its time.
package func greedyUnitRemoval(
  _ W: Matrix<Double>, _ H: Curvature, width: Int, count: Int, progress: (Int, Int) throws -> Void = { _, _ in }
) throws -> GreedyOrder {
  let units = W.columns / width
  guard count < units else { throw OptimalBrainError.tooManyRemoved(count, of: units) }
  let W = silenced(W, H.dead).copy()
  let G = H.inverse.copy()
  var left = Array(0..<units)
  var result = GreedyOrder(order: [], losses: [])
  @Sendable func columns(_ u: Int) -> Range<Int> { (u * width)..<((u + 1) * width) }
  while result.order.count < count {
    let candidates = left
    let losses = try Parallel.map(candidates.count) { place in
      let S = columns(candidates[place])
      return try unitLoss(W.columns(S), G.rows(S).columns(S))
    }
    var best = 0
    for place in losses.indices where losses[place] < losses[best] { best = place }
    let S = columns(left[best])
    let G_S = G.rows(S).copy()
    let factor = try factored(G_S.columns(S).copy())
    multiply(factor.solve(W.columns(S).T.copy()).T, G_S, into: W, alpha: -1, beta: 1)
    multiply(G_S.T, factor.solve(G_S), into: G, alpha: -1, beta: 1)
    result.order.append(left.remove(at: best))
    result.losses.append(losses[best])
    try progress(result.order.count, count)
  }
  return result
}

/// tr(W_S (G_SS)⁻¹ W_Sᵀ).
private func unitLoss(_ W_S: Matrix<Double>, _ G_SS: Matrix<Double>) throws -> Double {
  let W_ST = W_S.T.copy()
  let solved = try factored(G_SS).solve(W_ST)
  return zip(W_ST.values, solved.values).reduce(0) { $0 + $1.0 * $1.1 }
}
