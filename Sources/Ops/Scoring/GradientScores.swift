import Kernel
import Numerics
import Transformer

/// What is made of gradients.
enum GradientCriterion: Equatable {
  /// Of those by weights.
  case weights(SaliencyRule)
  /// The derivative by a gate on each unit.
  case gate
  /// What rows and columns of a Kronecker-factored curvature cost.
  case kronecker

  /// Whether whole blocks are scored, too.
  var scoresBlocks: Bool { if case .weights = self { true } else { false } }
}

/// Scores of units and blocks, filled by what a backward pass shows branch by branch.
struct GradientScores {
  /// Of curvature, relative to its mean diagonal: LLM Surgeon's.
  static let damping = 0.01

  let sequences: Sequences
  let criterion: GradientCriterion
  let structure: Structure
  private(set) var score: PerUnit<Double>
  private(set) var block: [Double]

  init(structure: Structure, sequences: Sequences, criterion: GradientCriterion) {
    self.structure = structure
    self.sequences = sequences
    self.criterion = criterion
    score = PerUnit { structure.units[$0].map { Array(repeating: .nan, count: $0) } }
    block = Array(repeating: 0, count: structure.layers)
  }

  mutating func add(_ shown: BranchGradient) throws {
    let module = shown.branch.module
    let found: [Double]
    switch criterion {
    case .weights(let rule):
      found = try weights(shown, rule)
      let norm =
        shown.branch.norm.isFolded
        ? 0 : normSaliency(rule, products: windows(shown.scaledNorm, shown.norm.gradient))
      block[shown.layer] += found.reduce(norm, +)
    case .kronecker:
      found = try removalCosts(shown)
    case .gate:
      let width = shown.branch.featuresPerUnit(module.output.columns)
      found = (0..<sequences.count).map { window in
        let rows = sequences[window]
        return gateDerivatives(shown.mixed.rows(rows), gradient: shown.mixedGradient.rows(rows), width: width)
      }.reduce([Double](repeating: 0, count: shown.branch.units.count)) { zip($0, $1).map(+) }
      try requireNumbers(found, "the heads or neurons", shown.layer)
    }
    for (unit, value) in zip(shown.branch.units, found) { score[module]?[shown.layer][unit] = value }
  }

  /// The saliency of every unit of the branch.
  private func weights(_ shown: BranchGradient, _ rule: SaliencyRule) throws -> [Double] {
    try unitSums(shown) { role in
      let (X, dY) = shown.signals(role)
      let (gradient, squares) = gradients(X, dY, needsSquares: rule.needsSquares)
      return saliency(
        rule, shown.branch.weight(role), gradient: gradient, squares: squares,
        of: role.rows == .model ? .columns : .rows)
    }
  }

  /// What the loss rises by without the rows and columns of every unit, each of them by itself.
  private func removalCosts(_ shown: BranchGradient) throws -> [Double] {
    let branch = shown.branch
    var grams = BranchGrams(branch, layer: shown.layer)
    grams.add(shown)
    return try unitSums(shown) { role in
      let map = try grams.map(role, of: branch, layer: shown.layer, damping: Self.damping)
      let weight = branch.weight(role)
      var lines = [Double](repeating: 0, count: role.rows == .model ? weight.columns : weight.rows)
      let (live, costs) = role.rows == .model ? (map.columns, map.columnCosts) : (map.rows, map.rowCosts)
      for (line, cost) in zip(live, costs) { lines[line] = cost }
      return lines
    }
  }

  /// A number for every unit of the branch: the sum over its rows or columns in all maps.
  private func unitSums(_ shown: BranchGradient, lines: (LinearRole) throws -> [Double]) throws -> [Double] {
    let branch = shown.branch
    return try BranchGrams.roles(branch).reduce([Double](repeating: 0, count: branch.units.count)) { sums, role in
      let lines = try lines(role)
      try requireNumbers(lines, role.rawValue, shown.layer)
      let width = branch.featuresPerUnit(role.rows == .model ? role.columns : role.rows)
      // Keys and values that all units share belong to none.
      return width == 0 ? sums : zip(sums, summed(lines, by: width)).map(+)
    }
  }

  /// g = (1/N) Σ dYᵢᵀ Xᵢ over the N windows, and, where it is needed, (1/N) Σ (dYᵢᵀ Xᵢ)².
  private func gradients(
    _ X: Matrix<Float>, _ dY: Matrix<Float>, needsSquares: Bool
  ) -> (gradient: Matrix<Float>, squares: Matrix<Float>?) {
    let gradient = Matrix<Float>(rows: dY.columns, columns: X.columns)
    let share = 1 / Float(sequences.count)
    multiply(dY.T, X, into: gradient, alpha: share)
    guard needsSquares else { return (gradient, nil) }
    let squares = Matrix<Float>(rows: dY.columns, columns: X.columns)
    let one = Matrix<Float>(rows: dY.columns, columns: X.columns)
    for window in 0..<sequences.count {
      multiply(dY.rows(sequences[window]).T, X.rows(sequences[window]), into: one)
      addSquares(of: one, times: share, to: squares)
    }
    return (gradient, squares)
  }

  /// Σ over each window's tokens of the products, one row per window.
  private func windows(_ a: Matrix<Float>, _ b: Matrix<Float>) -> [[Double]] {
    (0..<sequences.count).map { columnProducts(a.rows(sequences[$0]), b.rows(sequences[$0])) }
  }

  private func requireNumbers(_ values: [Double], _ place: String, _ layer: Int) throws {
    guard values.allSatisfy(\.isFinite) else {
      throw Diagnostic("the gradient of \(place) in block \(layer) is not finite", argument: "model")
    }
  }
}

private func addSquares(of A: Matrix<Float>, times factor: Float, to sums: Matrix<Float>) {
  let chunks = Parallel.ranges(A.count, of: 1 << 16)
  A.withUnsafePointer { a, _ in
    sums.withUnsafeMutablePointer { s, _ in
      nonisolated(unsafe) let (a, s) = (a, s)
      Parallel.forEach(chunks.count) { for i in chunks[$0] { s[i] += factor * a[i] * a[i] } }
    }
  }
}
