import Kernel
import Numerics
import Transformer

struct Capture: Joining {
  typealias Output = Activations
  static let name = "capture"
  static let summary = "Run a model over a corpus, layer by layer, and keep what its sites show."
  static let reference: String? = "FANG, context clustering and group-wise reweighting (by=, groups=)"
  static let revision = 3
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=32 length=128
    acts = capture m cal sites=attn.heads,ffn.act keep=moments
    """

  @Input("the model to run") var model: Model
  @Input("what to run it on") var corpus: Corpus
  @Input("token clusters: keep moments and Grams cluster by cluster", named: true) var by: Clusters?
  @Input("neuron groups: keep the Gram of each group only, cluster by cluster", named: true) var groups: Groups?
  @Param("where to look") var sites: [Site]
  @Param("what to keep: of every site, or of one as in ffn.in:stream") var keep = [Kept(.moments)]
  @Param("which layers, from 0; none for all") var layers = Positions()

  init() {}

  func check() throws -> Activations.Facts {
    try layers.check(among: $model.facts?.layers, for: "layers")
    if Set(sites).count < sites.count { throw Diagnostic("a site is given twice", argument: "sites", kind: .usage) }
    if sites.isEmpty { throw Diagnostic("capture needs at least one site", argument: "sites", kind: .usage) }
    if $groups.isGiven, !$by.isGiven {
      throw Diagnostic("groups= needs by=, the clusters the groups belong to", argument: "groups", kind: .usage)
    }
    if $by.isGiven, facts.sites(keeping: [.moments, .gram]).isEmpty {
      throw Diagnostic("by= divides moments and Gram matrices, and none are kept", argument: "by", kind: .usage)
    }
    if $groups.isGiven, !sites.contains(.activation) {
      throw Diagnostic("groups= divides neurons, so ffn.act must be among the sites", argument: "groups", kind: .usage)
    }
    try checkKept()
    return facts
  }

  private var facts: Activations.Facts {
    Activations.Facts(
      sites: sites, keep: keep, clustered: $by.isGiven, grouped: $groups.isGiven, layers: $model.facts?.layers)
  }

  /// - Throws: when a site would keep nothing, or something besides the stream, or a word of `keep` has no effect.
  private func checkKept() throws {
    func refused(_ problem: String, hint: String? = nil) -> Diagnostic {
      Diagnostic(problem, hint: hint, argument: "keep", kind: .usage)
    }
    if let twice = keep.first(where: { kept in keep.count { $0 == kept } > 1 }) {
      throw refused("\(twice.rawValue) is given twice")
    }
    if let stranger = keep.compactMap(\.site).first(where: { !sites.contains($0) }) {
      throw refused("\(stranger.rawValue) is not among the sites of this capture", hint: "add it to sites=")
    }
    for site in sites {
      let kept = facts.kept(of: site)
      if kept.isEmpty {
        throw refused("nothing is kept of \(site.rawValue)", hint: "say what, as in keep=\(site.rawValue):moments")
      }
      if kept.contains(.stream), kept.count > 1 {
        throw refused("keep=stream stores nothing, so it cannot be combined with others at one site")
      }
    }
    if let idle = keep.first(where: { $0.site == nil }), sites.allSatisfy(keep.compactMap(\.site).contains) {
      throw refused("every site is named, so \(idle.rawValue) has no effect")
    }
  }

  /// One walk fills them all.
  func canJoin(_ first: Capture) -> Bool {
    $model.references == first.$model.references && $corpus.references == first.$corpus.references
      && walks && first.walks
  }

  /// Whether something is kept that must be looked for.
  private var walks: Bool { !facts.sites(keeping: Statistic.something).isEmpty }

  func estimate(within limit: Int, with companions: [Capture]) throws -> Resources {
    if !walks { return Resources() }
    let (network, tokens) = (model.network, corpus.tokens.count)
    let parts = Set(
      ([self] + companions).flatMap { capture in
        capture.sites.map { CapturedPart(capture.facts, $0, origin: capture.origin) }
      })
    let kept = (0..<network.layers).map { layer in
      parts.reduce(0) { $0 + $1.bytes(width: $1.site.width(network.configuration, layer: layer), tokens: tokens) }
    }
    return Resources(
      memory: network.walkBytes(tokens: tokens, longest: corpus.sequences.longest) + (kept.max() ?? 0) / 8 * 9,
      disk: kept.reduce(0, +))
  }

  /// Content hashes of what it is made from, by the names of the inputs.
  private var origin: [String: JSONValue] {
    let inputs = [
      "model": $model.references, "corpus": $corpus.references, "by": $by.references, "groups": $groups.references,
    ]
    return inputs.mapValues { .string($0.first?.content ?? "") }
  }

  func run(_ context: any RunContext, with companions: [Companion<Capture>]) throws -> Activations {
    let capture = try layerCapture(context)
    let parts = try capture.captured {
      try companions.compactMap { companion in
        try companion.attempt { try companion.call.layerCapture(companion.context) }.map { capture in
          (capture, { writing, body in try companion.attempt(writing: writing, body) })
        }
      }
    }
    return Activations(
      model: $model.references[0], corpus: $corpus.references[0],
      structure: Structure(model.network, model: $model.references[0].content), sites: sites, keep: keep,
      layers: capture.layers, tokens: corpus.tokens.count, calibration: merged(model.calibration, [corpus.textHash]),
      clusters: $by.references.first, groups: $groups.references.first, parts: parts,
      open: context.open)
  }

  /// - Throws: when the model and what divides the capture do not fit together.
  private func layerCapture(_ context: any RunContext) throws -> LayerCapture {
    for site in sites where !site.exists(in: model.configuration.family) {
      throw Diagnostic(
        "\(site.rawValue) does not exist in \(model.configuration.family.name), which has no gate", argument: "sites")
    }
    try corpus.requireWindows(of: model)
    let count = model.configuration.layers
    let chosen = try layers.layersOrAll(of: count, for: "layers")
    if let by { try checkBelonging(by.corpus, by.model) }
    if let groups, groups.clusters.content != $by.references.first?.content {
      throw Diagnostic("the groups were made from other clusters than by= gives", argument: "groups")
    }
    return LayerCapture(
      network: model.network, sequences: corpus.sequences, sites: sites, keep: keep, clusters: by, groups: groups,
      layers: chosen, origin: origin, context: context)
  }

  private func checkBelonging(_ corpusContent: String, _ modelContent: String) throws {
    guard corpusContent == $corpus.references[0].content else {
      throw Diagnostic("the clusters label the tokens of another corpus", argument: "by")
    }
    guard modelContent == $model.references[0].content else {
      throw Diagnostic("the clusters were made on another model", argument: "by")
    }
  }
}

/// Both lists without repeats, sorted, so that equal sets are equal bytes.
func merged(_ texts: [String]...) -> [String] { Array(Set(texts.joined())).sorted() }
