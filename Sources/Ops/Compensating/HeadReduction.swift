import Kernel
import Numerics
import Transformer

/// Finds which features the heads of every block keep: rotary pairs of queries and keys, or directions of values.
struct HeadReduction {
  let network: LanguageModel
  /// What was captured of a site in a layer, and of how many tokens.
  let part: (Site, Int) throws -> LayerActivations
  let tokens: Int
  let structure: Structure
  /// Share of the features of a block's heads that goes.
  let rate: (Int) -> Double
  let context: any RunContext

  enum Directions {
    /// By what the heads were seen to give; then, if `refits`, the output map is fitted to all of them by least squares.
    case attended(refits: Bool)
    /// By values that are not mixed yet; if `reads`, by what the output maps read of them.
    case unmixed(reads: Bool)
  }

  private var configuration: Configuration { network.configuration }
  private var blocks: BlockByBlock { BlockByBlock(network: network, structure: structure, context: context) }

  /// - Parameter together: whether the two features of a pair count as one.
  func pairs(together: Bool) throws -> Pruning {
    try blocks.pruning { block in
      try pruning(of: block) { size in
        let size = size / 2
        let rotary = (0..<configuration.headSize / 2).map { pair in
          let features = configuration.rotary?.features(of: [pair]) ?? []
          return (features[0], features[1])
        }
        let (q, k) = (try squares(.queries, block), try squares(.keys, block))
        let lists = heads(of: block).map { head in
          highest(
            size,
            of: pairScores(
              queries: head.queries.map { Array(q[$0]) }, key: Array(k[head.place(in: configuration)]), pairs: rotary,
              together: together))
        }
        return HeadPruning(pairs: spread(lists, block, else: Array(0..<size)))
      }
    }
  }

  func values(_ how: Directions) throws -> Pruning {
    try blocks.pruning { block in
      var weight: Matrix<Float>?
      var found = try pruning(of: block) { rank in
        if tokens < rank { throw LowRankError.tooFewTokens(tokens, rank: rank) }
        let factors = try directions(how, block, rank)
        if case .attended(refits: true) = how { weight = try refitted(block, factors) }
        let size = configuration.headSize
        let nothing = Factors(outer: Matrix(rows: size, columns: rank), inner: Matrix(rows: rank, columns: size))
        return HeadPruning(
          values: spread(
            factors.map { Factors(outer: Matrix<Float>($0.B), inner: Matrix<Float>($0.A)) }, block, else: nothing))
      }
      found.attention.weight = weight
      return found
    }
  }

  /// What `find` leaves of the heads of a block when so many features of each stay; nothing goes where there are no heads, or
  /// none of their features is to go.
  private func pruning(of block: Block, _ find: (Int) throws -> HeadPruning) throws -> BlockPruning {
    var result = BlockPruning.keepingAll(configuration, layer: block.layer)
    let kept = headFeatures(keeping: 1 - rate(block.layer), of: configuration.headSize)
    guard !block[.attention].units.isEmpty, kept < configuration.headSize else { return result }
    try context.checkCancelled()
    result.attention.heads = try at("block \(block.layer)", argument: "acts") { try find(kept) }
    return result
  }

  /// Bytes at the peak of `values`, beside a block: the output map and the Gram matrix, or the value map with it; for a refit
  /// both of them with the columns of the heads alone, what their directions read, and the new map.
  static func bytes(_ network: LanguageModel, refits: Bool) -> Int {
    let (d, features) = (network.configuration.hiddenSize, network.configuration.size(.heads, layer: 0))
    let seen = 8 * (d * features + max(features * features, d * d + d * features))
    return refits ? 3 * seen : seen
  }

  // MARK: Heads

  /// A key-value head that is left, and the query heads that share it, by the features they have in the unpruned model.
  private struct Head {
    let number: Int
    let queries: [Range<Int>]

    func place(in configuration: Configuration) -> Range<Int> {
      number * configuration.headSize..<(number + 1) * configuration.headSize
    }
  }

