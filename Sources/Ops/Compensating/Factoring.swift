import Kernel
import Numerics
import Transformer

/// Finds two factors for the linear maps of every block.
struct Factoring {
  let model: Model
  let acts: Activations?
  let structure: Structure
  /// Whether factors are the best for the captured inputs, and not for the weights alone.
  let isWhitened: Bool
  /// Share of a map's parameters that goes in a block.
  let rate: (LinearRole, Int) -> Double
  let roles: [LinearRole]
  let context: any RunContext

  private var network: LanguageModel { model.network }

  /// Factors from the captured inputs or the weights alone.
  func factored() throws -> Pruning {
    try BlockByBlock(network: network, structure: structure, context: context).pruning(factors)
  }

  /// The same, and outer factors fitted again on the stream of the compressed blocks.
  func updated() throws -> Pruning {
    guard let acts else { return try factored() }
    var pruning = Pruning.keepingAll(network.configuration)
    var walk = ResumableWalk(network: network, sequences: try acts.loadCorpus().sequences, context: context)
    walk.findings = .init(
      save: { try pruning.write(to: $0) },
      restore: { saved, _ in pruning = try Pruning(from: saved, structure: structure) })
    let layers = Array(0..<network.layers)
    try walk.visit(layers, of: layers, pulse: { _ in }) { walk in
      let layer = walk.layer
      try context.progress(layer, of: network.layers, "layer")
      let block = try network.loadBlock(layer)
      var found = try factors(of: block)
      try update(&found, of: block, walk)
      pruning.blocks[layer] = found
      try walk.step(block.pruned(by: found), pulse: { _ in try context.checkCancelled() })
    }
    return pruning
  }

  private func factors(of block: Block) throws -> BlockPruning {
    let layer = block.layer
    var pruning = BlockPruning.keepingAll(network.configuration, layer: layer)
    // Those with the most inputs first: while their Gram matrices are in memory, little else is.
    let wanted = MapSizes.widestFirst(roles, network, layer: layer).map(\.role).filter { rate($0, layer) > 0 }
    func weight(_ role: LinearRole) -> Matrix<Double> { Matrix<Double>(block[role].weight(role)) }
    let maps = try wanted.map { role in
      try context.checkCancelled()
      let W = weight(role)
      return try at("\(role.rawValue) of block \(layer)") {
        let k = try rankKeeping(1 - rate(role, layer), rows: W.rows, columns: W.columns)
        if let acts, isWhitened, acts.tokens < k { throw LowRankError.tooFewTokens(acts.tokens, rank: k) }
        return (role: role, rank: k, moments: OutputMoments(of: W, gram: try gram(role, block)))
      }
    }
    // A product takes all cores, a decomposition takes one: the maps' are found at the same time.
    let principal = try Parallel.map(maps.count) { place in
      try at("\(maps[place].role.rawValue) of block \(layer)") {
        try maps[place].moments.principal(maps[place].rank)
      }
    }
    for (map, principal) in zip(maps, principal) {
      try context.checkCancelled()
      let found = map.moments.factors(of: weight(map.role), principal)
      pruning[map.role.module].factors[map.role] = block[map.role].spread(
        Factors(outer: Matrix<Float>(found.B), inner: Matrix<Float>(found.A)), map.role, layer: layer)
    }
    return pruning
  }

  /// What was captured of the inputs that the map still has; nil where weights alone count.
  private func gram(_ role: LinearRole, _ block: Block) throws -> Matrix<Double>? {
    guard isWhitened, let acts else { return nil }
    let whole = try acts.part(role.site, layer: block.layer).kept(\.gram, .gram).load()
    return block[role].narrowed(whole, role)
  }

  /// Fits the outer factors to what the block's own maps give on the stream so far.
  private func update(_ pruning: inout BlockPruning, of block: Block, _ walk: Walk) throws {
    let sites = Set(roles.map(\.site))
    var sums: [Site: GramSum] = [:]
    for site in sites {
      sums[site] = GramSum(columns: site.width(network.configuration, layer: block.layer), ranks: context.ranks)
    }
    try walk.look(
      at: block, sites: sites,
      tap: { sums[$0.site]?.add($0.values) }, pulse: { _ in try context.checkCancelled() })
    var grams: [Site: Matrix<Double>] = [:]
    for site in sites.sorted() { grams[site] = try sums[site]?.total() }
    for role in roles {
      guard let factors = pruning[role.module].factors[role], let gram = grams[role.site] else { continue }
      let (branch, narrow) = (block[role], block[role].narrowed(factors, role))
      let B = try at("\(role.rawValue) of block \(block.layer)", argument: "acts") {
        try outerFactor(
          Matrix<Double>(branch.weight(role)), inner: Matrix<Double>(narrow.inner), gram: branch.narrowed(gram, role))
      }
      pruning[role.module].factors[role] = branch.spread(
        Factors(outer: Matrix<Float>(B), inner: narrow.inner), role, layer: block.layer)
    }
  }
}
