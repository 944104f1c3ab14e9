import Numerics
import Ranks

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
///
/// Several ranks share a walk by turns: of as many batches as there are ranks each runs one, and all get what it shows and
/// the states it leaves. So on every rank `tap` is called for every batch in order, as if it walked alone.
public final class Walk {
  public let model: LanguageModel
  public let sequences: Sequences
  /// The block that runs next.
  public private(set) var layer: Int
  /// The residual stream that enters block `layer`: tokens × d, zeros behind what is left of it in a sliced model.
  public let states: Matrix<Float>

  private let batches: [Batch]
  private let rotation: RotationTables?
  private let cache: KeyValueCache?
  private let scratch: Scratch
  private let ranks: any Communicator

  /// - Parameters:
  ///   - layer: where to take up a walk; its states are then the caller's to fill in, with `states.assign`.
  ///   - spillAbove: states of more bytes than this live in a temporary file that nobody else sees.
  ///   - folder: where that file is made.
  ///   - cache: what is known of the tokens before the one sequence there is; the walk adds what it learns of these.
  ///   - ranks: those that walk together.
  public init(
    _ model: LanguageModel, _ sequences: Sequences, layer: Int = 0, spillAbove limit: Int = .max,
    in folder: String = "/tmp", after cache: KeyValueCache? = nil, ranks: any Communicator = OneRank()
  ) throws {
    precondition(cache == nil || sequences.count == 1, "a cache is of one sequence")
    let past = cache?.count ?? 0
    try sequences.check(model.configuration, after: past)
    self.model = model
    self.cache = cache
    self.ranks = ranks
    self.sequences = sequences
    self.layer = layer
    states = try Self.room(sequences.tokens.count, model, spillAbove: limit, in: folder)
    scratch = Scratch()
    batches = sequences.batches().map { Batch(sequences, $0, after: cache) }
    rotation = RotationTables(model.configuration, positions: past..<past + sequences.longest)
  }

  private init(copying other: Walk, spillAbove limit: Int, in folder: String) throws {
    (model, sequences, layer, cache) = (other.model, other.sequences, other.layer, nil)
    (batches, rotation, scratch, ranks) = (other.batches, other.rotation, other.scratch, other.ranks)
    states = try Self.room(other.states.rows, model, spillAbove: limit, in: folder)
    states.assign(other.states)
  }

  private static func room(
    _ tokens: Int, _ model: LanguageModel, spillAbove limit: Int, in folder: String
  ) throws -> Matrix<Float> {
    model.statesBytes(tokens) > limit
      ? try SpillFile.matrix(rows: tokens, columns: model.configuration.hiddenSize, in: folder)
      : Matrix(rows: tokens, columns: model.configuration.hiddenSize)
  }

