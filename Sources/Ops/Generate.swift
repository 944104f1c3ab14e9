import Glibc
import Kernel
import Numerics
import Transformer

struct Generate: Op {
  static let name = "generate"
  static let summary = "Continue prompts token by token."
  static let example = """
    m = load ./data/tiny-llama
    show (generate m "To make the soup, " tokens=32)
    """

  @Input("the model to listen to") var model: Model
  @Param("what to continue: a text, or a list of them", positional: true) var prompt: [String]
  @Param("how many tokens at most; a text also ends where the model ends it", unit: "token", in: .atLeast(1))
  var tokens = 64
  @Param("0 takes the most likely token; above, tokens are drawn from softmax(logits / temperature)", in: .atLeast(0))
  var temperature = 0.0
  @Param("seed of the draws", in: .atLeast(0)) var seed = 0
  @Param("what prompts start with") var bos = StartOfText.tokenizer

  init() {}

  func check() throws -> NoFacts {
    guard !prompt.isEmpty else { throw Diagnostic("there is no prompt", argument: "prompt", kind: .usage) }
    if let place = prompt.firstIndex(of: "") {
      let which = prompt.count > 1 ? "prompt \(place + 1)" : "the prompt"
      throw Diagnostic("\(which) is empty", argument: "prompt", kind: .usage)
    }
    if seed != 0, temperature == 0 {
      throw Diagnostic("seed= has no effect here: nothing is drawn at temperature 0", argument: "seed", kind: .usage)
    }
    return NoFacts()
  }

  func estimate(within limit: Int) throws -> Resources {
    let network = model.network
    // A token is at least a byte, but for the few that start a text.
    let longest = min(
      (prompt.map(\.utf8.count).max() ?? 0) + 8 + min(tokens, network.configuration.positions),
      network.configuration.positions)
    return Resources(
      memory: network.stayingBytes(limit / 2, tokens: 1) + network.tokenizerBytes
        + KeyValueCache.bytes(of: network, capacity: longest))
  }

  func run(_ context: any RunContext) throws -> Texts {
    let (network, tokenizer) = (model.network, try Tokenizer(model.network.checkpoint.files))
    let prompts = try prompt.map { try tokenizer.started(tokenizer.encode($0, addSpecial: false), bos) }
    for (place, ids) in prompts.enumerated() {
      try requireRoom(ids.count, for: prompt.count > 1 ? "prompt \(place + 1)" : "the prompt")
    }
    let ends = network.checkpoint.endOfText ?? Set([tokenizer.eos].compactMap { $0 })
    let decoder = try Decoder(network, memory: context.memoryLimit / 2)
    let total = prompts.count * tokens
    let texts = try prompts.enumerated().map { place, ids in
      var sampler = Sampler(temperature: temperature, seed: seed)
      let cache = KeyValueCache(capacity: ids.count + tokens)
      var found: [Sampler.Draw] = []
      while found.count < tokens, found.last.map({ !ends.contains($0.token) }) ?? true {
        try context.progress(place * tokens + found.count, of: total, "token")
        let logits = try decoder.logits(
          adding: found.last.map { [$0.token] } ?? ids, to: cache, pulse: context.checkCancelled)
        guard logits.allSatisfy(\.isFinite) else {
          throw Diagnostic("the model gives token \(found.count + 1) of its text a probability that is no number")
        }
        found.append(sampler.next(logits))
      }
      return Texts.Text(
        prompt: prompt[place], text: tokenizer.continuation(of: ids, by: found.map(\.token)),
        tokens: found.map(\.token), logLikelihoods: found.map { Float($0.logLikelihood) })
    }
    return Texts(
      texts,
      conditions: [
        "prompts": .array(prompt.map(JSONValue.string)), "tokens": .integer(tokens),
        "temperature": .number(temperature),
        "seed": .integer(seed), "bos": .string(bos.rawValue),
      ])
  }

  private func requireRoom(_ count: Int, for name: String) throws {
    let positions = model.configuration.positions
    guard count > 0 else { throw Diagnostic("\(name) tokenises to nothing", argument: "prompt") }
    guard count < positions else {
      throw Diagnostic("\(name) has \(count) tokens, and the model takes \(positions)", argument: "prompt")
    }
    guard tokens <= positions - count else {
      throw Diagnostic(
        "\(name) has \(count) tokens, and with \(tokens) more it is longer than the model's \(positions) positions",
        hint: "give tokens=\(positions - count) or less", argument: "tokens")
    }
  }
}

/// Chooses the next token.
private struct Sampler {
  struct Draw {
    let token: Int32
    /// Of the token in softmax(logits), whatever the temperature.
    let logLikelihood: Double
  }

  let temperature: Double
  private var stream: RandomStream

  init(temperature: Double, seed: Int) {
    self.temperature = temperature
    stream = RandomStream(seed: seed, name: "generate")
  }

  /// The most likely token, the first of equals; or one drawn by softmax(logits / temperature), with one number of the
  /// stream.
  mutating func next(_ logits: [Float]) -> Draw {
    let best = firstMaximum(logits)
    let chosen = temperature == 0 ? best : drawn(logits, best)
    let sum = logits.reduce(0) { $0 + exp(Double($1 - logits[best])) }
    return Draw(token: Int32(chosen), logLikelihood: Double(logits[chosen] - logits[best]) - log(sum))
  }

  private mutating func drawn(_ logits: [Float], _ best: Int) -> Int {
    let weights = logits.map { exp(Double($0 - logits[best]) / temperature) }
    var left = stream.uniform() * weights.reduce(0, +)
    for (token, weight) in weights.enumerated() {
      left -= weight
      if left < 0 { return token }
    }
    return best
  }
}

extension Tokenizer {
  /// What tokens add to the text of those before them.
  fileprivate func continuation(of ids: [Int32], by added: [Int32]) -> String {
    let start = decode(ids, skipSpecial: true).unicodeScalars.count
    return Scalars(Scalars(decode(ids + added, skipSpecial: true))[start...]).text
  }
}
