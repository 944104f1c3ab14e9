import Numerics

/// How much every neuron matters to every cluster of tokens (FANG eq. 5):
///
///     S_kj = 1/N_k · Σ_{i in C_k} | h_ij · ∂L/∂h_ij |
///
/// Tokens are added in chunks of any size. The last position of a sequence predicts nothing, so its gradient is zero:
/// give it no label, and it is left out of N_k. A copy of this value shares its sums with the original.
package struct TaylorAffinity: Sendable {
  /// K×n sums.
  package let sums: Matrix<Double>
  /// N_k.
  package private(set) var counts: [Int]

  /// - Parameters: K clusters, n neurons.
  package init(clusters K: Int, neurons n: Int) {
    sums = Matrix(rows: K, columns: n)
    counts = [Int](repeating: 0, count: K)
  }

  /// Sums and counts that were put aside.
  package init(sums: Matrix<Double>, counts: [Int]) {
    self.sums = sums
    self.counts = counts
  }

  /// Adds tokens.
  ///
  /// - Parameters:
  ///   - h: tokens×n, input of W_down.
  ///   - gradient: tokens×n, ∂L/∂h.
  ///   - labels: cluster of each token; negative for one that does not count.
  package mutating func add(h: Matrix<Float>, gradient: Matrix<Float>, labels: [Int32]) {
    precondition(
      h.rows == labels.count && gradient.rows == h.rows && gradient.columns == h.columns && h.columns == sums.columns,
      "\(h.shape) activations, \(gradient.shape) gradients, \(labels.count) labels")
    for label in labels where label >= 0 { counts[Int(label)] += 1 }
    let strips = Parallel.ranges(h.columns, of: 512)
    let sums = self.sums
    Parallel.forEach(strips.count) { strip in
      h.columns(strips[strip]).withUnsafePointer { h, hStep in
        gradient.columns(strips[strip]).withUnsafePointer { g, gStep in
          sums.columns(strips[strip]).withUnsafeMutablePointer { s, sStep in
            for (t, label) in labels.enumerated() where label >= 0 {
              let (x, y, row) = (h + t * hStep, g + t * gStep, s + Int(label) * sStep)
              for j in 0..<strips[strip].count { row[j] += Double(abs(x[j] * y[j])) }
            }
          }
        }
      }
    }
  }

  /// Of as many clusters and neurons, and no tokens.
  package var empty: TaylorAffinity { TaylorAffinity(clusters: sums.rows, neurons: sums.columns) }

  /// Sums and counts in one row.
  package var numbers: [Double] { sums.values + counts.map(Double.init) }

  /// Adds the sums and counts of other tokens, the first of `numbers`, which loses them.
  package mutating func add(takingFrom numbers: inout ArraySlice<Double>) {
    sums.add(Matrix(rows: sums.rows, columns: sums.columns, values: Array(numbers.prefix(sums.count))))
    numbers = numbers.dropFirst(sums.count)
    for (cluster, count) in numbers.prefix(counts.count).enumerated() { counts[cluster] += Int(count) }
    numbers = numbers.dropFirst(counts.count)
  }

  /// K×n, S; a cluster without tokens has zeros.
  package var scores: Matrix<Double> {
    let S = sums.copy()
    S.scaleRows(by: counts.map { $0 > 0 ? 1 / Double($0) : 0 })
    return S
  }

  /// E_t Σ_j |h_tj ∂L/∂h_tj| over all tokens that counted: the Taylor score of a whole block.
  package var blockScore: Double {
    let tokens = counts.reduce(0, +)
    return tokens > 0 ? sums.values.reduce(0, +) / Double(tokens) : 0
  }
}
