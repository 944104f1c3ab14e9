import Foundation
import Numerics
import Testing

@testable import Transformer

/// The forward pass against transformers, and against itself.
@Suite struct ForwardTests {
  @Test("logits and losses equal transformers'", arguments: ModelFixture.all)
  func logitsEqualTransformers(_ fixture: ModelFixture) throws {
    let model = try fixture.model()
    let sequences = try fixture.sequences()
    #expect(relativeError(try model.logits(sequences), try fixture.expected("logits")) < 1e-5)
    let losses = try model.losses(sequences).map(Float.init)
    let expected = try fixture.expected("losses")
    #expect(relativeError(Matrix(rows: losses.count, columns: 1, values: losses), expected) < 1e-5)
  }

  @Test("every family's input of the down projection equals transformers'", arguments: ModelFixture.all)
  func activationsEqualTransformers(_ fixture: ModelFixture) throws {
    let model = try fixture.model()
    let sequences = try fixture.sequences()
    let walk = try Walk(model, sequences)
    try walk.embed()
    for layer in 0..<model.layers {
      let expected = try fixture.expected("h.\(layer)")
      try walk.step(sites: [.activation]) { tap in
        #expect(relativeError(tap.values, expected.rows(tap.rows)) < 1e-5)
      }
    }
  }

  @Test func tapsComeInOrderAndFitTogether() throws {
    let model = try ModelFixture(name: "llama3").model()
    let sequences = try ModelFixture(name: "llama3").sequences()
    let walk = try Walk(model, sequences)
    try walk.embed()
    var seen: [Site: Matrix<Float>] = [:]
    var order: [Site] = []
    try walk.step(sites: Set(Site.allCases)) { tap in
      order.append(tap.site)
      seen[tap.site] = tap.values.copy()
      #expect(tap.values.columns == tap.site.width(model.configuration))
    }
    #expect(order == Site.allCases)
    let block = try model.loadBlock(0)
    let residual =
      try #require(seen[.blockIn]) + (try #require(seen[.attentionHeads])) * block[.attention].output.weight.T
    #expect(relativeError(residual, try #require(seen[.feedForwardResidual])) < 1e-6)
    for (site, role) in [(Site.queries, LinearRole.query), (.keys, .key)] {
      // Before they are rotated.
      let made = try #require(seen[.attentionIn]) * block[role].weight(role).T
      #expect(relativeError(made, try #require(seen[site])) < 1e-6)
    }
    let up = try #require(seen[.feedForwardIn]) * block[.up].weight(.up).T
    #expect(relativeError(up, try #require(seen[.up])) < 1e-6)
    let gate = try #require(seen[.gate])
    let silu = try #require(seen[.gateBefore]).map { $0 / (1 + exp(-$0)) }
    #expect(relativeError(gate, silu) < 1e-6)
    let h = Matrix(
      rows: gate.rows, columns: gate.columns, values: zip(gate.values, try #require(seen[.up]).values).map(*))
    #expect(relativeError(h, try #require(seen[.activation])) < 1e-6)
    let out = try #require(seen[.feedForwardResidual]) + h * block[.ffn].output.weight.T
    #expect(relativeError(out, try #require(seen[.blockOut])) < 1e-6)
  }

  @Test("halves of a block, run one after the other, equal the whole block", arguments: ModelFixture.all)
  func halvesEqualWhole(_ fixture: ModelFixture) throws {
    let model = try fixture.model()
    let whole = try Walk(model, fixture.sequences())
    let halves = try Walk(model, fixture.sequences())
    try whole.embed()
    try halves.embed()
    try whole.step()
    let block = try model.loadBlock(0)
    try halves.run(.attention, of: block, advancing: false, sites: [.attentionHeads])
    try halves.run(.attention, of: block, advancing: true)
    try halves.run(.ffn, of: block, advancing: false, sites: [.activation])
    #expect(halves.layer == 0)
    try halves.run(.ffn, of: block, advancing: true)
    #expect(halves.layer == 1)
    #expect(halves.states.values == whole.states.values)
  }

  @Test func aWalkTakenUpHalfWayGivesTheSameBits() throws {
    let fixture = ModelFixture(name: "qwen2")
    let model = try fixture.model()
    let first = try Walk(model, fixture.sequences())
    try first.embed()
    try first.step()
    let second = try Walk(model, fixture.sequences(), layer: 1, spillAbove: 0)
    second.states.assign(first.states)
    try first.step()
    try second.step()
    #expect(first.states.values == second.states.values)
  }

  @Test func sequencesDoNotSeeEachOther() throws {
    let fixture = ModelFixture(name: "gqa-tied")
    let model = try fixture.model()
    let sequences = try fixture.sequences()
    let together = try model.logits(sequences)
    for i in 0..<sequences.count {
      let alone = try model.logits(sequences[i..<i + 1])
      #expect(relativeError(together.rows(sequences[i]), alone) < 1e-6)
    }
  }

  @Test func stoppingIsPossibleBetweenPieces() throws {
    struct Stop: Error {}
    let fixture = ModelFixture(name: "llama")
    let walk = try Walk(fixture.model(), fixture.sequences())
    try walk.embed()
    #expect(throws: Stop.self) { try walk.step(pulse: { _ in throw Stop() }) }
  }

  @Test func targetsAreTheNextTokensOfTheSameSequence() {
    let sequences = Sequences([[5, 6, 7], [8], [], [9, 1]])
    #expect(sequences.targets == [6, 7, -1, -1, 1, -1])
    #expect(sequences.batches(tokens: 4) == [0..<3, 3..<4])
    #expect(Sequences(windows: 2, of: [1, 2, 3, 4, 5]) == Sequences([[1, 2], [3, 4]]))
  }
}

/// The trained model beside the project.
@Suite(.serialized, .enabled(if: wikiLlama != nil, "there is no ../shared/models/wiki-llama")) struct TrainedModelTests
{
  /// Printed by `make.py wiki`: the first windows of 256 tokens of WikiText-2's test text.
  static let perplexity = 47.177528
  static let windows = 200

  private func windows(_ count: Int, length: Int = 256) throws -> (LanguageModel, Sequences) {
    let folder = try #require(wikiLlama)
    let model = try LanguageModel(folder)
    var state: UInt64 = 1
    let tokens = (0..<count * length).map { _ -> Int32 in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int32(truncatingIfNeeded: (state >> 33) % UInt64(model.configuration.vocabularySize))
    }
    return (model, Sequences(windows: length, of: tokens))
  }

  @Test func theNumberOfThreadsChangesNoBit() throws {
    let (model, sequences) = try windows(8, length: 200)
    let threads = Parallel.threads
    defer { Parallel.threads = threads }
    Parallel.threads = 1
    let one = try model.losses(sequences)
    Parallel.threads = 2
    let two = try model.losses(sequences)
    #expect(one == two)
  }

  @Test(.enabled(if: wikiText != nil, "there is no ../shared/data/wikitext-2")) func perplexityEqualsTransformers()
    throws
  {
    let folder = try #require(wikiLlama)
    let model = try LanguageModel(folder)
    let text = try Data(contentsOf: URL(fileURLWithPath: try #require(wikiText)))
    let tokens = try Tokenizer(folder: folder).encode([UInt8](text), addSpecial: true)
    let sequences = Sequences(windows: 256, of: tokens)[0..<Self.windows]
    let losses = try model.losses(sequences)
    let perplexity = exp(losses.reduce(0, +) / Double(sequences.count * 255))
    #expect(abs(perplexity / Self.perplexity - 1) < 1e-4)
  }
}
