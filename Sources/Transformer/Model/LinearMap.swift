import Numerics
import Synchronization

/// W = B A: a linear map as two smaller ones, in the rows and columns of the unpruned model.
public struct Factors: Sendable {
  /// B, outputs × rank.
  public let outer: Matrix<Float>
  /// A, rank × inputs.
  public let inner: Matrix<Float>

  public init(outer: Matrix<Float>, inner: Matrix<Float>) {
    precondition(outer.columns == inner.rows, "a product of \(outer.shape) and \(inner.shape)")
    self.outer = outer
    self.inner = inner
  }

  public var rank: Int { inner.rows }
}

/// `y = x Wᵀ + b`: one linear map, or several that read the same input stacked along their outputs. Each is one matrix,
/// or two.
public struct LinearMap: Sendable {
  /// Some of the outputs.
  struct Part: Sendable {
    /// B, outputs × rank; nil where one matrix does.
    let outer: Product?
    /// W, outputs × inputs, or A, rank × inputs.
    let inner: Product

    init(outer: Matrix<Float>? = nil, inner: Matrix<Float>, precision: Precision) {
      self.outer = outer.map { Product($0, precision) }
      self.inner = Product(inner, precision)
    }

    var outputs: Int { (outer ?? inner).weight.rows }
    var weight: Matrix<Float> { outer.map { $0.weight * inner.weight } ?? inner.weight }
    var parameters: Int { inner.weight.count + (outer?.weight.count ?? 0) }

    func apply(_ x: Matrix<Float>, into y: Matrix<Float>, adding: Bool) {
      guard let outer else { return inner.apply(x, into: y, adding: adding) }
      let between = Matrix<Float>(rows: x.rows, columns: inner.weight.rows)
      inner.apply(x, into: between, adding: false)
      outer.apply(between, into: y, adding: adding)
    }

    func applyBackward(_ dy: Matrix<Float>, into dx: Matrix<Float>, adding: Bool) {
      guard let outer else { return inner.applyBackward(dy, into: dx, adding: adding) }
      let between = Matrix<Float>(rows: dy.rows, columns: inner.weight.rows)
      outer.applyBackward(dy, into: between, adding: false)
      inner.applyBackward(between, into: dx, adding: adding)
    }
  }

  let parts: [Part]
  /// b, one number per output; nil when nothing is added.
  public var bias: [Float]?
  /// In what products are computed; b is added in single precision.
  public let precision: Precision

  /// - Parameter weight: W, outputs × inputs.
  public init(_ weight: Matrix<Float>, bias: [Float]?, precision: Precision = .float32) {
    self.init([Part(inner: weight, precision: precision)], bias: bias, precision: precision)
  }

  init(_ parts: [Part], bias: [Float]?, precision: Precision) {
    self.parts = parts
    self.bias = bias
    self.precision = precision
  }

  /// W, outputs × inputs: a window where the map is one matrix, else the products stacked.
  public var weight: Matrix<Float> {
    if parts.count == 1 { return parts[0].weight }
    let result = Matrix<Float>(rows: outputs, columns: inputs)
    for (range, part) in ranges { result.rows(range).assign(part.weight) }
    return result
  }

  public var outputs: Int { parts.reduce(0) { $0 + $1.outputs } }
  public var inputs: Int { parts[0].inner.weight.columns }

  /// Weights, biases left out: what rates are shares of.
  public var parameters: Int { parts.reduce(0) { $0 + $1.parameters } }

  /// The parts with the outputs they make.
  private var ranges: [(Range<Int>, Part)] {
    var start = 0
    return parts.map { part in
      defer { start += part.outputs }
      return (start..<start + part.outputs, part)
    }
  }

  /// `y = x Wᵀ + b`, or `y += x Wᵀ + b`, with a pulse after every 256 rows of a large product.
  func apply(
    _ x: Matrix<Float>, into y: Matrix<Float>, adding: Bool = false, pulse: () throws -> Void
  ) rethrows {
    let step = 256 * parameters > 1 << 32 ? 256 : max(x.rows, 1)
    for rows in Parallel.ranges(x.rows, of: step) {
      for (outputs, part) in ranges where x.columns > 0 {
        part.apply(x.rows(rows), into: y.rows(rows).columns(outputs), adding: adding)
      }
      try pulse()
    }
    if let bias { addToRows(y, bias) }
  }

  /// The derivative by x from that by y: `dx = dy W`, or `dx += dy W`.
  func applyBackward(_ dy: Matrix<Float>, into dx: Matrix<Float>, adding: Bool = false) {
    for (outputs, part) in ranges {
      part.applyBackward(dy.columns(outputs), into: dx, adding: adding || outputs.lowerBound > 0)
    }
  }

  // MARK: Change

