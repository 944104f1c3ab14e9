import Foundation
import Kernel
import Numerics
import Testing

@testable import Ops

private let signals = """
  m = load DATA/tiny-llama
  cal = text DATA/calibration.txt model=m samples=8 length=64 take=order
  acts = capture m cal sites=ffn.gate,ffn.up keep=stream

  """
private let nets = signals + "nets = canica acts components=8 per_run=4 seed=0\n"

@Suite(.serialized) struct CanICATests {
  let bench = ScriptBench()

  @Test func everyLayerHasRunsOfOrderedNetworksWithUnitVariance() throws {
    let networks: Networks = try bench.value("nets", nets)
    #expect(networks.layers == Array(0..<6))
    #expect(networks.settings.runs == 2)
    let part = try networks.part(layer: 3)
    for run in 0..<2 {
      let z = Matrix<Double>(try part.maps(run: run))
      #expect(z.shape == "8x768")
      for i in 0..<8 {
        #expect(abs(mean(z.row(i))) < 1e-6)
        #expect(abs(variance(z.row(i), ddof: 1) - 1) < 1e-5)
        let largest = z.row(i).max { abs($0) < abs($1) }
        #expect((largest ?? 0) > 0)
      }
      let explained = part.runs[run].explained
      #expect(explained == explained.sorted(by: >))
      #expect(try part.courses(run: run).columns == 256)
    }
  }

  @Test func theLargestZExceedsAThresholdWhereSomeMapDoes() throws {
    let networks: Networks = try bench.value("nets", nets)
    for (index, layer) in networks.layers.enumerated() {
      let part = try networks.part(layer: layer)
      for threshold in [1.5, 2.5, 4] {
        var isKey = [Bool](repeating: false, count: part.units)
        for run in part.runs.indices {
          let z = try part.maps(run: run)
          for i in 0..<z.rows {
            for (place, value) in z.row(i).enumerated() where abs(Double(value)) > threshold {
              isKey[place % part.units] = true
            }
          }
        }
        #expect(isKey == networks.maxAbsZ[index].map { Double($0) > threshold })
      }
    }
  }

  @Test func networksInWhichNoNeuronStandsOutAreCountedAndWarnedOf() throws {
    let few: Networks = try bench.value("few", signals + "few = canica acts components=8 per_run=8 seed=0 key=4")
    for (index, share) in few.withoutKey.enumerated() {
      let z = try few.part(index).maps(run: 0)
      #expect(share == Double((0..<8).count { i in z.row(i).allSatisfy { abs($0) <= 4 } }) / 8)
    }
    #expect(bench.warnings.contains { $0.contains("have no neuron with |z| above 4") })
    let calm = ScriptBench()
    let low: Networks = try calm.value("low", signals + "low = canica acts components=8 per_run=8 seed=0 key=1")
    #expect(low.withoutKey.allSatisfy { $0 == 0 })
    #expect(!calm.warnings.contains { $0.contains("|z| above") })
  }

  @Test func onlyTheLargestZIsStoredWhenAskedAndItIsTheSame() throws {
    let whole: Networks = try bench.value("nets", nets)
    let small: Networks = try bench.value("small", nets + "small = canica acts components=8 per_run=4 seed=0 keep=max")
    #expect(whole.maxAbsZ == small.maxAbsZ)
    #expect(whole.stability == small.stability)
    #expect(throws: Diagnostic.self) { try small.part(layer: 0).maps(run: 0) }
  }

  @Test func storedSignalsGiveTheSameNetworksAsStreamedOnes() throws {
    let text =
      nets + """
        kept = capture m cal sites=ffn.gate,ffn.up keep=values layers=2
        stored = canica kept components=8 per_run=4 seed=0
        """
    let stored: Networks = try bench.value("stored", text)
    let streamed: Networks = try bench.value("nets", nets)
    #expect(stored.layers == [2])
    #expect(stored.maxAbsZ[0] == streamed.maxAbsZ[2])
  }

