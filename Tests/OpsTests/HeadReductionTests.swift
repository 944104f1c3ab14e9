import Foundation
import Kernel
import Numerics
import Ranks
import Testing

@testable import Ops
@testable import Transformer

private let start = """
  m = load DATA/tiny-llama
  cal = text DATA/calibration.txt model=m samples=8 length=64
  q = capture m cal sites=attn.q,attn.k
  g = capture m cal sites=attn.in,attn.heads,ffn.act keep=gram

  """

/// MoDeGPT's attention: which rotary pairs and which directions of values stay.
@Suite(.serialized) struct HeadReductionTests {
  let bench = ScriptBench()

  private func squares(_ X: Matrix<Double>) -> Double { X.values.reduce(0) { $0 + $1 * $1 } }

  // MARK: The method

  /// Σ ‖W z − W B A z‖² is the tail of W z's squared singular values, no other k directions do better, and A B = 1.
  @Test func theLossIsTheTail() throws {
    let (W, Z) = (randomMatrix(9, 6, "W"), randomMatrix(6, 50, "Z"))
    Z.scaleRows(by: (0..<6).map { 0.2 + Double($0) })
    let (C, K) = (Z * Z.T, W.T * W)
    let (_, s, _) = try svd(W * Z)
    for k in 1...6 {
      let (B, A) = try valueDirections(C, read: K, keeping: k)
      let tail: Double = s[k...].reduce(0) { $0 + $1 * $1 }
      let loss = squares(W * Z - W * B * A * Z)
      #expect(abs(loss - tail) < 1e-8 * squares(W * Z))
      let product = A * B
      for i in 0..<k { for j in 0..<k { #expect(abs(product[i, j] - (i == j ? 1 : 0)) < 1e-8) } }
      // Its own principal components know nothing of W.
      let (_, U) = try topEigen(C, k)
      #expect(squares(W * Z - W * U * U.T * Z) >= loss - 1e-8)
    }
    // A direction in which nothing varies costs nothing, and divides nothing.
    let flat = Z.copy()
    flat.rows(2..<3).assign(Matrix(rows: 1, columns: 50))
    let (B, A) = try valueDirections(flat * flat.T, read: K, keeping: 5)
    #expect(squares(W * flat - W * B * A * flat) < 1e-9 * squares(W * flat))
    #expect((A.values + B.values).allSatisfy { $0.isFinite })
  }

  /// The paper's two decompositions, C^½ W_Vᵀ = U Σ Vᵀ and Σ Vᵀ W_Oᵀ = U' Σ' V'ᵀ, give the same product of the two maps.
  @Test func jointIsThePapersTwoDecompositions() throws {
    let (V, O, X) = (randomMatrix(4, 7, "V"), randomMatrix(7, 4, "O"), randomMatrix(7, 60, "X"))
    let C = X * X.T
    let (values, E) = try symmetricEigen(C)
    let root = E.copy()
    root.scaleColumns(by: values.map { $0.squareRoot() })
    let half = root * E.T
    let (U, sigma, Vt) = try svd(half * V.T)
    let S = Matrix<Double>.diagonal(Array(sigma.prefix(4))) * Vt.rows(0..<4)
    let (U2, sigma2, Vt2) = try svd(S * O.T)
    let k = 2
    // (V-rows)ᵀ = C^(-½) U U'_k, and with C^½ before it U U'_k.
    let read = U.columns(0..<4) * U2.columns(0..<k)
    let written = Matrix<Double>.diagonal(Array(sigma2.prefix(k))) * Vt2.rows(0..<k)
    let (B, A) = try valueDirections(V * C * V.T, read: O.T * O, keeping: k)
    let found = half * V.T * A.T * B.T * O.T
    let expected = read * written
    #expect((found - expected).values.allSatisfy { abs($0) < 1e-8 })
  }

  @Test func pairsAreScoredByTheirFeatures() throws {
    let pairs = [(0, 2), (1, 3)]
    let (q, k): ([Double], [Double]) = ([1, 2, 3, 4], [5, 6, 7, 8])
    #expect(pairScores(queries: [q], key: k, pairs: pairs, together: false) == [26, 44])
    #expect(pairScores(queries: [q, q], key: k, pairs: pairs, together: false) == [52, 88])
    #expect(pairScores(queries: [q], key: k, pairs: pairs, together: true) == [48, 84])
    // Turning a pair by any angle leaves the sum of its squares.
    let turned: [Double] = [3, 4, 1, 2]
    #expect(
      pairScores(queries: [turned], key: k, pairs: pairs, together: true)
        == pairScores(queries: [q], key: k, pairs: pairs, together: true))
    #expect(highest(2, of: [1, 3, 3, 2]) == [1, 2] && highest(1, of: [1, 3, 3, 2]) == [1])
  }

  @Test func evenNumbersOfFeaturesStay() {
    #expect(headFeatures(keeping: 1, of: 64) == 64)
    #expect(headFeatures(keeping: 0.7, of: 128) == 90)
    #expect(headFeatures(keeping: 0.5, of: 6) == 4)
    #expect(headFeatures(keeping: 0.01, of: 64) == 2)
    #expect(headFeatures(keeping: 0.8, of: 64) == 52)
  }

  // MARK: Against torch

  /// heads.py makes the same of whole heads, from roots and with zeros.
  @Test("what is left equals whole heads with zeros", arguments: ["llama", "gqa-tied", "llama3", "biased", "qwen2"])
  func equalsWholeHeads(_ name: String) throws {
    let network = try LanguageModel(transformerFixtures + "/" + name)
    let sequences = try fixtureSequences(name)
    let file = try TensorFile(safetensors: transformerFixtures + "/heads.safetensors")
    let acts = try captured(network, sequences)
    for how in ["columns", "pairs", "attended", "attended_ls", "joint", "grouped"] {
      let tensor = ByteString("\(name)/\(how)")
      guard file.tensors[tensor] != nil else { continue }
      let pruning = try StepBench().run { context in
        let reduction = HeadReduction(
          network: network,
          part: { site, layer in try #require(acts[layer]?[site]) }, tokens: sequences.tokens.count,
          structure: Structure(network, model: ""), rate: { _ in 0.5 }, context: context)
        switch how {
        case "columns", "pairs": return try reduction.pairs(together: how == "pairs")
        case "joint", "grouped": return try reduction.values(.unmixed(reads: how == "joint"))
        default: return try reduction.values(.attended(refits: how == "attended_ls"))
        }
      }
      let model = try network.pruned(by: pruning)
      let expected = try file.read(tensor) as [Float]
      let found = try model.logits(sequences[0..<1])
      let scale = expected.map(abs).max() ?? 0
      let error = zip(found.values, expected).map { abs($0 - $1) }.max() ?? .infinity
      #expect(found.count == expected.count)
      #expect(error < 2e-4 * scale, "\(tensor) \(error / scale)")
    }
  }

  /// What a capture of both would keep of every layer.
  private func captured(_ network: LanguageModel, _ sequences: Sequences) throws -> [Int: [Site: LayerActivations]] {
    let sites: [Site] = [.attentionIn, .queries, .keys, .attentionHeads]
    var found: [Int: [Site: LayerActivations]] = [:]
    let walk = try Walk(network, sequences)
    try walk.embed()
    while walk.layer < network.layers {
      let layer = walk.layer
      var collectors: [Site: SiteCollector] = [:]
      for site in sites {
        collectors[site] = SiteCollector(
          site: site, layer: layer, width: site.width(network.configuration, layer: layer), sequences: sequences,
          keep: [.moments, .gram], labels: nil, clusters: 0, groups: nil, ranks: OneRank())
      }
      try walk.step(sites: Set(sites), tap: { collectors[$0.site]?.add($0.values, rows: $0.rows) })
      found[layer] = try collectors.mapValues { try $0.result(cosine: nil) }
    }
    return found
  }

  // MARK: The op

  /// The row of the systems' table: rates of the blocks, shared by all three kinds of modules, all by the dense model's
  /// statistics.
  private let modeGPT =
    start + """
      ends = capture m cal sites=block.in,block.out
      n = capture m cal sites=ffn.act keep=gram
      r = allocate ends rate=30% how=softmax temperature=0.1
      a = lowrank m acts=q rates=r of=rotary
      b = lowrank a acts=g rates=r of=values
      p = prune b (mask (score n how=leverage) rates=r base=module) comp=ls acts=n

      """

  @Test func modeGPTIsThreeSteps() throws {
    let rates: Rates = try bench.value("r", modeGPT)
    let model: Model = try bench.value("p", modeGPT)
    #expect(abs(model.removedShare - 0.3) < 0.03)
    for (layer, block) in model.pruning.blocks.enumerated() {
      let kept = headFeatures(keeping: 1 - rates.rate[layer], of: model.configuration.headSize)
      let head = block.attention.headSizes(model.configuration, layer: layer) ?? model.configuration.wholeHead
      #expect(head == HeadSizes(key: kept, value: kept))
      #expect(abs(block.ffn.keptShare - (1 - rates.rate[layer])) < 0.002)
    }
    // Statistics are those of the dense model, and the model says so.
    let source: Activations = try bench.value("n", modeGPT)
    #expect(model.compensation == "ls, statistics of model \(source.structure.model.prefix(8))")
    #expect(model.summary.contains("of the rotary pairs") && model.summary.contains("of the directions of values"))
    // What is written is what is read.
    let again: Model = try bench.value("b", modeGPT)
    for (found, block) in zip(again.pruning.blocks, model.pruning.blocks) {
      #expect(found.attention.heads.pairs == block.attention.heads.pairs)
    }
    let sequences = Sequences([[1, 5, 9, 200, 31, 7], [3, 3, 80]])
    let folder = bench.folder + "/out"
    try model.network.export(to: folder, as: .masked)
    let (found, expected) = (try LanguageModel(folder).logits(sequences), try model.network.logits(sequences))
    let scale = expected.values.map(abs).max() ?? 0
    #expect(zip(found.values, expected.values).allSatisfy { abs($0 - $1) < 1e-4 * scale })
  }

  @Test func aRateOfNothingChangesNothing() throws {
    let text = start + "x = lowrank m acts=q rate=0 of=rotary\ny = lowrank x acts=g rate=0 of=values"
    let model: Model = try bench.value("y", text)
    let sequences = Sequences([[1, 5, 9, 200, 31, 7]])
    #expect(try model.network.logits(sequences).values == model.network.original.logits(sequences).values)
    #expect(model.removedInOwnTerms == "nothing")
  }

  /// What is best for what heads really give is best there, and a refit of all heads better still.
  @Test func theBetterObjectiveIsBetter() throws {
    let text =
      start + """
        j = eval (lowrank m acts=g rate=60% of=values how=joint) cal length=64
        k = eval (lowrank m acts=g rate=60% of=values how=grouped) cal length=64
        a = eval (lowrank m acts=g rate=60% of=values) cal length=64
        l = eval (lowrank m acts=g rate=60% of=values how=attended_ls) cal length=64

        """
    func perplexity(_ name: String) throws -> Double {
      let report: Report = try bench.value(name, text)
      return report.measurements[0].value
    }
    #expect(try perplexity("l") < perplexity("a"))
    #expect(try perplexity("a") < perplexity("k"))
    #expect(try perplexity("j") < 1e4)
  }

  /// Masks before and after, by captures of the model as it is then; rates are shares of what is left.
  @Test func masksComposeInBothOrders() throws {
    let text =
      start + """
        acts = capture m cal sites=attn.heads,ffn.act keep=moments
        x = lowrank (lowrank m acts=q rate=40% of=rotary) acts=g rate=20% of=values
        again = capture x cal sites=attn.heads,ffn.act keep=moments,gram
        mk = mask (flap again) rate=20%
        y = prune x mk comp=bias acts=again
        z = prune x mk comp=ls acts=again
        c = cascade x cal by=obc rate=20%
        s = mask (saliency x cal how=param_first) rate=20%
        t = taylor x cal by=(kmeans (capture x cal sites=ffn.in keep=values) k=2)
        f = mask (flap acts) rate=20%
        u = prune m f
        v = lowrank (lowrank u acts=q rate=40% of=rotary) acts=g rate=20% of=values
        w = prune x f

        """
    let x: Model = try bench.value("x", text)
    let structure = Structure(x.network, model: "")
    let head = HeadSizes(key: 10, value: 12)
    #expect((0..<x.network.layers).allSatisfy { x.network.headSizes(layer: $0) == head })
    #expect(structure.parametersPerUnit.attention[0] == x.configuration.parametersPerUnit(.attention, head: head))
    for (name, rate) in [("mk", 0.2), ("s", 0.2)] {
      let mask: Mask = try bench.value(name, text)
      #expect(abs(mask.blockRate - rate) < 0.02, "\(name)")
    }
    let mask: Mask = try bench.value("mk", text)
    for name in ["y", "z"] {
      let model: Model = try bench.value(name, text)
      #expect(x.network.blockParameters - model.network.blockParameters == mask.removedParameters, "\(name)")
    }
    // The mask of the model before, applied before or after: the same units, and heads that saw the same statistics.
    let (v, w): (Model, Model) = (try bench.value("v", text), try bench.value("w", text))
    #expect(v.network.blockParameters == w.network.blockParameters)
    let sequences = Sequences([[1, 5, 9, 200, 31, 7], [3, 3, 80]])
    let (before, after) = (try v.network.logits(sequences), try w.network.logits(sequences))
    let scale = before.values.map(abs).max() ?? 0
    #expect(zip(before.values, after.values).allSatisfy { abs($0 - $1) < 1e-4 * scale })
    let cascaded: Model = try bench.value("c", text)
    #expect(abs(cascaded.removedShare - (1 - (1 - x.removedShare) * 0.8)) < 0.02)
    let affinity: Affinity = try bench.value("t", text)
    #expect(affinity.structure.layers == 6)
  }

  @Test(arguments: [
    ("lowrank m rate=20% of=rotary", "of", "of=rotary needs acts=, the capture to compute it from"),
    ("lowrank m acts=g rate=20% of=rotary", "acts", "of=rotary needs the moments of the activations"),
    ("lowrank m acts=q rate=20% of=values", "acts", "of=values needs the Gram matrix of the activations"),
    (
      "lowrank m acts=(capture m cal sites=attn.heads keep=gram) rate=20% of=values how=joint", "acts",
      "how=joint needs attn.in"
    ),
    ("lowrank m rate=20% of=values how=joint", "how", "how=joint needs acts=, the capture to compute it from"),
    ("lowrank m rate=20% how=whiten", "how", "how=whiten needs acts=, the capture to compute it from"),
    (
      "lowrank m rate=20% how=plain update=stream", "update",
      "update=stream needs acts=, the capture to compute it from"
    ),
    ("lowrank m acts=q rate=20% of=rotary how=whiten", "how", "how=whiten belongs to of=linears"),
    ("lowrank m acts=g rate=20% how=joint", "how", "how=joint belongs to of=values"),
    ("lowrank m acts=q rate=20% of=rotary linears=q", "linears", "linears= belongs to of=linears"),
    ("lowrank m acts=q rate=20% of=rotary update=stream", "update", "update= belongs to of=linears"),
    (
      "lowrank (lowrank m acts=q rate=20% of=rotary) acts=q rate=20% of=rotary", "model",
      "the heads of block 0 lost rotary pairs already"
    ),
    (
      "lowrank (lowrank m acts=g rate=20% of=values) acts=g rate=20% of=values", "model",
      "the heads of block 0 lost directions of their values already"
    ),
    (
      "prune (lowrank m acts=g rate=20% of=values) (mask (flap (capture m cal sites=attn.heads,ffn.act)) rate=20%) "
        + "comp=bias acts=(capture m cal sites=attn.heads,ffn.act)", "acts",
      "acts= was captured before the heads lost directions of their values in block"
    ),
    (
      "prune (prune m (mask (score g how=leverage) rate=10% scope=layer)) (mask (score g how=leverage) rate=20% scope=layer)"
        + " comp=ls acts=g", "acts", "acts= was captured before"
    ),
  ])
  func whatCannotBeNamesItsArgument(_ call: String, _ argument: String, _ sentence: String) throws {
    let outcome = try bench.run(start + "x = " + call)
    #expect(outcome.exitCode != 0 && outcome.diagnostics.count == 1, "\(call)")
    #expect(outcome.diagnostics.first?.argument == argument, "\(outcome.diagnostics.map(\.summary))")
    #expect(outcome.diagnostics.first?.summary.hasPrefix(sentence) == true, "\(outcome.diagnostics.map(\.summary))")
  }
}
