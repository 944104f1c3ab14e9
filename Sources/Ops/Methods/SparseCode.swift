import Numerics

// Networks as the atoms of a sparse code: a k-sparse auto-encoder (Makhzani and Frey 2014; Gao et al. 2024).
//
//   X  T×r   signals, in coordinates of their r leading right singular vectors
//   c  T×k   top_a(relu((x - b) E + e)): the a largest of a token, ties to the lower index
//   x̂  T×r   b + c D, ‖D_i‖ = 1
//
// The loss is the share of the variance that is not explained, FVU = Σ‖x - x̂‖² / Σ‖x - mean‖².

/// The parameters; a gradient has the same form.
package struct SparseCode<Element: Scalar> {
  /// k×r, one network a row.
  package let D: Matrix<Element>
  /// r×k.
  package let E: Matrix<Element>
  /// 1×k.
  package let e: Matrix<Element>
  /// 1×r.
  package let b: Matrix<Element>
  /// Networks active at a token.
  package let active: Int

  package var k: Int { D.rows }
  var parameters: [Matrix<Element>] { [D, E, e, b] }

  package init(D: Matrix<Element>, E: Matrix<Element>, e: Matrix<Element>, b: Matrix<Element>, active: Int) {
    self.D = D
    self.E = E
    self.e = e
    self.b = b
    self.active = active
  }

  /// X - b.
  private func centred(_ X: Matrix<Element>) -> Matrix<Element> {
    let Y = X.copy()
    Y.addToRows(b.row(0), scaledBy: -1)
    return Y
  }

  /// c, T×k.
  package func codes(_ X: Matrix<Element>) -> Matrix<Element> { codes(ofCentred: centred(X)) }

  private func codes(ofCentred Y: Matrix<Element>) -> Matrix<Element> {
    let A = Y * E
    A.addToRows(e.row(0))
    let c = Matrix<Element>(rows: A.rows, columns: k)
    for t in 0..<A.rows {
      for i in largest(active, of: A.row(t)) { c[t, i] = A[t, i] }
    }
    return c
  }

  /// x̂ of codes.
  package func decoded(_ c: Matrix<Element>) -> Matrix<Element> {
    let X = c * D
    X.addToRows(b.row(0))
    return X
  }

  /// The loss on some tokens and its derivatives; which networks are active counts as given.
  ///
  /// - Parameter scale: Σ‖x - mean‖² of as many tokens.
  package func gradient(_ X: Matrix<Element>, scale: Double) -> (
    loss: Double, gradient: SparseCode, codes: Matrix<Element>
  ) {
    let Y = centred(X)
    let c = codes(ofCentred: Y)
    let r = decoded(c)
    r.add(X, scaledBy: -1)
    let loss = sumOfSquares(r) / scale
    r.scale(by: Element(2 / scale))
    let dD = c.T * r
    for i in 0..<k {
      // D stays of norm 1, so what points along it is no direction to go.
      let along = zip(dD.row(i), D.row(i)).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
      dD.rows(i..<(i + 1)).add(D.rows(i..<(i + 1)), scaledBy: Element(-along))
    }
    let G = r * D.T
    for t in 0..<G.rows {
      for i in 0..<k where c[t, i] <= 0 { G[t, i] = 0 }
    }
    let db = columnSums(r)
    let de = columnSums(G)
    db.add(de * E.T, scaledBy: -1)
    return (loss, SparseCode(D: dD, E: Y.T * G, e: de, b: db, active: active), c)
  }

  /// The places of the `count` largest positive values, ties to the lower index.
  private func largest(_ count: Int, of values: [Element]) -> [Int] {
    var found: [Int] = []
    for (i, value) in values.enumerated() where value > 0 {
      if found.count == count, value <= values[found[count - 1]] { continue }
      let place = found.firstIndex { values[$0] < value } ?? found.count
      found.insert(i, at: place)
      if found.count > count { found.removeLast() }
    }
    return found
  }
}

func sumOfSquares<Element: Scalar>(_ A: Matrix<Element>) -> Double {
  (0..<A.rows).reduce(0) { $0 + A.row($1).reduce(0.0) { $0 + Double($1) * Double($1) } }
}

