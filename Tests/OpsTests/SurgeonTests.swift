import Foundation
import Kernel
import Numerics
import Testing

@testable import Ops
@testable import Transformer

private let start = """
  m = load DATA/tiny-llama
  cal = text DATA/calibration.txt model=m samples=8 length=64

  """

/// LLM Surgeon: what a row or column costs, which go, and what the others become.
@Suite(.serialized) struct SurgeonTests {
  let bench = ScriptBench()

  private func curvature(_ n: Int, _ name: String) -> Matrix<Double> {
    let X = randomMatrix(n, 3 * n, name)
    X.scaleRows(by: (0..<n).map { 0.3 + Double($0) / 2 })
    return X * X.T
  }

  private func map(
    _ W: Matrix<Double>, _ G: Matrix<Double>, _ A: Matrix<Double>, damping: Double = 0, isBiased: Bool = false
  ) throws -> KroneckerMap {
    try KroneckerMap(W, isBiased: isBiased, outputs: G, inputs: A, damping: damping)
  }

  private func close(_ a: Matrix<Double>, _ b: Matrix<Double>, _ tolerance: Double = 1e-9) -> Bool {
    a.shape == b.shape && zip(a.values, b.values).allSatisfy { abs($0 - $1) < tolerance }
  }

  // MARK: The paper's formulas

  /// min ½ δᵀ F δ with δ = −w on some weights, F = G ⊗ A written out, weights row by row: the loss and W + δ.
  private func bruteForce(
    _ W: Matrix<Double>, _ G: Matrix<Double>, _ A: Matrix<Double>, removed: [Int]
  ) throws -> (loss: Double, W: Matrix<Double>) {
    let (m, n) = (W.rows, W.columns)
    let F = Matrix<Double>(rows: m * n, columns: m * n)
    for i in 0..<m * n { for j in 0..<m * n { F[i, j] = G[i / n, j / n] * A[i % n, j % n] } }
    let inverse = try cholesky(F).inverse()
    let w = Matrix<Double>(rows: removed.count, columns: 1, values: removed.map { W.values[$0] })
    let solved = try cholesky(inverse.gathering(rows: removed).gathering(columns: removed)).solve(w)
    let delta = inverse.gathering(columns: removed) * solved
    let changed = Matrix<Double>(rows: m, columns: n, values: zip(W.values, delta.values).map { $0 - $1 })
    return (zip(w.values, solved.values).reduce(0) { $0 + $1.0 * $1.1 / 2 }, changed)
  }

  @Test func costsAndUpdatesAreThoseOfTheWholeCurvature() throws {
    let (W, G, A) = (randomMatrix(4, 5, "W"), curvature(4, "G"), curvature(5, "A"))
    let found = try map(W, G, A)
    for i in 0..<4 {
      let exact = try bruteForce(W, G, A, removed: (0..<5).map { 5 * i + $0 })
      #expect(abs(found.rowCosts[i] - exact.loss) < 1e-9 * exact.loss)
      #expect(close(try found.without(rows: [i], columns: []), exact.W))
    }
    for j in 0..<5 {
      let exact = try bruteForce(W, G, A, removed: (0..<4).map { 5 * $0 + j })
      #expect(abs(found.columnCosts[j] - exact.loss) < 1e-9 * exact.loss)
      #expect(close(try found.without(rows: [], columns: [j]), exact.W))
    }
    // Several lines go together.
    let rows = try bruteForce(W, G, A, removed: [1, 3].flatMap { i in (0..<5).map { 5 * i + $0 } })
    #expect(close(try found.without(rows: [1, 3], columns: []), rows.W))
    let columns = try bruteForce(W, G, A, removed: [0, 4].flatMap { j in (0..<4).map { 5 * $0 + j } })
    #expect(close(try found.without(rows: [], columns: [0, 4]), columns.W))
    // Both from the same W, added, then exact zeros.
    let both = (rows.W + columns.W) - W
    for i in 0..<4 { for j in 0..<5 where [1, 3].contains(i) || [0, 4].contains(j) { both[i, j] = 0 } }
    #expect(close(try found.without(rows: [1, 3], columns: [0, 4]), both))
  }

