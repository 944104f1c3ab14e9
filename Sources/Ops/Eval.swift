import Foundation
import Kernel
import Numerics
import Transformer

struct Eval: Op {
  static let name = "eval"
  static let summary = "Measure how well a model predicts a text."
  static let reference: String? = "token perplexity of FLAP, SparseGPT and FANG"
  static let example = """
    m = load ./data/tiny-llama
    held = text ./data/test.txt model=m
    dense = eval m held length=128
    """

  @Input("the model to judge") var model: Model
  @Input("the text it must predict") var corpus: Corpus
  @Param(
    "window length; 2048, or what the model takes if less, when not given", unit: "token", in: .ifGiven(.atLeast(2)))
  var length: Int? = nil

  init() {}

  func estimate() throws -> Resources {
    let configuration = model.configuration
    let rows = 128 * configuration.vocabularySize * 4 * 2
    let block = 4 * configuration.blockParameters / max(1, configuration.layers)
    return Resources(memory: block + rows + 2 * Eval.chunkTokens * configuration.hiddenSize * 4)
  }

  /// Tokens that walk through the model together: enough for the products to be efficient, few enough that an
  /// interrupted evaluation loses little.
  private static let chunkTokens = 16_384

  func run(_ context: any RunContext) throws -> Report {
    try corpus.requireTokenizer(of: model)
    let (sequences, window) = try windows()
    var losses: [Double] = []
    let perChunk = max(1, Eval.chunkTokens / max(1, window))
    let chunks = Parallel.ranges(sequences.count, of: perChunk)
    let saved = try context.savedPieces(of: "windows", count: chunks.count) { try $0.array("nll", as: Double.self) }
    if !saved.isEmpty {
      context.resumed(at: saved.keys.reduce(0) { $0 + chunks[$1].count }, of: sequences.count, "window")
    }
    for (index, chunk) in chunks.enumerated() {
      if let part = saved[index] {
        losses += part
        continue
      }
      let part = try windowLosses(sequences[chunk], before: chunk.lowerBound, of: sequences.count, context)
      try context.checkpoint("windows-\(index)") { try $0.vector("nll", part, axis: "window") }
      losses += part
    }
    return report(losses, sequences, window)
  }

  private func windows() throws -> (Sequences, length: Int) {
    let positions = model.configuration.positions
    guard corpus.isWhole || length != nil else { return (corpus.sequences, corpus.sequences.longest) }
    let window = length ?? min(2048, positions)
    guard window <= positions else {
      throw Diagnostic(
        "windows of \(window) tokens are longer than the model's \(positions) positions", argument: "length")
    }
    let sequences = Sequences(windows: window, of: corpus.tokens)
    guard sequences.count > 0 else {
      throw Diagnostic(
        "the text has \(corpus.tokens.count) tokens, shorter than one window of \(window)",
        hint: "give a smaller length= or a longer text", argument: "length")
    }
    return (sequences, window)
  }

  /// Mean negative log-likelihood over the targets of each window.
  private func windowLosses(
    _ sequences: Sequences, before done: Int, of total: Int, _ context: any RunContext
  ) throws -> [Double] {
    let walk = try Walk(model.network, sequences, spillAbove: context.memoryLimit / 2, in: context.scratch)
    try walk.embed()
    // A window counts by the share of the layers behind it; the head is one more.
    func pulse() throws {
      let share = sequences.count * walk.layer / (model.network.layers + 1)
      try context.progress(done + share, of: total, "window")
    }
    while walk.layer < model.network.layers { try walk.step(pulse: { _ in try pulse() }) }
    let losses = try model.network.losses(states: walk.states, sequences, pulse: pulse)
    return (0..<sequences.count).map { index in
      let targets = losses[sequences[index].dropLast()]
      return targets.reduce(0) { $0 + Double($1) } / Double(max(1, targets.count))
    }
  }

  private func report(_ losses: [Double], _ sequences: Sequences, _ window: Int) -> Report {
    let mean = losses.reduce(0, +) / Double(losses.count)
    let spread = losses.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(max(1, losses.count - 1))
    let perplexity = exp(mean)
    return Report(
      // The standard error of exp(x) is exp(x) times that of x, to first order.
      metrics: [
        .init(
          name: "token_perplexity", value: perplexity,
          standardError: perplexity * (spread / Double(losses.count)).squareRoot())
      ],
      windowLoss: losses, windowTargets: (0..<sequences.count).map { Int32(sequences[$0].count - 1) },
      conditions: [
        "corpus": .string($corpus.references[0].content), "text": .string(corpus.textHash),
        "tokenizer": .string(corpus.tokenizerHash), "context": .integer(window), "stride": .integer(window),
        "windows": .integer(sequences.count), "metric": "token_perplexity", "precision": "f32",
        "revision": .integer(Eval.revision),
      ],
      calibrationOverlap: model.calibration.contains(corpus.textHash))
  }
}
