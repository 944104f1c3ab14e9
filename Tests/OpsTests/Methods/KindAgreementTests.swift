import Testing

@testable import Ops

@Suite struct KindAgreementTests {
  @Test func aLesionThatHurtsWhereTheEventsAreConfirms() {
    let odds = [3.0, 1, 0, -1, -2]
    let random = (0..<20).map { draw in (0..<5).map { Double(($0 * 7 + draw * 3) % 5) } }
    let same = KindAgreement(odds: odds, changes: [0.5, 0.2, 0.1, 0.05, 0], random: random)
    #expect(same.own == 1 && same.verdict == .confirmed)
    #expect(KindAgreement(odds: odds, changes: [0, 0.1, 0.2, 0.3, 0.9], random: random).verdict == .contradicted)
  }

  /// What every lesion does is no sign of this one.
  @Test func whatRandomSetsShowTooConfirmsNothing() {
    let odds = [3.0, 1, 0, -1, -2]
    let changes = [0.5, 0.2, 0.1, 0.05, 0]
    #expect(KindAgreement(odds: odds, changes: changes, random: Array(repeating: changes, count: 9)).verdict == .open)
  }

  /// One-sided p of SciPy's spearmanr.
  @Test func aWeakAgreementIsOpen() {
    let odds = [1.0, 2, 3, 4, 5, 6, 7, 8]
    let random = Array(repeating: odds.map { -$0 }, count: 9)
    let strong = KindAgreement(odds: odds, changes: [3, 1, 6, 2, 4, 8, 5, 7], random: random)
    #expect(abs(strong.own - 0.6666667) < 1e-6 && abs(strong.p - 0.0354938) < 1e-6 && strong.verdict == .confirmed)
    let weak = KindAgreement(odds: odds, changes: [8, 1, 2, 3, 7, 6, 4, 5], random: random)
    #expect(abs(weak.own - 0.1190476) < 1e-6 && abs(weak.p - 0.3894429) < 1e-6 && weak.verdict == .open)
  }

  @Test func withoutRandomSetsOrKindsThereIsNoVerdict() {
    #expect(KindAgreement(odds: [1, 2, 3, 4], changes: [1, 2, 3, 4], random: []).verdict == nil)
    let few = KindAgreement(odds: [1, 2, .nan, 4], changes: [1, 2, 3, .nan], random: [[1, 2, 3, 4]])
    #expect(few.own.isNaN && few.verdict == nil)
  }
}
