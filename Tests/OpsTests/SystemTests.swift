import Foundation
import Kernel
import Numerics
import Testing

@testable import Ops
@testable import Transformer

private let start = """
  m = load DATA/tiny-llama
  cal = text DATA/calibration.txt model=m samples=8 length=64
  ends = capture m cal sites=block.in,block.out keep=values
  grams = capture m cal sites=attn.heads,ffn.act keep=moments,gram

  """

/// The systems that the papers compare with: what must hold of each.
@Suite(.serialized) struct SystemTests {
  let bench = ScriptBench()

  // MARK: LLM-Streamline

  @Test func aBridgeStandsForBlocksAndIsReadBack() throws {
    let text =
      start + """
        mk = mask (score ends how=block_influence span=2) count=2
        p = prune m mk comp=linear acts=ends
        bare = prune m mk
        a = eval p cal length=64
        b = eval bare cal length=64

        """
    let model: Model = try bench.value("p", text)
    let mask: Mask = try bench.value("mk", text)
    let bridge = try #require(mask.removedBlocks.first)
    #expect(model.pruning.bridgedBlocks == [bridge])
    #expect(model.pruning.absentBlocks == [bridge + 1])
    let d = model.configuration.hiddenSize
    let removed = 2 * model.configuration.linearParameters(layer: 0) - d * d
    #expect(model.network.blockParameters == model.configuration.blockParameters - removed)
    let (a, b): (Report, Report) = (try bench.value("a", text), try bench.value("b", text))
    #expect(a.measurements[0].value < b.measurements[0].value)
    #expect(model.summary.contains("a linear map in the place of block \(bridge)"))
    // Folders of our own class hold it, and are read back with the same logits.
    let folder = NSTemporaryDirectory() + "prn-bridge-" + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try model.network.export(to: folder, as: .huggingFace)
    let back = try LanguageModel(folder)
    #expect(back.layers == model.network.layers - 1)
    #expect(back.blockParameters == model.network.blockParameters)
    let sequences = Sequences([[1, 5, 9, 200, 31, 7], [3, 3, 80]])
    let (found, expected) = (try back.logits(sequences), try model.network.logits(sequences))
    #expect(zip(found.values, expected.values).allSatisfy { abs($0 - $1) < 1e-4 })
    for format in [ModelFormat.masked, .gguf] {
      #expect(throws: ModelError.self) { try model.network.export(to: folder + ".x", as: format) }
    }
    #expect(throws: ModelError.self) { try back.export(to: folder + ".x", as: .gguf) }
    // Backwards, too: the lowest block's derivative by what its output map reads, against a difference.
    try checkGradient(model.network)
  }

  private func checkGradient(_ model: LanguageModel) throws {
    let sequences = Sequences([[1, 5, 9, 200, 31, 7, 45, 12]])
    var derivative = 0.0
    try model.branchGradients(
      sequences,
      look: { shown in
        guard shown.layer == 0, shown.branch.module == .ffn else { return }
        derivative = columnProducts(shown.mixed, shown.mixedGradient).reduce(0, +)
      })
    func loss(_ scale: Float) throws -> Double {
      let walk = try Walk(model, sequences)
      try walk.embed()
      var changed = Pruning.keepingAll(model.configuration)
      changed.blocks[0].ffn.weight = scale * (try model.loadBlock(0)[.ffn].output.weight)
      try walk.step(model.loadBlock(0).pruned(by: changed.blocks[0]))
      while walk.layer < model.layers { try walk.step() }
      return try model.losses(states: walk.states, sequences).reduce(0, +) / 7
    }
    let difference = try (loss(1.01) - loss(0.99)) / 0.02
    #expect(abs(difference - derivative) < 0.02 * abs(derivative) + 1e-3)
  }

