import Numerics

extension LanguageModel {
  /// One block in single precision, pruned.
  ///
  /// - Throws: an error naming the tensor when a weight is NaN or infinite.
  public func loadBlock(_ layer: Int) throws -> Block { try loadBlock(layer, without: []) }

  /// The same as if nothing were left of some of its branches; their weights are not read.
  public func loadBlock(_ layer: Int, without gone: [Module]) throws -> Block {
    let block = Block(
      configuration: configuration, layer: layer,
      branches: try PerModule { module in
        if gone.contains(module) { return try emptyBranch(module, layer) }
        guard let pruning = pruning[layer]?[module] else { return try wholeBranch(module, layer) }
        let branch = pruning.removesAll ? try emptyBranch(module, layer) : try wholeBranch(module, layer)
        return branch.pruned(by: pruning)
      })
    return pruning.slicing.map(block.sliced) ?? block
  }

  /// One block of the unpruned model.
  func loadWholeBlock(_ layer: Int) throws -> Block {
    Block(configuration: configuration, layer: layer, branches: try PerModule { try wholeBranch($0, layer) })
  }

  private func wholeBranch(_ module: Module, _ layer: Int) throws -> Branch {
    let input = configuration.inputRoles(module)
    return Branch(
      configuration: configuration, module: module, units: Array(0..<configuration.units(module, layer: layer)),
      heads: module == .attention ? configuration.heads(layer: layer) : Heads(configuration),
      norm: try norm(module, layer), outputNorms: try outputNorms(input, layer), input: try map(input, layer),
      output: try map([module.output], layer), shortcut: try shortcut(module, layer)
    ).inOrderOfUnits()
  }

  /// A branch of which no unit is left: its weights need not be read.
  private func emptyBranch(_ module: Module, _ layer: Int) throws -> Branch {
    let widths = configuration.streamWidths(module, layer: layer)
    return Branch(
      configuration: configuration, module: module, units: [], heads: Heads(configuration),
      norm: try norm(module, layer), outputNorms: [:],
      input: LinearMap(Matrix(rows: 0, columns: widths.entering), bias: nil, precision: precision),
      output: LinearMap(Matrix(rows: widths.leaving, columns: 0), bias: nil, precision: precision),
      shortcut: try shortcut(module, layer))
  }

  /// The weights of the norms that some of the maps' outputs pass.
  private func outputNorms(_ roles: [LinearRole], _ layer: Int) throws -> [LinearRole: [Float]] {
    var norms: [LinearRole: [Float]] = [:]
    for role in roles { norms[role] = try layout.norm(role, layer).map { try vector($0 + ".weight") } }
    return norms
  }

  /// The norm of a branch; the maps that read a turned stream have its weight in them.
  private func norm(_ module: Module, _ layer: Int) throws -> Norm {
    guard configuration.streamWidth != nil else { return try norm(layout.norm(module, layer)) }
    return Norm(weight: Array(repeating: 1, count: configuration.hiddenSize), bias: nil, isFolded: true)
  }

  /// The map that turns the stream on its way around a branch; nil where it passes as it is.
  private func shortcut(_ module: Module, _ layer: Int) throws -> LinearMap? {
    guard configuration.streamWidth != nil else { return nil }
    return LinearMap(try matrix(layout.shortcut(module, layer)), bias: nil, precision: precision)
  }

  func norm(_ name: String) throws -> Norm {
    Norm(
      weight: try vector(name + ".weight"),
      bias: configuration.family.normalization == .layer ? try vector(name + ".bias") : nil)
  }

