import Kernel
import Numerics
import Transformer

/// One capture at work: walks the model, fills what is kept of each site, publishes it layer by layer, and takes up
/// where an interrupted run stopped.
struct LayerCapture: SiteKeeping {
  let network: LanguageModel
  let sequences: Sequences
  let sites: [Site]
  let keep: [Kept]
  /// Token clusters, and groups of neurons, that divide what is kept.
  let clusters: Clusters?
  let groups: Groups?
  /// The layers to look at, rising.
  let layers: [Int]
  /// Content hashes of what it is made from, by the names of the inputs; they tell its parts from those of others.
  let origin: [String: JSONValue]
  let context: any RunContext

  func captured() throws -> [Site: [ArtifactReference]] {
    var found: [Int: [Site: ArtifactReference]] = [:]
    for layer in layers { found[layer] = try existing(layer) }
    let missing = layers.filter { found[$0]?.count != recorded.count }
    let walk = ResumableWalk(network: network, sequences: sequences, context: context)
    try walk.visit(missing, of: layers, pulse: { try context.progress($0, of: last, "layer") }) { walk in
      let layer = walk.layer
      found[layer] = try step(walk)
      try context.progress(layer + 1, of: last, "layer")
    }
    var parts: [Site: [ArtifactReference]] = [:]
    for site in recorded { parts[site] = layers.compactMap { found[$0]?[site] } }
    return parts
  }

  /// The sites that keep more than the stream, which stores nothing.
  private var recorded: [Site] { sites(keeping: Statistic.something) }

  /// The number of layers to walk through.
  private var last: Int { (layers.last ?? -1) + 1 }

  /// Parameters that decide what a part holds; which other layers were asked for is not among them.
  private func parameters(_ layer: Int, _ site: Site) -> [String: JSONValue] {
    let own: [String: JSONValue] = [
      "layer": .integer(layer), "site": .string(site.rawValue),
      "keep": .array(kept(of: site).map { .string($0.rawValue) }.sorted { $0.canonical < $1.canonical }),
      "with_block_in": .bool(sites.contains(.blockIn)),
    ]
    return own.merging(origin) { own, _ in own }
  }

  private func existing(_ layer: Int) throws -> [Site: ArtifactReference] {
    var found: [Site: ArtifactReference] = [:]
    for site in recorded {
      found[site] = try context.existingChild(part: "layer", parameters: parameters(layer, site))
    }
    return found
  }

  private func step(_ walk: Walk) throws -> [Site: ArtifactReference] {
    let layer = walk.layer
    func pulse(_ progress: WalkProgress) throws { try context.progress(layer, of: last, "layer") }
    let labels = try clusters?.labels(layer: layer)
    var collectors: [Site: SiteCollector] = [:]
    for site in recorded {
      collectors[site] = SiteCollector(
        site: site, layer: layer, width: site.width(network.configuration, layer: layer),
        sequences: sequences,
        keep: kept(of: site), labels: labels, clusters: clusters?.count ?? 0,
        groups: site == .activation ? groups?.members(layer: layer) : nil, ranks: context.ranks)
    }
    // How far a block turns the residual stream is known wherever both of its ends are looked at.
    let turns = sites.contains(.blockIn) && sites.contains(.blockOut)
    var influence = BlockInfluence()
    var entering: Matrix<Float>?
    let look: (Tap) throws -> Void = { tap in
      if turns, tap.site == .blockIn { entering = tap.values.copy() }
      if turns, tap.site == .blockOut, let entering { influence.add(entering, tap.values) }
      try requireFinite(tap.values, tap.site, layer: layer, from: tap.rows.lowerBound, argument: "model")
      collectors[tap.site]?.add(tap.values, rows: tap.rows)
    }
    try walk.step(sites: Set(turns ? recorded + [.blockIn, .blockOut] : recorded), tap: look, pulse: pulse)
    var published: [Site: ArtifactReference] = [:]
    for site in recorded {
      guard let collector = collectors[site] else { continue }
      published[site] = try context.child(
        LayerActivations.self, part: "layer", parameters: parameters(layer, site)
      ) {
        try collector.result(cosine: turns && site == .blockOut ? influence.value.map { 1 - $0 } : nil)
      }
    }
    return published
  }
}

/// - Throws: naming the first token with NaN or infinity, and `argument`.
func requireFinite(_ X: Matrix<Float>, _ site: Site, layer: Int, from token: Int, argument: String) throws {
  if let place = firstNonFinite(X) {
    throw Diagnostic("\(site.rawValue) of layer \(layer) is not finite at token \(token + place)", argument: argument)
  }
}

/// Row of the first NaN or infinity.
func firstNonFinite(_ X: Matrix<Float>) -> Int? {
  X.withUnsafePointer { start, stride in
    for row in 0..<X.rows {
      var sum: Float = 0
      let values = start + row * stride
      // x - x is 0 unless x is not finite, then NaN; one sum per row keeps the loop free of branches.
      for column in 0..<X.columns { sum += values[column] - values[column] }
      if sum != 0 || sum.isNaN { return row }
    }
    return nil
  }
}
