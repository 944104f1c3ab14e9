import Foundation
import Kernel
import Testing

@testable import Ops
@testable import Transformer

private let start = """
  m = load DATA/tiny-llama
  cal = text DATA/calibration.txt model=m samples=8 length=64
  ends = capture m cal sites=block.in,block.out keep=values

  """

@Suite(.serialized) struct BlockMaskTests {
  let bench = ScriptBench()

  @Test func theLowestBlocksGoAsAWhole() throws {
    let text = start + "s = score ends how=block_influence\nx = mask s rate=35%\np = prune m x"
    let mask: Mask = try bench.value("x", text)
    let scores: Scores = try bench.value("s", text)
    let order = try #require(scores.block).enumerated().sorted { ($0.element, $0.offset) < ($1.element, $1.offset) }
    #expect(mask.removedBlocks == order.prefix(2).map(\.offset).sorted())
    #expect(abs(mask.blockRate - 1.0 / 3) < 1e-12)
    let model: Model = try bench.value("p", text)
    #expect(model.pruning.absentBlocks == mask.removedBlocks)
    #expect(mask.summary.contains("blocks "))
  }

  @Test func aRefitOfWholeBlocksIsWarnedOf() throws {
    let text = start + "g = capture m cal sites=attn.heads,ffn.act keep=gram\n"
    try bench.run(text + "p = prune m (mask (ablate m cal) count=2) comp=ls acts=g")
    #expect(
      bench.warnings == [
        "comp=ls refits what stays of a branch, and here they go as a whole; comp=bias makes up for them"
      ])
  }

  /// Shortened LLaMA's perplexity is that of the model without the block; SLEB's first choice is its lowest.
  @Test func ablationIsThePerplexityOfTheModelWithoutTheBlock() throws {
    let text =
      start + """
        s = ablate m cal
        g = ablate m cal order=greedy count=1
        p = prune m (mask s count=1)
        e = eval p cal length=64

        """
    let scores: Scores = try bench.value("s", text)
    let block = try #require(scores.block)
    let report: Report = try bench.value("e", text)
    let perplexity = try #require(report.measurements.first { $0.name == "token_perplexity" }).value
    #expect(abs(perplexity / (block.min() ?? 0) - 1) < 1e-6)
    let greedy: Scores = try bench.value("g", text)
    #expect(try #require(greedy.block).firstIndex(of: 0) == block.firstIndex(of: block.min() ?? 0))
    #expect(try #require(greedy.block).count(where: \.isInfinite) == 5)
  }

  /// Every phase judges the model that the phases before it leave.
  @Test func greedyRemovalGoesOnFromWhatIsLeft() throws {
    let text =
      start + """
        g = ablate m cal order=greedy count=2 protect=ends
        first = ablate m cal order=greedy count=1 protect=ends
        p = prune m (mask first count=1)
        s = ablate p cal protect=ends
        x = mask g count=2

        """
    let mask: Mask = try bench.value("x", text)
    let second: Scores = try bench.value("s", text)
    let first: Scores = try bench.value("first", text)
    let block = try #require(second.block)
    let next = block.indices.filter { block[$0].isFinite }.min { block[$0] < block[$1] }
    #expect(mask.removedBlocks == [try #require(first.block?.firstIndex(of: 0)), try #require(next)].sorted())
    #expect(block.first == .infinity && block.last == .infinity)
    #expect(block.count(where: \.isNaN) == 1)
  }

  /// A half that goes is a half of which nothing is left: its score is the perplexity of the model that is pruned of it, and
  /// the other half stays.
  @Test(arguments: [Module.attention, .ffn]) func halvesAreJudgedByThemselves(_ half: Module) throws {
    let text =
      start + """
        s = ablate m cal unit=\(half.rawValue)
        g = ablate m cal unit=\(half.rawValue) order=greedy count=2
        x = mask s count=1
        p = prune m x
        e = eval p cal length=64
        y = mask g count=2
        again = ablate p cal unit=\(half.rawValue)
        r = mask s rate=15%

        """
    let scores: Scores = try bench.value("s", text)
    #expect(scores.half == half)
    let block = try #require(scores.block)
    let lowest = try #require(block.indices.min { block[$0] < block[$1] })
    let report: Report = try bench.value("e", text)
    #expect(abs(report.measurements[0].value / block[lowest] - 1) < 1e-6)
    let mask: Mask = try bench.value("x", text)
    let other: Module = half == .ffn ? .attention : .ffn
    #expect(mask.removedBlocks.isEmpty)
    #expect((0..<6).filter { !mask.dropped(half, layer: $0).isEmpty } == [lowest])
    #expect((0..<6).allSatisfy { mask.dropped(other, layer: $0).isEmpty })
    let model: Model = try bench.value("p", text)
    #expect(mask.removedParameters == model.configuration.blockParameters - model.network.blockParameters)
    // The greedy order begins with it, and what is gone is not judged again.
    let greedy: Mask = try bench.value("y", text)
    #expect(!greedy.dropped(half, layer: lowest).isEmpty)
    let again: Scores = try bench.value("again", text)
    #expect(again.block?.indices.filter { again.block?[$0].isNaN == true } == [lowest])
    // As near to the rate as whole halves come.
    let near: Mask = try bench.value("r", text)
    #expect(abs(near.blockRate - 0.15) <= mask.blockRate / 2 + 1e-12)
  }

  @Test func theLowestWindowGoesTogether() throws {
    let text = start + "s = score ends how=block_influence span=3\nx = mask s count=3"
    let mask: Mask = try bench.value("x", text)
    let gone = mask.removedBlocks
    #expect(gone.count == 3 && gone == Array(gone[0]...gone[2]))
    let one: Scores = try bench.value("s", start + "s = score ends how=block_influence span=1")
    let plain: Scores = try bench.value("s", start + "s = score ends how=block_influence")
    #expect(one.block == plain.block)
  }

  @Test(arguments: [
    ("mask (ablate m cal) count=6", 1, "all 6 would go; at least one must stay"),
    (
      "mask (ablate m cal) count=5 protect=0,1", 1,
      "5 blocks cannot go: what is protected or was not ranked leaves 4 of 6"
    ),
    ("mask (ablate m cal order=greedy count=1) count=2", 1, "2 blocks cannot go: what is protected or was not ranked"),
    ("mask (ablate m cal) rate=95%", 1, "all 6 would go; at least one must stay"),
    ("ablate m cal order=greedy count=6", 2, "6 of 6 blocks cannot be ranked; at least one must stay"),
    ("ablate m cal order=greedy", 2, "order=greedy needs count=, the blocks to rank"),
    ("ablate m cal count=2", 2, "count= belongs to order=greedy: all blocks are ranked"),
    ("score ends how=block_influence span=7", 2, "there are no 7 neighbouring blocks among 6"),
    ("score ends how=wanda span=2", 2, "span= belongs to how=block_influence"),
    ("mask (score ends how=block_influence span=2) count=3", 1, "the scores rank windows of 2 blocks"),
    ("mask (score ends how=block_influence span=2) count=2 protect=0", 1, "the scores rank windows of blocks, which"),
    ("mask (ablate m cal) rate=20% scope=layer", 2, "scope= concerns the units of a block, and whole blocks go"),
    ("mask (ablate m cal) rate=20% unit=piece", 2, "these scores judge blocks as a whole, or whole halves of them"),
    ("mask (ablate m cal unit=ffn) rate=20% unit=block", 2, "whole blocks are not judged here"),
    ("mask (ablate m cal unit=attention) count=6", 1, "all 6 would go; at least one must stay"),
    ("mask (ablate m cal) rate=20% count=2", 2, "rate=, threshold=, rates= and count= exclude each other"),
    (
      "mask (flap (capture m cal sites=ffn.act)) rate=20% unit=block", 2, "whole blocks are not judged here"
    ),
    ("mask (flap (capture m cal sites=ffn.act)) count=2", 2, "count= counts blocks"),
  ])
  func whatCannotBeIsOneSentence(_ call: String, _ code: Int32, _ sentence: String) throws {
    let outcome = try bench.run(start + "x = " + call)
    #expect(outcome.exitCode == code, "\(call): \(outcome.diagnostics.map(\.summary))")
    #expect(outcome.diagnostics.count == 1)
    #expect(outcome.diagnostics.first?.summary.hasPrefix(sentence) == true, "\(outcome.diagnostics.map(\.summary))")
  }

  /// The bias of a block that goes is the mean of what it added; over neighbouring blocks it telescopes.
  @Test func theBiasOfARemovedBlockIsItsMean() throws {
    let text =
      start + """
        acts = capture m cal sites=attn.heads,ffn.act keep=moments
        mk = mask (score ends how=block_influence span=2) count=2
        p = prune m mk comp=bias acts=acts

        """
    let model: Model = try bench.value("p", text)
    let ends: Activations = try bench.value("ends", text)
    let mask: Mask = try bench.value("mk", text)
    let gone = mask.removedBlocks
    let entering = try ends.part(.blockIn, layer: gone[0]).kept(\.values, .values).load()
    let leaving = try ends.part(.blockOut, layer: gone[1]).kept(\.values, .values).load()
    for feature in [0, 5, 77] {
      let mean = zip(leaving.column(feature), entering.column(feature)).reduce(0.0) { $0 + Double($1.0 - $1.1) }
      let bias = gone.reduce(0.0) { sum, layer in
        sum + Double(model.pruning.blocks[layer].attention.bias?[feature] ?? 0)
          + Double(model.pruning.blocks[layer].ffn.bias?[feature] ?? 0)
      }
      #expect(abs(mean / Double(entering.rows) - bias) < 1e-4)
    }
  }
}
