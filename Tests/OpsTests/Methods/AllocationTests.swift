import Ops
import Testing

@Suite struct AllocationTests {
  let FC = [0.9, 0.2, 0.1, 0.05, 0.08, 0.12, 0.3, 0.6]
  let P = [100, 100, 120, 100, 100, 90, 100, 100]

  func mean(_ s: [Double]) -> Double {
    let removed: Double = zip(s, P).reduce(0) { $0 + $1.0 * Double($1.1) }
    return removed / Double(P.reduce(0, +))
  }

  @Test("5.8 clip stays in the box, keeps the mean and falls with complexity", arguments: [0.1, 0.3, 0.5, 0.66])
  func clip(sp: Double) throws {
    let found = try allocate(.clip, complexity: FC, parameters: P, sp: sp)
    #expect(found.rates.allSatisfy { $0 >= 0.5 * sp - 1e-15 && $0 <= 1.5 * sp + 1e-15 })
    #expect(abs(mean(found.rates) - sp) < 1e-14 && abs(found.mean - sp) < 1e-14)
    for a in FC.indices {
      for b in FC.indices where FC[a] < FC[b] { #expect(found.rates[a] >= found.rates[b]) }
    }
    #expect(!found.isUniformForLackOfContrast)
  }

  @Test("5.8 OWL keeps the mean and leaves the box; min-max keeps the box and loses the mean") func owlAndMinmax()
    throws
  {
    let owl = try allocate(.owl, complexity: FC, parameters: P, sp: 0.3)
    #expect(abs(owl.mean - 0.3) < 1e-14)
    let (low, high) = (owl.rates.min() ?? 0, owl.rates.max() ?? 0)
    #expect(abs(high - low - 0.3) < 1e-14)
    #expect(low < 0.15)
    let plain = try allocate(.minmax, complexity: FC, parameters: P, sp: 0.3)
    #expect(abs((plain.rates.min() ?? 0) - 0.15) < 1e-15)
    #expect(abs((plain.rates.max() ?? 0) - 0.45) < 1e-15)
    #expect(plain.mean > 0.33)
  }

  @Test("5.8 Taylor scores as complexity give the same as functional complexity of the same shape") func taylor() throws
  {
    let a = try allocate(.taylor, complexity: FC.map { 5 * $0 + 2 }, parameters: P, sp: 0.3)
    let b = try allocate(.clip, complexity: FC, parameters: P, sp: 0.3)
    for (x, y) in zip(a.rates, b.rates) { #expect(abs(x - y) < 1e-14) }
  }

  @Test("5.8 equally complex blocks get uniform rates and say so") func equalComplexity() throws {
    let found = try allocate(.clip, complexity: [0.4, 0.4, 0.4], parameters: [1, 2, 3], sp: 0.25)
    #expect(found.rates.allSatisfy { abs($0 - 0.25) < 1e-15 })
    #expect(found.isUniformForLackOfContrast)
    #expect(try !allocate(.uniform, complexity: [0.4, 0.4], parameters: [1, 2], sp: 0.25).isUniformForLackOfContrast)
  }

  @Test("00.6 caps hold and the mean is met by the others", arguments: [AllocationRule.clip, .owl, .uniform])
  func caps(rule: AllocationRule) throws {
    let caps = [0.4, 0.4, 0.4, 0.32, 0.4, 0.4, 0.4, 0.2]
    let found = try allocate(rule, complexity: FC, parameters: P, sp: 0.3, caps: caps)
    for (s, cap) in zip(found.rates, caps) { #expect(s <= cap + 1e-15) }
    #expect(abs(found.mean - 0.3) < 1e-14)
  }

  @Test("caps below the mean are an error that says what they allow") func capsTooLow() {
    #expect(
      AllocationError.capsTooLow(rate: 0.57 - 1e-16, largest: 0.4973958333333333).description
        == "the blocks cannot lose 57% on average; their limits allow 49.74%")
    #expect(throws: AllocationError.capsTooLow(rate: 0.5, largest: 0.25)) {
      try allocate(.uniform, complexity: [1, 2], parameters: [1, 1], sp: 0.5, caps: [0.2, 0.3])
    }
    #expect(throws: AllocationError.notFinite(layer: 1)) {
      try allocate(.clip, complexity: [1, .nan], parameters: [1, 1], sp: 0.5)
    }
  }
}
