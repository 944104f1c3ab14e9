import Kernel
import Numerics
import Transformer

/// Token perplexity as the papers measure it: running text in disjoint windows, each scored by itself.
struct WindowProtocol {
  let network: LanguageModel
  let sequences: Sequences
  /// Tokens of a window, also how far the next one starts.
  let window: Int
  /// Whether the report keeps the loss of every target.
  let keepsTokens: Bool
  /// Names of kinds, and the kind of every token of the windows, when the text has labels.
  let labels: (names: [String], kinds: [Int32])?

  /// Tokens that walk through the model together: enough for the products to be efficient, few enough that an
  /// interrupted evaluation loses little.
  static let chunkTokens = 16_384

  /// - Parameter length: the window to cut; windows already cut stay as they are when it is nil.
  init(
    _ network: LanguageModel, _ corpus: Corpus, length: Int?, keepsTokens: Bool,
    labels: (names: [String], kinds: [Int32])?
  ) throws {
    self.network = network
    self.keepsTokens = keepsTokens
    self.labels = labels
    guard corpus.isWhole || length != nil else {
      (sequences, window) = (corpus.sequences, corpus.sequences.longest)
      return
    }
    window = try windowLength(length, network)
    sequences = Sequences(windows: window, of: corpus.tokens)
    guard sequences.count > 0 else {
      throw Diagnostic(
        "the text has \(corpus.tokens.count) tokens, shorter than one window of \(window)",
        hint: "give a smaller length= or a longer text", argument: "length")
    }
  }

  func run(_ context: any RunContext) throws -> WindowLosses {
    var losses: [[Double]] = []
    let perChunk = max(1, WindowProtocol.chunkTokens / max(1, window))
    let chunks = Parallel.ranges(sequences.count, of: perChunk)
    let saved = try context.checkpoints(of: "targets", count: chunks.count) { try $0.array("nll", as: Double.self) }
    if !saved.isEmpty {
      context.resumed(at: saved.keys.reduce(0) { $0 + chunks[$1].count }, of: sequences.count, "window")
    }
    for (index, chunk) in chunks.enumerated() {
      let part = sequences[chunk]
      let found = try saved[index] ?? tokenLosses(part, before: chunk.lowerBound, context)
      if saved[index] == nil {
        try context.checkpoint("targets-\(index)") { try $0.vector("nll", found, axis: "token") }
      }
      losses += (0..<part.count).map { Array(found[part[$0].dropLast()]) }
    }
    return WindowLosses(
      loss: losses.map { $0.reduce(0, +) / Double(max(1, $0.count)) }, targets: losses.map { Int32($0.count) },
      tokens: keepsTokens ? losses.flatMap { $0.map(Float.init) } : nil,
      kinds: labels.map { labels in
        let kinds = (0..<sequences.count).map { Array(labels.kinds[sequences[$0].dropFirst()]) }
        return WindowLosses.Kinds(labels.names, losses: losses, kinds: kinds)
      })
  }

  /// The negative log-likelihood of what follows each token of some windows.
  private func tokenLosses(_ part: Sequences, before done: Int, _ context: any RunContext) throws -> [Double] {
    let walk = try Walk(
      network, part, spillAbove: context.memoryLimit / 2, in: context.scratch, ranks: context.ranks)
    try walk.embed()
    // A window counts by the share of the layers behind it; the head is one more.
    func pulse() throws {
      let share = part.count * walk.layer / (network.layers + 1)
      try context.progress(done + share, of: sequences.count, "window")
    }
    while walk.layer < network.layers { try walk.step(pulse: { _ in try pulse() }) }
    let losses = try network.losses(states: walk.states, part, ranks: context.ranks, pulse: pulse)
    if let bad = losses.firstIndex(where: { !$0.isFinite }) {
      let window = done + ((0..<part.count).firstIndex { part[$0].contains(bad) } ?? 0)
      throw Diagnostic("the model gives a token of window \(window + 1) a probability that is no number")
    }
    return losses
  }
}

/// The window to use: the one given, else 2048, or what the model takes if less.
func windowLength(_ length: Int?, _ network: LanguageModel) throws -> Int {
  let positions = network.configuration.positions
  let window = length ?? min(2048, positions)
  guard window <= positions else {
    throw Diagnostic(
      "windows of \(window) tokens are longer than the model's \(positions) positions", argument: "length")
  }
  return window
}
