import Kernel
import Numerics
import Transformer

/// How the outputs that removed units no longer give are made up for.
enum Compensation: String, Choice {
  /// Nothing is added.
  case none
  /// The mean of what the removed inputs contributed is added as a bias (FLAP; FANG eq. 13).
  case bias
  /// What remains is refitted by least squares (OBC; FANG eq. 10).
  case ls
  /// A linear map of the residual stream stands for neighbouring blocks that go (LLM-Streamline's replacement, in closed
  /// form).
  case linear

  var meaning: String {
    switch self {
    case .none: "nothing is added"
    case .bias: "the mean of what the removed inputs contributed (FLAP)"
    case .ls: "the weights that stay are refitted by least squares (OBC)"
    case .linear: "a linear map of the residual stream stands for neighbouring blocks that go (LLM-Streamline)"
    }
  }
}

extension Compensation {
  /// Bytes at the peak of a refit of a d×n map: the Gram matrix with its factor and its inverse, and the map in double
  /// precision; then rows of the inverse, and the map with what goes and what stays of it.
  static func refitBytes(d: Int, n: Int, removed: Int) -> Int {
    let (square, map, M) = (8 * n * n, 8 * d * n, min(removed, n / 2))
    return max(3 * square + map, 2 * square + 4 * map + 16 * n * M + 8 * M * M)
  }

  /// Bytes of refitted maps, of which all are kept until the end.
  static func refittedBytes(_ network: LanguageModel) -> Int {
    network.configuration.hiddenSize * 4
      * (0..<network.layers).reduce(0) { sum, layer in
        Module.allCases.reduce(sum) { $0 + network.size(of: $1.output, layer: layer).columns }
      }
  }
}

extension BranchPruning {
  /// Adds the compensation for what this pruning removes of a module. Where no unit stays there is nothing to refit, and
  /// the bias of the output map, which goes too, is a part of what the module added.
  ///
  /// - Parameters:
  ///   - block: the block before this pruning.
  ///   - cross: X X̃ᵀ of what the map read in the dense model and what was captured; then refits aim at the dense outputs.
  ///   - part: what was captured of its input.
  ///   - grouping: refits stay inside these groups.
  mutating func compensate(
    _ module: Module, _ how: Compensation, of block: Block, part: LayerActivations, grouping: Criterion.Grouping?,
    damping: Double, isCentered: Bool = false, cross: Matrix<Double>? = nil, structure: Structure,
    _ context: any RunContext
  ) throws {
    let removed = structure.columns(module, of: self.removed)
    guard !removed.isEmpty else { return }
    let W = block.outputWeight(module)
    let leavesNone = structure.left(module, layer: part.layer).allSatisfy { !keep[$0] }
    switch how {
    case .none, .linear: return
    case .ls where leavesNone && !isCentered: return
    case .bias,
      .ls where leavesNone:
      let moments = try part.kept(\.moments, .moments)
      let mean = compensation(W: W, removed: removed, mean: moments.mean).map { Float($0) }
      bias = leavesNone ? sum(mean, block[module].output.bias) : mean
    case .ls:
      let fitted = try refitted(W, removed, module, part, grouping, damping, isCentered, cross, context)
      if isCentered, let mean = part.moments?.mean {
        bias = centeringBias(Matrix<Double>(W), fitted, mean: mean).map { Float($0) }
      }
      let gone = Set(removed)
      weight = Matrix<Float>(fitted.gathering(columns: (0..<W.columns).filter { !gone.contains($0) }))
    }
  }

  private func refitted(
    _ W: Matrix<Float>, _ removed: [Int], _ module: Module, _ part: LayerActivations, _ grouping: Criterion.Grouping?,
    _ damping: Double, _ isCentered: Bool, _ cross: Matrix<Double>?, _ context: any RunContext
  ) throws -> Matrix<Double> {
    let wide = Matrix<Double>(W)
    return try at("\(module.site.rawValue) of layer \(part.layer)", argument: "acts") {
      if let grouping {
        let grams = try part.kept(\.groupGrams, .gram).load()
        return try refitWithinGroups(
          wide, groups: grouping.members, removed: removed,
          gram: { try weightedGram($0, grams[$0], grouping, part: part, layer: part.layer) }, damping: damping)
      }
      var gram = try part.kept(\.gram, .gram).load()
      if isCentered {
        let moments = try part.kept(\.moments, .moments)
        gram = centered(gram, mean: moments.mean, tokens: moments.count)
      }
      let H = try damped(gram, damping, layer: part.layer, context)
      if let cross { return try refit(wide, removed: removed, gram: gram, lambda: H.lambda, cross: cross) }
      return try refit(wide, removed: removed, H)
    }
  }
}

extension BranchPruning {
  /// Bias and refitted weights in one row, behind the sizes of both, -1 for none; for other ranks.
  var compensationNumbers: [Float] {
    [Float(bias?.count ?? -1), Float(weight?.rows ?? -1), Float(weight?.columns ?? -1)] + (bias ?? [])
      + (weight?.values ?? [])
  }

  /// Takes the first of `numbers`, as `compensationNumbers` gives them, which loses them.
  mutating func takeCompensation(from numbers: inout ArraySlice<Float>) {
    func next(_ count: Int) -> [Float] {
      defer { numbers = numbers.dropFirst(count) }
      return Array(numbers.prefix(count))
    }
    let sizes = next(3).map { Int($0) }
    if sizes[0] >= 0 { bias = next(sizes[0]) }
    if sizes[1] >= 0 {
      weight = Matrix(rows: sizes[1], columns: sizes[2], values: next(sizes[1] * sizes[2]))
    }
  }
}