  @Test func rowsAreAdaptedByOutputsAloneAndColumnsAsOBCDoes() throws {
    let (W, G, A) = (randomMatrix(6, 7, "W"), curvature(6, "G"), curvature(7, "A"))
    let found = try map(W, G, A, damping: 0.01)
    let other = try map(W, curvature(6, "G2"), curvature(7, "A2"), damping: 0.01)
    let sameG = try map(W, G, curvature(7, "A2"), damping: 0.01)
    let rows = try found.without(rows: [0, 2, 5], columns: [])
    #expect(close(rows, try sameG.without(rows: [0, 2, 5], columns: [])))
    #expect(!close(rows, try other.without(rows: [0, 2, 5], columns: []), 1e-3))
    let columns = try found.without(rows: [], columns: [1, 6])
    #expect(close(columns, try refit(W, removed: [1, 6], Ops.curvature(of: A, damping: 0.01))))
  }

  /// The mean gradient of twice the loss is twice as large: costs are four times theirs, and nothing else changes.
  @Test func theScaleOfTheLossChangesNothing() throws {
    let (W, G, A) = (randomMatrix(6, 7, "W"), curvature(6, "G"), curvature(7, "A"))
    let (once, twice) = (try map(W, G, A, damping: 0.01), try map(W, 4 * G, A, damping: 0.01))
    for (a, b) in [(once.rowCosts, twice.rowCosts), (once.columnCosts, twice.columnCosts)] {
      #expect(zip(a, b).allSatisfy { abs(4 * $0 - $1) < 1e-9 * $1 })
    }
    let (first, second) = (
      try once.without(rows: [1, 2], columns: [3]), try twice.without(rows: [1, 2], columns: [3])
    )
    #expect(close(first, second))
  }

