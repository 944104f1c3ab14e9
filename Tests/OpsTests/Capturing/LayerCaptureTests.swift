import Kernel
import Numerics
import Testing
import Transformer

@testable import Ops

@Suite struct LayerCaptureTests {
  let bench = StepBench()
  let sequences = Sequences([[1, 2, 3, 4, 5], [6, 7, 8]])

  private func parts(_ network: LanguageModel, origin: JSONValue) throws -> [Site: [ArtifactReference]] {
    try bench.run { [sequences] context in
      try LayerCapture(
        network: network, sequences: sequences, sites: [.activation], keep: [Kept(.values), Kept(.moments)],
        clusters: nil,
        groups: nil, layers: [1, 3], origin: ["model": origin], context: context
      ).captured()
    }
  }

  @Test func aPartHoldsWhatTheWalkShowsOfItsLayer() throws {
    let network = try LanguageModel(ScriptBench.data + "/tiny-llama")
    let found = try #require(try parts(network, origin: "a")[.activation])
    #expect(found.count == 2)
    let walk = try Walk(network, sequences)
    try walk.embed()
    for layer in 0..<4 {
      let shown = Matrix<Float>(rows: 8, columns: Site.activation.width(network.configuration, layer: layer))
      try walk.step(sites: [.activation], tap: { shown.rows($0.rows).assign($0.values) })
      guard let place = [1, 3].firstIndex(of: layer) else { continue }
      let part = try bench.run { try LayerActivations(from: $0.open(found[place])) }
      #expect(part.layer == layer && part.site == .activation && part.gram == nil)
      #expect(try part.values?.load().values == shown.values)
      let moments = try #require(part.moments)
      #expect(moments.count == 8)
      #expect(maxDifference(moments.mean, (0..<shown.columns).map { mean(shown.column($0).map(Double.init)) }) < 1e-6)
    }
  }

  @Test func whatIsThereIsNotMadeAgainAndAnotherOriginIsAnotherPart() throws {
    let network = try LanguageModel(ScriptBench.data + "/tiny-llama")
    let first = try parts(network, origin: "a")
    #expect(!bench.reported.isEmpty)
    #expect(try parts(network, origin: "a") == first)
    #expect(bench.reported.isEmpty)
    let other = try parts(network, origin: "b")
    #expect(other != first && other[.activation]?.map(\.content) == first[.activation]?.map(\.content))
  }
}
