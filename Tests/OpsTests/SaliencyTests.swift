import Foundation
import Kernel
import Numerics
import Testing

@testable import Ops
@testable import Transformer

/// Scores by a backward pass, against PyTorch's gradients and against what must hold.
@Suite struct SaliencyTests {
  private func scores(
    _ model: LanguageModel, _ sequences: Sequences, _ criterion: GradientCriterion
  ) throws -> GradientScores {
    var sums = GradientScores(structure: Structure(model, model: ""), sequences: sequences, criterion: criterion)
    try model.branchGradients(sequences, look: { try sums.add($0) })
    return sums
  }

  @Test("the saliencies equal those of PyTorch's gradients", arguments: ["gqa-tied", "qwen2", "olmo2", "gpt2"])
  func equalsPyTorch(_ name: String) throws {
    let model = try LanguageModel(transformerFixtures + "/" + name)
    let text = try fixtureSequences(name, atLeast: 2)
    let file = try TensorFile(safetensors: transformerFixtures + "/saliency.safetensors")
    func expect(_ found: [Double], _ key: String) throws {
      let expected = try file.read(ByteString("\(name).\(key)"))
      let scale = expected.map { abs($0) }.max() ?? 0
      #expect(found.count == expected.count, "\(key)")
      for (a, b) in zip(found, expected) { #expect(abs(a - Double(b)) < 1e-4 * Double(scale), "\(key)") }
    }
    for criterion in SaliencyRule.allCases.map(GradientCriterion.weights) + [.gate] {
      let found = try scores(model, text, criterion)
      let key = if case .weights(let rule) = criterion { rule.rawValue } else { "gate" }
      for module in Module.allCases {
        try expect((found.score[module] ?? []).flatMap { $0 }, "\(key).\(module.rawValue)")
      }
      if criterion.scoresBlocks { try expect(found.block, "\(key).block") }
    }
  }

  /// A unit's loss when its weights shrink by a little is what the gradient says: Σ w g over all its weights.
  @Test func aScaledUnitChangesTheLossAsTheGradientSays() throws {
    let model = try LanguageModel(transformerFixtures + "/gqa-tied")
    let text = try fixtureSequences("gqa-tied", atLeast: 2)
    var first: [[Double]] = []
    try model.branchGradients(
      text,
      look: { shown in
        guard shown.branch.module == .ffn else { return }
        first.append(columnProducts(shown.mixed, shown.mixedGradient))
      })
    let layer = 1
    for neuron in [0, 7, 20] {
      let derivative = first[model.layers - 1 - layer][neuron] / Double(text.count)
      func loss(_ scale: Float) throws -> Double {
        let kept = Pruning.keepingAll(model.configuration)
        var changed = kept
        let weight = try model.loadBlock(layer)[.ffn].output.weight.copy()
        weight.columns(neuron..<neuron + 1).scale(by: scale)
        changed.blocks[layer].ffn.weight = weight
        let losses = try model.pruned(by: changed).losses(text)
        return (0..<text.count).reduce(0) { sum, i in
          sum + losses[text[i]].reduce(0, +) / Double(text[i].count - 1)
        } / Double(text.count)
      }
      let difference = try (loss(1.02) - loss(0.98)) / 0.04
      #expect(abs(difference - derivative) < 0.02 * abs(derivative) + 2e-5)
    }
  }

  /// Row j of gate and of up, and column j of down: Σ w g is Σ of activation times derivative there, and no absolute
  /// value of a sum exceeds the sum of absolute values.
  @Test func vectorsAreSumsOfActivationsTimesDerivatives() throws {
    let model = try LanguageModel(transformerFixtures + "/qwen2")
    let text = try fixtureSequences("qwen2", atLeast: 2)
    try model.branchGradients(
      text,
      look: { shown in
        for role in [LinearRole.gate, .up, .down] where shown.branch.module == .ffn {
          let (X, dY) = shown.signals(role)
          let W = shown.branch.weight(role)
          let g = dY.T * X
          let isRow = role != .down
          let vector = saliency(.vectorize, W, gradient: g, of: isRow ? .rows : .columns)
          let products = isRow ? columnProducts(X * W.T, dY) : columnProducts(X, shown.mixedGradient)
          let scale = products.map(abs).max() ?? 0
          for (a, b) in zip(vector, products) { #expect(abs(a - abs(b)) < 1e-4 * scale) }
          let entries = saliency(.first, W, gradient: g, of: isRow ? .rows : .columns)
          for (a, b) in zip(vector, entries) { #expect(a <= b * (1 + 1e-6)) }
        }
      })
  }

  /// Twice the loss doubles g and quadruples acc: the order by param_first stays, that by param_mix may change.
  @Test func theScaleOfTheLossMattersToSecondOrderOnly() {
    let W = Matrix<Float>([[1, -2, 3], [0.5, 4, -1]])
    let g = Matrix<Float>([[0.1, 0.2, -0.3], [0.7, -0.1, 0.2]])
    let acc = Matrix<Float>([[0.01, 0.05, 0.1], [0.5, 0.02, 0.04]])
    for lines in [MatrixLines.rows, .columns] {
      let once = saliency(.first, W, gradient: g, of: lines)
      #expect(zip(once, saliency(.first, W, gradient: 2 * g, of: lines)).allSatisfy { abs(2 * $0 - $1) < 1e-6 })
      let second = saliency(.second, W, gradient: g, squares: acc, of: lines)
      let again = saliency(.second, W, gradient: 2 * g, squares: 4 * acc, of: lines)
      #expect(zip(second, again).allSatisfy { abs(4 * $0 - $1) < 1e-6 })
      let mix = saliency(.mix, W, gradient: g, squares: acc, of: lines)
      let doubled = saliency(.mix, W, gradient: 2 * g, squares: 4 * acc, of: lines)
      #expect(zip(mix, doubled).contains { abs(2 * $0 - $1) > 1e-3 })
    }
  }

  @Test func aBlockIsTheSumOfItsUnitsAndNorms() throws {
    let model = try LanguageModel(transformerFixtures + "/gqa-tied")
    let text = try fixtureSequences("gqa-tied", atLeast: 2)
    let found = try scores(model, text, .weights(.first))
    for layer in 0..<model.layers {
      let units = Module.allCases.reduce(0.0) { $0 + (found.score[$1]?[layer].reduce(0, +) ?? 0) }
      #expect(found.block[layer] > units)
    }
  }

  /// A module bears the rate by itself, neurons make up for the heads' rounding, and each keeps a tenth.
  @Test func gatesAreRankedModuleByModule() throws {
    let bench = ScriptBench()
    let mask: Mask = try bench.value(
      "x",
      """
      m = load DATA/tiny-llama
      cal = text DATA/calibration.txt model=m samples=4 length=64
      x = mask (saliency m cal how=gate) rate=30%
      """)
    #expect(abs(mask.blockRate - 0.3) < 0.001)
    let structure = mask.structure
    for module in Module.allCases {
      let gone = (0..<structure.layers).map { mask.dropped(module, layer: $0).count }
      let share = Double(gone.reduce(0, +)) / Double(structure.units[module].reduce(0, +))
      #expect(abs(share - 0.3) < 0.05)
      for layer in 0..<structure.layers {
        #expect(structure.units[module][layer] - gone[layer] >= (structure.units[module][layer] + 9) / 10)
      }
    }
  }
}
