import Foundation
import Numerics
import Testing

@testable import Ops

@Suite struct SparseCodeTests {
  private func gaussian(_ rows: Int, _ columns: Int, _ name: String) -> Matrix<Double> {
    var stream = RandomStream(seed: 5, name: name)
    return stream.gaussianMatrix(rows: rows, columns: columns)
  }

  /// Central differences of a loss by every parameter.
  private func expectGradient(
    _ parameters: [Matrix<Double>], _ gradients: [Matrix<Double>], skip: Int? = nil, _ loss: () -> Double
  ) {
    for (index, parameter) in parameters.enumerated() where index != skip {
      for i in 0..<parameter.rows {
        for j in 0..<parameter.columns {
          let value = parameter[i, j]
          parameter[i, j] = value + 1e-5
          let above = loss()
          parameter[i, j] = value - 1e-5
          let below = loss()
          parameter[i, j] = value
          let (slope, found) = ((above - below) / 2e-5, gradients[index][i, j])
          #expect(abs(slope - found) < 1e-7 * max(1, abs(slope)), "parameter \(index) at \(i), \(j)")
        }
      }
    }
  }

  @Test func gradientsAreThoseOfDifferences() {
    let X = gaussian(12, 6, "x")
    let D = gaussian(4, 6, "d")
    D.scaleRows(by: (0..<4).map { 1 / D.row($0).reduce(0) { $0 + $1 * $1 }.squareRoot() })
    let code = SparseCode(D: D, E: gaussian(6, 4, "e"), e: gaussian(1, 4, "bias"), b: gaussian(1, 6, "b"), active: 2)
    let (loss, gradient, codes) = code.gradient(X, scale: 40)
    #expect((0..<12).allSatisfy { t in codes.row(t).count { $0 > 0 } <= 2 })
    expectGradient(code.parameters, gradient.parameters, skip: 0) { code.gradient(X, scale: 40).loss }
    // Along D nothing may change; across it the gradient is that of differences.
    for i in 0..<4 {
      let along = zip(gradient.D.row(i), D.row(i)).reduce(0) { $0 + $1.0 * $1.1 }
      #expect(abs(along) < 1e-12)
      let direction = gradient.D.row(i)
      func moved(_ step: Double) -> Double {
        let other = D.copy()
        for j in 0..<6 { other[i, j] += step * direction[j] }
        return SparseCode(D: other, E: code.E, e: code.e, b: code.b, active: 2).gradient(X, scale: 40).loss
      }
      let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5
      #expect(abs(slope - direction.reduce(0) { $0 + $1 * $1 }) < 1e-7)
    }
    #expect(loss > 0)
  }

  @Test func gradientsOfTheDeepCodeAreThoseOfDifferences() {
    let X = gaussian(5, 3, "x")
    let code = DeepCode<Double>(columns: 3, components: 2, seed: 1, name: "deep")
    let (_, gradient) = code.gradient(X, scale: 12)
    expectGradient(code.parameters, gradient.parameters) { code.gradient(X, scale: 12).loss }
  }

  /// Sparse overlapping networks that come and go by themselves.
  private func planted(tokens: Int, units: Int, networks: Int) -> (signals: Matrix<Float>, maps: Matrix<Double>) {
    var stream = RandomStream(seed: 11, name: "planted")
    let maps = Matrix<Double>(rows: networks, columns: units)
    for i in 0..<networks {
      for unit in stream.sample(units / 5, from: units) { maps[i, unit] = 1 + 0.3 * stream.gaussian() }
    }
    let courses = Matrix<Double>(rows: tokens, columns: networks)
    for t in 0..<tokens {
      for i in stream.sample(2, from: networks) { courses[t, i] = 1 + stream.uniform() }
    }
    let Z = courses * maps
    for t in 0..<tokens { for j in 0..<units { Z[t, j] += 0.1 * stream.gaussian() } }
    return (Matrix<Float>(Z), maps)
  }

  private func finder(
    _ components: Int, active: Int, rank: Int = 60, epochs: Int = 30, restarts: Int = 1,
    decoder: SparseCodeSearch.Decoder = .linear
  ) -> SparseCodeFinder {
    SparseCodeFinder(
      components: components,
      search: SparseCodeSearch(
        decoder: decoder, active: active, rank: rank,
        training: CodeTraining(epochs: epochs, batch: 256, rate: decoder.rate, seed: 0), restarts: restarts, hold: 8),
      key: 3, keepsMaps: true)
  }

  private func found(_ finder: SparseCodeFinder, _ X: Matrix<Float>) throws -> FoundNetworks {
    try finder.networks(of: [X], subjects: [], name: "test", progress: {})
  }

