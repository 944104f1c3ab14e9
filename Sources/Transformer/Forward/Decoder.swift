import Numerics

/// A model that says token by token what follows a text: weights stay in memory as far as they fit, and every text brings
/// the keys and values it has so far.
public final class Decoder {
  public let model: LanguageModel
  private let blocks: Blocks
  private let head: Head

  /// - Parameter memory: bytes that the weights may take.
  public init(_ model: LanguageModel, memory: Int) throws {
    self.model = model
    (head, blocks) = try model.weights(staying: memory)
  }

  /// The logits of what follows the text once `tokens` are added to it: one for each word of the vocabulary.
  ///
  /// - Parameters:
  ///   - text: the text so far; it grows by the tokens.
  ///   - pulse: called between chunks of work; throw from it to stop, and leave the text as it was.
  public func logits(
    adding tokens: [Int32], to text: KeyValueCache, pulse: () throws -> Void = {}
  ) throws -> [Float] {
    let walk = try Walk(model, Sequences([tokens]), after: text)
    try walk.embed()
    while walk.layer < model.layers { try walk.step(try blocks[walk.layer], pulse: { _ in try pulse() }) }
    return try head.logits(walk.states.rows(tokens.count - 1..<tokens.count)).values
  }
}
