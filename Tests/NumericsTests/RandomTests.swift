import Numerics
import Testing

struct MersenneTwisterTests {
  @Test func randintDrawsWhatPythonDraws() {
    var random = MersenneTwister(seed: 0)
    #expect((0..<5).map { _ in random.randint(0, 999_999) } == [885_440, 403_958, 794_772, 933_488, 441_001])
    random = MersenneTwister(seed: 0)
    #expect((0..<3).map { _ in random.randint(0, 339_420) } == [201_979, 220_500, 21_225])
  }

  @Test func randomAndShuffleDrawWhatPythonDraws() {
    var random = MersenneTwister(seed: 0)
    #expect((0..<3).map { _ in random.random() } == [0.8444218515250481, 0.7579544029403025, 0.420571580830845])
    random = MersenneTwister(seed: 0)
    var x = Array(0..<10)
    random.shuffle(&x)
    #expect(x == [7, 8, 1, 5, 3, 4, 2, 0, 9, 6])
  }

  @Test func longAndNegativeSeedsAreThoseOfPython() {
    var random = MersenneTwister(seed: 123_456_789_012_345)
    #expect(random.randint(0, 999_999) == 707_238)
    #expect(random.randint(-5, 5) == -2)
    #expect(random.randint(0, 1_000_000_000_000_000) == 461_890_628_483_819)
    #expect(random.random() == 0.22484093741322975)
    random = MersenneTwister(seed: -7)
    #expect((0..<3).map { _ in random.randint(1, 6) } == [3, 2, 4])
  }
}

struct RandomStreamTests {
  @Test func streamsRepeatAndDifferByNameAndSeed() {
    func first(_ seed: Int, _ name: String) -> UInt64 {
      var stream = RandomStream(seed: seed, name: name)
      return stream.next()
    }
    #expect(first(1, "a") == first(1, "a"))
    #expect(Set([first(1, "a"), first(2, "a"), first(1, "b"), first(-1, "a"), first(1, "")]).count == 5)
  }

  @Test func gaussiansHaveTheMomentsOfTheNormalDistribution() {
    var stream = RandomStream(seed: 3, name: "test")
    let values = (0..<200_000).map { _ in stream.gaussian() }
    #expect(abs(mean(values)) < 0.01)
    #expect(abs(variance(values) - 1) < 0.02)
    let fourth = mean(values.map { $0 * $0 * $0 * $0 })
    #expect(abs(fourth - 3) < 0.1)
    #expect(abs(mean(zip(values, values.dropFirst()).map { $0 * $1 })) < 0.01)
  }

  @Test func uniformsFillTheInterval() {
    var stream = RandomStream(seed: 4, name: "test")
    let values = (0..<100_000).map { _ in stream.uniform() }
    #expect(values.allSatisfy { $0 >= 0 && $0 < 1 })
    #expect(abs(mean(values) - 0.5) < 0.005)
    #expect(abs(variance(values) - 1.0 / 12) < 0.002)
  }

  @Test func belowIsUniformAndShuffleKeepsEverything() {
    var stream = RandomStream(seed: 5, name: "test")
    var counts = [Int](repeating: 0, count: 7)
    for _ in 0..<70_000 { counts[stream.below(7)] += 1 }
    #expect(counts.allSatisfy { abs($0 - 10_000) < 500 })
    #expect(stream.below(1) == 0)
    var x = Array(0..<100)
    stream.shuffle(&x)
    #expect(x != Array(0..<100) && x.sorted() == Array(0..<100))
    #expect(Set(stream.sample(50, from: 60)).count == 50)
  }
}
