import Kernel
import Testing

@testable import Ops

private let start = """
  m = load DATA/tiny-llama
  cal = text DATA/calibration.txt model=m samples=12 length=64 take=order

  """

@Suite(.serialized) struct KMeansTests {
  let bench = ScriptBench()

  @Test(arguments: ["block.in", "attn.heads", "ffn.resid", "ffn.in", "ffn.up", "ffn.act", "block.out"])
  func aStreamGivesTheClustersOfTheValues(_ site: String) throws {
    func clusters(_ keep: String) throws -> Clusters {
      try bench.value(
        "x", start + "x = kmeans (capture m cal sites=\(site) layers=1..3 keep=\(keep)) k=3 pca=8 site=\(site)")
    }
    let (values, stream) = (try clusters("values"), try clusters("stream"))
    #expect(stream.label == values.label)
    #expect(stream.layers == [1, 2, 3])
    for (a, b) in zip(stream.inertia, values.inertia) { #expect(abs(a - b) < 1e-4 * b) }
  }

  @Test func aCaptureThatKeepsNeitherIsRefusedBeforeAnythingRuns() throws {
    let outcome = try bench.run(start + "x = kmeans (capture m cal sites=ffn.in keep=moments)")
    #expect(outcome.exitCode == 2)
    #expect(outcome.diagnostics.first?.hint == "capture with keep=stream")
    #expect(bench.computed.isEmpty)
  }
}
