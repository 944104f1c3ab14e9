import Numerics

// The scores other methods are judged against. W is d×n; its n input columns are what gets removed.

/// Wanda summed over outputs, as in FLAP's `wanda_sp`: mean_o |W_oi| · sqrt(E x_i²) per column (Sun et al. 2024).
///
/// - Parameter meanSquare: n means of x_i² over tokens.
package func wanda<Element: Scalar>(_ W: Matrix<Element>, meanSquare: [Double]) -> [Double] {
  precondition(meanSquare.count == W.columns, "\(meanSquare.count) moments for \(W.shape)")
  let magnitudes = columnSums(W) { abs($0) }
  return zip(magnitudes, meanSquare).map { $0 / Double(W.rows) * max($1, 0).squareRoot() }
}

/// ‖W_:,i‖ per column: pruning by magnitude.
package func columnNorms<Element: Scalar>(_ W: Matrix<Element>) -> [Double] {
  columnSums(W) { $0 * $0 }.map { $0.squareRoot() }
}

/// Scores without meaning, the control of every experiment: independent and uniform in [0, 1).
package func randomScores(_ count: Int, using generator: inout some RandomNumberGenerator) -> [Double] {
  (0..<count).map { _ in Double(generator.next() >> 11) * 0x1p-53 }
}

/// How much a block turns its input, ShortGPT's block influence and FANG's functional complexity (eq. 8):
///
///     FC = 1 − E_t cos(X_t, Y_t)
///
/// X is what enters the block and Y what leaves it, both tokens × d. Tokens are added in chunks of any size.
package struct BlockInfluence: Sendable {
  private var sum = 0.0
  /// Tokens that counted.
  package private(set) var tokens = 0
  /// Tokens of norm zero, which have no direction and are left out.
  package private(set) var skipped = 0

  package init() {}

  package mutating func add(_ X: Matrix<Float>, _ Y: Matrix<Float>) {
    precondition(X.rows == Y.rows && X.columns == Y.columns, "\(X.shape) enters, \(Y.shape) leaves")
    X.withUnsafePointer { x0, xStep in
      Y.withUnsafePointer { y0, yStep in
        for t in 0..<X.rows {
          let (x, y) = (x0 + t * xStep, y0 + t * yStep)
          var (xx, yy, xy) = (0.0, 0.0, 0.0)
          for i in 0..<X.columns {
            let (a, b) = (Double(x[i]), Double(y[i]))
            xx += a * a
            yy += b * b
            xy += a * b
          }
          if xx > 0 && yy > 0 {
            sum += xy / (xx.squareRoot() * yy.squareRoot())
            tokens += 1
          } else {
            skipped += 1
          }
        }
      }
    }
  }

  /// 1 − mean cosine; nil before any token counted.
  package var value: Double? { tokens > 0 ? 1 - sum / Double(tokens) : nil }
}

/// Σ_o f(W_oi) for every column i, in double, cut into chunks of 256 columns.
func columnSums<Element: Scalar>(_ W: Matrix<Element>, _ f: @Sendable (Double) -> Double) -> [Double] {
  if W.isTransposed {
    // Columns lie in memory one after the other.
    return W.T.withUnsafePointer { start, step in
      (0..<W.columns).map { i in
        var sum = 0.0
        for o in 0..<W.rows { sum += f(Double(start[i * step + o])) }
        return sum
      }
    }
  }
  var sums = [Double](repeating: 0, count: W.columns)
  let chunks = Parallel.ranges(W.columns, of: 256)
  W.withUnsafePointer { start, step in
    sums.withUnsafeMutableBufferPointer { sums in
      nonisolated(unsafe) let sums = sums
      nonisolated(unsafe) let start = start
      Parallel.forEach(chunks.count) { chunk in
        for o in 0..<W.rows {
          let row = start + o * step
          for i in chunks[chunk] { sums[i] += f(Double(row[i])) }
        }
      }
    }
  }
  return sums
}