  @Test func principalComponentsAndNetworksHaveTheSameSumOfSquares() throws {
    let both = nets + "plain = canica acts components=8 per_run=4 seed=0 ica=none\n"
    let fast: Scores = try bench.value("s", both + "s = score nets how=sum")
    let none: Scores = try bench.value("s", both + "s = score plain how=sum")
    for (a, b) in zip(fast.score.ffn ?? [], none.score.ffn ?? []) {
      for (x, y) in zip(a, b) { #expect(abs(x - y) <= 1e-4 * max(1, abs(y))) }
    }
  }

  @Test func aMaskHitsTheRateOfAllParametersWithinOneNeuron() throws {
    for rate in [5, 10, 20] {
      let text = nets + "mk = mask (score nets how=max_abs_z) rate=\(rate)% base=total scope=global protect=0,-1"
      let mask: Mask = try bench.value("mk", text)
      let target = Double(rate) / 100 * Double(mask.structure.totalParameters)
      #expect(abs(Double(mask.removedParameters) - target) <= Double(mask.structure.parametersPerUnit.ffn[0]) / 2)
      #expect(mask.keep.ffn?[0].allSatisfy { $0 } == true)
      #expect(mask.keep.ffn?[5].allSatisfy { $0 } == true)
    }
  }

  @Test func theReportedThresholdMakesTheSameMask() throws {
    let text =
      nets + """
        s = score nets how=max_abs_z
        exact = mask s rate=10% base=total protect=0,-1
        again = mask s threshold=exact.threshold protect=0,-1
        """
    let exact: Mask = try bench.value("exact", text)
    let again: Mask = try bench.value("again", text)
    #expect(exact.keep == again.keep)
  }

  @Test func countsComeFromTheMapsAtAnyThreshold() throws {
    let atKey: Scores = try bench.value("s", nets + "s = score nets how=count")
    let explicit: Scores = try bench.value("s", nets + "s = score nets how=count threshold=2.999999999")
    #expect(atKey.score == explicit.score)
    let lower: Scores = try bench.value("s", nets + "s = score nets how=count threshold=1")
    for (few, many) in zip(atKey.score.ffn?.joined().map { $0 } ?? [], lower.score.ffn?.joined().map { $0 } ?? []) {
      #expect(few <= many)
    }
  }

  @Test func oneAndTwoThreadsWriteTheSameBytes() throws {
    let text = nets + "mk = mask (score nets how=max_abs_z) rate=10% base=total"
    #expect(try ScriptBench.objects(of: text, threads: 1) == ScriptBench.objects(of: text, threads: 2))
  }

  @Test func anInterruptedSearchGoesOnAndFindsTheSame() throws {
    let whole = ScriptBench()
    _ = try whole.value("nets", nets, as: Networks.self)
    bench.stop = ("canica", 7)
    #expect(try bench.run(nets).exitCode == 130)
    bench.stop = nil
    _ = try bench.value("nets", nets, as: Networks.self)
    #expect(try bench.content("nets") == whole.content("nets"))
    #expect(bench.resumed.contains { $0.hasPrefix("canica") })
  }

  @Test func matchingASetWithItselfPairsEveryNetworkWithItself() throws {
    let table: ResultTable = try bench.value("t", nets + "t = match nets nets by=network")
    #expect(table["network"] == table["partner"])
    guard case .numbers(let values)? = table["correlation"] else { throw Diagnostic("no correlations") }
    #expect(values.count == 48)
    #expect(values.allSatisfy { abs($0 - 1) < 1e-6 })
  }

  /// By when they are active, networks of a model pair with those of the pruned model.
  @Test func networksOfTwoModelsPairByTheirCourses() throws {
    let text =
      nets + """
        same = match nets nets by=network like=courses
        p = prune m (mask (score (capture m cal sites=ffn.act keep=moments)) rate=10% scope=layer)
        pn = canica (capture p cal sites=ffn.gate,ffn.up keep=stream) components=8 per_run=4 seed=0
        t = match nets pn by=network like=courses
        """
    let same: ResultTable = try bench.value("same", text)
    #expect(same["network"] == same["partner"])
    let table: ResultTable = try bench.value("t", text)
    guard case .numbers(let values)? = table["correlation"], case .numbers(let partners)? = table["partner"] else {
      throw Diagnostic("no correlations")
    }
    #expect(mean(values) > 0.5 && values.allSatisfy { $0 <= 1 + 1e-9 })
    let (a, b): (Networks, Networks) = (try bench.value("nets", text), try bench.value("pn", text))
    let (x, y) = (try a.part(0).courses(run: 0), try b.part(0).courses(run: 0))
    let expected = rankCorrelation(x.row(1).map(Double.init), y.row(Int(partners[1])).map(Double.init))
    #expect(abs(values[1] - abs(expected)) < 1e-9)
    #expect(try bench.refusal(text + "\nq = match nets pn") == "the networks were found in different models")
  }

  @Test func theCanonicalReductionIgnoresTheScaleOfSubjectsOnly() throws {
    let canonical: Networks = try bench.value("c", nets + "c = canica acts components=8 per_run=4 seed=0 reduce=cca")
    let plain: Networks = try bench.value("nets", nets)
    #expect(canonical.layers == plain.layers)
    #expect(canonical.maxAbsZ != plain.maxAbsZ)
  }
}