  /// A walk of its own that stands where this one stands. The two share their working memory, so that they move on by
  /// turns, never at the same time.
  ///
  /// - Parameters:
  ///   - spillAbove: as of a walk.
  ///   - folder: where that file is made.
  public func branched(spillAbove limit: Int = .max, in folder: String = "/tmp") throws -> Walk {
    precondition(cache == nil, "a branch of a walk that adds to a cache")
    return try Walk(copying: self, spillAbove: limit, in: folder)
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
  ///   - pulse: called between chunks of work; throw from it to stop.
  public func step(
    _ block: Block? = nil, sites: Set<Site> = [], tap: (Tap) throws -> Void = { _ in },
    pulse: (WalkProgress) throws -> Void = { _ in }
  ) throws {
    let block = try block ?? model.loadBlock(layer)
    try forEachBatch(block, advancing: true, tap, pulse) { pass, x, tap in
      for module in Module.allCases { try run(module, pass, x, advancing: true, sites, tap) }
    }
    advance()
  }

  /// Runs one branch of a block on all tokens; `layer` moves on after the last branch has advanced.
  ///
  /// - Parameter advancing: whether the branch's result is added to the states; if not, they stay as they are, so the
  ///   same branch can run again with changed weights.
  public func run(
    _ module: Module, of block: Block, advancing: Bool, sites: Set<Site> = [],
    tap: (Tap) throws -> Void = { _ in }, pulse: (WalkProgress) throws -> Void = { _ in }
  ) throws {
    try forEachBatch(block, advancing: advancing, tap, pulse) { pass, x, tap in
      try run(module, pass, x, advancing: advancing, sites, tap)
    }
    if module == Module.allCases.last && advancing { advance() }
  }

  /// Shows what a block would, and leaves the states as they are.
  ///
  /// - Parameters:
  ///   - only: the one branch to run; nil runs them all.
  ///   - rows: those of the one batch to run; nil runs them all.
  public func look(
    at block: Block, only module: Module? = nil, rows: Range<Int>? = nil, sites: Set<Site>,
    tap: (Tap) throws -> Void, pulse: (WalkProgress) throws -> Void = { _ in }
  ) throws {
    try forEachBatch(block, rows: rows, advancing: false, tap, pulse) { pass, x, tap in
      if let module { return try run(module, pass, x, advancing: false, sites, tap) }
      let x = x.copy()
      for module in Module.allCases { try run(module, pass, x, advancing: true, sites, tap) }
    }
  }

  private func advance() {
    layer += 1
    if layer == model.layers { cache?.count += sequences.tokens.count }
  }

  /// - Parameters:
  ///   - rows: those of the one batch to run; nil runs them all.
  ///   - advancing: whether `body` changes the states it is given.
  private func forEachBatch(
    _ block: Block, rows: Range<Int>? = nil, advancing: Bool, _ tap: (Tap) throws -> Void,
    _ pulse: (WalkProgress) throws -> Void,
    _ body: (BlockPass, Matrix<Float>, @escaping (Tap) throws -> Void) throws -> Void
  ) throws {
    try withoutActuallyEscaping(pulse) { pulse in
      try withoutActuallyEscaping(tap) { tap in
        let batches = batches.filter { rows == nil || $0.rows == rows }
        try forEach(batches, advancing: advancing, layer: block.layer, tap) { batch, tap in
          let progress = WalkProgress(layer: layer, tokensDone: batch.rows.lowerBound, tokens: sequences.tokens.count)
          let pass = BlockPass(block, batch, rotation, scratch, cache: cache) { try pulse(progress) }
          try body(pass, states.rows(batch.rows), tap)
        }
      }
      try pulse(WalkProgress(layer: layer, tokensDone: sequences.tokens.count, tokens: sequences.tokens.count))
    }
  }

  /// Every batch is run by one rank, and known to all.
  private func forEach(
    _ batches: [Batch], advancing: Bool, layer: Int, _ tap: @escaping (Tap) throws -> Void,
    _ run: (Batch, @escaping (Tap) throws -> Void) throws -> Void
  ) throws {
    // One batch every rank runs itself: to wait for another would take as long.
    guard ranks.size > 1, batches.count > 1 else { return try batches.forEach { try run($0, tap) } }
    for round in ranks.rounds(batches.count) {
      let shown = SharedTaps(scratch, layer: layer)
      if let own = ranks.own(round) { try run(batches[own], shown.keep) }
      for index in round {
        let (rows, owner) = (batches[index].rows, index - round.lowerBound)
        if advancing { try ranks.broadcast(states.rows(rows), from: owner) }
        try shown.share(rows, from: owner, ranks, tap)
      }
    }
  }

  /// One branch on one batch, with a look at the sites on the way.
  private func run(
    _ module: Module, _ pass: BlockPass, _ x: Matrix<Float>, advancing: Bool, _ sites: Set<Site>,
    _ tap: (Tap) throws -> Void
  ) throws {
    let branch = pass.block[module]
    let wanted = sites.filter { $0.module == module && $0.exists(in: model.configuration.family) }.sorted()
    func show(_ stage: Site.Stage, _ values: (Site) -> Matrix<Float>) throws {
      for site in wanted where site.stage == stage {
        let shown = pass.scattered(values(site), branch, site.space, .scattered)
        try tap(Tap(layer: pass.block.layer, site: site, rows: pass.batch.rows, values: shown))
      }
    }
    /// Whether the branch must go on to a stage; where nothing is left of it, only to be looked at.
    func isNeeded(_ stage: Site.Stage) -> Bool {
      advancing && !branch.isAbsent || wanted.contains { $0.stage >= stage && $0.stage != .leaving }
    }

    func goOn() throws {
      guard isNeeded(.normalized) else { return }
      let normalized = pass.normalized(x, branch)
      try show(.normalized) { _ in normalized }
      guard isNeeded(.projected) else { return }
      let projected = try pass.projected(normalized, branch)
      try show(.projected) { pass.signal($0, of: projected, branch) }
      guard isNeeded(.mixed) else { return }
      let mixed = try pass.mixed(projected, branch)
      try show(.mixed) { _ in mixed }
      if advancing && !branch.isAbsent { try pass.add(mixed, branch, to: x) }
    }

    try show(.entering) { _ in x }
    try goOn()
    if advancing { try show(.leaving) { _ in x } }
  }
}
