import Numerics
import Testing

@testable import Ops

@Suite struct SamplesTests {
  @Test func equalWeightsGiveTheMeanAndItsError() {
    let values = [1.5, 2, 7, -3, 0.25]
    let samples = Samples(values)
    #expect(samples.ratio == mean(values))
    #expect(samples.standardError == (variance(values, ddof: 1) / 5).squareRoot())
    // One sample tells nothing, nor one with weight among others without.
    #expect(Samples([2]).standardError.isNaN)
    #expect(Samples([0, 2, 0], weights: [0, 3, 0]).standardError.isNaN)
  }

  /// Values in proportion to their weights leave nothing to chance.
  @Test func aConstantRatioHasNoError() {
    let samples = Samples([2, 4, 10], weights: [1, 2, 5])
    #expect(samples.ratio == 2)
    #expect(samples.standardError < 1e-15)
  }

  @Test func theSpreadIsTakenInsideStrata() throws {
    let samples = Samples([0, 1, 10, 11], strata: [0, 0, 1, 1])
    // Two strata of variance 1/2 each: Σ (1/2)/2 (2/4)² = 1/8.
    #expect(abs(samples.standardError - 0.125.squareRoot()) < 1e-15)
    let interval = try #require(samples.interval(RandomStream(seed: 0, name: "test")))
    #expect(interval.lowerBound >= 5 && interval.upperBound <= 6)
  }

  /// A label that one window in many has is missed by many draws.
  @Test func drawsWithoutWeightAreLeftOut() throws {
    let rare = Samples([3, 0, 0, 0, 0], weights: [2, 0, 0, 0, 0])
    #expect(try #require(rare.interval(RandomStream(seed: 0, name: "test"))) == 1.5...1.5)
    #expect(Samples([0, 0], weights: [0, 0]).interval(RandomStream(seed: 0, name: "test")) == nil)
  }
}
