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

  /// Another capture of the same model and text, and how work of it is attempted.
  typealias Companion = (capture: LayerCapture, attempt: Attempt)
  /// Nil when it failed, now or before; `writing` when it writes.
  typealias Attempt = (_ writing: Bool, _ body: () throws -> Void) throws -> Void?

  /// - Parameter companions: captures that fill theirs on the same walk; asked for when there is one.
  func captured(with companions: () throws -> [Companion] = { [] }) throws -> [Site: [ArtifactReference]] {
    var found = try known()
    let own = missing(found)
    var pending: [(companion: Companion, known: [Int: [Site: ArtifactReference]], layers: [Int])] = []
    for companion in own.isEmpty ? [] : try companions() {
      _ = try companion.attempt(false) {
        let known = try companion.capture.known()
        pending.append((companion, known, companion.capture.missing(known)))
      }
    }
    let all = Set(layers + pending.flatMap(\.companion.capture.layers)).sorted()
    let last = (all.last ?? -1) + 1
    let walk = ResumableWalk(network: network, sequences: sequences, context: context)
    func pulse(_ layer: Int) throws { try context.progress(layer, of: last, "layer") }
    try walk.visit((own + pending.flatMap(\.layers)).uniqued.sorted(), of: all, pulse: pulse) { walk in
      let layer = walk.layer
      // A part that several need is made once.
      var taken: Set<CapturedPart> = []
      func look(_ capture: LayerCapture, _ known: [Site: ArtifactReference]?) throws -> LayerLook {
        let lacking = capture.recorded.filter { site in
          known?[site] == nil && taken.insert(capture.part(site)).inserted
        }
        return try LayerLook(capture, layer, lacking)
      }
      let mine = own.contains(layer) ? try look(self, found[layer]) : nil
      var others: [(look: LayerLook, attempt: Attempt)] = []
      for (companion, known, layers) in pending where layers.contains(layer) {
        _ = try companion.attempt(false) {
          others.append((try look(companion.capture, known[layer]), companion.attempt))
        }
      }
      let sites = others.reduce(into: mine?.sites ?? []) { $0.formUnion($1.look.sites) }
      try walk.step(sites: sites) { tap in
        try mine?.add(tap)
        for other in others { _ = try other.attempt(false) { try other.look.add(tap) } }
      } pulse: { _ in
        try pulse(layer)
      }
      if let made = try mine?.published() { found[layer, default: [:]].merge(made) { $1 } }
      for other in others { _ = try other.attempt(true) { _ = try other.look.published() } }
      try pulse(layer + 1)
    }
    var parts: [Site: [ArtifactReference]] = [:]
    for site in recorded { parts[site] = layers.compactMap { found[$0]?[site] } }
    return parts
  }

  /// The parts that are there.
  private func known() throws -> [Int: [Site: ArtifactReference]] {
    var found: [Int: [Site: ArtifactReference]] = [:]
    for layer in layers {
      for site in recorded {
        found[layer, default: [:]][site] = try context.existingChild(
          part: "layer", parameters: part(site).parameters(layer: layer))
      }
    }
    return found
  }

  /// The layers of which a part is not there.
  private func missing(_ found: [Int: [Site: ArtifactReference]]) -> [Int] {
    layers.filter { (found[$0]?.count ?? 0) != recorded.count }
  }

  /// The sites that keep more than the stream, which stores nothing.
  fileprivate var recorded: [Site] { sites(keeping: Statistic.something) }

  fileprivate func part(_ site: Site) -> CapturedPart { CapturedPart(self, site, origin: origin) }
}

/// What one capture keeps of the layer that is walked through.
private final class LayerLook {
  /// Where it must look.
  let sites: Set<Site>
  private let capture: LayerCapture
  private let layer: Int
  /// What is kept, site by site.
  private let collectors: [Site: SiteCollector]
  /// How far a block turns the residual stream is known wherever both of its ends are looked at.
  private let turns: Bool
  private var influence = BlockInfluence()
  private var entering: Matrix<Float>?

  /// - Parameter lacking: the sites whose parts are not there.
  init(_ capture: LayerCapture, _ layer: Int, _ lacking: [Site]) throws {
    (self.capture, self.layer) = (capture, layer)
    turns = lacking.contains(.blockOut) && capture.sites.contains(.blockIn)
    sites = Set(lacking + (turns ? [.blockIn] : []))
    let labels = try capture.clusters?.labels(layer: layer)
    var collectors: [Site: SiteCollector] = [:]
    for site in lacking {
      collectors[site] = SiteCollector(
        site: site, layer: layer, width: site.width(capture.network.configuration, layer: layer),
        sequences: capture.sequences, keep: capture.kept(of: site), labels: labels,
        clusters: capture.clusters?.count ?? 0,
        groups: site == .activation ? capture.groups?.members(layer: layer) : nil, ranks: capture.context.ranks)
    }
    self.collectors = collectors
  }

  /// - Throws: when it must look there, and the values are not finite.
  func add(_ tap: Tap) throws {
    guard sites.contains(tap.site) else { return }
    if turns, tap.site == .blockIn { entering = tap.values.copy() }
    if turns, tap.site == .blockOut, let entering { influence.add(entering, tap.values) }
    try requireFinite(tap.values, tap.site, layer: layer, from: tap.rows.lowerBound, argument: "model")
    collectors[tap.site]?.add(tap.values, rows: tap.rows)
  }

  func published() throws -> [Site: ArtifactReference] {
    var published: [Site: ArtifactReference] = [:]
    for site in capture.sites {
      guard let collector = collectors[site] else { continue }
      published[site] = try capture.context.child(
        LayerActivations.self, part: "layer", parameters: capture.part(site).parameters(layer: layer)
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
