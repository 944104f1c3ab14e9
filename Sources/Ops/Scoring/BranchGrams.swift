import Kernel
import Numerics
import Transformer

/// Sums over tokens of a aᵀ and g gᵀ for every linear map of a branch: what each reads, and the derivative by what it gives.
struct BranchGrams {
  /// Of what the input maps read, and of what the output map does; with a 1 behind where one of them adds a bias.
  private let inputs: (normalized: Matrix<Double>, mixed: Matrix<Double>)
  private let outputs: [LinearRole: Matrix<Double>]
  private let biased: Set<LinearRole>
  private var tokens = 0

  init(_ branch: Branch, layer: Int) {
    let roles = BranchGrams.roles(branch)
    let biased = Set(roles.filter { branch.isBiased($0, layer: layer) })
    func square(_ size: Int) -> Matrix<Double> { Matrix(rows: size, columns: size) }
    let output = branch.module.output
    inputs = (
      square(branch.input.inputs + (biased.subtracting([output]).isEmpty ? 0 : 1)),
      square(branch.output.inputs + (biased.contains(output) ? 1 : 0))
    )
    outputs = Dictionary(
      uniqueKeysWithValues: roles.map { role in
        (role, square(role == output ? branch.output.outputs : branch.rows(of: role).count))
      })
    self.biased = biased
  }

  /// The linear maps of a branch, the output map last.
  static func roles(_ branch: Branch) -> [LinearRole] {
    branch.configuration.inputRoles(branch.module) + [branch.module.output]
  }

  /// Adds the tokens that the backward pass shows.
  mutating func add(_ shown: BranchGradient) {
    tokens += shown.mixed.rows
    sum(shown.normalized, into: inputs.normalized)
    sum(shown.mixed, into: inputs.mixed)
    for (role, gram) in outputs { sum(shown.signals(role).gradient, into: gram) }
  }

  private func sum(_ X: Matrix<Float>, into gram: Matrix<Double>) {
    for rows in Parallel.ranges(X.rows, of: 2048) {
      var part = X.rows(rows)
      if gram.rows > X.columns {
        part = Matrix<Float>(rows: rows.count, columns: X.columns + 1)
        part.columns(0..<X.columns).assign(X.rows(rows))
        for i in 0..<rows.count { part[i, X.columns] = 1 }
      }
      accumulateGram(part, into: gram)
    }
  }

  /// One of the branch's maps with its curvature.
  ///
  /// - Throws: `Diagnostic` naming map and block.
  func map(_ role: LinearRole, of branch: Branch, layer: Int, damping: Double) throws -> KroneckerMap {
    let isBiased = biased.contains(role)
    var W = Matrix<Double>(branch.weight(role))
    if isBiased, let bias = branch.bias(role) {
      let wide = Matrix<Double>(rows: W.rows, columns: W.columns + 1)
      wide.columns(0..<W.columns).assign(W)
      for (i, value) in bias.enumerated() { wide[i, W.columns] = Double(value) }
      W = wide
    }
    let A = (role == branch.module.output ? inputs.mixed : inputs.normalized).rows(0..<W.columns).columns(0..<W.columns)
    let share = 1 / Double(max(tokens, 1))
    return try at("\(role.rawValue) of block \(layer)") {
      try KroneckerMap(
        W, isBiased: isBiased, outputs: share * (outputs[role] ?? Matrix(rows: 0, columns: 0)), inputs: share * A,
        damping: damping)
    }
  }
}

extension LanguageModel {
  /// `BranchGrams` of one branch at a time, and what its widest map is judged with.
  var curvatureBytes: Int {
    let branches = (0..<layers).map { layer in
      let grams = mapGramBytes(layer: layer)
      return max(grams.attention, grams.ffn)
    }
    return (branches.max() ?? 0) + kroneckerMapBytes
  }

  /// `KroneckerMap` of the widest map of all: curvature as it is given, of live lines and inverted, and W some times over.
  var kroneckerMapBytes: Int {
    let maps = (0..<layers).flatMap { layer in
      configuration.roles.map { role in
        let (m, n) = (configuration.size(role.rows, layer: layer), configuration.size(role.columns, layer: layer))
        return 4 * (m * m + n * n + m * n)
      }
    }
    return (maps.max() ?? 0) * MemoryLayout<Double>.stride
  }
}
