import Numerics

// The LLM Surgeon (van der Ouderaa et al. 2024). The loss is quadratic around the weights of a linear map y = W a, with the
// Kronecker-factored curvature of KFAC (Martens and Grosse 2015):
//
//     F ≈ G ⊗ A        A = E a aᵀ        G = E g gᵀ        g = ∂L/∂y
//
// E is over all tokens. A bias is a weight of an input that is always 1. Without row i, or column j, and with the others
// adapted to it, the loss rises by
//
//     ½ w_i A w_iᵀ / (G⁻¹)_ii        ½ w_jᵀ G w_j / (A⁻¹)_jj
//
// One threshold θ on these decides for all rows and columns of all maps. What stays makes up for what goes:
//
//     ΔW = −(G⁻¹)_:R ((G⁻¹)_RR)⁻¹ W_R        ΔW = −W_C ((A⁻¹)_CC)⁻¹ (A⁻¹)_C:
//
// The second is OBC's refit (OptimalBrain, a) with H = A, the first the same of Wᵀ with H = G. Both start from one W and are
// added. Curvature changes as weights go, so that all this is done in several shots, each with curvature of its own.

/// Why nothing could be taken out.
package enum SurgeryError: Error, Equatable, CustomStringConvertible {
  case notFinite
  case noInverse(OptimalBrainError)
  case tooFewLines

  package var description: String {
    switch self {
    case .notFinite: "the gradient is not finite"
    case .noInverse(let error): "\(error)"
    case .tooFewLines: "not so many weights can go: every map keeps a row and a column at least"
    }
  }
}

/// A linear map with the curvature of the loss by its weights, without what is dead: rows of zeros, or whose output the loss
/// does not feel (G_ii = 0), and columns of zeros, or whose input is never other than zero (A_jj = 0).
package struct KroneckerMap: Sendable {
  /// The rows that live, ascending.
  package let rows: [Int]
  /// The columns that live, ascending; that of the bias is none of them.
  package let columns: [Int]
  /// W in them, and the bias behind.
  private let W: Matrix<Double>
  private let curvature: (G: Curvature, A: Curvature)?
  private let shape: (rows: Int, columns: Int)

  /// - Parameters:
  ///   - W: m×n, or m×(n+1) with the bias as its last column.
  ///   - G: m×m.
  ///   - A: as wide as W, what the 1 that bears the bias has to do with the others included.
  ///   - damping: relative to the mean diagonals, in the inverses only.
  package init(
    _ W: Matrix<Double>, isBiased: Bool, outputs G: Matrix<Double>, inputs A: Matrix<Double>, damping: Double
  ) throws {
    precondition(G.rows == W.rows && A.rows == W.columns, "curvature \(G.shape), \(A.shape) of \(W.shape)")
    let (outputs, inputs) = (G.diagonal, A.diagonal)
    guard outputs.allSatisfy(\.isFinite), inputs.allSatisfy(\.isFinite) else { throw SurgeryError.notFinite }
    let inputCount = W.columns - (isBiased ? 1 : 0)
    let (lengths, widths) = (columnNorms(W.T), columnNorms(W))
    let rows = (0..<W.rows).filter { lengths[$0] > 0 && outputs[$0] > 0 }
    let columns = (0..<inputCount).filter { widths[$0] > 0 && inputs[$0] > 0 }
    let places = columns + (isBiased ? [inputCount] : [])
    self.rows = rows
    self.columns = columns
    shape = (W.rows, W.columns)
    self.W = W.gathering(rows: rows).gathering(columns: places)
    func damped(_ H: Matrix<Double>, _ lines: [Int]) throws -> Curvature {
      do {
        return try Ops.curvature(of: H.gathering(rows: lines).gathering(columns: lines), damping: damping)
      } catch let error as OptimalBrainError { throw SurgeryError.noInverse(error) }
    }
    curvature = rows.isEmpty || columns.isEmpty ? nil : (try damped(G, rows), try damped(A, places))
  }

  /// What the loss rises by without each of `rows`: ½ w_i A w_iᵀ / (G⁻¹)_ii.
  package var rowCosts: [Double] {
    curvature.map { costs(W.T.copy(), $0.A, inverse: $0.G) } ?? rows.map { _ in 0 }
  }

  /// What the loss rises by without each of `columns`: ½ w_jᵀ G w_j / (A⁻¹)_jj.
  package var columnCosts: [Double] {
    curvature.map { Array(costs(W, $0.G, inverse: $0.A).prefix(columns.count)) } ?? columns.map { _ in 0 }
  }

  /// ½ w_jᵀ H w_j / (J⁻¹)_jj for every column of W.
  private func costs(_ W: Matrix<Double>, _ H: Curvature, inverse J: Curvature) -> [Double] {
    zip(columnProducts(W, H.gram * W), J.inverse.diagonal).map { $0 / $1 / 2 }
  }

  /// W without some rows and columns, the others adapted; zeros where something is gone or dead.
  ///
  /// - Parameters:
  ///   - R: places in `rows`; at least one row stays.
  ///   - C: places in `columns`.
  ///   - together: how many are made up for together, the others beside them as if they stayed; nil for all.
  package func without(rows R: [Int], columns C: [Int], together: Int? = nil) throws -> Matrix<Double> {
    func chunks(_ lines: [Int]) -> [[Int]] {
      Parallel.ranges(lines.count, of: max(1, min(together ?? .max, lines.count))).map { Array(lines[$0]) }
    }
    let (adapted, WT) = (W.copy(), W.T.copy())
    if let curvature {
      for chunk in chunks(R) { adapted.add((try refit(WT, removed: chunk, curvature.G) - WT).T) }
      for chunk in chunks(C) { adapted.add(try refit(W, removed: chunk, curvature.A) - W) }
    }
    let result = Matrix<Double>(rows: shape.rows, columns: shape.columns)
    let places = columns + (W.columns > columns.count ? [shape.columns - 1] : [])
    let (goneRows, goneColumns) = (Set(R), Set(C))
    for (k, i) in rows.enumerated() where !goneRows.contains(k) {
      for (l, j) in places.enumerated() where !goneColumns.contains(l) { result[i, j] = adapted[k, l] }
    }
    return result
  }
}

