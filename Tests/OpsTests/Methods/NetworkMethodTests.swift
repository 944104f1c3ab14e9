import Foundation
import Numerics
import Testing

@testable import Ops

/// Against numpy, scipy and scikit-learn (Tests/Fixtures/methods/networks.py), and against what must hold.
@Suite struct NetworkMethodTests {
  private let reference: [String: Matrix<Double>]

  init() throws { reference = try fixture("networks.txt") }

  private func values(_ name: String) throws -> [Double] { try #require(reference[name]).values }

  @Test func coursesAreDualRegression() throws {
    let Z = try ScaledSignals([Matrix<Float>(try #require(reference["Z"]))])
    let A = try networkCourses(Z, maps: try #require(reference["S"]))
    // Signals and products are in single precision.
    #expect(maxDifference(A, try #require(reference["courses"])) < 2e-6)
  }

  @Test func anOrderOfUnitsMovesAllSignalsOfAUnitTogether() {
    let S = Matrix<Double>([[0, 1, 2, 10, 11, 12]])
    #expect(permuted(S, halves: 2, order: [2, 0, 1]).row(0) == [2, 0, 1, 12, 10, 11])
  }

  @Test func keysAreTheLargestByShareOrAboveAThreshold() {
    let z = [0.5, -3, 0.1, 2, 0.2, 0.3, 4, -2]
    // Sizes of the four units: 0.5, 3, 4, 2.
    #expect(KeyRule.share(0.5).units(of: z, halves: 2) == [2, 1])
    #expect(KeyRule.share(0.51).units(of: z, halves: 2) == [2, 1, 3])
    #expect(KeyRule.threshold(2.5).units(of: z, halves: 2) == [2, 1])
    #expect(KeyRule.threshold(5).units(of: z, halves: 2) == [])
    #expect(KeyRule.share(0.5).units(of: [1, -1, 1, 1], halves: 1) == [0, 1])
  }

  @Test func thePoleIsTheSkewedSide() {
    #expect(pole([0, 0, 0, 5]) == 1)
    #expect(pole([0, 0, 0, -5]) == -1)
  }

  @Test func manyTestsAreCorrectedAsTheReferenceDoes() throws {
    let p = try values("p")
    #expect(maxDifference(benjaminiHochberg(p), try values("bh")) < 1e-12)
    #expect(maxDifference(holm(p), try values("holm")) < 1e-12)
    #expect(abs(twoSided(1.959963984540054) - 0.05) < 1e-12)
  }

  @Test func theAreaUnderTheCurveCountsTiesHalf() throws {
    let area = areaUnderROC(try values("score"), isPositive: try values("positive").map { $0 > 0 })
    #expect(abs(area - (try values("auroc"))[0]) < 1e-12)
    #expect(areaUnderROC([1, 1, 1], isPositive: [true, false, false]) == 0.5)
    #expect(areaUnderROC([1, 2], isPositive: [true, true]).isNaN)
  }

  @Test func mutualInformationIsAdjustedForChance() throws {
    let (a, b) = (try values("a").map { Int32($0) }, try values("b").map { Int32($0) })
    #expect(abs(adjustedMutualInformation(a, b) - (try values("ami"))[0]) < 1e-10)
    #expect(abs(adjustedMutualInformation(a, a.map { 3 - $0 }) - 1) < 1e-10)
  }

  @Test func logOddsAreThoseOfTheReferenceAndTurnWithTheSides() throws {
    let (y1, y0, f) = (try values("y1"), try values("y0"), try values("f"))
    let odds = logOdds(inside: y1, outside: y0, prior: f, weight: 10)
    #expect(maxDifference(odds.delta, try values("delta")) < 1e-12)
    #expect(maxDifference(odds.z, try values("z")) < 1e-12)
    let turned = logOdds(inside: y0, outside: y1, prior: f, weight: 10)
    #expect(maxDifference(turned.delta, odds.delta.map { -$0 }) < 1e-12)
    #expect(maxDifference(turned.z, odds.z.map { -$0 }) < 1e-12)
  }

  @Test func meansAreBackfittedAsInTheReference() throws {
    let levels = try #require(reference["levels"])
    let facts = (0..<2).map { i in
      FactLevels(fact: .token, level: levels.row(i).map { Int32($0) }, names: (0..<5).map { "\($0)" })
    }
    let y = try values("y")
    let found = MeansModel(facts, y, 0..<50).predicted(facts, 0..<50)
    #expect(maxDifference(found, try values("fitted")) < 1e-12)
    #expect(explainedShare(of: y, by: y) == 1)
    #expect(abs(explainedShare(of: y, by: y.map { _ in mean(y) })) < 1e-12)
  }

  /// A text of windows of tokens in runs, with events in runs that have nothing to do with them.
  private func randomText(_ seed: UInt64) -> (facts: [FactLevels], events: [Bool], windows: [Range<Int>]) {
    var random = SplitMix(seed)
    let windows = Parallel.ranges(64 * 96, of: 96)
    var level: [Int32] = []
    var events: [Bool] = []
    while level.count < 64 * 96 {
      level += Array(repeating: Int32(random.next() % 6), count: 1 + Int(random.next() % 4))
    }
    while events.count < 64 * 96 {
      events += Array(repeating: random.next() % 12 == 0, count: 1 + Int(random.next() % 4))
    }
    let fact = FactLevels(fact: .token, level: Array(level.prefix(64 * 96)), names: (0..<6).map { "\($0)" })
    return ([fact], Array(events.prefix(64 * 96)), windows)
  }

  @Test func eventsAtRandomHaveScoresOfUnitDeviation() {
    var z: [Double] = []
    for seed in 0..<60 {
      let text = randomText(UInt64(seed))
      var stream = RandomStream(seed: seed, name: "shifts")
      let shifts = (0..<50).map { _ in text.windows.map { stream.below($0.count) } }
      let found = EventEnrichment(text.facts, events: text.events, windows: text.windows, shifts: shifts)
      z += found.levels(among: Array(text.events.indices)).map(\.z)
    }
    // 360 values: the standard error of a deviation of one is 0.04, and the correction has one of its own.
    #expect(abs(standardDeviation(z) - 1) < 0.13, "\(standardDeviation(z))")
  }

  @Test func aPlantedRuleIsFoundFirstAndTellsEventsOfAnotherText() {
    let text = randomText(7)
    let events = text.facts[0].level.map { $0 == 2 }
    let found = EventEnrichment(text.facts, events: events, windows: text.windows, shifts: [])
    let rules = found.rules(6)
    #expect(rules.map(\.level) == [2])
    let other = randomText(8).facts
    let score = ruleScores(rules, other, 0..<other[0].level.count)
    #expect(areaUnderROC(score, isPositive: other[0].level.map { $0 == 2 }) == 1)
  }

  @Test(arguments: [
    ("\n", TokenClass.newline), (" \n", .newline), ("  ", .space), ("12", .digit), (" 7", .digit), (",", .punctuation),
    (" +", .punctuation), ("ALL", .capitals), (" The", .capital), ("A", .capital), (" the", .lower), ("the", .inside),
    ("iPhone", .mixed), ("x2", .mixed), ("中", .other), ("", .other),
  ]) func tokensLookLike(_ text: String, _ expected: TokenClass) {
    #expect(TokenClass(Array(text.utf8)) == expected)
  }

  @Test func halfACharacterIsOther() { #expect(TokenClass([0xE4, 0xB8]) == .other) }

  @Test func factsKnowOnlyTheirWindow() {
    let spelled: [Int32: String] = [5: "a", 6: "\n", 7: " b"]
    let facts = contextFacts(
      [5, 6, 7, 5, 7, 5], windows: [0..<4, 4..<6], spell: { Array((spelled[$0] ?? "").utf8) },
      kinds: (["x"], [0, 0, -1, -1, 0, 0]))
    func levels(_ fact: ContextFact) -> [Int32]? { facts.first { $0.fact == fact }?.level }
    #expect(levels(.token) == [0, 1, 2, 0, 2, 0])
    #expect(levels(.previous) == [-1, 0, 1, 2, -1, 2])
    #expect(levels(.position) == [0, 1, 1, 2, 0, 1])
    #expect(levels(.sinceNewline) == [0, 1, 0, 1, 0, 1])
    #expect(levels(.repeated) == [0, 0, 0, 1, 0, 0])
    #expect(levels(.kind) == [0, 0, -1, -1, 0, 0])
    #expect(facts.map(\.fact) == ContextFact.allCases)
    #expect(readable(Array("a\n\u{1}".utf8) + [0xE4]) == "a⏎␁\u{FFFD}")
  }

  @Test func turningAWindowByItsLengthIsNoTurn() {
    let halves = FitAndTest(fit: 0..<4, test: 4..<7, windows: [0..<4, 4..<7])
    let course: [Double] = [1, 2, 3, 4, 5, 6, 7]
    #expect(halves.turned(course, by: [4, 3]) == course)
    #expect(halves.turned(course, by: [1, 2]) == [4, 1, 2, 3, 6, 7, 5])
  }
}
