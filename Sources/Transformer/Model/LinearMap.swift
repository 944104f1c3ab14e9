import Numerics
import Synchronization

/// `y = x Wᵀ + b`: one linear map, or several that read the same input stacked along their outputs.
public struct LinearMap: Sendable {
  /// W, outputs × inputs.
  public let weight: Matrix<Float>
  /// b, one number per output; nil when nothing is added.
  public var bias: [Float]?
  /// In what products are computed; b is added in single precision.
  public let precision: Precision
  private let rounded: RoundedWeight?

  public init(_ weight: Matrix<Float>, bias: [Float]?, precision: Precision = .float32) {
    self.weight = weight
    self.bias = bias
    self.precision = precision
    rounded = precision == .bfloat16 ? RoundedWeight(weight) : nil
  }

  public var outputs: Int { weight.rows }
  public var inputs: Int { weight.columns }

  /// Weights, biases left out: what rates are shares of.
  public var parameters: Int { weight.count }

  /// `y = x Wᵀ + b`, or `y += x Wᵀ + b`, with a pulse after every 256 rows of a large product.
  func apply(
    _ x: Matrix<Float>, into y: Matrix<Float>, adding: Bool = false, pulse: () throws -> Void
  ) rethrows {
    let step = 256 * weight.count > 1 << 32 ? 256 : max(x.rows, 1)
    for rows in Parallel.ranges(x.rows, of: step) {
      if x.columns > 0 {
        if let rounded {
          multiply(x.rows(rows), rounded.forward, into: y.rows(rows), adding: adding)
        } else {
          multiply(x.rows(rows), weight.T, into: y.rows(rows), beta: adding ? 1 : 0)
        }
      }
      try pulse()
    }
    if let bias { addToRows(y, bias) }
  }

  /// The derivative by x from that by y: `dx = dy W`, or `dx += dy W`.
  func applyBackward(_ dy: Matrix<Float>, into dx: Matrix<Float>, adding: Bool = false) {
    if let rounded {
      multiply(dy, rounded.backward, into: dx, adding: adding)
    } else {
      multiply(dy, weight, into: dx, beta: adding ? 1 : 0)
    }
  }

  // MARK: Narrowing

  /// The outputs named by `rows`, in that order.
  func keeping(rows: [Int]) -> LinearMap {
    rows.count == outputs
      ? self
      : LinearMap(weight.gathering(rows: rows), bias: bias.map { bias in rows.map { bias[$0] } }, precision: precision)
  }

  /// The inputs named by `columns`, in that order.
  func keeping(columns: [Int]) -> LinearMap {
    columns.count == inputs ? self : LinearMap(weight.gathering(columns: columns), bias: bias, precision: precision)
  }

  // MARK: Spreading

  /// Output k becomes output `rows[k]` of `count`; the others are 0.
  func spread(rows: [Int], of count: Int) -> LinearMap {
    guard rows.count < count else { return self }
    return LinearMap(
      weight.spread(rows: rows, of: count),
      bias: bias.map { bias in
        var wide = [Float](repeating: 0, count: count)
        for (k, row) in rows.enumerated() { wide[row] = bias[k] }
        return wide
      }, precision: precision)
  }

  /// Input k becomes input `columns[k]` of `count`; the others count for nothing.
  func spread(columns: [Int], of count: Int) -> LinearMap {
    guard columns.count < count else { return self }
    return LinearMap(weight.spread(columns: columns, of: count), bias: bias, precision: precision)
  }
}

/// W rounded, for products from both sides; each form is made when it is first asked for.
private final class RoundedWeight: Sendable {
  private let weight: Matrix<Float>
  private let forms = Mutex<(forward: RoundedMatrix?, backward: RoundedMatrix?)>((nil, nil))

  init(_ weight: Matrix<Float>) { self.weight = weight }

  /// Wᵀ, for `x Wᵀ`.
  var forward: RoundedMatrix {
    forms.withLock { forms in
      let form = forms.forward ?? RoundedMatrix(weight.T)
      forms.forward = form
      return form
    }
  }

  /// W, for `dy W`.
  var backward: RoundedMatrix {
    forms.withLock { forms in
      let form = forms.backward ?? RoundedMatrix(weight)
      forms.backward = form
      return form
    }
  }
}

extension Matrix<Float> {
  /// Row k becomes row `places[k]` of a matrix of `count` rows; the others are 0.
  func spread(rows places: [Int], of count: Int) -> Matrix<Float> {
    let result = Matrix(rows: count, columns: columns)
    for (k, place) in places.enumerated() { result.rows(place..<place + 1).assign(rows(k..<k + 1)) }
    return result
  }

  /// Column k becomes column `places[k]` of a matrix of `count` columns; the others are 0.
  func spread(columns places: [Int], of count: Int) -> Matrix<Float> {
    let result = Matrix(rows: rows, columns: count)
    scatter(self, to: places, in: result)
    return result
  }
}
