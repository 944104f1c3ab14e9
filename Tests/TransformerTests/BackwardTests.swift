import Foundation
import Numerics
import Testing

@testable import Transformer

/// The backward pass against PyTorch's, against differences, and against what must hold.
@Suite struct BackwardTests {
  /// h and ∂L/∂h of every block, whole.
  private func gradients(
    _ model: LanguageModel, _ sequences: Sequences, memory: Int = 1 << 30
  ) throws -> (h: [Matrix<Float>], gradient: [Matrix<Float>], losses: [Double]) {
    let tokens = sequences.tokens.count
    let widths = (0..<model.layers).map { model.configuration.units(.ffn, layer: $0) }
    let h = widths.map { Matrix<Float>(rows: tokens, columns: $0) }
    let gradient = widths.map { Matrix<Float>(rows: tokens, columns: $0) }
    let losses = try model.gradients(sequences, memory: memory) { tap in
      h[tap.layer].rows(tap.rows).assign(tap.h)
      gradient[tap.layer].rows(tap.rows).assign(tap.gradient)
    }
    return (h, gradient, losses)
  }

  @Test("∂L/∂h equals PyTorch's", arguments: ModelFixture.all)
  func gradientsEqualPyTorch(_ fixture: ModelFixture) throws {
    let model = try fixture.model()
    let sequences = try fixture.sequences()
    let (h, gradient, losses) = try gradients(model, sequences)
    for layer in 0..<model.layers {
      #expect(relativeError(h[layer], try fixture.expected("h.\(layer)")) < 1e-5)
      #expect(relativeError(gradient[layer], try fixture.expected("gradient.\(layer)")) < 5e-5)
    }
    #expect(losses == (try model.losses(sequences)))
  }

  @Test("nothing changes when blocks and activations do not fit into memory", arguments: ModelFixture.all)
  func recomputingGivesTheSameBits(_ fixture: ModelFixture) throws {
    let model = try fixture.model()
    let sequences = try fixture.sequences()
    let kept = try gradients(model, sequences)
    let recomputed = try gradients(model, sequences, memory: 0)
    #expect(kept.gradient.map(\.values) == recomputed.gradient.map(\.values))
  }

  @Test("the last token of a sequence has exactly zero gradient", arguments: ModelFixture.all)
  func lastRowsAreZero(_ fixture: ModelFixture) throws {
    let sequences = try fixture.sequences()
    let gradient = try gradients(fixture.model(), sequences).gradient
    for matrix in gradient {
      for i in 0..<sequences.count {
        #expect(matrix.row(sequences[i].upperBound - 1).allSatisfy { $0 == 0 })
      }
    }
  }

  /// Changes one token's h in the last block by ± a little, through a copy of the block with a larger down bias.
  @Test func gradientEqualsDifferences() throws {
    let fixture = ModelFixture(name: "gqa-tied")
    let model = try fixture.model()
    let sequences = try fixture.sequences()[0..<1]
    let layer = 0
    let gradient = try gradients(model, sequences).gradient[layer]
    func loss(adding step: Float, to token: Int, neuron: Int) throws -> Double {
      let walk = try Walk(model, sequences)
      try walk.embed()
      let block = try model.loadBlock(layer)
      try walk.step(block)
      let row = walk.states.rows(token..<token + 1)
      row.add(block[.ffn].output.weight.columns(neuron..<neuron + 1).T, scaledBy: step)
      while walk.layer < model.layers { try walk.step() }
      let losses = try model.losses(states: walk.states, sequences)
      return losses.reduce(0, +) / Double(sequences.tokens.count - 1)
    }
    for (token, neuron) in [(0, 3), (2, 0), (4, 17), (7, 23)] {
      let step: Float = 0.05
      let more = try loss(adding: step, to: token, neuron: neuron)
      let less = try loss(adding: -step, to: token, neuron: neuron)
      let difference = Float(more - less) / (2 * step)
      // A central difference errs by step²; single precision adds about 1e-7 / step.
      let tolerance: Float = 0.02 * abs(gradient[token, neuron]) + 2e-4
      #expect(abs(difference - gradient[token, neuron]) < tolerance)
    }
  }

  /// Σ_j h_j ∂L/∂h_j = <W_down h, ∂L/∂y>: scaling h and scaling what it adds are the same thing.
  @Test("Euler's identity", arguments: ModelFixture.all)
  func eulerIdentity(_ fixture: ModelFixture) throws {
    let model = try fixture.model()
    let sequences = try fixture.sequences()
    let (h, gradient, _) = try gradients(model, sequences)
    for layer in 0..<model.layers {
      let down = try model.loadBlock(layer)[.ffn].output.weight
      // ∂L/∂h = ∂L/∂y W, so ∂L/∂y is what solves it; W has full row rank here (d < n).
      let gradientAtOutput = gradient[layer] * down.T * inverse(down * down.T)
      let left = rowProducts(h[layer], gradient[layer])
      let right = rowProducts(h[layer] * down.T, gradientAtOutput)
      // Behind a norm scaling changes nothing: both are 0 to the rounding of their terms.
      let isZero = model.configuration.family.normsOutput
      let terms = isZero ? rowProducts(h[layer].map { abs($0) }, gradient[layer].map { abs($0) }) : left
      let scale = terms.map(abs).max() ?? 0
      let error = zip(left, right).map { abs($0 - $1) }.max() ?? 0
      #expect(error < 1e-3 * scale)
    }
  }

  private func rowProducts(_ A: Matrix<Float>, _ B: Matrix<Float>) -> [Float] {
    (0..<A.rows).map { zip(A.row($0), B.row($0)).map(*).reduce(0, +) }
  }

  /// Gauss-Jordan in double precision, for small well-conditioned matrices.
  private func inverse(_ A: Matrix<Float>) -> Matrix<Float> {
    let n = A.rows
    var rows = (0..<n).map { i in A.row(i).map(Double.init) + (0..<n).map { $0 == i ? 1 : 0 } }
    for i in 0..<n {
      let pivot = (i..<n).max { abs(rows[$0][i]) < abs(rows[$1][i]) } ?? i
      rows.swapAt(i, pivot)
      rows[i] = rows[i].map { [factor = rows[i][i]] in $0 / factor }
      for j in 0..<n where j != i {
        let factor = rows[j][i]
        rows[j] = zip(rows[j], rows[i]).map { $0 - factor * $1 }
      }
    }
    return Matrix(rows: n, columns: n, values: rows.flatMap { $0[n...].map(Float.init) })
  }

  @Test func aPrunedModelShowsZerosWhereItWasPruned() throws {
    let fixture = ModelFixture(name: "qwen2")
    let whole = try fixture.model()
    let model = try whole.pruned(by: somePruning(whole.configuration))
    let (h, gradient, _) = try gradients(model, fixture.sequences())
    for layer in 0..<model.layers {
      for (neuron, isKept) in try #require(model.pruning[layer]).ffn.keep.enumerated() where !isKept {
        #expect(h[layer].column(neuron).allSatisfy { $0 == 0 })
        #expect(gradient[layer].column(neuron).allSatisfy { $0 == 0 })
      }
    }
  }
}
