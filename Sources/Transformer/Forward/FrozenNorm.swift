import Numerics

/// A norm whose divisors stay as they are, so that it is linear:
///
///     y ← s g ∘ v,   with s = 1/√(mean x² + ε) of what is normed;      LayerNorm: v and x less their means
public struct FrozenNorm: Sendable {
  private let weight: [Float]
  private let isCentred: Bool
  private let epsilon: Double

  init(_ norm: Norm, _ configuration: Configuration) {
    weight = norm.weight
    isCentred = norm.bias != nil
    epsilon = Double(configuration.epsilon)
  }

  /// s of every row of what is normed.
  public func scales(of states: Matrix<Float>) -> [Double] {
    (0..<states.rows).map { row in
      let x = states.row(row)
      let center = isCentred ? x.reduce(0) { $0 + Double($1) } / Double(max(1, x.count)) : 0
      let square = x.reduce(0) { $0 + (Double($1) - center) * (Double($1) - center) }
      return 1 / (square / Double(max(1, x.count)) + epsilon).squareRoot()
    }
  }

  /// g ∘ v of every row.
  public func applied(to directions: Matrix<Float>) -> Matrix<Float> {
    let result = directions.copy()
    if isCentred { result.subtractRowMeans() }
    result.scaleColumns(by: weight)
    return result
  }
}

/// How columns of what enters a module's output map add to the residual stream, the norm behind the map, if there is one,
/// frozen: a token adds s W h.
public struct ModuleOutput: Sendable {
  /// W in the columns of the unpruned model, zeros where units are gone: d × columns.
  public let weight: Matrix<Float>
  private let raw: (weight: Matrix<Float>, bias: [Float]?, norm: FrozenNorm)?

  public init(_ block: Block, _ module: Module) {
    let W = block.outputWeight(module)
    guard block.configuration.family.normsOutput else {
      weight = W
      raw = nil
      return
    }
    let norm = FrozenNorm(block[module].norm, block.configuration)
    weight = norm.applied(to: W.T.copy()).T
    raw = (W, block[module].output.bias, norm)
  }

  /// h with s taken in.
  ///
  /// - Parameter h: tokens × columns of the unpruned model.
  public func scaled(_ h: Matrix<Float>) -> Matrix<Float> {
    guard let raw else { return h }
    let output = h * raw.weight.T
    if let bias = raw.bias { output.addToRows(bias) }
    let result = h.copy()
    result.scaleRows(by: raw.norm.scales(of: output).map(Float.init))
    return result
  }
}

/// The end of a model in two steps: the final norm, and the logits that a normed vector gives.
public struct Unembedding {
  private let head: Head
  /// The final norm with its divisors kept.
  public let frozenNorm: FrozenNorm

  public init(_ model: LanguageModel) throws {
    head = try Head(model)
    frozenNorm = FrozenNorm(head.norm, model.configuration)
  }

  /// - Parameter states: the residual stream that leaves the last block, rows × d.
  public func normalized(_ states: Matrix<Float>) -> Matrix<Float> { head.normalized(states).copy() }

  /// W_U x of every row: rows × vocabulary.
  public func logits(_ normalized: Matrix<Float>) throws -> Matrix<Float> { try head.logits(normalized: normalized) }
}
