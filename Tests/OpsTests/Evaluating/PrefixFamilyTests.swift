import Testing

@testable import Ops

@Suite struct PrefixFamilyTests {
  private let start: [Int32] = Array(repeating: 7, count: PrefixFamily.leastShared)

  @Test func choicesOfAnItemShareItsPrompt() {
    let inputs = [start + [1], start + [1, 2], start + [3, 4, 5], [8, 1], [8, 2]]
    #expect(
      PrefixFamily.fewestTokens(inputs) == [
        PrefixFamily(inputs: 0..<3, shared: start.count, tokens: start.count + 6),
        PrefixFamily(inputs: 3..<4, shared: 0, tokens: 2), PrefixFamily(inputs: 4..<5, shared: 0, tokens: 2),
      ])
    #expect(PrefixFamily.fewestTokens([]).isEmpty)
  }

  /// Two prompts of one preamble: all together would share the preamble only.
  @Test func theLongerStartWinsOverTheLargerFamily() {
    let (first, second) = (start + Array(repeating: 1, count: 40), start + Array(repeating: 2, count: 40))
    let inputs = [first + [1], first + [2], first + [3], second + [1], second + [2], second + [3]]
    #expect(PrefixFamily.fewestTokens(inputs).map(\.inputs) == [0..<3, 3..<6])
    // Questions that have nothing but the preamble in common share that.
    let questions = (1..<6).map { start + Array(repeating: Int32($0), count: 3) }
    #expect(PrefixFamily.fewestTokens(questions).map(\.shared) == [start.count])
  }

  @Test func noFamilyIsLargerThanOnePass() {
    let inputs = (0..<8).map { start + Array(repeating: Int32($0), count: 1000) }
    let families = PrefixFamily.fewestTokens(inputs)
    #expect(families.allSatisfy { $0.tokens <= PrefixFamily.most })
    #expect(families.map(\.inputs).reduce([]) { $0 + $1 } == Array(inputs.indices))
  }
}