func columnSums<Element: Scalar>(_ A: Matrix<Element>) -> Matrix<Element> {
  Matrix(rows: 1, columns: A.rows, values: [Element](repeating: 1, count: A.rows)) * A
}

// MARK: - Training

/// How a code is trained.
package struct CodeTraining: Sendable, Equatable {
  package var epochs: Int
  package var batch: Int
  /// Constant, then falling to 0 over the last 30 % of the steps.
  package var rate: Double
  package var seed: Int

  package init(epochs: Int, batch: Int, rate: Double, seed: Int) {
    self.epochs = epochs
    self.batch = batch
    self.rate = rate
    self.seed = seed
  }

  /// Stops when the held-out loss gained less than this share of itself over so many epochs.
  static let patience = (epochs: 5, share: 0.001)

  /// Takes the tokens through all epochs in batches, in an order of its own for each epoch.
  ///
  /// - Parameters:
  ///   - name: of the random streams.
  ///   - step: gets the tokens of a batch and the rate.
  ///   - held: the held-out loss; asked for after every epoch.
  /// - Returns: epochs, and the share of the held-out loss that the last ones gained.
  func run(
    tokens: Int, name: String, step: (_ tokens: [Int], _ rate: Double) throws -> Void, epoch: (Int) throws -> Void,
    held: () -> Double
  ) rethrows -> (epochs: Int, gain: Double) {
    var order = Array(0..<tokens)
    let batches = Parallel.ranges(tokens, of: batch)
    var losses = [held()]
    for done in 0..<epochs {
      var stream = RandomStream(seed: seed, name: "\(name) epoch \(done)")
      stream.shuffle(&order)
      for (place, range) in batches.enumerated() {
        let left = 1 - (Double(done) + Double(place) / Double(batches.count)) / Double(epochs)
        try step(Array(order[range]), rate * min(1, left / 0.3))
      }
      try epoch(done)
      losses.append(held())
      if gain(losses) < CodeTraining.patience.share { return (done + 1, gain(losses)) }
    }
    return (epochs, gain(losses))
  }

  private func gain(_ losses: [Double]) -> Double {
    guard losses.count > CodeTraining.patience.epochs, let last = losses.last else { return 1 }
    let before = losses[losses.count - 1 - CodeTraining.patience.epochs]
    return before > 0 ? (before - last) / before : 0
  }
}

/// What training came to.
package struct TrainedCode {
  package var code: SparseCode<Float>
  package var epochs: Int
  /// Share of the held-out loss that the last epochs gained.
  package var gain: Double
  /// Networks that are active at no token.
  package var dead: Int
}

/// - Parameters:
///   - X: T×r, the tokens that are learned from; `held`: those that are not.
///   - name: of the random streams.
package func trainedSparseCode(
  _ X: Matrix<Float>, held: Matrix<Float>, components k: Int, active: Int, _ training: CodeTraining, name: String,
  progress: () throws -> Void = {}
) throws -> TrainedCode {
  let center = X.columnMoments.mean
  let code = startingCode(X, center, components: k, active: active, seed: training.seed, name: name)
  let variance = VarianceShare(X, held: held, center)
  var adam = Adam(code.parameters)
  var fired = [Bool](repeating: false, count: k)
  let (epochs, gain) = try training.run(
    tokens: X.rows, name: name,
    step: { tokens, rate in
      let (_, gradient, c) = code.gradient(
        X.gathering(rows: tokens), scale: variance.perToken * Double(tokens.count))
      adam.update(code.parameters, by: gradient.parameters, rate: rate)
      normalise(code.D)
      for i in 0..<k where !fired[i] { fired[i] = (0..<c.rows).contains { c[$0, i] > 0 } }
      try progress()
    },
    epoch: { epoch in
      if Double(epoch + 1) <= 0.6 * Double(training.epochs) { revive(code, fired, X, adam) }
      fired = fired.map { _ in false }
    }, held: { variance.held { code.decoded(code.codes($0)) } })
  let c = code.codes(X)
  let dead = (0..<k).count { i in !(0..<c.rows).contains { c[$0, i] > 0 } }
  return TrainedCode(code: code, epochs: epochs, gain: gain, dead: dead)
}

