import Foundation
import Numerics
import Testing

@testable import Ops

@Suite struct LesionMethodTests {
  private let energy: [Double] = {
    var random = SplitMix(5)
    return (0..<300).map { _ in exp(random.normal()) }
  }()
  private var pool: UnitPool { UnitPool(energy: energy, available: Array(energy.indices)) }

  @Test func aMatchedSetIsAsLargeOthersAndOfLikeEnergy() throws {
    var stream = RandomStream(seed: 0, name: "sets")
    for draw in 0..<50 {
      let S = stream.sample(15, from: 300)
      let other = try #require(pool.set(like: S, .energy, using: &stream))
      #expect(Set(other).count == 15 && Set(other).isDisjoint(with: S))
      func total(_ set: [Int]) -> Double { log(set.reduce(0) { $0 + energy[$1] }) }
      // The largest unit has no equal: the sum may be off by what it is ahead of the next.
      #expect(abs(total(other) - total(S)) < 1.2, "\(draw)")
      let again = try #require(pool.set(like: S, .size, using: &stream))
      #expect(Set(again).count == 15 && Set(again).isDisjoint(with: S))
    }
    #expect(pool.set(like: Array(0..<151), .energy, using: &stream) == nil)
    #expect(pool.set(like: Array(0..<150), .energy, using: &stream)?.count == 150)
  }

  /// A set drawn like the random ones has a p value that is uniform: Kolmogorov and Smirnov over 200 draws.
  @Test func matchedSetsHaveUniformChances() throws {
    var stream = RandomStream(seed: 1, name: "chances")
    var random = SplitMix(9)
    let effect = energy.map { $0.squareRoot() * (1 + random.normal()) }
    let chances = try (0..<200).map { _ -> Double in
      let S = stream.sample(12, from: 300)
      let cost = try (0..<100).map { _ in
        try #require(pool.set(like: S, .energy, using: &stream)).reduce(0) { $0 + effect[$1] }
      }
      return exceedance(cost[0], Array(cost.dropFirst()))
    }.sorted()
    let distance = chances.enumerated().reduce(0.0) { max($0, abs($1.element - (Double($1.offset) + 0.5) / 200)) }
    #expect(distance < 1.36 / 200.0.squareRoot() + 0.005, "\(distance)")
  }

  @Test func chancesCountTheObservedOne() {
    #expect(exceedance(3, [1, 2, 3, 4]) == 3.0 / 5)
    #expect(exceedance(9, [1, 2, 3, 4]) == 1.0 / 5)
    #expect(exceedanceTwoSided(0, [2, 2, 4, 4]) == 1.0 / 5)
    #expect(abs(standing(6, [1, 2, 3]) - 4) < 1e-12)
    #expect(standing(1, [2, 2]).isNaN)
  }

  @Test func studentsChancesAreThoseOfTheReference() throws {
    let reference = try fixture("networks.txt")
    let random = try #require(reference["random"]).values
    let expected = try #require(reference["student"]).values
    for (x, p) in zip(try #require(reference["observed"]).values, expected) {
      #expect(abs(studentTwoSided(x, random) / p - 1) < 1e-10)
    }
    #expect(studentTwoSided(1, [1, 2]).isNaN)
  }

  @Test func aLineLeavesNothingOfALine() {
    let x = [0.0, 1, 2, 5]
    let line = Line(x, x.map { 3 - 2 * $0 })
    #expect(abs(line.slope + 2) < 1e-12 && abs(line.intercept - 3) < 1e-12 && abs(line.r2 - 1) < 1e-12)
    #expect(abs(line.residual(7, -11)) < 1e-12)
  }

  @Test func classesAreMeansOfTheirTargets() {
    let cells = LossCells(kind: [0, 1, 0, -1], kinds: 3)
    let change = cells.byKind([2, 9, 4, 100], [2, 3, 4, 5])
    #expect(change[0] == 1 && change[1] == 3 && change[2].isNaN)
    #expect(cells.specificity([2, 9, 4, 100], [2, 3, 4, 5])[0] == -1)
  }

  /// Passages of four classes, and losses that differ between two lesions by `effect` on classes 1 and 2.
  private func passages(_ effect: Double, seed: UInt64) -> (LossCells, ([Double], [Double]), [Double]) {
    var random = SplitMix(seed)
    let cells = LossCells(kind: (0..<80).map { $0 % 4 }, kinds: 4)
    let counts = (0..<80).map { _ in 40 + 20 * random.uniform() }
    func losses(_ hurt: Int) -> [Double] {
      (0..<80).map { counts[$0] * (random.normal() * 0.1 + ($0 % 4 == hurt ? effect : 0)) }
    }
    return (cells, (losses(1), losses(2)), counts)
  }

  @Test func aPlantedDoubleDissociationIsFoundAndItsClassesNamed() throws {
    let (cells, sums, counts) = passages(0.3, seed: 3)
    var stream = RandomStream(seed: 0, name: "pairs")
    let found = try #require(doubleDissociation(cells, sums, counts: counts, using: &stream))
    #expect(found.first == 1 && found.second == 2)
    #expect(found.p == 1.0 / 401)
    #expect(abs(found.effects.0 - 0.3) < 0.1 && abs(found.effects.1 - 0.3) < 0.1)
  }

  /// Chosen and tested on different passages, nothing is found where there is nothing.
  @Test func lesionsThatDifferByChanceDissociateNoMoreOftenThanTheyShould() throws {
    let found = try (0..<200).map { seed -> Double in
      let (cells, sums, counts) = passages(0, seed: UInt64(100 + seed))
      var stream = RandomStream(seed: seed, name: "pairs")
      return try #require(doubleDissociation(cells, sums, counts: counts, using: &stream)).p
    }
    // Both of two effects must hold, so that fewer than 5 % do.
    #expect(found.count { $0 < 0.05 } <= 10)
  }

  @Test func tooFewPassagesAreNotTested() {
    let cells = LossCells(kind: (0..<24).map { $0 % 2 }, kinds: 2)
    var stream = RandomStream(seed: 0, name: "pairs")
    let ones = [Double](repeating: 1, count: 24)
    #expect(doubleDissociation(cells, (ones, ones), counts: ones, using: &stream) == nil)
  }

  @Test func theEstimateIsOfSecondOrder() { #expect(abs(estimatedChange([0.1, -0.2]) - (0.1 + 0.025)) < 1e-12) }
}
