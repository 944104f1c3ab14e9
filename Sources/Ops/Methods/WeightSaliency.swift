import Numerics

// LLM-Pruner (Ma et al. 2023), eq. 3-5: what the loss would change by if a weight w were 0, from the gradient g = ∂L/∂w
// of the mean loss over all calibration tokens, and from acc = (1/N) Σ_i (∂L_i/∂w)² over the windows i, which stands for
// the curvature. Signs count until the gradient is summed over all tokens: the absolute value comes last.

/// What is said of a weight, or of a line of weights.
package enum SaliencyRule: String, Sendable, CaseIterable {
  /// |w g|, summed over the line (the paper's Element¹; Shortened LLaMA's Taylor).
  case first = "param_first"
  /// |w acc w|, summed over the line (Element²).
  case second = "param_second"
  /// |w g − ½ w acc w|, summed over the line.
  case mix = "param_mix"
  /// |Σ w g| over the line (Vector).
  case vectorize = "vectorize"

  /// Whether acc is needed.
  package var needsSquares: Bool { self == .second || self == .mix }
}

/// Which lines of a matrix belong to what is removed.
package enum MatrixLines: Sendable { case rows, columns }

/// One number per row or column of a linear map.
///
/// - Parameters:
///   - W: m×n.
///   - gradient: m×n, g.
///   - squares: m×n, acc; for the rules that need it.
package func saliency(
  _ rule: SaliencyRule, _ W: Matrix<Float>, gradient g: Matrix<Float>, squares acc: Matrix<Float>? = nil,
  of lines: MatrixLines
) -> [Double] {
  precondition(W.shape == g.shape && (acc.map { $0.shape == W.shape } ?? !rule.needsSquares), "saliency of \(W.shape)")
  let (W, g, acc) = (straight(W), straight(g), acc.map(straight))
  var sums = [Double](repeating: 0, count: lines == .rows ? W.rows : W.columns)
  W.withUnsafePointer { w, wStep in
    g.withUnsafePointer { g, gStep in
      withPointer(acc) { acc, accStep in
        nonisolated(unsafe) let (w, g, acc) = (w, g, acc)
        @Sendable func entry(_ i: Int, _ j: Int) -> Double {
          let weight = Double(w[i * wStep + j])
          let first = weight * Double(g[i * gStep + j])
          guard rule.needsSquares, let acc else { return rule == .first ? abs(first) : first }
          let second = weight * Double(acc[i * accStep + j]) * weight
          return abs(rule == .second ? second : first - second / 2)
        }
        sums.withUnsafeMutableBufferPointer { sums in
          nonisolated(unsafe) let sums = sums
          let (rows, columns) = (W.rows, W.columns)
          let chunks = Parallel.ranges(sums.count, of: 64)
          Parallel.forEach(chunks.count) { chunk in
            switch lines {
            case .rows: for i in chunks[chunk] { for j in 0..<columns { sums[i] += entry(i, j) } }
            case .columns: for i in 0..<rows { for j in chunks[chunk] { sums[j] += entry(i, j) } }
            }
          }
        }
      }
    }
  }
  return rule == .vectorize ? sums.map(abs) : sums
}

/// The saliency of a norm's weights, each a line of its own, from w g = Σ_t y dL/dy: what the norm gives times the
/// derivative by it.
///
/// - Parameter products: one row per window, one column per weight: Σ_t y_t dL_i/dy_t over the window's tokens.
package func normSaliency(_ rule: SaliencyRule, products: [[Double]]) -> Double {
  let count = Double(max(1, products.count))
  return (products.first ?? []).indices.reduce(0) { sum, j in
    let first = products.reduce(0) { $0 + $1[j] } / count
    let second = products.reduce(0) { $0 + $1[j] * $1[j] } / count
    switch rule {
    case .first, .vectorize: return sum + abs(first)
    case .second: return sum + second
    case .mix: return sum + abs(first - second / 2)
    }
  }
}

/// The derivative by a gate m = 1 on a unit (SoBP's first order; Michel et al. 2019): |dL_i/dm| = |Σ z dL_i/dz| over the
/// tokens of a window and the unit's columns, one number per unit.
///
/// - Parameters:
///   - z: tokens × columns, what the output map reads; `gradient` by it.
///   - width: columns of a unit.
package func gateDerivatives(_ z: Matrix<Float>, gradient: Matrix<Float>, width: Int) -> [Double] {
  summed(columnProducts(z, gradient), by: width).map(abs)
}

/// Σ_t a_tj b_tj for every column j.
package func columnProducts<Element: Scalar>(_ a: Matrix<Element>, _ b: Matrix<Element>) -> [Double] {
  precondition(a.shape == b.shape, "products of \(a.shape) and \(b.shape)")
  var sums = [Double](repeating: 0, count: a.columns)
  a.withUnsafePointer { a0, aStep in
    b.withUnsafePointer { b0, bStep in
      for t in 0..<a.rows {
        for j in sums.indices { sums[j] += Double(a0[t * aStep + j]) * Double(b0[t * bStep + j]) }
      }
    }
  }
  return sums
}

private func straight(_ A: Matrix<Float>) -> Matrix<Float> { A.isTransposed ? A.copy() : A }

private func withPointer(
  _ A: Matrix<Float>?, _ body: (UnsafePointer<Float>?, Int) -> Void
) {
  guard let A else { return body(nil, 0) }
  A.withUnsafePointer { body($0, $1) }
}
