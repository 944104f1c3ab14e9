import Numerics

/// Activations of one batch at one site. `values` is only valid during the call that receives it.
public struct Tap {
  public let layer: Int
  public let site: Site
  /// Rows of the whole set of sequences.
  public let rows: Range<Int>
  /// One row per token, one column per feature of the unpruned model; what was pruned is 0.
  public let values: Matrix<Float>
}

/// How far a walk is inside one layer.
public struct WalkProgress: Sendable {
  public let layer: Int
  public let tokensDone: Int
  public let tokens: Int
}

/// All tokens of some sequences on their way through a model, layer by layer: one block's weights are in memory at a
/// time, and every batch passes it before the next is loaded.
///
///     let walk = try Walk(model, sequences)
///     try walk.embed()
///     while walk.layer < model.layers { try walk.step(sites: [.activation]) { tap in … } }
///     let losses = try model.losses(states: walk.states, sequences)
///
/// A step that throws leaves the states half advanced: start again from states of an earlier layer.
public final class Walk {
  public let model: LanguageModel
  public let sequences: Sequences
  /// The block that runs next.
  public private(set) var layer: Int
  /// The residual stream that enters block `layer`: tokens × d.
  public let states: Matrix<Float>

  /// One half of a block.
  public enum Half: Sendable {
    case attention, feedForward
  }

  private let batches: [Batch]
  private let rotation: RotationTables?
  private let scratch = Scratch()

  /// - Parameters:
  ///   - layer: where to take up a walk; its states are then the caller's to fill in, with `states.assign`.
  ///   - spillAbove: states of more bytes than this live in a temporary file that nobody else sees.
  ///   - folder: where that file is made.
  public init(
    _ model: LanguageModel, _ sequences: Sequences, layer: Int = 0, spillAbove limit: Int = .max,
    in folder: String = "/tmp"
  ) throws {
    try sequences.check(model.configuration)
    self.model = model
    self.sequences = sequences
    self.layer = layer
    let d = model.configuration.hiddenSize
    let bytes = sequences.tokens.count * d * MemoryLayout<Float>.stride
    states =
      bytes > limit
      ? try SpillFile.matrix(rows: sequences.tokens.count, columns: d, in: folder)
      : Matrix(rows: sequences.tokens.count, columns: d)
    batches = sequences.batches().map { Batch(sequences, $0) }
    rotation = RotationTables(model.configuration, positions: sequences.longest)
  }

  /// Fills the states with the embeddings of the tokens.
  public func embed() throws {
    for batch in batches {
      try model.embed(sequences.tokens[batch.rows], positions: batch.positions, into: states.rows(batch.rows))
    }
  }

  /// Runs block `layer` on all tokens.
  ///
  /// - Parameters:
  ///   - block: stands for the model's own block.
  ///   - sites: where to look; `tap` is called for each batch, at these sites in the order they are reached.
  ///   - pulse: called between pieces of work; throw from it to stop.
  public func step(
    _ block: Block? = nil, sites: Set<Site> = [], tap: (Tap) throws -> Void = { _ in },
    pulse: (WalkProgress) throws -> Void = { _ in }
  ) throws {
    let block = try block ?? model.loadBlock(layer)
    try forEachBatch(block, pulse) { pass, x in
      try attention(pass, x, advancing: true, sites, tap)
      try feedForward(pass, x, advancing: true, sites, tap)
    }
    layer += 1
  }

  /// Runs half a block on all tokens; `layer` moves on after the second half has advanced.
  ///
  /// - Parameter advancing: whether the half's result is added to the states; if not, they stay as they are, so the same
  ///   half can run again with changed weights.
  public func run(
    _ half: Half, of block: Block, advancing: Bool, sites: Set<Site> = [],
    tap: (Tap) throws -> Void = { _ in }, pulse: (WalkProgress) throws -> Void = { _ in }
  ) throws {
    try forEachBatch(block, pulse) { pass, x in
      switch half {
      case .attention: try attention(pass, x, advancing: advancing, sites, tap)
      case .feedForward: try feedForward(pass, x, advancing: advancing, sites, tap)
      }
    }
    if half == .feedForward && advancing { layer += 1 }
  }

  private func forEachBatch(
    _ block: Block, _ pulse: (WalkProgress) throws -> Void, _ body: (BlockPass, Matrix<Float>) throws -> Void
  ) throws {
    try withoutActuallyEscaping(pulse) { pulse in
      for batch in batches {
        let progress = WalkProgress(layer: layer, tokensDone: batch.rows.lowerBound, tokens: sequences.tokens.count)
        let pass = BlockPass(block, batch, rotation, scratch) { try pulse(progress) }
        try body(pass, states.rows(batch.rows))
      }
      try pulse(WalkProgress(layer: layer, tokensDone: sequences.tokens.count, tokens: sequences.tokens.count))
    }
  }

  private func attention(
    _ pass: BlockPass, _ x: Matrix<Float>, advancing: Bool, _ sites: Set<Site>, _ tap: (Tap) throws -> Void
  ) throws {
    try show(.blockIn, x, pass, sites, tap)
    guard advancing || sites.contains(.attentionHeads) else { return }
    let heads = try pass.heads(x)
    try show(.attentionHeads, heads, pass, sites, tap)
    if advancing { try pass.addAttention(heads, to: x) }
  }

  private func feedForward(
    _ pass: BlockPass, _ x: Matrix<Float>, advancing: Bool, _ sites: Set<Site>, _ tap: (Tap) throws -> Void
  ) throws {
    try show(.feedForwardResidual, x, pass, sites, tap)
    let (input, gateUp) = try pass.gateUp(x)
    try show(.feedForwardIn, input, pass, sites, tap)
    if pass.block.isGated {
      try show(.gateBefore, gateUp.columns(0..<pass.block.neurons.count), pass, sites, tap)
      if sites.contains(.gate) { try show(.gate, pass.activatedGate(gateUp), pass, sites, tap) }
    }
    try show(.up, gateUp.columns(pass.block.upColumns), pass, sites, tap)
    guard advancing || sites.contains(.activation) else { return }
    let h = pass.activation(gateUp)
    try show(.activation, h, pass, sites, tap)
    guard advancing else { return }
    try pass.addFeedForward(h, to: x)
    try show(.blockOut, x, pass, sites, tap)
  }

  private func show(
    _ site: Site, _ values: Matrix<Float>, _ pass: BlockPass, _ sites: Set<Site>, _ tap: (Tap) throws -> Void
  ) throws {
    guard sites.contains(site) else { return }
    let shown = pass.scattered(values, site, .scattered)
    try tap(Tap(layer: pass.block.layer, site: site, rows: pass.batch.rows, values: shown))
  }
}

extension BlockPass {
  /// `values` at the width of the unpruned model, zeros where units or neurons are gone.
  func scattered(_ values: Matrix<Float>, _ site: Site, _ use: Scratch.Use) -> Matrix<Float> {
    let width = site.width(block.configuration, layer: block.layer)
    guard values.columns < width else { return values }
    let places =
      site.space == .queries
      ? block.units.features(of: block.configuration.queriesPerUnit * block.headSize) : block.neurons
    let result = scratch.matrix(use, values.rows, width)
    scatter(values, to: places, in: result)
    return result
  }
}