  /// The residual has mean 0, and without a ridge it is uncorrelated with what the map reads.
  @Test func theBridgeIsLeastSquares() throws {
    var stream = RandomStream(seed: 1, name: "bridge")
    let F = Matrix<Float>(
      rows: 200, columns: 6, values: (0..<1200).map { _ in Float.random(in: -1...1, using: &stream) })
    let Y = Matrix<Float>(
      rows: 200, columns: 6, values: (0..<1200).map { _ in Float.random(in: -1...1, using: &stream) })
    Y.addToRows([1, 2, 3, 4, 5, 6])
    let bridge = try linearBridge(from: F, to: Y, ridge: 0)
    let residual = Matrix<Double>(Y) - Matrix<Double>(F) * bridge.A.T
    residual.addToRows(bridge.c, scaledBy: -1)
    for j in 0..<6 { #expect(abs(residual.column(j).reduce(0, +)) < 1e-3) }
    #expect((residual.T * Matrix<Double>(F)).values.allSatisfy { abs($0) < 1e-3 })
  }

  // MARK: Wanda-sp and magnitude-sp

  /// Both modules are judged on what the whole block shows: in the first block that is the dense stream.
  @Test func theFirstBlockOfASequentialWandaIsTheDenseOne() throws {
    let text =
      start + """
        p = cascade m cal by=wanda rate=20%
        mk = mask (score grams how=wanda) rate=20% scope=layer
        q = cascade m cal by=magnitude rate=20%
        mm = mask (score grams how=magnitude) rate=20% scope=layer

        """
    let wanda: Model = try bench.value("p", text)
    let dense: Mask = try bench.value("mk", text)
    let magnitude: Model = try bench.value("q", text)
    let norms: Mask = try bench.value("mm", text)
    for module in Module.allCases {
      #expect(wanda.pruning.blocks[0][module].keep == dense.keep[module]?[0])
      for layer in 0..<6 { #expect(magnitude.pruning.blocks[layer][module].keep == norms.keep[module]?[layer]) }
    }
    #expect(wanda.pruning.isUncompensated && magnitude.pruning.isUncompensated)
    #expect(abs(wanda.removedShare - 0.2) < 0.002)
  }

  // MARK: SoBP

  @Test func aCascadeTakesTheCountsOfAMask() throws {
    let text =
      start + """
        k = mask (saliency m cal how=gate) rate=30%
        p = cascade m cal by=obc how=greedy like=k
        q = cascade m cal by=obc how=greedy like=k target=dense

        """
    let mask: Mask = try bench.value("k", text)
    let (own, dense): (Model, Model) = (try bench.value("p", text), try bench.value("q", text))
    for layer in 0..<6 {
      for module in Module.allCases {
        #expect(own.pruning.blocks[layer][module].removed.count == mask.dropped(module, layer: layer).count)
        #expect(dense.pruning.blocks[layer][module].removed.count == mask.dropped(module, layer: layer).count)
      }
    }
    #expect(own.pruning.blocks[5].ffn.weight?.values != dense.pruning.blocks[5].ffn.weight?.values)
  }

  /// With the dense stream itself both targets are the same refit; nothing removed changes nothing.
  @Test func theTwoTargetsAgreeOnOneStream() throws {
    var stream = RandomStream(seed: 3, name: "targets")
    let X = Matrix<Float>(rows: 60, columns: 8, values: (0..<480).map { _ in Float.random(in: -1...1, using: &stream) })
    let W = Matrix<Double>(rows: 5, columns: 8, values: (0..<40).map { _ in Double.random(in: -1...1, using: &stream) })
    let gram = Matrix<Double>(rows: 8, columns: 8)
    accumulateGram(X, into: gram)
    let cross = Matrix<Double>(rows: 8, columns: 8)
    accumulateProduct(X, X, into: cross)
    let own = try refit(W, removed: [1, 4], gram: gram, lambda: 0.1)
    let dense = try refit(W, removed: [1, 4], gram: gram, lambda: 0.1, cross: cross)
    #expect(zip(own.values, dense.values).allSatisfy { abs($0 - $1) < 1e-4 })
    let none = try refit(W, removed: [], gram: gram, lambda: 0.1, cross: cross)
    #expect(zip(none.values, W.values).allSatisfy { abs($0 - $1) < 1e-4 })
  }

  // MARK: MoDeGPT

  @Test func leveragesOrderLikeOptimalBrainWithEqualColumns() throws {
    var stream = RandomStream(seed: 2, name: "leverage")
    let X = Matrix<Double>(
      rows: 50, columns: 12, values: (0..<600).map { _ in Double.random(in: -1...1, using: &stream) })
    X.scaleColumns(by: (0..<12).map { 0.3 + 0.2 * Double($0) })
    let C = X.T * X
    let leverages = try ridgeLeverages(C, ridge: 0.05)
    let losses = optimalBrainScores(Matrix<Double>.identity(12), try curvature(of: C, damping: 0.05))
    #expect(argsort(leverages) == argsort(losses))
    #expect(leverages.allSatisfy { $0 > 0 && $0 < 1 })
  }

  @Test func softmaxBudgetsKeepTheMeanAndTheCap() throws {
    let influence = [0.6, 0.1, 0.05, 0.04, 0.08, 0.3]
    let sizes = [10, 10, 20, 10, 10, 10]
    func mean(_ rates: [Double]) -> Double { zip(rates, sizes).reduce(0) { $0 + $1.0 * Double($1.1) } / 70 }
    for temperature in [1e-300, 1e-5, 0.01, 0.1, 1e6] {
      let found = try allocate(
        .softmax, complexity: influence, parameters: sizes, sp: 0.3, caps: influence.map { _ in 0.8 },
        temperature: temperature)
      #expect(abs(mean(found.rates) - 0.3) < 1e-12)
      #expect(found.rates.allSatisfy { $0 <= 0.8 })
      for (a, b) in zip(influence.indices, influence.indices.dropFirst()) where influence[a] < influence[b] {
        #expect(found.rates[a] >= found.rates[b])
      }
    }
    let flat = try allocate(
      .softmax, complexity: influence, parameters: sizes, sp: 0.3, temperature: 1e9)
    #expect(flat.rates.allSatisfy { abs($0 - 0.3) < 1e-6 })
  }

  // MARK: What cannot be

  @Test(arguments: [
    ("prune m (mask (score ends how=block_influence) count=1) comp=linear acts=grams", "acts"),
    ("prune m (mask (flap grams) rate=20%) comp=linear acts=ends", "comp"),
    ("cascade m cal by=wanda rate=20% target=dense comp=ls", "target"),
    ("cascade m cal by=flap rate=20% target=dense", "target"),
    ("cascade m cal by=wanda rate=20% metric=ifv", "metric"), ("cascade m cal by=magnitude rate=20% how=greedy", "how"),
    ("cascade m cal rate=20% like=(mask (flap grams) rate=20%)", "rate"), ("cascade m cal by=wanda", nil),
    ("allocate ends rate=20% temperature=1", "temperature"), ("allocate ends rate=20% cap=50%", "cap"),
    ("allocate ends rate=90% how=softmax", "rate"), ("score ends how=leverage", "measured"),
  ])
  func whatCannotBeNamesItsArgument(_ call: String, _ argument: String?) throws {
    let outcome = try bench.run(start + "x = " + call)
    #expect(outcome.exitCode != 0 && outcome.diagnostics.count == 1, "\(call)")
    #expect(outcome.diagnostics.first?.argument == argument, "\(outcome.diagnostics.map(\.summary))")
  }
}
