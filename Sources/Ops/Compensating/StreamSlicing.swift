import Kernel
import Numerics
import Transformer

/// Finds the bases in which the residual stream of a model is sliced.
struct StreamSlicing {
  let network: LanguageModel
  let sequences: Sequences
  /// d', the directions that stay.
  let width: Int
  let context: any RunContext

  /// A basis for each branch, of the stream that went through the sliced branches before it.
  func own() throws -> Slicing {
    var bases: [Matrix<Float>] = []
    try visit(
      save: { try Slicing(bases: bases).write(to: $0) }, restore: { bases = try Slicing(from: $0)?.bases ?? [] }
    ) { walk in
      let block = try network.loadBlock(walk.layer)
      for module in Module.allCases {
        let Q = try basis(of: try gram(of: walk.states))
        bases.append(Q)
        walk.states.turn(into: Q)
        try walk.run(
          module, of: block.slicing(module, to: Q), advancing: true, pulse: { _ in try context.checkCancelled() })
      }
    }
    return Slicing(bases: bases)
  }

  /// One basis for the streams that enter all branches, and for the one that leaves the last, of the model as it is.
  func shared() throws -> Slicing {
    let d = network.configuration.hiddenSize
    var pooled = Matrix<Double>(rows: d, columns: d)
    try visit(
      save: { try $0.array("gram", pooled.values, shape: [d, d], axes: ["d_model", "d_model_2"], meaning: "") },
      restore: { pooled = Matrix(rows: d, columns: d, values: try $0.array("gram", as: Double.self)) }
    ) { walk in
      let block = try network.loadBlock(walk.layer)
      for module in Module.allCases {
        pooled.add(try gram(of: walk.states))
        try walk.run(module, of: block, advancing: true, pulse: { _ in try context.checkCancelled() })
      }
      if walk.layer == network.layers { pooled.add(try gram(of: walk.states)) }
    }
    return Slicing(bases: [try basis(of: pooled)])
  }

  /// Bytes at the peak, beside a walk: the bases, and either a covariance with its eigenvectors and what they are rounded to,
  /// or a branch in the basis and the stream on its way around it.
  static func bytes(_ network: LanguageModel, _ sequences: Sequences, width: Int, isShared: Bool) -> Int {
    let (configuration, d) = (network.configuration, network.configuration.hiddenSize)
    let search = 8 * d * d + max(leadingEigenBytes(d, width), 20 * d * width)
    if isShared { return max(16 * d * d, search) }
    let bases = 4 * d * width * Module.allCases.count * configuration.layers
    let branches = (0..<configuration.layers).flatMap { layer in
      Module.allCases.map { module in
        let roles = configuration.roles.filter { $0.module == module }
        return roles.reduce(0) { sum, role in
          let (m, n) = network.size(of: role, layer: layer)
          return sum + (role == module.output ? m * n : m * width)
        }
      }
    }
    let turned = min(sequences.tokens.count, max(1024, sequences.longest)) * d
    return bases + max(search, 4 * ((branches.max() ?? 0) + 2 * d * width + d * d + turned))
  }

  private func basis(of gram: Matrix<Double>) throws -> Matrix<Float> {
    try context.checkCancelled()
    return try streamBasis(gram: gram, tokens: sequences.tokens.count, width: width)
  }

  /// Σ x xᵀ over all tokens, without the mean that the norms of some families subtract.
  private func gram(of states: Matrix<Float>) throws -> Matrix<Double> {
    if network.configuration.family.normalization == .layer { states.subtractRowMeans() }
    let gram = GramSum(columns: states.columns, ranks: context.ranks)
    for rows in Parallel.ranges(states.rows, of: 2048) { gram.add(states.rows(rows)) }
    return try gram.total()
  }

  private func visit(
    save: @escaping (any ArtifactWriter) throws -> Void, restore: @escaping (any ArtifactReader) throws -> Void,
    _ body: (Walk) throws -> Void
  ) throws {
    var walk = ResumableWalk(network: network, sequences: sequences, context: context)
    walk.findings = .init(save: save, restore: { saved, _ in try restore(saved) })
    let layers = Array(0..<network.layers)
    try walk.visit(layers, of: layers, pulse: { _ in }) { walk in
      try context.progress(walk.layer, of: network.layers, "layer")
      try body(walk)
    }
  }
}
