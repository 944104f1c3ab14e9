import Numerics

/// Another matrix in the place of a linear map's own (LLM Surgeon, van der Ouderaa et al. 2024), in the rows and columns of
/// the unpruned model. Rows and columns of zeros are gone: they stand there, and count for nothing.
public struct DenseMap: Sendable {
  /// W, outputs × inputs.
  public let weight: Matrix<Float>
  /// b, in the place of the map's own; nil when it has none.
  public let bias: [Float]?
  /// Rows that are not zero, ascending; a row of zeros with a bias is not.
  public let rows: [Int]
  /// Columns that are not zero, ascending.
  public let columns: [Int]

  public init(_ weight: Matrix<Float>, bias: [Float]?) {
    precondition(bias.map { $0.count == weight.rows } ?? true, "a bias of \(bias?.count ?? 0) for \(weight.shape)")
    self.weight = weight.isContiguous ? weight : weight.copy()
    self.bias = bias
    var rows = [Bool](repeating: false, count: weight.rows)
    var columns = [Bool](repeating: false, count: weight.columns)
    self.weight.withUnsafePointer { start, stride in
      for i in rows.indices {
        for j in columns.indices where start[i * stride + j] != 0 {
          rows[i] = true
          columns[j] = true
        }
      }
    }
    self.rows = rows.indices.filter { rows[$0] }
    self.columns = columns.indices.filter { columns[$0] }
  }
}

extension DenseMap {
  /// Weights in rows and columns that are not zero, of those that belong to some units.
  ///
  /// - Parameters:
  ///   - units: those that are left of `all`.
  ///   - widths: what is left of the stream at the ends of the branch. A basis of its own mixes the directions of the
  ///     stream, and with them rows or columns of zeros.
  func parameters(
    _ role: LinearRole, of units: [Int], _ all: Int, _ configuration: Configuration, _ widths: StreamWidths
  ) -> Int {
    func size(_ space: Space, _ live: [Int], stream: Int) -> Int {
      if space.module == nil { return widths.isWhole ? live.count : stream }
      return units.count == all
        ? live.count
        : Set(configuration.features(space, of: units, head: configuration.wholeHead)).intersection(live).count
    }
    return size(role.rows, rows, stream: widths.leaving) * size(role.columns, columns, stream: widths.entering)
  }
}

extension Branch {
  /// This branch with other matrices in the place of some of its maps.
  func replacing(_ maps: [LinearRole: DenseMap]) -> Branch {
    func map(_ roles: [LinearRole], _ own: LinearMap) -> LinearMap {
      guard roles.contains(where: { maps[$0] != nil }) else { return own }
      let parts = roles.map { role -> (weight: Matrix<Float>, bias: [Float]?) in
        maps[role].map { narrowed($0, role) } ?? (weight(role), bias(role))
      }
      let stacked = Matrix<Float>(rows: parts.reduce(0) { $0 + $1.weight.rows }, columns: own.inputs)
      var start = 0
      for part in parts {
        stacked.rows(start..<start + part.weight.rows).assign(part.weight)
        start += part.weight.rows
      }
      let isBiased = parts.contains { $0.bias != nil }
      return LinearMap(
        stacked,
        bias: isBiased ? parts.flatMap { $0.bias ?? Array(repeating: 0, count: $0.weight.rows) } : nil,
        precision: own.precision)
    }
    return Branch(
      configuration: configuration, module: module, units: units, heads: heads, norm: norm, outputNorms: outputNorms,
      input: map(configuration.inputRoles(module), input), output: map([module.output], output), shortcut: shortcut)
  }

  /// Weight and bias without the rows and columns of units that are not here.
  private func narrowed(_ map: DenseMap, _ role: LinearRole) -> (weight: Matrix<Float>, bias: [Float]?) {
    var (weight, bias) = (map.weight, map.bias)
    if role.rows != .model {
      let own = originals(role.rows)
      (weight, bias) = (weight.gathering(rows: own), bias.map { bias in own.map { bias[$0] } })
    }
    if role.columns != .model { weight = weight.gathering(columns: originals(role.columns)) }
    return (weight, bias)
  }

  /// A matrix in the place of one of this branch's, in the rows and columns of the unpruned model, zeros where units are
  /// not here.
  public func spread(_ weight: Matrix<Float>, bias: [Float]?, _ role: LinearRole, layer: Int) -> DenseMap {
    var (wide, shift) = (weight, bias)
    if role.rows != .model {
      let (own, count) = (
        originals(role.rows), configuration.size(role.rows, layer: layer)
      )
      wide = wide.spread(rows: own, of: count)
      shift = bias.map { bias in
        var all = [Float](repeating: 0, count: count)
        for (value, place) in zip(bias, own) { all[place] = value }
        return all
      }
    }
    if role.columns != .model {
      wide = wide.spread(
        columns: originals(role.columns), of: configuration.size(role.columns, layer: layer))
    }
    return DenseMap(wide, bias: shift)
  }

  /// Whether a linear map adds a bias, be it its own or one that makes up for something.
  public func isBiased(_ role: LinearRole, layer: Int) -> Bool {
    configuration.blocks[layer].biases.contains(role) || role == module.output && output.bias != nil
  }
}

extension LanguageModel {
  /// Rows and columns of all linear maps of the blocks that have units, and how many of them are zeros; nil where all maps
  /// are the model's own.
  public var zeroLines: (rows: (gone: Int, all: Int), columns: (gone: Int, all: Int))? {
    guard pruning.blocks.contains(where: \.hasOtherMaps) else { return nil }
    var (rows, columns) = ((gone: 0, all: 0), (gone: 0, all: 0))
    for block in pruning.blocks {
      for role in configuration.roles where !block[role.module].kept.isEmpty {
        func count(_ space: Space, _ live: [Int]?, _ sum: inout (gone: Int, all: Int)) {
          let lines =
            space.module == nil
            ? Array(0..<configuration.hiddenSize)
            : configuration.features(space, of: block[role.module].kept, head: configuration.wholeHead)
          sum.all += lines.count
          if let live { sum.gone += lines.count - Set(live).intersection(lines).count }
        }
        count(role.rows, block[role.module].maps[role]?.rows, &rows)
        count(role.columns, block[role.module].maps[role]?.columns, &columns)
      }
    }
    return (rows, columns)
  }

  /// The model with rows and columns of zeros counted as what they are where it is stored and run: numbers like others.
  var countingZeros: LanguageModel {
    var whole = pruning
    for layer in whole.blocks.indices { for module in Module.allCases { whole.blocks[layer][module].maps = [:] } }
    return seen(through: whole)
  }
}
