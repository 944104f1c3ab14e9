import Numerics

// What can be said of when a network is active, and how well that holds in a text it was not made from.

/// Tokens of two texts: descriptions are made from the first and judged on the second.
package struct FitAndTest: Sendable {
  /// Rows of the tokens. The text to describe comes first.
  package let fit: Range<Int>
  package let test: Range<Int>
  /// Every window of both, rising.
  package let windows: [Range<Int>]

  package init(fit: Range<Int>, test: Range<Int>, windows: [Range<Int>]) {
    self.fit = fit
    self.test = test
    self.windows = windows
  }

  package var fitWindows: [Range<Int>] { windows.filter { $0.upperBound <= fit.upperBound } }

  /// For each of `count` turned texts an offset for every window.
  package func shifts(_ count: Int, using stream: inout RandomStream) -> [[Int]] {
    (0..<count).map { _ in windows.map { stream.below($0.count) } }
  }

  /// A course with every window turned by its own offset.
  package func turned(_ course: [Double], by offsets: [Int]) -> [Double] {
    var result = course
    for (window, offset) in zip(windows, offsets) {
      for (place, t) in window.enumerated() { result[window.lowerBound + (place + offset) % window.count] = course[t] }
    }
    return result
  }
}

/// The description of one course.
package struct CourseDescription: Sendable {
  /// The course is above it at an event.
  package var threshold: Double
  package var rules: [ContextRule]
  /// Levels with |z| ≥ 3, by falling |z|, and the share of false discoveries at which each would be one.
  package var enriched: [(level: EventEnrichment.Level, q: Double)]
  /// Log odds of each kind of text at the events; NaN of a kind that does not occur, none where kinds are not known.
  package var kindOdds: [Double]
  /// Of the rules' scores, for the events of the other text.
  package var auroc: Double
  /// Of a model of means of all facts, on the other text.
  package var ceiling: Ceiling
  /// R² on the other text of a model of means of each fact alone.
  package var factShares: [Double]

  /// How much facts can tell at all.
  package struct Ceiling: Sendable {
    package var auroc: Double
    package var r2: Double
    package var correlation: Double
  }
}

/// How courses are described.
package struct CourseReader: Sendable {
  package let facts: [FactLevels]
  package let halves: FitAndTest
  /// Share of the tokens that are events.
  package let share: Double
  package let ruleCount: Int
  /// Offsets of windows that tell how counts vary by runs.
  package let shifts: [[Int]]

  package init(_ facts: [FactLevels], _ halves: FitAndTest, share: Double, rules: Int, shifts: [[Int]]) {
    self.facts = facts
    self.halves = halves
    self.share = share
    ruleCount = rules
    self.shifts = shifts
  }

  /// The value that a share of the tokens of the described text is above.
  package func threshold(of course: [Double]) -> Double { quantile(Array(course[halves.fit]), 1 - share) }

  /// - Parameter threshold: the course is above it at an event.
  package func description(of course: [Double], threshold: Double) -> CourseDescription {
    let enrichment = EventEnrichment(
      facts, events: course[halves.fit].map { $0 > threshold }, windows: halves.fitWindows, shifts: shifts)
    let rules = enrichment.rules(ruleCount)
    let levels = enrichment.levels(among: Array(halves.fit))
    let test = Array(course[halves.test])
    let isEvent = test.map { $0 > threshold }
    let fit = Array(course[halves.fit])
    let predicted = MeansModel(facts, fit, halves.fit).predicted(facts, halves.test)
    return CourseDescription(
      threshold: threshold, rules: rules, enriched: enriched(levels), kindOdds: kindOdds(levels),
      auroc: areaUnderROC(ruleScores(rules, facts, halves.test), isPositive: isEvent),
      ceiling: CourseDescription.Ceiling(
        auroc: areaUnderROC(predicted, isPositive: isEvent), r2: explainedShare(of: test, by: predicted),
        correlation: correlation(test, predicted)),
      factShares: facts.map { fact in
        explainedShare(of: test, by: MeansModel([fact], fit, halves.fit).predicted([fact], halves.test))
      })
  }

  private func kindOdds(_ levels: [EventEnrichment.Level]) -> [Double] {
    guard let kind = facts.firstIndex(where: { $0.fact == .kind }) else { return [] }
    var odds = [Double](repeating: .nan, count: facts[kind].names.count)
    for level in levels where level.fact == kind { odds[level.level] = level.delta }
    return odds
  }

  private func enriched(_ levels: [EventEnrichment.Level]) -> [(level: EventEnrichment.Level, q: Double)] {
    var found: [(level: EventEnrichment.Level, q: Double)] = []
    for fact in facts.indices {
      let own = levels.filter { $0.fact == fact }
      found += zip(own, benjaminiHochberg(own.map { twoSided($0.z) })).filter { abs($0.0.z) >= 3 }.map { ($0, $1) }
    }
    return argsort(found.map { abs($0.level.z) }, descending: true).map { found[$0] }
  }

  /// The mean AUROC of rules for the events of texts whose windows are turned: what slow changes of the text give alone.
  package func turnedAUROC(of rules: [ContextRule], _ course: [Double], threshold: Double) -> Double {
    let score = ruleScores(rules, facts, halves.test)
    return mean(
      shifts.map { offsets in
        areaUnderROC(score, isPositive: halves.turned(course, by: offsets)[halves.test].map { $0 > threshold })
      })
  }
}
