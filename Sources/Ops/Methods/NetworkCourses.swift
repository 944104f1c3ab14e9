import Numerics

// How networks come and go over a text. S holds the maps of k networks over N signals, Z the standardised signals of T
// tokens.

/// The course of every network: dual regression (Beckmann et al. 2009),
///
///     A = Z Sᵀ (S Sᵀ)⁺
///
/// With the maps of group ICA, whose rows are nearly orthogonal, this is Z Sᵀ / N.
///
/// - Parameters:
///   - Z: T×N.
///   - S: k×N.
/// - Returns: T×k.
package func networkCourses(_ Z: ScaledSignals, maps S: Matrix<Double>) throws -> Matrix<Double> {
  precondition(Z.columns == S.columns, "\(Z.columns) signals and maps of \(S.columns)")
  let products = Matrix<Double>(rows: Z.rows, columns: S.rows)
  for columns in Z.tiles {
    products.add(Matrix<Double>(Z.tile(columns) * Matrix<Float>(S.columns(columns)).T))
  }
  return products * (try pseudoInverse(S * S.T))
}

/// A⁺ of a symmetric positive semi-definite matrix; eigenvalues at or below 1e-10 of the largest count as zero.
package func pseudoInverse(_ A: Matrix<Double>) throws -> Matrix<Double> {
  let root = try inverseSquareRoot(A, floor: 1e-10)
  return root * root
}

/// The maps with the units in another order, all signals of a unit together.
///
/// - Parameters:
///   - S: k×N, N = halves · units.
///   - order: of the units.
package func permuted(_ S: Matrix<Double>, halves: Int, order: [Int]) -> Matrix<Double> {
  S.gathering(columns: (0..<halves).flatMap { half in order.map { half * order.count + $0 } })
}

/// 1 or -1: the sign with which a course has positive skewness, so that its events are its peaks.
package func pole(_ course: [Double]) -> Double {
  let center = mean(course)
  return course.reduce(0) { $0 + ($1 - center) * ($1 - center) * ($1 - center) } < 0 ? -1 : 1
}

/// Which units a network is made of.
package enum KeyRule: Sendable, Hashable {
  /// The share of the units with the largest |z| over all signals: ⌈share · n⌉, ties by index. Every network has some.
  case share(Double)
  /// |z| above a threshold in any signal; a network may have none.
  case threshold(Double)

  /// - Parameter z: N values of one network, N = halves · units.
  /// - Returns: places of units, the largest |z| first.
  package func units(of z: [Double], halves: Int) -> [Int] {
    let n = z.count / halves
    let size = (0..<n).map { unit in (0..<halves).reduce(0.0) { max($0, abs(z[$1 * n + unit])) } }
    let order = argsort(size, descending: true)
    switch self {
    case .share(let share): return Array(order.prefix(Int((share * Double(n)).rounded(.up))))
    case .threshold(let threshold): return order.filter { size[$0] > threshold }
    }
  }
}