  private func heads(of block: Block) -> [Head] {
    let (units, group, size) = (block[.attention].units, configuration.queriesPerUnit, configuration.headSize)
    let queries = units.flatMap { unit in (unit * group..<(unit + 1) * group) }
    return configuration.keyValueHeads(of: units).enumerated().map { place, number in
      Head(
        number: number,
        queries: queries.indices.filter { configuration.keyValueHead(ofQuery: $0) == place }.map {
          queries[$0] * size..<(queries[$0] + 1) * size
        })
    }
  }

  /// One value for every key-value head of the unpruned model.
  private func spread<Value>(_ found: [Value], _ block: Block, else missing: Value) -> [Value] {
    var all = Array(repeating: missing, count: configuration.keyValueHeads(layer: block.layer))
    for (head, value) in zip(heads(of: block), found) { all[head.number] = value }
    return all
  }

  /// E x² of every feature of a site.
  private func squares(_ site: Site, _ block: Block) throws -> [Double] {
    let moments = try part(site, block.layer).kept(\.moments, .moments)
    return zip(moments.mean, moments.variance(ddof: 0)).map { $0 * $0 + $1 }
  }

  private func gram(_ site: Site, _ block: Block) throws -> Matrix<Double> {
    try part(site, block.layer).kept(\.gram, .gram).load()
  }

  // MARK: Directions

  private func directions(
    _ how: Directions, _ block: Block, _ rank: Int
  ) throws -> [(B: Matrix<Double>, A: Matrix<Double>)] {
    let W = Matrix<Double>(block.outputWeight(.attention))
    func read(_ head: Head) -> Matrix<Double> {
      sum(head.queries.map { W.columns($0).T * W.columns($0) })
    }
    let heads = heads(of: block)
    switch how {
    case .attended:
      let C = try gram(.attentionHeads, block)
      return try heads.map { head in
        try valueDirections(
          sum(head.queries.map { C.rows($0).columns($0) }), read: read(head), keeping: rank)
      }
    case .unmixed(let reads):
      let (C, V) = (try gram(.attentionIn, block), Matrix<Double>(block[.attention].weight(.value)))
      return try heads.enumerated().map { place, head in
        let own = V.rows(place * configuration.headSize..<(place + 1) * configuration.headSize)
        let S = own * C * own.T
        return try valueDirections(0.5 * (S + S.T), read: reads ? read(head) : nil, keeping: rank)
      }
    }
  }

  /// The output map that gives best what it gave, from what is left of all heads together: in the columns of whole heads,
  /// zeros where directions are gone.
  private func refitted(
    _ block: Block, _ factors: [(B: Matrix<Double>, A: Matrix<Double>)]
  ) throws -> Matrix<Float> {
    let (heads, size) = (heads(of: block), configuration.headSize)
    let rank = factors.first?.A.rows ?? 0
    let own = heads.indices.flatMap { place in heads[place].queries.map { (features: $0, A: factors[place].A) } }
      .sorted { $0.features.lowerBound < $1.features.lowerBound }
    let inner = Matrix<Double>(rows: own.count * rank, columns: own.count * size)
    for (place, head) in own.enumerated() {
      inner.rows(place * rank..<(place + 1) * rank).columns(place * size..<(place + 1) * size).assign(head.A)
    }
    let features = own.flatMap { Array($0.features) }
    let W = Matrix<Double>(block.outputWeight(.attention))
    let C = try gram(.attentionHeads, block).gathering(rows: features).gathering(columns: features)
    let fitted = try outerFactor(W.gathering(columns: features), inner: inner, gram: C)
    let places = own.flatMap { Array($0.features.prefix(rank)) }
    return Matrix<Float>(fitted).spread(columns: places, of: W.columns)
  }
}

private func sum(_ matrices: [Matrix<Double>]) -> Matrix<Double> {
  matrices.dropFirst().reduce(matrices[0].copy()) { $0 + $1 }
}
