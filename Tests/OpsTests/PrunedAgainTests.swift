import Testing

@testable import Kernel
@testable import Ops
@testable import Transformer

private let start = """
  m = load DATA/tiny-llama
  cal = text DATA/calibration.txt model=m samples=8 length=64
  acts = capture m cal sites=attn.heads,ffn.act keep=moments,gram
  first = mask (flap acts) rate=20%
  p = prune m first comp=bias acts=acts
  again = capture p cal sites=attn.heads,ffn.act keep=moments,gram

  """

/// A model that is pruned already is pruned again: what is gone is no candidate, and rates are shares of what is left.
@Suite(.serialized) struct PrunedAgainTests {
  let bench = ScriptBench()

  @Test(arguments: [
    "mask (flap again) rate=15%", "mask (flap again) rate=15% scope=layer", "mask (obc again) rate=15%",
    "mask (score again how=magnitude) rate=15%", "mask (score again how=random) rate=15%",
    "mask (flap again) rates=(allocate (capture p cal sites=block.in,block.out keep=moments) rate=15%)",
  ])
  func theSecondRateIsAShareOfWhatIsLeft(_ call: String) throws {
    let mask: Mask = try bench.value("x", start + "x = \(call)\nq = prune p x")
    let first: Mask = try bench.value("first", start)
    #expect(abs(mask.blockRate - 0.15) < 0.005)
    #expect(abs(mask.unprunedRate - (1 - (1 - first.blockRate) * (1 - mask.blockRate))) < 1e-12)
    let twice: Model = try bench.value("q", start + "x = \(call)\nq = prune p x")
    #expect(abs(twice.removedShare - mask.unprunedRate) < 1e-12)
    #expect(bench.warnings.isEmpty)
  }

  @Test func whatIsGoneHasNoScoreAndIsNotKept() throws {
    let scores: Scores = try bench.value("s", start + "s = flap again")
    let first: Mask = try bench.value("first", start)
    let mask: Mask = try bench.value("x", start + "x = !(mask (flap again) rate=15%)")
    for module in Module.allCases {
      for layer in 0..<scores.structure.layers {
        #expect(scores.score[module]?[layer].map { !$0.isNaN } == first.keep[module]?[layer])
        #expect(zip(mask.keep[module]?[layer] ?? [], first.keep[module]?[layer] ?? []).allSatisfy { !$0 || $1 })
      }
    }
  }

  @Test(arguments: ["by=flap", "by=obc", "by=obc comp=none"])
  func aCascadeCountsWhatIsLeft(_ how: String) throws {
    let twice: Model = try bench.value("x", start + "x = cascade p cal rate=15% \(how)")
    let once: Model = try bench.value("p", start)
    #expect(abs(twice.removedShare - (1 - (1 - once.removedShare) * 0.85)) < 0.005)
  }

  @Test func aStepThatRemovesNothingSaysSo() throws {
    _ = try bench.run(start + "x = mask (flap again) rate=0.001%\nq = prune p x")
    #expect(bench.warnings == ["the mask removes nothing", "the masks remove nothing of this model"])
  }

  @Test func aModelCountsTheParametersItHas() throws {
    let once: Model = try bench.value("p", start)
    #expect(once.field("parameters") == .integer(once.network.totalParameters))
    #expect(once.network.totalParameters < once.configuration.totalParameters)
    let file = try HDF5File(reading: bench.folder + "/.prn/vars/main/p.h5")
    #expect(try file.attribute("params") == .integer(once.network.totalParameters))
  }
}
