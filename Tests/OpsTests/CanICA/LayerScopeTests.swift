import Kernel
import Numerics
import Testing

@testable import Ops

private let signals = """
  m = load DATA/tiny-llama
  cal = text DATA/calibration.txt model=m samples=8 length=64 take=order
  acts = capture m cal sites=ffn.gate,ffn.up keep=stream

  """

@Suite(.serialized) struct LayerScopeTests {
  let bench = ScriptBench()

  @Test func partsAreLayersWindowsOrEverything() throws {
    #expect(try LayerScope.layer.parts(of: [1, 2, 5]) == [[1], [2], [5]])
    #expect(try LayerScope.window(2).parts(of: [1, 2, 5]) == [[1, 2], [2, 5]])
    #expect(try LayerScope.global.parts(of: [1, 2, 5]) == [[1, 2, 5]])
    #expect(throws: Diagnostic.self) { try LayerScope.window(4).parts(of: [1, 2, 5]) }
  }

  @Test func allLayersAtOnceAreTheWidestWindow() throws {
    let whole: Networks = try bench.value(
      "whole", signals + "whole = canica acts components=8 per_run=4 scope=global keep=max")
    let window: Networks = try bench.value(
      "window", signals + "window = canica acts components=8 per_run=4 scope=window:6 keep=max")
    #expect(whole.partLayers == [[0, 1, 2, 3, 4, 5]])
    #expect(whole.maxAbsZ == window.maxAbsZ)
    #expect(whole.maxAbsZ.map(\.count) == whole.structure.units.ffn)
  }

  @Test func aLayerTakesTheLargestZOfAllItsWindows() throws {
    let text = signals + "windows = canica acts components=8 per_run=4 scope=window:3"
    let windows: Networks = try bench.value("windows", text)
    #expect(windows.partLayers == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]])
    for layer in 0..<6 {
      var largest = [Float](repeating: 0, count: windows.structure.units.ffn[layer])
      for index in windows.parts.indices where windows.partLayers[index].contains(layer) {
        let part = try windows.part(index)
        let places = part.places(of: layer)
        for run in part.runs.indices {
          let z = try part.maps(run: run)
          for i in 0..<z.rows {
            for j in largest.indices {
              for signal in part.signals.indices {
                largest[j] = max(largest[j], abs(z[i, signal * part.units + places.lowerBound + j]))
              }
            }
          }
        }
      }
      #expect(largest == windows.maxAbsZ[layer])
    }
    let counts: Scores = try bench.value("s", text + "\ns = score windows how=count")
    let explicit: Scores = try bench.value("s", text + "\ns = score windows how=count threshold=2.999999999")
    #expect(counts.score == explicit.score)
  }

  @Test func storedSignalsGiveTheSameWindowsAsStreamedOnes() throws {
    let streamed: Networks = try bench.value(
      "a", signals + "a = canica acts components=8 per_run=4 scope=window:3 keep=max")
    let stored: Networks = try bench.value(
      "b",
      signals + """
        kept = capture m cal sites=ffn.gate,ffn.up keep=values
        b = canica kept components=8 per_run=4 scope=window:3 keep=max
        """)
    // The stream runs the model over other batches, whose products round differently.
    let apart = zip(streamed.maxAbsZ.joined(), stored.maxAbsZ.joined()).map { abs($0 - $1) }.max()
    #expect((apart ?? 1) < 1e-3)
  }

  @Test func interruptedWindowsGoOnAndAreTheSame() throws {
    let text = signals + "nets = canica acts components=8 per_run=4 scope=window:3"
    let whole = ScriptBench()
    _ = try whole.value("nets", text, as: Networks.self)
    bench.stop = ("canica", 5)
    #expect(try bench.run(text).exitCode == 130)
    bench.stop = nil
    _ = try bench.value("nets", text, as: Networks.self)
    #expect(try bench.content("nets") == whole.content("nets"))
  }

  @Test func headsFormNetworksOfTheirOwnAndArePrunedByUnit() throws {
    let text =
      signals + """
        heads = capture m cal sites=attn.heads keep=stream
        both = score (canica acts components=8 per_run=4) (canica heads components=6 per_run=4 scope=global) how=max_abs_z
        mk = mask both rate=20% scope=layer
        """
    let scores: Scores = try bench.value("both", text)
    #expect(scores.score.attention?.map(\.count) == scores.structure.units.attention)
    #expect(scores.score.ffn?.map(\.count) == scores.structure.units.ffn)
    let mask: Mask = try bench.value("mk", text)
    #expect(mask.keep.attention != nil && mask.keep.ffn != nil)
  }

  @Test func headsAndNeuronsOfOneCaptureAreRefused() throws {
    let outcome = try bench.run(
      signals + "mixed = capture m cal sites=attn.heads,ffn.gate,ffn.up keep=stream\ncanica mixed components=4")
    #expect(outcome.exitCode == 2)
  }

  @Test func theSignalOfAHeadIsTheMeanOfItsScaledFeatures() throws {
    var random = RandomStream(seed: 0, name: "heads")
    let H = Matrix<Float>(rows: 20, columns: 12, values: (0..<240).map { _ in Float(random.gaussian()) })
    let signals = try headSignals(H, perUnit: 2, size: 3)
    #expect(signals.map(\.shape) == ["20x2", "20x2"])
    for head in 0..<4 {
      var expected = [Double](repeating: 0, count: 20)
      for feature in 0..<3 {
        let column = (0..<20).map { Double(H[$0, head * 3 + feature]) }
        let (center, spread) = (mean(column), standardDeviation(column, ddof: 1))
        for t in 0..<20 { expected[t] += (column[t] - center) / spread / 3 }
      }
      for t in 0..<20 { #expect(abs(Double(signals[head % 2][t, head / 2]) - expected[t]) < 1e-5) }
    }
  }

  @Test func aBestPairingIsNeverBeatenByAnother() {
    var random = RandomStream(seed: 1, name: "pairing")
    for (rows, columns) in [(1, 1), (3, 3), (4, 6), (6, 6)] {
      let S = Matrix(rows: rows, columns: columns, values: (0..<(rows * columns)).map { _ in random.gaussian() })
      let partner = bestPairing(S)
      #expect(Set(partner).count == rows)
      func best(_ row: Int, _ used: Set<Int>) -> Double {
        row == rows
          ? 0
          : (0..<columns).filter { !used.contains($0) }.map { S[row, $0] + best(row + 1, used.union([$0])) }.max() ?? 0
      }
      let total = partner.enumerated().reduce(0) { $0 + S[$1.offset, $1.element] }
      #expect(abs(total - best(0, [])) < 1e-12)
    }
  }
}
