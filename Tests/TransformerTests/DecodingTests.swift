import Numerics
import Testing

@testable import Transformer

/// Keys and values that are kept or shared, against running everything again.
@Suite struct DecodingTests {
  @Test("token by token gives the logits of the whole text", arguments: ModelFixture.all)
  func tokenByTokenEqualsTheWhole(_ fixture: ModelFixture) throws {
    let model = try fixture.model()
    let sequences = try fixture.sequences()
    for i in 0..<sequences.count where sequences[i].count > 2 {
      let tokens = Array(sequences.tokens[sequences[i]])
      let whole = try model.logits(sequences[i..<i + 1])
      for memory in [0, Int.max] {
        let decoder = try Decoder(model, memory: memory)
        let cache = KeyValueCache(capacity: tokens.count)
        var steps = [try decoder.logits(adding: Array(tokens.prefix(2)), to: cache)]
        for token in tokens.dropFirst(2) { steps.append(try decoder.logits(adding: [token], to: cache)) }
        let found = Matrix(rows: steps.count, columns: whole.columns, values: Array(steps.joined()))
        #expect(relativeError(found, whole.rows(1..<tokens.count)) < 1e-5)
        #expect(cache.count == tokens.count)
      }
    }
  }

  @Test("sequences after a shared one give what each gives as a whole", arguments: ModelFixture.all)
  func sharedBeginningsChangeNothing(_ fixture: ModelFixture) throws {
    let model = try fixture.model()
    let sequences = try fixture.sequences()
    let longest = try #require((0..<sequences.count).max { sequences[$0].count < sequences[$1].count })
    let tokens = Array(sequences.tokens[sequences[longest]])
    let (start, middle) = (tokens.count / 3, tokens.count / 2)
    let other = Array(tokens[middle...].reversed())
    let shared = Sequences(
      [Array(tokens[..<start]), Array(tokens[start..<middle]), Array(tokens[middle...]), other], after: [nil, 0, 1, 1])
    #expect(shared.longest == tokens.count)
    #expect(shared.batches(tokens: 1) == [0..<4])
    let found = try model.logits(shared)
    for (end, place) in [(Array(tokens[middle...]), 2), (other, 3)] {
      let alone = try model.logits(Sequences([Array(tokens[..<middle]) + end]))
      #expect(relativeError(found.rows(shared[place]), alone.rows(middle..<alone.rows)) < 1e-5)
      #expect(relativeError(found.rows(0..<middle), alone.rows(0..<middle)) < 1e-5)
    }
  }

  @Test func aTextLongerThanTheModelIsRefused() throws {
    let model = try ModelFixture(name: "llama").model()
    let cache = KeyValueCache(capacity: model.configuration.positions + 1)
    let decoder = try Decoder(model, memory: .max)
    _ = try decoder.logits(adding: Array(repeating: 1, count: model.configuration.positions), to: cache)
    #expect(
      throws: ModelError.sequenceTooLong(
        length: model.configuration.positions + 1, limit: model.configuration.positions)
    ) { try decoder.logits(adding: [1], to: cache) }
  }
}