  @Test func plantedNetworksAreFound() throws {
    let (X, maps) = planted(tokens: 3000, units: 60, networks: 8)
    let result = try found(finder(8, active: 2, restarts: 4), X)
    let match = matchNetworks(maps, result.networks.z)
    #expect(match.similarity.min() ?? 0 > 0.9, "\(match.similarity)")
    let fit = try #require(result.code)
    #expect(fit.fvuHeld < fit.pcaActive - 0.2)
    #expect(fit.rankKept > 0.99 && fit.dead == 0)
    #expect(fit.activeShare.count == 8 && fit.activeShare.allSatisfy { $0 > 0.1 && $0 < 0.5 })
  }

  /// The order of units, and the scale of a unit's signal, say nothing.
  @Test func unitsHaveNoOrderAndNoScale() throws {
    let (X, _) = planted(tokens: 1200, units: 40, networks: 5)
    let plain = try found(finder(5, active: 2, rank: 40), X).networks.z
    let order = Array((0..<40).reversed())
    let permuted = try found(finder(5, active: 2, rank: 40), X.gathering(columns: order)).networks.z
    let scaled = X.copy()
    scaled.scaleColumns(by: (0..<40).map { $0 % 2 == 0 ? 4 : 0.25 })
    let rescaled = try found(finder(5, active: 2, rank: 40), scaled).networks.z
    for (name, other) in [("permuted", permuted.gathering(columns: order)), ("rescaled", rescaled)] {
      let match = matchNetworks(plain, other)
      #expect(match.similarity.min() ?? 0 > 0.99, "\(name) \(match.similarity)")
    }
  }

  /// With every network active in as many dimensions as there are, a code is principal components.
  @Test func aDenseCodeIsNoWorseThanPrincipalComponents() throws {
    let (X, _) = planted(tokens: 1200, units: 40, networks: 5)
    let fit = try #require(try found(finder(12, active: 12, rank: 6, epochs: 60), X).code)
    #expect(fit.fvuHeld <= 0.05, "six directions, and twelve half-lines that can point either way along each")
    let deep = try #require(
      try found(finder(4, active: 4, rank: 40, epochs: 60, decoder: .deep), X).code)
    #expect(deep.gain > 0, "\(deep)")
  }

  /// ‖Z - x̂ P‖² = ‖X - x̂‖² + what lies outside the directions: one objective, whatever the number of signals.
  @Test func theLiftIsAnIdentity() throws {
    let (signals, _) = planted(tokens: 400, units: 30, networks: 4)
    let Z = try ScaledSignals([signals])
    let shared = try sharedSubspace(Z, components: 10)
    let whole = Matrix<Double>(Z.tile(0..<30))
    let X = whole * shared.B.T
    let guess = gaussian(400, 10, "guess")
    func squares(_ A: Matrix<Double>) -> Double { A.values.reduce(0) { $0 + $1 * $1 } }
    let outside = squares(whole - X * shared.B)
    let (lifted, reduced) = (squares(whole - guess * shared.B), squares(X - guess))
    #expect(abs(lifted - reduced - outside) < 1e-4 * lifted)
  }

  /// Signals that repeat each other span fewer directions than asked for; the code sees those there are.
  @Test func signalsOfLowRankAreTakenAsTheyAre() throws {
    let (X, _) = planted(tokens: 1100, units: 20, networks: 4)
    let twice = Matrix<Float>(rows: 1100, columns: 40)
    twice.columns(0..<20).assign(X)
    twice.columns(20..<40).assign(X)
    let fit = try #require(try found(finder(4, active: 2, rank: 60, epochs: 4), twice).code)
    #expect(abs(fit.rankKept - 1) < 1e-4)
  }

  @Test func equalSeedsGiveEqualBits() throws {
    let (X, _) = planted(tokens: 1100, units: 40, networks: 5)
    for decoder in SparseCodeSearch.Decoder.allCases {
      let search = finder(5, active: 2, rank: 40, epochs: 8, decoder: decoder)
      let first = try found(search, X).networks.z.values
      let again = try found(search, X).networks.z.values
      #expect(first == again)
    }
  }

  @Test func trainedNetworksHaveLengthOne() throws {
    let (X, _) = planted(tokens: 600, units: 20, networks: 4)
    let trained = try trainedSparseCode(
      X.rows(0..<500), held: X.rows(500..<600), components: 4, active: 2,
      CodeTraining(epochs: 6, batch: 64, rate: 0.02, seed: 0), name: "test")
    for i in 0..<4 {
      let norm = trained.code.D.row(i).reduce(0) { $0 + $1 * $1 }
      #expect(abs(norm - 1) < 1e-5)
    }
  }
}
