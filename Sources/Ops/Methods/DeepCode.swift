import Glibc
import Numerics

// Networks as the regressions of signals on the code of a deep bottleneck: x - 128 - k - 128 - x with GELU between, which
// tells how much of the signals k numbers hold when they need not be linear in them.

/// The parameters; a gradient has the same form.
package struct DeepCode<Element: Scalar> {
  /// Weights in×out and biases 1×out of the four maps, one after the other.
  package let parameters: [Matrix<Element>]

  /// Width of the layer on either side of the code.
  package static var hidden: Int { 128 }

  package init(parameters: [Matrix<Element>]) { self.parameters = parameters }

  /// Weights are normal with variance 1 over the width of their input, biases zero.
  package init(columns r: Int, components k: Int, seed: Int, name: String) {
    let widths = [r, Self.hidden, k, Self.hidden, r]
    parameters = (0..<4).flatMap { map -> [Matrix<Element>] in
      var stream = RandomStream(seed: seed, name: "\(name) map \(map)")
      let W: Matrix<Element> = stream.gaussianMatrix(rows: widths[map], columns: widths[map + 1])
      W.scale(by: Element(1 / Double(widths[map]).squareRoot()))
      return [W, Matrix(rows: 1, columns: widths[map + 1])]
    }
  }

  private func mapped(_ X: Matrix<Element>, _ map: Int) -> Matrix<Element> {
    let Y = X * parameters[2 * map]
    Y.addToRows(parameters[2 * map + 1].row(0))
    return Y
  }

  /// T×k.
  package func codes(_ X: Matrix<Element>) -> Matrix<Element> { mapped(mapped(X, 0).map(gelu), 1) }

  package func decoded(_ X: Matrix<Element>) -> Matrix<Element> { mapped(mapped(codes(X), 2).map(gelu), 3) }

  /// Σ‖x - x̂‖² / scale and its derivatives.
  package func gradient(_ X: Matrix<Element>, scale: Double) -> (loss: Double, gradient: DeepCode) {
    let a = mapped(X, 0)
    let code = mapped(a.map(gelu), 1)
    let d = mapped(code, 2)
    let r = mapped(d.map(gelu), 3)
    r.add(X, scaledBy: -1)
    let loss = sumOfSquares(r) / scale
    r.scale(by: Element(2 / scale))
    /// Derivatives by a map's weights, bias and input.
    func back(_ G: Matrix<Element>, _ input: Matrix<Element>, _ map: Int)
      -> (own: [Matrix<Element>], input: Matrix<Element>)
    {
      ([input.T * G, columnSums(G)], G * parameters[2 * map].T)
    }
    let fourth = back(r, d.map(gelu), 3)
    let third = back(times(fourth.input, d.map(geluSlope)), code, 2)
    let second = back(third.input, a.map(gelu), 1)
    let first = back(times(second.input, a.map(geluSlope)), X, 0)
    return (loss, DeepCode(parameters: first.own + second.own + third.own + fourth.own))
  }
}

private func times<Element: Scalar>(_ A: Matrix<Element>, _ B: Matrix<Element>) -> Matrix<Element> {
  Matrix(rows: A.rows, columns: A.columns, values: zip(A.values, B.values).map { $0 * $1 })
}

/// x Φ(x).
private func gelu<Element: Scalar>(_ x: Element) -> Element {
  let x = Double(x)
  return Element(0.5 * x * (1 + erf(x / 2.0.squareRoot())))
}

/// Φ(x) + x φ(x).
private func geluSlope<Element: Scalar>(_ x: Element) -> Element {
  let x = Double(x)
  return Element(0.5 * (1 + erf(x / 2.0.squareRoot())) + x * exp(-0.5 * x * x) / (2 * Double.pi).squareRoot())
}

/// - Parameters:
///   - X: T×r, the tokens that are learned from, of mean square norm r; `held`: those that are not.
///   - name: of the random streams.
package func trainedDeepCode(
  _ X: Matrix<Float>, held: Matrix<Float>, components k: Int, _ training: CodeTraining, name: String,
  progress: () throws -> Void = {}
) rethrows -> (code: DeepCode<Float>, epochs: Int, gain: Double) {
  let code = DeepCode<Float>(columns: X.columns, components: k, seed: training.seed, name: name)
  let variance = VarianceShare(X, held: held, X.columnMoments.mean)
  var adam = Adam(code.parameters)
  let (epochs, gain) = try training.run(
    tokens: X.rows, name: name,
    step: { tokens, rate in
      let (_, gradient) = code.gradient(
        X.gathering(rows: tokens), scale: variance.perToken * Double(tokens.count))
      adam.update(code.parameters, by: gradient.parameters, rate: rate)
      try progress()
    }, epoch: { _ in }, held: { variance.held { code.decoded($0) } })
  return (code, epochs, gain)
}
