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

/// SliceGPT: which directions of the stream stay, and what the sliced model can be asked.
@Suite(.serialized) struct SliceTests {
  let bench = ScriptBench()

  /// slice.py writes the same with projections, in transformers.
  @Test(
    "what is left equals a model whose streams are projected",
    arguments: [
      "llama", "gqa-tied", "biased", "qwen2", "gpt2",
    ])
  func equalsProjections(_ name: String) throws {
    let network = try LanguageModel(transformerFixtures + "/" + name)
    let sequences = try fixtureSequences(name)
    let file = try TensorFile(safetensors: transformerFixtures + "/slice.safetensors")
    for isShared in [false, true] {
      let slicing = try StepBench().run { context in
        let slicer = StreamSlicing(network: network, sequences: sequences, width: 12, context: context)
        return try isShared ? slicer.shared() : slicer.own()
      }
      let model = try network.pruned(
        by: Pruning(blocks: Pruning.keepingAll(network.configuration).blocks, slicing: slicing))
      let tensor = ByteString("\(name)/\(isShared ? "shared" : "own")")
      let info = try file.info(tensor)
      let expected = try file.read(tensor) as [Float]
      let found = try model.logits(sequences)
      #expect(found.shape == Matrix<Float>(rows: info.rows, columns: info.columns).shape)
      let scale = expected.map(abs).max() ?? 0
      let error = zip(found.values, expected).map { abs($0 - $1) }.max() ?? .infinity
      #expect(error < 2e-4 * scale, "\(tensor) \(error / scale)")
      for basis in slicing.bases {
        let product = basis.T * basis
        for i in 0..<12 { for j in 0..<12 { #expect(abs(product[i, j] - (i == j ? 1 : 0)) < 1e-5) } }
        for j in 0..<12 { #expect(basis.column(j).max { abs($0) < abs($1) } ?? 0 > 0) }
      }
    }
  }

  /// comparison.md's figures for LLaMA-2-7B.
  @Test func widthsAreThoseOfThePaper() throws {
    #expect(try streamWidth(slicing: 0.2, of: 4096, multiple: 8) == 3272)
    #expect(try streamWidth(slicing: 0.3, of: 4096, multiple: 8) == 2864)
    #expect(try streamWidth(slicing: 0.4, of: 4096, multiple: 8) == 2456)
    let P = 202_375_168
    func width(_ rate: Double) throws -> Int {
      try streamWidth(rate: rate, of: 4096, multiple: 8, whole: P) { 2 * $0 * $0 + P / 4096 * $0 }
    }
    #expect(try width(0.2) == 2928)
    #expect(try width(0.3) == 2592)
    #expect(throws: SlicingError.self) { try width(0.9999) }
    #expect(throws: SlicingError.self) { try streamWidth(slicing: 0.99, of: 128, multiple: 8) }
    let gram = Matrix<Double>.identity(8)
    #expect(throws: SlicingError.tooFewTokens(3, width: 4)) { try streamBasis(gram: gram, tokens: 3, width: 4) }
    #expect(throws: SlicingError.width(9, of: 8)) { try streamBasis(gram: gram, tokens: 99, width: 9) }
  }

  @Test(arguments: ["own", "shared"]) func aRateIsTheShareOfTheParametersThatGoes(_ basis: String) throws {
    let text = start + "p = slice m cal rate=20% multiple=1 basis=\(basis)"
    let model: Model = try bench.value("p", text)
    let width = try #require(model.pruning.slicing?.width)
    #expect(model.removedShare >= 0.2)
    let wider = model.network.original.blockParameters(slicedTo: width + 1, isShared: basis == "shared")
    #expect(1 - Double(wider) / Double(model.configuration.blockParameters) < 0.2)
    #expect(model.summary.contains("\(width) of 128 directions of the stream left"))
  }

  @Test(arguments: ["own", "shared"]) func nothingSlicedIsTheSame(_ basis: String) throws {
    let model: Model = try bench.value("p", start + "p = slice m cal slicing=0 basis=\(basis)")
    let sequences = Sequences([[1, 5, 9, 200, 31, 7], [3, 3, 80]])
    let (found, dense) = (try model.network.logits(sequences), try model.network.original.logits(sequences))
    let scale = dense.values.map(abs).max() ?? 0
    #expect(zip(found.values, dense.values).allSatisfy { abs($0 - $1) < 2e-5 * scale })
  }

  /// Everything between the branches works as before: scores, masks, compensation, lesions, ablation, gradients.
  @Test func theResultIsAModelLikeOthers() throws {
    let text =
      start + """
        p = slice m cal slicing=20%
        acts = capture p cal sites=attn.heads,ffn.act keep=moments,gram
        mk = mask (flap acts) rate=20%
        bare = prune p mk
        biased = prune p mk comp=bias acts=acts
        fitted = prune p mk comp=ls acts=acts
        seq = cascade p cal by=obc rate=20%
        a = eval bare cal length=64
        b = eval biased cal length=64
        c = eval fitted cal length=64
        d = eval seq cal length=64
        s = saliency p cal how=param_first
        ab = ablate p cal
        gone = mask ab count=1
        e = eval (prune p gone) cal length=64
        cl = kmeans (capture p cal sites=ffn.in keep=values) k=3 pca=8
        t = taylor p cal by=cl

        """
    let sliced: Model = try bench.value("p", text)
    guard case .lines(let plot) = try sliced.figure(PlotRequest(name: "p")).content else {
      return #expect(Bool(false), "no lines")
    }
    #expect(plot.series.last?.name == "directions" && plot.series.last?.y.allSatisfy { $0 == 96.0 / 128 } == true)
    func perplexity(_ name: String) throws -> Double {
      let report: Report = try bench.value(name, text)
      return report.measurements[0].value
    }
    // A bias moves little; it must not be that of another basis.
    #expect(try abs(perplexity("b") / perplexity("a") - 1) < 0.05)
    #expect(try perplexity("c") < perplexity("a"))
    #expect(try perplexity("d") < perplexity("a"))
    // A block's score is what a model without it costs.
    let scores: Scores = try bench.value("ab", text)
    let mask: Mask = try bench.value("gone", text)
    let block = try #require(mask.removedBlocks.first)
    let score = try #require(scores.block?[block])
    #expect(abs(Double(score) - (try perplexity("e"))) < 1e-3 * Double(score))
    // Norms have no weights any more: a block is the sum of its pieces.
    let gradient: Scores = try bench.value("s", text)
    for layer in 0..<6 {
      let pieces = Module.allCases.reduce(0.0) { $0 + (gradient.score[$1]?[layer].reduce(0) { $0 + Double($1) } ?? 0) }
      #expect(abs(pieces - Double(gradient.block?[layer] ?? 0)) < 1e-4 * pieces)
    }
    let affinity: Affinity = try bench.value("t", text)
    #expect(affinity.structure.layers == 6)
  }

  @Test(arguments: [
    ("slice m cal", nil), ("slice m cal slicing=20% rate=20%", "slicing"), ("slice m cal width=129", "width"),
    ("slice m cal width=96 multiple=4", "multiple"), ("slice m cal rate=99.9%", "rate"),
    ("slice m (text DATA/calibration.txt model=m samples=1 length=64) width=96", "corpus"),
    ("slice (slice m cal width=96) cal width=64", "model"),
    ("lowrank (slice m cal width=96) rate=20% how=plain", "model"),
    (
      "score (capture (slice m cal width=96) cal sites=block.in,block.out keep=moments) how=block_influence",
      "measured"
    ),
    ("allocate (capture (slice m cal width=96) cal sites=block.in,block.out keep=moments) rate=20%", "evidence"),
  ])
  func whatCannotBeNamesItsArgument(_ call: String, _ argument: String?) throws {
    let outcome = try bench.run(start + "x = " + call)
    #expect(outcome.exitCode != 0 && outcome.diagnostics.count == 1, "\(call)")
    #expect(outcome.diagnostics.first?.argument == argument, "\(outcome.diagnostics.map(\.summary))")
  }
}
