import Foundation
import Numerics
import Ranks
import Testing

@testable import Ops
@testable import Transformer

/// Any number of ranks sees and sums what one sees and sums, bit for bit.
@Suite struct SharedWorkTests {
  private static let model = ScriptBench.data + "/tiny-llama"
  /// Four batches, the last one shorter.
  private static let sequences = Sequences((0..<37).map(window))

  private static func window(_ number: Int) -> [Int32] {
    (0..<(100 + number % 3)).map { place in Int32((number * 131 + place * 17) % 1000) }
  }

  /// Everything a walk shows, in order, with what it leaves.
  private static func walked(_ ranks: any Communicator) throws -> [UInt64] {
    let model = try LanguageModel(model)
    let walk = try Walk(model, sequences, ranks: ranks)
    var seen: [UInt64] = []
    func look(_ tap: Tap) {
      seen += [UInt64(tap.layer), UInt64(tap.rows.lowerBound), UInt64(tap.rows.upperBound)]
      seen += [UInt64(Site.allCases.firstIndex(of: tap.site) ?? 0), digest(tap.values.values)]
    }
    try walk.embed()
    let gram = GramSum(columns: model.configuration.units(.ffn, layer: 0), ranks: ranks)
    try walk.step(sites: Set(Site.allCases)) {
      look($0)
      if $0.site == .activation { gram.add($0.values) }
    }
    seen.append(digest(try gram.total().values))
    let block = try model.loadBlock(walk.layer)
    try walk.look(at: block, sites: [.feedForwardIn, .blockOut], tap: look)
    try walk.run(.attention, of: block, advancing: false, sites: [.attentionHeads], tap: look)
    seen.append(digest(walk.states.values))
    try walk.run(.attention, of: block, advancing: true)
    try walk.run(.ffn, of: block, advancing: true, sites: [.activation], tap: look)
    let branch = try walk.branched()
    while branch.layer < model.layers { try branch.step() }
    seen.append(digest(branch.states.values))
    seen.append(digest(try model.losses(states: branch.states, sequences, ranks: ranks)))
    seen.append(digest(try model.losses(states: branch.states, rows: [7, 7, 900], targets: [1, 2, 3], ranks: ranks)))
    return seen
  }

  @Test(arguments: [2, 3, 4, 8]) func aWalkShowsTheSame(_ size: Int) throws {
    let alone = try Self.walked(OneRank())
    #expect(alone.count > 100)
    for found in try ThreadRanks.run(size, { try Self.walked($0) }) { #expect(found == alone) }
  }

  /// h · ∂L/∂h of every neuron summed over each batch, and the losses.
  private static func derived(_ ranks: any Communicator) throws -> [UInt64] {
    let model = try LanguageModel(model)
    let neurons = (0..<model.layers).map { model.configuration.units(.ffn, layer: $0) }
    func none() -> [TaylorAffinity] { neurons.map { TaylorAffinity(clusters: 1, neurons: $0) } }
    var (own, sums) = (none(), none())
    let losses = try model.gradients(
      sequences, ranks: ranks,
      tap: { own[$0.layer].add(h: $0.h, gradient: $0.gradient, labels: Array(repeating: 0, count: $0.h.rows)) },
      sums: { _ in
        defer { own = none() }
        return own.flatMap(\.numbers)
      },
      add: { _, numbers in
        var numbers = numbers
        for layer in sums.indices { sums[layer].add(takingFrom: &numbers) }
      })
    #expect(sums[0].counts == [sequences.tokens.count])
    return [digest(losses)] + sums.map { digest($0.sums.values) }
  }

  @Test(arguments: [2, 3, 4]) func derivativesAreSummedAlike(_ size: Int) throws {
    let alone = try Self.derived(OneRank())
    for found in try ThreadRanks.run(size, { try Self.derived($0) }) { #expect(found == alone) }
  }

  /// FNV-1a over the bytes.
  private static func digest<Number: BitwiseCopyable>(_ numbers: [Number]) -> UInt64 {
    numbers.withUnsafeBytes { bytes in
      var hash: UInt64 = 0xcbf2_9ce4_8422_2325
      for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
      return hash
    }
  }
}
