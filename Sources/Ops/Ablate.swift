import Foundation
import Kernel
import Numerics
import Transformer

struct Ablate: Op {
  static let name = "ablate"
  static let summary = "Score whole blocks, or their halves, by how well the model predicts a text without them."
  static let reference: String? =
    "Shortened LLaMA (Kim et al. 2024), perplexity; SLEB (Song et al. 2024) for order=greedy"
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=10 length=128
    mk = mask (ablate m cal) count=1
    """

  enum Order: String, Choice {
    case oneshot, greedy

    var meaning: String {
      switch self {
      case .oneshot: "each block alone is left out; its score is the perplexity without it"
      case .greedy: "the block that harms least goes, then the next without it; the score is the rank"
      }
    }
  }

  enum Unit: String, Choice {
    case block, attention, ffn

    var meaning: String {
      switch self {
      case .block: "all of a block"
      case .attention: "its attention alone"
      case .ffn: "its feed-forward part alone"
      }
    }

    /// The half of a block; nil: all of it.
    var half: Module? {
      switch self {
      case .block: nil
      case .attention: .attention
      case .ffn: .ffn
      }
    }
  }

  enum Protection: String, Choice {
    case nothing, ends

    var meaning: String {
      switch self {
      case .nothing: "no block"
      case .ends: "the first and the last of the blocks that are left"
      }
    }
  }

  @Input("the model") var model: Model
  @Input("the text it must predict, as windows") var corpus: Corpus
  @Param("what is left out of a block") var unit = Unit.block
  @Param("each block alone, or one after the other") var order = Order.oneshot
  @Param("with order=greedy: blocks to rank", unit: "block", in: .ifGiven(.atLeast(1))) var count: Int? = nil
  @Param("blocks that are not tried") var protect = Protection.nothing

  init() {}

  func check() throws -> Scores.Facts {
    if order == .greedy, count == nil {
      throw Diagnostic("order=greedy needs count=, the blocks to rank", argument: "order", kind: .usage)
    }
    if order == .oneshot, count != nil {
      throw Diagnostic("count= belongs to order=greedy: all blocks are ranked", argument: "count", kind: .usage)
    }
    let layers = $model.facts?.layers
    if let count, let layers { try checkCount(count, of: layers) }
    return Scores.Facts(grouping: .plain, layers: layers, pieces: false, blocks: unit == .block)
  }

  private func checkCount(_ count: Int, of blocks: Int) throws {
    let candidates = protect == .ends ? blocks - 2 : blocks - 1
    guard count <= candidates else {
      throw Diagnostic(
        "\(count) of \(blocks) blocks cannot be ranked; at least \(protect == .ends ? "the two ends" : "one") must stay",
        argument: "count")
    }
  }

  func estimate(within limit: Int) throws -> Resources {
    let candidates = model.configuration.layers - (protect == .ends ? 2 : 0)
    return Resources(
      memory: BlockTrials.bytes(model.network, corpus.sequences, candidates: max(1, candidates), half: unit.half))
  }

  func run(_ context: any RunContext) throws -> Scores {
    try corpus.requireWindows(of: model)
    let structure = Structure(model.network, model: $model.references[0].content)
    let blocks = (0..<structure.layers).filter { !structure.isAbsent(unit.half, layer: $0) }
    guard corpus.sequences.targets.contains(where: { $0 >= 0 }) else {
      throw Diagnostic("the text has no token that follows another", argument: "corpus")
    }
    let trials = BlockTrials(
      network: model.network, sequences: corpus.sequences, half: unit.half, context: context)
    var score = [Double](repeating: .infinity, count: structure.layers)
    switch order {
    case .oneshot:
      let candidates = protect == .ends ? Array(blocks.dropFirst().dropLast()) : blocks
      for (block, loss) in zip(candidates, try trials.losses(of: candidates)) {
        score[block] = exp(loss)
      }
    case .greedy:
      let count = count ?? 0
      try checkCount(count, of: blocks.count)
      let gone = try greedyBlockRemoval(of: blocks, count: count, sparingEnds: protect == .ends) { gone, candidates in
        try trials.losses(of: candidates, without: gone)
      }
      for (rank, block) in gone.enumerated() { score[block] = Double(rank) }
    }
    return Scores(
      structure: structure, block: score, half: unit.half,
      method: (order == .oneshot ? "perplexity without" : "order of removal")
        + (unit.half.map { ", \($0.rawValue)" } ?? ""),
      calibration: merged(model.calibration, [corpus.textHash]))
  }
}