  /// `roles` stacked: one matrix, or a part each where some are two factors.
  private func map(_ roles: [LinearRole], _ layer: Int) throws -> LinearMap {
    let bias = try bias(roles, layer)
    let ranks = configuration.blocks[layer].ranks
    guard roles.contains(where: { ranks[$0] != nil }) else {
      return LinearMap(try weights(roles, layer), bias: bias, precision: precision)
    }
    let parts = try roles.map { role in
      guard ranks[role] != nil, let stored = configuration.family.linear(role) else {
        return LinearMap.Part(inner: try weights([role], layer), precision: precision)
      }
      let (inner, outer) = (layout.tensors(stored, layer)[0], layout.tensors(stored, layer)[1])
      return LinearMap.Part(outer: try matrix(outer), inner: try matrix(inner), precision: precision)
    }
    return LinearMap(parts, bias: bias, precision: precision)
  }

  /// A tensor of two axes.
  private func matrix(_ name: String) throws -> Matrix<Float> {
    let stored = try checkpoint.info(ByteString(name))
    return try Matrix(rows: stored.rows, columns: stored.columns) {
      try read(name, rows: 0..<stored.rows, columns: stored.columns, into: $0)
    }
  }

  /// `roles` stacked, outputs × inputs.
  private func weights(_ roles: [LinearRole], _ layer: Int) throws -> Matrix<Float> {
    let sizes = roles.map { configuration.rows(of: $0, layer: layer) }
    let columns = configuration.columns(of: roles[0], layer: layer)
    return try Matrix(rows: sizes.reduce(0, +), columns: columns) { buffer in
      var start = 0
      for (role, size) in zip(roles, sizes) {
        guard let stored = configuration.family.linear(role) else { continue }
        let part = UnsafeMutableBufferPointer(rebasing: buffer[start..<start + size * columns])
        try read(
          layout.tensors(stored, layer)[0], rows: layout.rows(of: role, in: stored, layer: layer),
          columns: columns, into: part)
        start += size * columns
      }
    }
  }

  /// The biases of `roles` stacked; zeros for a map without one, nil when none has one.
  private func bias(_ roles: [LinearRole], _ layer: Int) throws -> [Float]? {
    let biased = configuration.blocks[layer].biases
    guard roles.contains(where: biased.contains) else { return nil }
    return try roles.flatMap { role -> [Float] in
      guard biased.contains(role), let stored = configuration.family.linear(role) else {
        return Array(repeating: 0, count: configuration.rows(of: role, layer: layer))
      }
      let all = try vector(layout.bias(stored, layer))
      return Array(all[layout.rows(of: role, in: stored, layer: layer)])
    }
  }

  func vector(_ name: String) throws -> [Float] {
    try checkpoint.requireFinite(ByteString(name))
    return try checkpoint.read(ByteString(name))
  }

  /// Some outputs of a linear map, outputs × inputs, whichever way the family stores it.
  private func read(
    _ name: String, rows: Range<Int>, columns: Int, into buffer: UnsafeMutableBufferPointer<Float>
  ) throws {
    let tensor = ByteString(name)
    try checkpoint.requireFinite(tensor)
    if configuration.family.isTransposed {
      let stored = try checkpoint.info(tensor)
      let whole = Matrix(rows: stored.rows, columns: stored.columns, values: try checkpoint.read(tensor))
      whole.columns(rows).T.values.withUnsafeBufferPointer { _ = buffer.update(fromContentsOf: $0) }
    } else {
      try readRows(tensor, rows, columns: columns, into: buffer)
    }
    try checkpoint.release(tensor)
  }

  /// Rows of a matrix, converted by all threads.
  func readRows(
    _ tensor: ByteString, _ rows: Range<Int>, columns: Int, into buffer: UnsafeMutableBufferPointer<Float>
  ) throws {
    let chunks = Parallel.ranges(rows.count, of: max(1, (1 << 20) / max(columns, 1)))
    nonisolated(unsafe) let buffer = buffer
    try Parallel.forEach(chunks.count) { (chunk: Int) throws -> Void in
      let range = chunks[chunk]
      let part = UnsafeMutableBufferPointer(
        rebasing: buffer[range.lowerBound * columns..<range.upperBound * columns])
      try checkpoint.read(
        tensor, rows: rows.lowerBound + range.lowerBound..<rows.lowerBound + range.upperBound, into: part)
    }
  }
}
