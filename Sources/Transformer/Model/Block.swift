import Numerics

/// A norm's weight, and its bias for LayerNorm.
public struct Norm: Sendable {
  public let weight: [Float]
  public let bias: [Float]?
}

/// One block's weights in single precision, ready to run. What was pruned is really gone: the matrices are smaller.
///
/// Linear maps that read the same input are stacked, so that one product serves them: query, key and value; gate and up.
public struct Block: Sendable {
  public let configuration: Configuration
  public let layer: Int
  /// The attention units and neurons that are here, by their index in the unpruned model, ascending.
  public internal(set) var units: [Int]
  public internal(set) var neurons: [Int]

  public internal(set) var inputNorm: Norm
  public internal(set) var postNorm: Norm
  /// `(queries + 2 keyValues) × d`.
  public internal(set) var queryKeyValue: Matrix<Float>
  public internal(set) var queryKeyValueBias: [Float]?
  /// `d × queries`.
  public internal(set) var output: Matrix<Float>
  public internal(set) var outputBias: [Float]?
  /// `2 neurons × d`, gate first; `neurons × d` without a gate.
  public internal(set) var gateUp: Matrix<Float>
  public internal(set) var gateUpBias: [Float]?
  /// `d × neurons`.
  public internal(set) var down: Matrix<Float>
  public internal(set) var downBias: [Float]?

  public var hiddenSize: Int { configuration.hiddenSize }
  public var headSize: Int { configuration.headSize }
  public var keyValueHeads: Int { units.count }
  public var heads: Int { units.count * configuration.queriesPerUnit }
  public var isGated: Bool { configuration.family.isGated }

  /// Columns of `queryKeyValue`'s result that hold the queries, the keys, the values.
  var queryColumns: Range<Int> { 0..<heads * headSize }
  var keyColumns: Range<Int> { heads * headSize..<(heads + keyValueHeads) * headSize }
  var valueColumns: Range<Int> { (heads + keyValueHeads) * headSize..<(heads + 2 * keyValueHeads) * headSize }

  /// Columns of `gateUp`'s result that hold up; gate, where there is one, comes first.
  var upColumns: Range<Int> { isGated ? neurons.count..<2 * neurons.count : 0..<neurons.count }

  /// The weights of one linear map, outputs × inputs: a window, not a copy.
  public func weight(_ role: LinearRole) -> Matrix<Float> {
    switch role {
    case .query: queryKeyValue.rows(queryColumns)
    case .key: queryKeyValue.rows(keyColumns)
    case .value: queryKeyValue.rows(valueColumns)
    case .output: output
    case .gate: gateUp.rows(0..<(isGated ? neurons.count : 0))
    case .up: gateUp.rows(upColumns)
    case .down: down
    }
  }

  /// The bias of one linear map, nil when it has none.
  public func bias(_ role: LinearRole) -> [Float]? {
    switch role {
    case .query: queryKeyValueBias.map { Array($0[queryColumns]) }
    case .key: queryKeyValueBias.map { Array($0[keyColumns]) }
    case .value: queryKeyValueBias.map { Array($0[valueColumns]) }
    case .output: outputBias
    case .gate: isGated ? gateUpBias.map { Array($0[0..<neurons.count]) } : nil
    case .up: gateUpBias.map { Array($0[upColumns]) }
    case .down: downBias
    }
  }
}

// MARK: - Surgery

extension Block {
  /// This block without what `pruning` removes, and with its compensation.
  ///
  /// Rows of query, key, value, gate and up go, and columns of output and down. `pruning` speaks of the unpruned model's
  /// indices; what is gone already stays gone.
  public func pruned(by pruning: BlockPruning) -> Block {
    var result = self
    let keptUnits = units.indices.filter { pruning.units[units[$0]] }
    let keptNeurons = neurons.indices.filter { pruning.neurons[neurons[$0]] }
    result.units = keptUnits.map { units[$0] }
    result.neurons = keptNeurons.map { neurons[$0] }

    let groupSize = configuration.queriesPerUnit * headSize
    let queries = keptUnits.features(of: groupSize)
    if keptUnits.count < units.count {
      let keyValues = keptUnits.features(of: headSize)
      let rows =
        queries + keyValues.map { keyColumns.lowerBound + $0 } + keyValues.map { valueColumns.lowerBound + $0 }
      result.queryKeyValue = queryKeyValue.gathering(rows: rows)
      result.queryKeyValueBias = queryKeyValueBias.map { bias in rows.map { bias[$0] } }
    }
    if let refitted = pruning.outputWeight {
      result.output = refitted.keeping(
        result.units.features(of: groupSize), of: pruning.keptUnits.features(of: groupSize))
    } else if keptUnits.count < units.count {
      result.output = output.gathering(columns: queries)
    }
    if keptNeurons.count < neurons.count {
      let rows = isGated ? keptNeurons + keptNeurons.map { neurons.count + $0 } : keptNeurons
      result.gateUp = gateUp.gathering(rows: rows)
      result.gateUpBias = gateUpBias.map { bias in rows.map { bias[$0] } }
    }
    if let refitted = pruning.downWeight {
      result.down = refitted.keeping(result.neurons, of: pruning.keptNeurons)
    } else if keptNeurons.count < neurons.count {
      result.down = down.gathering(columns: keptNeurons)
    }
    result.outputBias = added(outputBias, pruning.outputBias)
    result.downBias = added(downBias, pruning.downBias)
    return result
  }

  private func added(_ own: [Float]?, _ compensation: [Float]?) -> [Float]? {
    guard let own, let compensation else { return own ?? compensation }
    return zip(own, compensation).map(+)
  }
}
