import Glibc
import Numerics

// What is said more often of the tokens where a network is active than elsewhere: log odds with an informative
// Dirichlet prior (Monroe, Colaresi and Quinn 2008), fact by fact.

/// How a fact's levels differ between events and the rest.
package struct LogOdds: Sendable {
  /// δ_w = ln[(y₁+a)/(n₁+a₀-y₁-a)] - ln[(y₀+a)/(n₀+a₀-y₀-a)] of each level.
  package var delta: [Double]
  /// δ / √(1/(y₁+a) + 1/(y₀+a))
  package var z: [Double]
}

/// - Parameters:
///   - inside: y₁, tokens of each level among the events.
///   - outside: y₀, tokens of each level elsewhere.
///   - prior: f, share of the corpus of each level; sums to one.
///   - weight: a₀; the prior of a level is a = a₀ f, or half a count for one that does not occur.
package func logOdds(inside y1: [Double], outside y0: [Double], prior f: [Double], weight a0: Double) -> LogOdds {
  let (n1, n0) = (y1.reduce(0, +), y0.reduce(0, +))
  var result = LogOdds(delta: [], z: [])
  for w in f.indices {
    let a = f[w] > 0 ? a0 * f[w] : 0.5
    let (in1, in0) = (y1[w] + a, y0[w] + a)
    let (rest1, rest0) = (n1 + a0 - in1, n0 + a0 - in0)
    // A level that every token has tells nothing.
    let delta = rest1 > 0 && rest0 > 0 ? log(in1 * rest0 / (rest1 * in0)) : 0
    result.delta.append(delta)
    result.z.append(delta / (1 / in1 + 1 / in0).squareRoot())
  }
  return result
}

/// Events of a text, against facts about its tokens.
package struct EventEnrichment: Sendable {
  private let facts: [FactLevels]
  private let isEvent: [Bool]
  /// Share of the tokens at each level, by fact.
  private let frequency: [[Double]]
  /// What a level's z is divided by: its standard deviation over texts whose windows were each turned by an offset of
  /// their own, at least 1. Events come in runs, so that counts vary more than those of independent tokens.
  private let spread: [[Double]]

  /// - Parameters:
  ///   - windows: of the tokens, which are those of `facts` from 0 on.
  ///   - shifts: for each turned text an offset per window.
  package init(_ facts: [FactLevels], events isEvent: [Bool], windows: [Range<Int>], shifts: [[Int]]) {
    self.facts = facts
    self.isEvent = isEvent
    let count = isEvent.count
    let events = isEvent.indices.filter { isEvent[$0] }
    frequency = facts.map { fact in
      let sizes = levelCounts(fact, 0..<count)
      let total = sizes.reduce(0, +)
      return sizes.map { total > 0 ? $0 / total : 0 }
    }
    var windowOf = [Int](repeating: 0, count: count)
    for (index, window) in windows.enumerated() { for t in window { windowOf[t] = index } }
    let turned = shifts.map { offsets in
      events.map { t in
        let window = windows[windowOf[t]]
        return window.lowerBound + (t - window.lowerBound + offsets[windowOf[t]]) % window.count
      }
    }
    var spread: [[Double]] = []
    for (index, fact) in facts.enumerated() {
      let all = levelCounts(fact, 0..<count)
      var (sum, squares) = ([Double](repeating: 0, count: all.count), [Double](repeating: 0, count: all.count))
      for tokens in turned {
        let inside = levelCounts(fact, tokens)
        let z = logOdds(
          inside: inside, outside: zip(all, inside).map(-), prior: frequency[index],
          weight: EventEnrichment.priorWeight(events.count)
        ).z
        for w in z.indices {
          sum[w] += z[w]
          squares[w] += z[w] * z[w]
        }
      }
      let n = Double(turned.count)
      spread.append(
        all.indices.map { w in
          n > 1 ? max(1, ((squares[w] - sum[w] * sum[w] / n) / (n - 1)).squareRoot()) : 1
        })
    }
    self.spread = spread
  }

  /// a₀ for so many events.
  private static func priorWeight(_ events: Int) -> Double { max(10, Double(events) / 10) }

  /// One level of a fact and how much it belongs to the events.
  package struct Level: Sendable {
    package var fact: Int
    package var level: Int
    package var delta: Double
    /// After the correction for runs.
    package var z: Double
    /// Tokens of the level among the events, and of all tokens.
    package var inside: Int
    package var all: Int
  }

  /// Every level that occurs among some tokens.
  package func levels(among tokens: [Int]) -> [Level] {
    let events = tokens.filter { isEvent[$0] }
    return facts.enumerated().flatMap { index, fact -> [Level] in
      let (all, inside) = (levelCounts(fact, tokens), levelCounts(fact, events))
      let odds = logOdds(
        inside: inside, outside: zip(all, inside).map(-), prior: frequency[index],
        weight: EventEnrichment.priorWeight(events.count))
      return all.indices.filter { all[$0] > 0 }.map { w in
        Level(
          fact: index, level: w, delta: odds.delta[w], z: odds.z[w] / spread[index][w], inside: Int(inside[w]),
          all: Int(all[w]))
      }
    }
  }

  /// The rules that find the events, at most `count`: again and again the level of largest z among the tokens that no
  /// rule has met yet, with δ > 0, z ≥ 3 and 5 events, that does not hold for more than half of the text.
  package func rules(_ count: Int) -> [ContextRule] {
    var tokens = Array(isEvent.indices)
    var rules: [ContextRule] = []
    while rules.count < count {
      let fitting = levels(among: tokens).filter {
        $0.delta > 0 && $0.z >= 3 && $0.inside >= 5 && frequency[$0.fact][$0.level] <= 0.5
      }
      guard let best = fitting.max(by: { $0.z < $1.z }) else { break }
      rules.append(ContextRule(fact: best.fact, level: Int32(best.level), weight: best.delta))
      tokens = tokens.filter { facts[best.fact].level[$0] != Int32(best.level) }
    }
    return rules
  }
}

/// Tokens of each level.
private func levelCounts(_ fact: FactLevels, _ tokens: some Sequence<Int>) -> [Double] {
  var counts = [Double](repeating: 0, count: fact.names.count)
  fact.level.withUnsafeBufferPointer { level in
    for t in tokens where level[t] >= 0 { counts[Int(level[t])] += 1 }
  }
  return counts
}

/// "fact = value", as a sign of events.
package struct ContextRule: Sendable, Equatable {
  /// Place among the facts.
  package var fact: Int
  package var level: Int32
  /// δ when the rule was found.
  package var weight: Double
}

/// How strongly rules expect an event at each token: the largest weight of the rules it meets, else 0.
package func ruleScores(_ rules: [ContextRule], _ facts: [FactLevels], _ tokens: Range<Int>) -> [Double] {
  tokens.map { t in
    rules.reduce(0) { facts[$1.fact].level[t] == $1.level ? max($0, $1.weight) : $0 }
  }
}
