import Numerics

/// Whether a lesion hurts the kinds of text that a description speaks of: Spearman's correlation, over kinds, of how much
/// more often a set's events are in a kind with what taking the set out costs there. Some kinds are hurt by any lesion, so
/// that the same of random sets of as much energy stands beside it.
package struct KindAgreement: Sendable {
  package let own: Double
  package let random: [Double]
  /// Kinds that it is over.
  private let count: Int

  package enum Verdict: String, Sendable {
    case confirmed, contradicted, open
  }

  /// Fewer kinds have no order to speak of.
  private static let fewestKinds = 4

  /// - Parameters:
  ///   - odds: log odds of each kind at the events; NaN where it does not occur.
  ///   - changes: of the loss in each kind without the set.
  ///   - random: the same without each random set.
  package init(odds: [Double], changes: [Double], random: [[Double]]) {
    let known = odds.indices.filter { odds[$0].isFinite && changes[$0].isFinite }
    func agreement(_ changes: [Double]) -> Double {
      known.count < KindAgreement.fewestKinds
        ? .nan : rankCorrelation(known.map { odds[$0] }, known.map { changes[$0] })
    }
    count = known.count
    own = agreement(changes)
    self.random = random.map(agreement)
  }

  /// The chance of so large a correlation, to its side, if kinds were in any order: Student's t of ρ √((n-2)/(1-ρ²)).
  package var p: Double {
    let freedom = Double(count - 2)
    return studentTwoSided(
      squared: own * own * freedom / max(1 - own * own, .leastNormalMagnitude), freedom: freedom) / 2
  }

  /// Confirmed when above 0 with p < .05 and above 95 % of the random sets; contradicted when below 0 with p < .05 and
  /// below 95 % of them; else open. Nil where there is nothing to compare.
  package var verdict: Verdict? {
    guard own.isFinite, !random.isEmpty, random.allSatisfy(\.isFinite) else { return nil }
    if p >= 0.05 { return .open }
    if own > max(0, quantile(random, 0.95)) { return .confirmed }
    return own < min(0, quantile(random, 0.05)) ? .contradicted : .open
  }
}