  /// Where nothing is correlated, what stays keeps its weights; and lines by themselves are made up for one by one.
  @Test func withoutCorrelationsNothingIsAdapted() throws {
    let W = randomMatrix(4, 5, "W")
    let uncorrelated = try map(W, .diagonal([1, 2, 3, 4]), .diagonal([5, 1, 2, 3, 4]), damping: 0.01)
    let cut = try uncorrelated.without(rows: [2], columns: [0, 3])
    for i in 0..<4 { for j in 0..<5 { #expect(cut[i, j] == (i == 2 || j == 0 || j == 3 ? 0 : W[i, j])) } }

    let found = try map(W, curvature(4, "G"), curvature(5, "A"), damping: 0.01)
    let apart = try found.without(rows: [0, 2], columns: [], together: 1)
    let sum = try found.without(rows: [0], columns: []) + found.without(rows: [2], columns: []) - W
    for i in [0, 2] { sum.rows(i..<i + 1).scale(by: 0) }
    #expect(close(apart, sum))
    #expect(!close(apart, try found.without(rows: [0, 2], columns: []), 1e-3))
    #expect(
      close(
        try found.without(rows: [0, 2], columns: [1, 2], together: 2),
        try found.without(rows: [0, 2], columns: [1, 2])))
  }

  /// A bias is a weight like others, of an input that is 1; its column is none to remove.
  @Test func aBiasGoesWithItsRow() throws {
    let (W, G, A) = (randomMatrix(4, 6, "W"), curvature(4, "G"), curvature(6, "A"))
    let (biased, plain) = (try map(W, G, A, isBiased: true), try map(W, G, A))
    #expect(biased.columns == Array(0..<5))
    #expect(biased.rowCosts == plain.rowCosts && biased.columnCosts == Array(plain.columnCosts.prefix(5)))
    let cut = try biased.without(rows: [1], columns: [2])
    #expect(cut.row(1).allSatisfy { $0 == 0 } && cut[0, 5] != W[0, 5])
    // A map of nothing but a bias keeps it.
    let bare = W.copy()
    bare.columns(0..<5).scale(by: 0)
    #expect(close(try map(bare, G, A, isBiased: true).without(rows: [], columns: []), bare))
  }

  /// What is dead goes first, costs nothing, and takes no part in what the others become.
  @Test func deadLinesAreLeftOut() throws {
    let (W, G, A) = (randomMatrix(5, 6, "W"), curvature(5, "G"), curvature(6, "A"))
    W.rows(1..<2).scale(by: 0)
    W.columns(4..<5).scale(by: 0)
    for i in 0..<5 { (G[3, i], G[i, 3]) = (0, 0) }
    for j in 0..<6 { (A[0, j], A[j, 0]) = (0, 0) }
    let found = try map(W, G, A, damping: 0.01)
    #expect(found.rows == [0, 2, 4] && found.columns == [1, 2, 3, 5])
    func live(_ M: Matrix<Double>, _ rows: [Int], _ columns: [Int]) -> Matrix<Double> {
      M.gathering(rows: rows).gathering(columns: columns)
    }
    let small = try map(
      live(W, found.rows, found.columns), live(G, found.rows, found.rows), live(A, found.columns, found.columns),
      damping: 0.01)
    #expect(found.rowCosts == small.rowCosts && found.columnCosts == small.columnCosts)
    let cut = try found.without(rows: [0], columns: [1])
    #expect(close(live(cut, found.rows, found.columns), try small.without(rows: [0], columns: [1])))
    for i in [1, 3] { #expect(cut.row(i).allSatisfy { $0 == 0 }) }
    for j in [0, 4] { #expect(cut.column(j).allSatisfy { $0 == 0 }) }
    // The loss feels nothing of a map.
    let silent = try map(W, Matrix(rows: 5, columns: 5), A)
    #expect(silent.rows.isEmpty && silent.rowCosts.isEmpty)
    #expect(try silent.without(rows: [], columns: []).values.allSatisfy { $0 == 0 })
    G[2, 2] = .nan
    #expect(throws: SurgeryError.notFinite) { try map(W, G, A) }
  }

  // MARK: One threshold

  @Test func theThresholdIsTheLargestWithinTheBudget() throws {
    var stream = RandomStream(seed: 2, name: "costs")
    let sizes = [(4, 6), (5, 3), (7, 7)]
    let costs = sizes.map { size in
      (
        rows: (0..<size.0).map { _ in Double.random(in: 0...1, using: &stream) },
        columns: (0..<size.1).map { _ in Double.random(in: 0...1, using: &stream) }
      )
    }
    let all = Double(sizes.reduce(0) { $0 + $1.0 * $1.1 })
    func left(_ theta: Double) -> Double {
      costs.reduce(0.0) { sum, costs in
        sum + Double(max(1, costs.rows.count { $0 > theta }) * max(1, costs.columns.count { $0 > theta }))
      }
    }
    let thresholds = costs.flatMap { $0.rows + $0.columns }
    for rate in [0.1, 0.25, 0.5, 0.8] {
      let removed = try cheapestLines(costs, leaving: (1 - rate) * all)
      let best = thresholds.filter { left($0) >= (1 - rate) * all - 0.5 }.max() ?? -1
      for (costs, lines) in zip(costs, removed) {
        #expect(lines.rows.count == min(costs.rows.count - 1, costs.rows.count { $0 <= best }))
        #expect(lines.rows.allSatisfy { costs.rows[$0] <= best } && lines.rows == lines.rows.sorted())
        #expect(lines.columns.count == min(costs.columns.count - 1, costs.columns.count { $0 <= best }))
        #expect(lines.columns.allSatisfy { costs.columns[$0] <= best })
      }
    }
    let none = try cheapestLines(costs, leaving: all)
    #expect(none.allSatisfy { $0 == RemovedLines() })
    #expect(throws: SurgeryError.tooFewLines) { try cheapestLines(costs, leaving: 2) }
  }

  @Test func amongEqualsTheOrderIsWritten() throws {
    let equal = (rows: [1.0, 1, 1], columns: [1.0, 1, 1])
    // 18 weights; two rows of the first map leave 12, a column of it 11.
    let removed = try cheapestLines([equal, equal], leaving: 11)
    #expect(removed == [RemovedLines(rows: [0, 1], columns: [0]), RemovedLines()])
  }

  // MARK: Models

  /// surgeon.py does the same with PyTorch's gradients and explicit inverses, in double precision.
  @Test("two shots equal those in PyTorch", arguments: ["gqa-tied", "qwen2", "gpt2"])
  func equalsPyTorch(_ name: String) throws {
    let network = try LanguageModel(transformerFixtures + "/" + name)
    let text = try fixtureSequences(name, atLeast: 2)
    let file = try TensorFile(safetensors: transformerFixtures + "/surgeon.safetensors")
    func expect(_ found: [Double], _ key: String, within tolerance: Double) throws {
      let expected = try file.read(ByteString("\(name).\(key)")) as [Float]
      let scale = Double(expected.map { abs($0) }.max() ?? 0)
      let error = zip(found, expected).map { abs($0 - Double($1)) }.max() ?? .infinity
      #expect(found.count == expected.count && error < tolerance * scale, "\(key) \(error / scale)")
    }
    let structure = Structure(network, model: "")
    var scores = GradientScores(structure: structure, sequences: text, criterion: .kronecker)
    try network.branchGradients(text, look: { try scores.add($0) })
    for module in Module.allCases {
      try expect((scores.score[module] ?? []).flatMap { $0 }, "kfac.\(module.rawValue)", within: 1e-3)
    }
    let pruning = try StepBench().run { context in
      try ShotSurgery(
        network: network, sequences: text, structure: structure, rate: 0.25, shots: 2, damping: 0.01, together: nil,
        context: context
      ).pruning()
    }
    var live: [Double] = []
    for layer in 0..<network.layers {
      for module in Module.allCases {
        for role in BranchGrams.roles(try network.loadBlock(layer)[module]) {
          let map =
            try pruning.blocks[layer][module].maps[role]
            ?? DenseMap(
              network.loadBlock(layer)[module].weight(role), bias: nil)
          live += (0..<map.weight.rows).map { map.rows.contains($0) ? 1 : 0 }
          live += (0..<map.weight.columns).map { map.columns.contains($0) ? 1 : 0 }
        }
      }
    }
    try expect(live, "live", within: 1e-6)
    try expect(network.pruned(by: pruning).logits(text).values.map(Double.init), "logits", within: 1e-3)
  }

  @Test func aRateIsTheShareOfRowsTimesColumnsThatGoes() throws {
    let text =
      start + "p = surgeon m cal rate=20% shots=2\nq = surgeon p cal rate=10% shots=1\nh = eval p cal length=64"
    let model: Model = try bench.value("p", text)
    let (rows, columns) = (384, 384)
    let slack = Double(max(rows, columns)) / Double(model.configuration.blockParameters)
    #expect(model.removedShare <= 0.2 && model.removedShare > 0.2 - slack)
    var left = 0
    for layer in 0..<6 {
      let block = try model.network.loadBlock(layer)
      for role in LinearRole.allCases {
        let map = DenseMap(block[role].weight(role), bias: nil)
        left += map.rows.count * map.columns.count
      }
    }
    #expect(left == model.network.blockParameters)
    #expect(model.compensation == "kfac" && model.summary.contains("zeros"))
    let report: Report = try bench.value("h", text)
    #expect(report.removed?.inOwnTerms == model.removedInOwnTerms)
    #expect(model.removedInOwnTerms.hasSuffix("of the columns, as zeros"))
    // No number less is stored or multiplied.
    #expect(try model.network.storedBytes() == model.network.original.storedBytes())
    #expect(
      model.network.multiplyAccumulates(perTokenOf: 64) == model.network.original.multiplyAccumulates(perTokenOf: 64))
    // A second time it is a share of what is there then.
    let again: Model = try bench.value("q", text)
    let share = 1 - Double(again.network.blockParameters) / Double(model.network.blockParameters)
    #expect(share <= 0.1 && share > 0.1 - 2 * slack)
  }

  /// A neuron whose way up is a row of zeros is never active: at the next shot its column of the way down and its row of
  /// the gate are dead.
  @Test func whatAShotMakesUselessGoesWithTheNext() throws {
    let text = start + "p = surgeon m cal rate=40% shots=2\nq = surgeon p cal rate=0 shots=1"
    let model: Model = try bench.value("q", text)
    var dead = 0
    for block in model.pruning.blocks {
      let maps = block.ffn.maps
      guard let gate = maps[.gate], let up = maps[.up], let down = maps[.down] else { continue }
      for neuron in 0..<384 where !up.rows.contains(neuron) || !gate.rows.contains(neuron) {
        #expect(!down.columns.contains(neuron))
        dead += 1
      }
    }
    #expect(dead > 0)
  }

  @Test func theNumberOfThreadsChangesNothing() throws {
    let text = start + "p = surgeon m cal rate=20% shots=2\nk = saliency m cal how=kfac"
    #expect(try ScriptBench.objects(of: text, threads: 1) == ScriptBench.objects(of: text, threads: 3))
  }

  @Test func theResultIsAModelLikeOthers() throws {
    let text =
      start + """
        held = text DATA/test.txt model=m samples=16 length=64 take=order
        acts = capture m cal sites=attn.heads,ffn.act keep=moments,gram
        cut = prune m (mask (flap acts) rate=10%) comp=bias acts=acts
        more = text DATA/calibration.txt model=m samples=32 length=128
        p = surgeon m more rate=20% shots=2
        one = surgeon m more rate=20% shots=2 correlate=1
        after = surgeon cut cal rate=10% shots=2
        turned = slice p cal slicing=10%
        a = eval p held length=64
        b = eval one held length=64
        c = eval after held length=64
        d = eval turned held length=64
        e = eval m held length=64
        s = saliency p cal how=param_first
        k = saliency p cal how=kfac
        ab = ablate p cal
        x = prune m (mask (saliency m cal how=kfac) rate=20%) comp=ls acts=acts

        """
    func perplexity(_ name: String) throws -> Double {
      let report: Report = try bench.value(name, text)
      return report.measurements[0].value
    }
    #expect(try perplexity("a") > perplexity("e"))
    #expect(try perplexity("b") > perplexity("a"), "what is made up for together is made up for better")
    for name in ["c", "d"] { #expect(try perplexity(name) < 10 * perplexity("e"), "\(name)") }
    let (cut, after): (Model, Model) = (try bench.value("cut", text), try bench.value("after", text))
    let share = 1 - Double(after.network.blockParameters) / Double(cut.network.blockParameters)
    #expect(share <= 0.1 && share > 0.095)
    #expect(after.pruning.blocks.map { $0.ffn.keep } == cut.pruning.blocks.map { $0.ffn.keep })
    let scores: Scores = try bench.value("k", text)
    #expect(scores.block == nil && scores.comparesModules)
    #expect(scores.score.ffn?.allSatisfy { $0.allSatisfy { $0 >= 0 } } == true)
    // A block's score is what a model without it costs, be its maps what they may.
    let _: Scores = try bench.value("ab", text)
    let mask: Model = try bench.value("x", text)
    #expect(abs(mask.removedShare - 0.2) < 0.01)
  }

  @Test(arguments: [
    ("surgeon m cal rate=99.999% shots=1", "rate"),
    ("surgeon m (text DATA/calibration.txt model=m samples=1 length=64) rate=10% damp=0", "damp"),
    ("surgeon (slice m cal width=96) cal rate=10%", "model"),
    ("surgeon (lowrank m rate=20% how=plain) cal rate=10%", "model"),
    ("lowrank (surgeon m cal rate=10% shots=1) rate=20% how=plain", "model"),
    ("cascade (surgeon m cal rate=10% shots=1) cal rate=20%", "model"),
    ("surgeon m cal rate=100%", "rate"), ("surgeon m cal rate=10% shots=0", "shots"),
    ("surgeon m cal rate=10% correlate=0", "correlate"), ("surgeon m cal", nil),
  ])
  func whatCannotBeNamesItsArgument(_ call: String, _ argument: String?) throws {
    let outcome = try bench.run(start + "x = " + call)
    #expect(outcome.exitCode != 0 && outcome.diagnostics.count == 1, "\(call)")
    #expect(outcome.diagnostics.first?.argument == argument, "\(call) \(outcome.diagnostics.map(\.summary))")
  }
}
