import CKernels

/// Count, mean and sum of squared deviations of each column, gathered block by block.
///
/// Every block of rows is summed in double precision and two passes, and joined to what was there by the formula of
/// Chan, Golub and LeVeque. Blocks have a fixed size, so the result depends on the sequence of calls and nothing else.
public struct Moments: Sendable, Equatable {
  public private(set) var count: Int
  /// Per column.
  public private(set) var mean: [Double]
  /// Σ (x − mean)², per column.
  public private(set) var m2: [Double]

  /// Rows of one block.
  private static let block = 512
  /// Columns of one chunk of parallel work.
  private static let strip = 512

  /// Of no rows.
  public init(columns: Int) {
    self.init(
      count: 0, mean: [Double](repeating: 0, count: columns), m2: [Double](repeating: 0, count: columns))
  }

  /// As stored before. All arrays of one length.
  public init(count: Int, mean: [Double], m2: [Double]) {
    precondition(mean.count == m2.count && count >= 0, "\(mean.count) means and \(m2.count) squares")
    self.count = count
    self.mean = mean
    self.m2 = m2
  }

  public var columns: Int { mean.count }

  /// m2 / (count − ddof), per column; NaN when count ≤ ddof.
  public func variance(ddof: Int = 0) -> [Double] {
    count > ddof ? m2.map { $0 / Double(count - ddof) } : [Double](repeating: .nan, count: columns)
  }

  public func standardDeviation(ddof: Int = 0) -> [Double] { variance(ddof: ddof).map { $0.squareRoot() } }

  /// Σ x², per column.
  public var sumOfSquares: [Double] { zip(mean, m2).map { $1 + Double(count) * $0 * $0 } }

  /// Takes in the rows of `X`, one observation each.
  public mutating func add(_ X: Matrix<Float>) {
    precondition(X.columns == columns, "rows of \(X.columns) added to moments of \(columns) columns")
    let X = X.isTransposed ? X.copy() : X
    for rows in Parallel.ranges(X.rows, of: Self.block) { merge(Moments(ofBlock: X.rows(rows))) }
  }

  /// Two passes over one block.
  private init(ofBlock X: Matrix<Float>) {
    let result = Matrix<Double>(rows: 2, columns: X.columns)
    let strips = Parallel.ranges(X.columns, of: Self.strip)
    Parallel.forEach(strips.count) { strip in
      let J = strips[strip]
      X.columns(J).withUnsafePointer { x, stride in
        result.columns(J).withUnsafeMutablePointer { out, step in
          prn_column_moments(x, stride, X.rows, J.count, out, out + step)
        }
      }
    }
    self.init(count: X.rows, mean: result.row(0), m2: result.row(1))
  }

  /// Joins the moments of other rows:
  ///
  ///     δ = mean₂ − mean₁,   mean = mean₁ + δ n₂/n,   m2 = m2₁ + m2₂ + δ² n₁n₂/n
  public mutating func merge(_ other: Moments) {
    precondition(other.columns == columns, "moments of \(other.columns) and \(columns) columns")
    if other.count == 0 { return }
    if count == 0 { self = other; return }
    let total = Double(count + other.count)
    let share = Double(other.count) / total
    let cross = Double(count) * share
    for j in mean.indices {
      let delta = other.mean[j] - mean[j]
      mean[j] += delta * share
      m2[j] += other.m2[j] + delta * delta * cross
    }
    count += other.count
  }
}

extension Matrix where Element == Double {
  /// The mean of each column.
  public var columnMeans: [Double] { columnMoments.mean }

  /// Mean and sum of squared deviations of each column, in two passes, row after row.
  public var columnMoments: Moments {
    var mean = [Double](repeating: 0, count: columns)
    var m2 = mean
    let X = isTransposed ? copy() : self
    X.withUnsafePointer { x, stride in
      for i in 0..<rows { for j in 0..<columns { mean[j] += x[i &* stride &+ j] } }
      if rows > 0 { for j in 0..<columns { mean[j] /= Double(rows) } }
      for i in 0..<rows {
        for j in 0..<columns {
          let d = x[i &* stride &+ j] - mean[j]
          m2[j] += d * d
        }
      }
    }
    return Moments(count: rows, mean: mean, m2: m2)
  }
}

extension Matrix where Element == Float {
  /// Mean and sum of squared deviations of each column, in double precision.
  public var columnMoments: Moments {
    var moments = Moments(columns: columns)
    moments.add(self)
    return moments
  }
}
