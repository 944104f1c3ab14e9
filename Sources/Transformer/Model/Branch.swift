import Numerics

/// A norm's weight, and its bias for LayerNorm.
public struct Norm: Sendable {
  public let weight: [Float]
  public let bias: [Float]?
  /// The weight stands in the maps that read it; what is left here are ones.
  public var isFolded = false
}

/// One module of a block in single precision, ready to run:
///
///     x ← x + output(mix(input(norm(x))))     or, where the norm comes last,     x ← x + norm(output(mix(input(x))))
///
/// What was pruned is really gone: the maps are narrower. In a sliced model the stream is turned on the way around the
/// branch, x ← S x + …, and what is left of it stands in the first of its d columns, zeros behind.
public struct Branch: Sendable {
  public let configuration: Configuration
  public let module: Module
  /// The structural units that are here, by their index in the unpruned model, ascending.
  public let units: [Int]
  /// What is left of each of their heads.
  let heads: Heads
  public let norm: Norm
  /// The weights of the norms that queries and keys pass before they are rotated; empty in most families.
  let outputNorms: [LinearRole: [Float]]
  /// The maps that read the normalised stream, stacked so that one product serves them: query, key and value; gate and
  /// up; or up alone.
  public let input: LinearMap
  public let output: LinearMap
  /// S, what the stream passes on its way around the branch; nil where it passes as it is.
  public let shortcut: LinearMap?

  /// What happens between the maps.
  enum Mix {
    /// Causal self-attention over rotated queries and keys.
    case attention
    /// `act(gate) ∘ up`
    case gated(Activation)
    /// `act(up)`
    case ungated(Activation)
    /// Nothing: the output map reads the normalised stream. So a linear map stands for blocks that are gone.
    case passing
  }

  /// Whether nothing is left of it: the residual stream passes as it is.
  public var isAbsent: Bool { output.inputs == 0 && output.bias == nil && shortcut == nil }

  var mix: Mix {
    switch module {
    case _ where units.isEmpty && output.inputs > 0: .passing
    case .attention: .attention
    case .ffn: configuration.family.isGated ? .gated(configuration.activation) : .ungated(configuration.activation)
    }
  }

  /// Columns that the units have in a space, side by side.
  public func columns(_ space: Space) -> Int { configuration.size(space, units: units.count, head: heads.size) }

  /// Rows of `input` (columns of its result) that hold one of its maps; empty when the family lacks it.
  public func rows(of role: LinearRole) -> Range<Int> {
    var start = 0
    for other in configuration.inputRoles(module) {
      let size = columns(other.rows)
      if other == role { return start..<start + size }
      start += size
    }
    return 0..<0
  }

  /// The weights of one linear map, outputs × inputs: a window, not a copy.
  public func weight(_ role: LinearRole) -> Matrix<Float> {
    role == module.output ? output.weight : input.weight.rows(rows(of: role))
  }

  /// The factors of one linear map, nil where it is one matrix.
  func factors(_ role: LinearRole) -> Factors? {
    let (map, roles) = role == module.output ? (output, [role]) : (input, configuration.inputRoles(module))
    guard map.parts.count == roles.count, let part = roles.firstIndex(of: role).map({ map.parts[$0] }) else {
      return nil
    }
    return part.outer.map { Factors(outer: $0.weight, inner: part.inner.weight) }
  }

  /// The bias of one linear map, nil when it has none.
  public func bias(_ role: LinearRole) -> [Float]? {
    if role == module.output { return output.bias }
    let rows = rows(of: role)
    return rows.isEmpty ? nil : input.bias.map { Array($0[rows]) }
  }

  /// The features of `space` that belong to the units at these positions.
  private func features(_ space: Space, _ positions: [Int]) -> [Int] {
    configuration.features(space, of: positions, head: heads.size)
  }