  /// This map after a change of some of its outputs, all of one part, by a map that is given their rows of W, and of b.
  func changing(outputs range: Range<Int>, _ change: (Matrix<Float>) -> Matrix<Float>) -> LinearMap {
    func changed(_ rows: Matrix<Float>, _ own: Range<Int>) -> Matrix<Float> {
      let middle = change(rows.rows(own))
      let result = Matrix<Float>(rows: rows.rows - own.count + middle.rows, columns: rows.columns)
      let end = own.lowerBound + middle.rows
      result.rows(0..<own.lowerBound).assign(rows.rows(0..<own.lowerBound))
      result.rows(own.lowerBound..<end).assign(middle)
      result.rows(end..<result.rows).assign(rows.rows(own.upperBound..<rows.rows))
      return result
    }
    let parts = ranges.map { place, part in
      guard place.contains(range.lowerBound) else { return part }
      let own = range.lowerBound - place.lowerBound..<range.upperBound - place.lowerBound
      guard let outer = part.outer else {
        return Part(inner: changed(part.inner.weight, own), precision: precision)
      }
      return Part(outer: changed(outer.weight, own), inner: part.inner.weight, precision: precision)
    }
    let column = bias.map { changed(Matrix(rows: $0.count, columns: 1, values: $0), range).values }
    return LinearMap(parts, bias: column, precision: precision)
  }

  /// This map after a change of its inputs, by a map that is given the columns of W.
  func changingInputs(_ change: (Matrix<Float>) -> Matrix<Float>) -> LinearMap {
    LinearMap(
      parts.map { Part(outer: $0.outer?.weight, inner: change($0.inner.weight), precision: precision) }, bias: bias,
      precision: precision)
  }

  // MARK: Narrowing

  /// The outputs named by `rows`; those of one part before those of the next.
  func keeping(rows: [Int]) -> LinearMap {
    guard rows != Array(0..<outputs) else { return self }
    let kept = ranges.map { range, part in
      let own = rows.filter(range.contains).map { $0 - range.lowerBound }
      return Part(
        outer: part.outer?.weight.gathering(rows: own),
        inner: part.outer == nil ? part.inner.weight.gathering(rows: own) : part.inner.weight, precision: precision)
    }
    return LinearMap(kept, bias: bias.map { bias in rows.map { bias[$0] } }, precision: precision)
  }

  /// The inputs named by `columns`, in that order.
  func keeping(columns: [Int]) -> LinearMap {
    guard columns != Array(0..<inputs) else { return self }
    let kept = parts.map {
      Part(outer: $0.outer?.weight, inner: $0.inner.weight.gathering(columns: columns), precision: precision)
    }
    return LinearMap(kept, bias: bias, precision: precision)
  }

  // MARK: Spreading

  /// Output k becomes output `rows[k]` of `count`; the others are 0. Two factors become their product.
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

  /// Input k becomes input `columns[k]` of `count`; the others count for nothing. Two factors become their product.
  func spread(columns: [Int], of count: Int) -> LinearMap {
    guard columns.count < count else { return self }
    return LinearMap(weight.spread(columns: columns, of: count), bias: bias, precision: precision)
  }
}

/// One matrix of a linear map, and its products from both sides.
struct Product: Sendable {
  let weight: Matrix<Float>
  private let rounded: RoundedWeight?

  init(_ weight: Matrix<Float>, _ precision: Precision) {
    self.weight = weight
    rounded = precision == .bfloat16 ? RoundedWeight(weight) : nil
  }

  /// `y = x Wᵀ`, or `y += x Wᵀ`.
  func apply(_ x: Matrix<Float>, into y: Matrix<Float>, adding: Bool) {
    if let rounded {
      multiply(x, rounded.forward, into: y, adding: adding)
    } else {
      multiply(x, weight.T, into: y, beta: adding ? 1 : 0)
    }
  }

  /// `dx = dy W`, or `dx += dy W`.
  func applyBackward(_ dy: Matrix<Float>, into dx: Matrix<Float>, adding: Bool) {
    if let rounded {
      multiply(dy, rounded.backward, into: dx, adding: adding)
    } else {
      multiply(dy, weight, into: dx, beta: adding ? 1 : 0)
    }
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
  public func spread(rows places: [Int], of count: Int) -> Matrix<Float> {
    let result = Matrix(rows: count, columns: columns)
    for (k, place) in places.enumerated() { result.rows(place..<place + 1).assign(rows(k..<k + 1)) }
    return result
  }

  /// Column k becomes column `places[k]` of a matrix of `count` columns; the others are 0.
  public func spread(columns places: [Int], of count: Int) -> Matrix<Float> {
    let result = Matrix(rows: rows, columns: count)
    scatter(self, to: places, in: result)
    return result
  }
}