/// b is the mean, D are tokens drawn as k-means++ draws centres, by the distance 1 - |cos|; the quarter of the tokens nearest
/// to the mean is left out. E = Dᵀ.
private func startingCode(
  _ X: Matrix<Float>, _ center: [Double], components k: Int, active: Int, seed: Int, name: String
) -> SparseCode<Float> {
  let U = X.copy()
  U.addToRows(center.map { Float($0) }, scaledBy: -1)
  let norms = (0..<U.rows).map { t in U.row(t).reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot() }
  let least = quantile(norms, 0.25)
  let chosenFrom = norms.indices.filter { norms[$0] >= least && norms[$0] > 0 }
  let V = U.gathering(rows: chosenFrom)
  V.scaleRows(by: chosenFrom.map { Float(1 / norms[$0]) })
  var stream = RandomStream(seed: seed, name: "\(name) start")
  let D = Matrix<Float>(rows: k, columns: X.columns)
  var distance = [Double](repeating: 1, count: V.rows)
  for i in 0..<k {
    let total = distance.reduce(0) { $0 + $1 * $1 }
    var left = stream.uniform() * total
    let drawn = distance.firstIndex {
      left -= $0 * $0
      return left < 0
    }
    let row = V.rows((drawn ?? 0)..<((drawn ?? 0) + 1))
    D.rows(i..<(i + 1)).assign(row)
    let cosines = V * row.T
    for t in distance.indices { distance[t] = min(distance[t], max(0, 1 - abs(Double(cosines[t, 0])))) }
  }
  return SparseCode(
    D: D, E: D.T.copy(), e: Matrix(rows: 1, columns: k),
    b: Matrix(rows: 1, columns: X.columns, values: center.map { Float($0) }), active: active)
}

/// Networks that never fired start again from the tokens that are explained worst.
private func revive(_ code: SparseCode<Float>, _ fired: [Bool], _ X: Matrix<Float>, _ adam: Adam<Float>) {
  let silent = fired.indices.filter { !fired[$0] }
  guard !silent.isEmpty else { return }
  let residual = X.copy()
  residual.add(code.decoded(code.codes(X)), scaledBy: -1)
  let size = (0..<residual.rows).map { t in residual.row(t).reduce(0.0) { $0 + Double($1) * Double($1) } }
  for (i, token) in zip(silent, argsort(size, descending: true)) where size[token] > 0 {
    let direction = residual.rows(token..<(token + 1)).copy()
    direction.scale(by: Float(1 / size[token].squareRoot()))
    code.D.rows(i..<(i + 1)).assign(direction)
    code.E.columns(i..<(i + 1)).assign((Float(0.5) * direction).T)
    code.e[0, i] = 0
    adam.forget(row: i, of: 0)
    for parameter in [1, 2] { adam.forget(column: i, of: parameter) }
  }
}

private func normalise(_ D: Matrix<Float>) {
  D.scaleRows(
    by: (0..<D.rows).map { i in
      let norm = D.row(i).reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
      return norm > 0 ? Float(1 / norm) : 0
    })
}

/// Shares of variance that are not explained, of the tokens that are learned from and of those that are not; both about
/// the mean of the first.
struct VarianceShare {
  private let X: Matrix<Float>
  private let other: Matrix<Float>
  private let totals: (own: Double, other: Double)
  /// Σ‖x - mean‖² of one token.
  var perToken: Double { totals.own / Double(max(1, X.rows)) }

  init(_ X: Matrix<Float>, held: Matrix<Float>, _ center: [Double]) {
    func total(_ A: Matrix<Float>) -> Double {
      let Y = A.copy()
      Y.addToRows(center.map { Float($0) }, scaledBy: -1)
      return sumOfSquares(Y)
    }
    (self.X, other) = (X, held)
    totals = (total(X), total(held))
  }

  func own(_ decoded: (Matrix<Float>) -> Matrix<Float>) -> Double { share(X, totals.own, decoded) }
  func held(_ decoded: (Matrix<Float>) -> Matrix<Float>) -> Double { share(other, totals.other, decoded) }

  private func share(_ A: Matrix<Float>, _ total: Double, _ decoded: (Matrix<Float>) -> Matrix<Float>) -> Double {
    guard total > 0 else { return .nan }
    let residual = decoded(A)
    residual.add(A, scaledBy: -1)
    return sumOfSquares(residual) / total
  }
}
