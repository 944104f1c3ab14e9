import Numerics
import Testing

@testable import Ops

@Suite struct NetworkAnalysisTests {
  /// Three sources with long tails over 200 units, mixed into 64 tokens.
  private let sources: Matrix<Double>
  private let signals: Matrix<Float>

  init() {
    var random = SplitMix(7)
    let S = Matrix<Double>(rows: 3, columns: 200, values: (0..<600).map { _ in random.laplace() })
    sources = S
    signals = Matrix<Float>(random.matrix(64, 3) * S)
  }

  private func maps(_ rotation: NetworkAnalysis.Rotation?) throws -> Matrix<Double> {
    try NetworkAnalysis(components: 3, scale: .center, rotation: rotation, key: 3, keepsMaps: true)
      .networks(of: [signals], subjects: [], name: "run 0", progress: {}).networks.z
  }

  @Test func independentSourcesAreFoundAgain() throws {
    let rotation = NetworkAnalysis.Rotation(
      contrast: .logcosh, order: .parallel, restarts: 1, seed: 0, tolerance: 1e-6, maximumIterations: 200)
    #expect(matchNetworks(sources, try maps(rotation)).similarity.allSatisfy { $0 > 0.98 })
    // Principal components span the same space and are mixtures.
    #expect(matchNetworks(sources, try maps(nil)).similarity.contains { $0 < 0.95 })
  }

  @Test func moreComponentsThanSignalsHoldAreRefused() {
    let analysis = NetworkAnalysis(components: 65, scale: .center, key: 3, keepsMaps: true)
    #expect(throws: (any Error).self) {
      try analysis.networks(of: [signals], subjects: [], name: "run 0", progress: {})
    }
  }
}