  /// Rows of the stacked input maps that belong to the units at these positions.
  private func inputRows(_ positions: [Int]) -> [Int] {
    configuration.inputRoles(module).flatMap { role in
      let start = rows(of: role).lowerBound
      return features(role.rows, positions).map { start + $0 }
    }
  }
}

// MARK: - Surgery

extension Branch {
  /// This branch without what `pruning` removes, and with its compensation.
  ///
  /// `pruning` speaks of the unpruned model's indices; what is gone already stays gone. A branch that loses all its units
  /// loses the bias of its output map with them: nothing is left of it but the compensation.
  public func pruned(by pruning: BranchPruning) -> Branch {
    if !pruning.factors.isEmpty || !pruning.heads.isWhole {
      var narrowing = pruning
      (narrowing.factors, narrowing.heads) = ([:], HeadPruning())
      return keeping(pruning.heads).factored(by: pruning.factors).pruned(by: narrowing)
    }
    if !pruning.maps.isEmpty {
      var narrowing = pruning
      narrowing.maps = [:]
      return replacing(pruning.maps).pruned(by: narrowing)
    }
    let kept = units.indices.filter { pruning.keep[units[$0]] }
    let left = kept.map { units[$0] }
    if let bridge = pruning.bridge ?? (units.isEmpty && output.inputs > 0 ? output : nil) {
      return Branch(
        configuration: configuration, module: module, units: [], heads: heads, norm: norm, outputNorms: [:],
        input: input.keeping(rows: []),
        output: LinearMap(bridge.weight, bias: sum(bridge.bias, pruning.bias), precision: output.precision),
        shortcut: shortcut)
    }
    var narrowed = output.keeping(columns: features(module.output.columns, kept))
    if let refitted = pruning.weight {
      let space = module.output.columns
      let columns = refitted.keeping(
        originals(space, kept), of: pruning.kept.features(of: configuration.featuresPerUnit(space)))
      narrowed = LinearMap(columns, bias: output.bias, precision: output.precision)
    }
    narrowed.bias = left.isEmpty && !units.isEmpty ? pruning.bias : sum(output.bias, pruning.bias)
    return Branch(
      configuration: configuration, module: module, units: left,
      heads: Heads(
        size: heads.size, pairs: heads.pairs.map { pairs in configuration.keyValueHeads(of: kept).map { pairs[$0] } }),
      norm: norm, outputNorms: outputNorms { weight, space in features(space, kept).map { weight[$0] } },
      input: input.keeping(rows: inputRows(kept)), output: narrowed, shortcut: shortcut)
  }

  /// This branch with two factors in the place of some of its maps.
  private func factored(by factors: [LinearRole: Factors]) -> Branch {
    if factors.isEmpty { return self }
    func part(_ role: LinearRole, _ weight: @autoclosure () -> Matrix<Float>) -> LinearMap.Part {
      let own = factors[role].map { narrowed($0, role) }
      return LinearMap.Part(outer: own?.outer, inner: own?.inner ?? weight(), precision: input.precision)
    }
    let roles = configuration.inputRoles(module)
    let parts =
      roles.contains { factors[$0] != nil } ? roles.map { part($0, input.weight.rows(rows(of: $0))) } : input.parts
    let last = factors[module.output] == nil ? output.parts : [part(module.output, output.weight)]
    return Branch(
      configuration: configuration, module: module, units: units, heads: heads, norm: norm, outputNorms: outputNorms,
      input: LinearMap(parts, bias: input.bias, precision: input.precision),
      output: LinearMap(last, bias: output.bias, precision: output.precision), shortcut: shortcut)
  }

  /// The factors of a map without the rows and columns of units that are not here.
  public func narrowed(_ factors: Factors, _ role: LinearRole) -> Factors {
    changed(factors, role, rows: { $0.gathering(rows: $1) }, columns: { $0.gathering(columns: $1) })
  }