/// What goes of one map: places among its rows and among its columns.
package struct RemovedLines: Sendable, Equatable {
  package var rows: [Int] = []
  package var columns: [Int] = []
}

/// The cheapest rows and columns of all maps together, by one threshold: as many as leave `weights` or more in what is left
/// of rows times what is left of columns. A map keeps one of each. Of equals the earlier map goes first, rows before
/// columns, the lower index first.
///
/// - Parameter costs: of the rows and columns of each map.
package func cheapestLines(
  _ costs: [(rows: [Double], columns: [Double])], leaving weights: Double
) throws(SurgeryError) -> [RemovedLines] {
  struct Line {
    let cost: Double
    let map: Int
    let isColumn: Bool
    let index: Int
  }
  let lines = costs.enumerated().flatMap { map, costs in
    costs.rows.enumerated().map { Line(cost: $1, map: map, isColumn: false, index: $0) }
      + costs.columns.enumerated().map { Line(cost: $1, map: map, isColumn: true, index: $0) }
  }.sorted {
    ($0.cost, $0.map, $0.isColumn ? 1 : 0, $0.index) < ($1.cost, $1.map, $1.isColumn ? 1 : 0, $1.index)
  }
  var removed = costs.map { _ in RemovedLines() }
  var left = costs.map { (rows: $0.rows.count, columns: $0.columns.count) }
  var total = left.reduce(0) { $0 + $1.rows * $1.columns }
  for line in lines {
    let (rows, columns) = left[line.map]
    guard line.isColumn ? columns > 1 : rows > 1 else { continue }
    let lost = line.isColumn ? rows : columns
    // Half a weight for what rounding makes of a rate.
    guard Double(total - lost) >= weights - 0.5 else { return removed.map(\.ascending) }
    total -= lost
    if line.isColumn {
      left[line.map].columns -= 1
      removed[line.map].columns.append(line.index)
    } else {
      left[line.map].rows -= 1
      removed[line.map].rows.append(line.index)
    }
  }
  guard Double(total) <= weights else { throw SurgeryError.tooFewLines }
  return removed.map(\.ascending)
}

extension RemovedLines {
  fileprivate var ascending: RemovedLines { RemovedLines(rows: rows.sorted(), columns: columns.sorted()) }
}