  /// The factors of a map in the rows and columns of the unpruned model.
  public func spread(_ factors: Factors, _ role: LinearRole, layer: Int) -> Factors {
    changed(
      factors, role, rows: { $0.spread(rows: $1, of: configuration.size(role.rows, layer: layer)) },
      columns: { $0.spread(columns: $1, of: configuration.size(role.columns, layer: layer)) })
  }

  /// The factors of a map after a change of the rows and columns that belong to units; it gets the features of those here.
  private func changed(
    _ factors: Factors, _ role: LinearRole, rows: (Matrix<Float>, [Int]) -> Matrix<Float>,
    columns: (Matrix<Float>, [Int]) -> Matrix<Float>
  ) -> Factors {
    Factors(
      outer: role.rows == .model ? factors.outer : rows(factors.outer, originals(role.rows)),
      inner: role.columns == .model ? factors.inner : columns(factors.inner, originals(role.columns)))
  }

  /// A Gram matrix of what a map reads without the inputs of units that are not here.
  public func narrowed(_ gram: Matrix<Double>, _ role: LinearRole) -> Matrix<Double> {
    if role.columns == .model { return gram }
    let own = originals(role.columns)
    return own.count == gram.rows ? gram : gram.gathering(rows: own).gathering(columns: own)
  }

  /// This branch with its query heads as checkpoints have them.
  func inStoredOrder() -> Branch {
    guard module == .attention, let heads = configuration.storedHeads(units: units.count) else { return self }
    return withQueries(heads)
  }

  /// The branch of which this one is what the checkpoint has, its query heads in the order of units.
  func inOrderOfUnits() -> Branch {
    guard module == .attention, let heads = configuration.storedHeads(units: units.count) else { return self }
    return withQueries(heads.indices.sorted { heads[$0] < heads[$1] })
  }

  /// The query heads in another order.
  private func withQueries(_ order: [Int]) -> Branch {
    let queries = order.features(of: heads.size.key)
    return Branch(
      configuration: configuration, module: module, units: units, heads: heads, norm: norm,
      outputNorms: outputNorms { weight, space in space == .queries ? queries.map { weight[$0] } : weight },
      input: input.keeping(rows: queries + Array(queries.count..<input.outputs)),
      output: output.keeping(columns: order.features(of: heads.size.value)), shortcut: shortcut)
  }

  /// This branch at the sizes of one with `count` units of whole heads, zeros where something is missing.
  func spread(to count: Int) -> Branch {
    var rows = 0
    let places = configuration.inputRoles(module).flatMap { role -> [Int] in
      defer { rows += configuration.size(role.rows, units: count) }
      return originals(role.rows).map { rows + $0 }
    }
    return Branch(
      configuration: configuration, module: module, units: Array(0..<count), heads: Heads(configuration), norm: norm,
      outputNorms: outputNorms { weight, space in
        var whole = [Float](repeating: 0, count: configuration.size(space, units: count))
        for (value, place) in zip(weight, originals(space)) { whole[place] = value }
        return whole
      },
      input: input.spread(rows: places, of: rows), output: spreadOutput(to: count),
      shortcut: shortcut)
  }

  /// The norms of queries and keys after their heads changed; one that all heads share stays as it is.
  private func outputNorms(_ change: ([Float], Space) -> [Float]) -> [LinearRole: [Float]] {
    guard configuration.family.queryKeyNorm == .acrossHeads else { return outputNorms }
    return Dictionary(uniqueKeysWithValues: outputNorms.map { ($0, change($1, $0.rows)) })
  }

  /// The weights of the output map in the columns of `count` units, zeros where one is missing: d × columns.
  public func outputWeight(of count: Int) -> Matrix<Float> { spreadOutput(to: count).weight }

  private func spreadOutput(to count: Int) -> LinearMap {
    let space = module.output.columns
    return output.spread(columns: originals(space), of: configuration.size(space, units: count))
  }
}

/// Two biases that are both added; nil when there is none.
public func sum(_ first: [Float]?, _ second: [Float]?) -> [Float]? {
  guard let first, let second else { return first ?? second }
  return zip(first, second).map(+)
}
