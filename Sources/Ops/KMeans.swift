import Kernel
import Numerics
import Transformer

struct KMeans: Op {
  static let name = "kmeans"
  static let summary = "Cluster the tokens of every layer into kinds of context."
  static let reference: String? = "FANG, context clustering; k-means++ (Arthur and Vassilvitskii 2007)"
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=16 length=128
    cl = kmeans (capture m cal sites=ffn.in keep=stream) k=7 pca=64 seed=0
    """

  @Input("ffn.in or ffn.resid, kept as a stream or as values") var activations: Activations
  @Param("number of clusters", unit: "cluster", in: .atLeast(2)) var k = 7
  @Param("principal components the tokens are reduced to first", in: .atLeast(1)) var pca = 64
  @Param("seed of the starts", in: .atLeast(0)) var seed = 0
  @Param("starts; the partition of least inertia wins", in: .atLeast(1)) var restarts = 10
  @Param("the site whose values are clustered; ffn.in if the capture has it, else ffn.resid") var site: Site? = nil

  init() {}

  func check() throws -> Clusters.Facts {
    try $activations.require(keep: Statistic.signals, by: Self.name)
    try $activations.require(
      keep: Statistic.signals, sites: .any(site.map { [$0] } ?? KMeans.preferred), by: Self.name,
      argument: site == nil ? "activations" : "site")
    return Clusters.Facts(k: k)
  }

  private static let preferred: [Site] = [.feedForwardIn, .feedForwardResidual]
  private var signalled: [Site] { activations.sites(keeping: Statistic.signals) }

  func run(_ context: any RunContext) throws -> Clusters {
    guard let site = site ?? KMeans.preferred.first(where: signalled.contains) else {
      throw Diagnostic("the capture has no site to cluster", argument: "activations")
    }
    guard activations.tokens >= k else {
      throw Diagnostic("\(activations.tokens) tokens cannot form \(k) clusters", argument: "k")
    }
    let found = try clusters(site, context)
    let layers = activations.layers.indices.compactMap { found[$0] }
    return Clusters(
      label: layers.map(\.label), center: layers.map(\.center), basis: layers.map(\.basis), size: layers.map(\.size),
      inertia: layers.map(\.inertia), layers: activations.layers, corpus: activations.corpus.content,
      model: activations.structure.model, site: site.rawValue, seed: seed, calibration: activations.calibration)
  }

  func estimate(within limit: Int) throws -> Resources {
    let network = try activations.loadModel().network
    let site = site ?? KMeans.preferred.first(where: signalled.contains) ?? .feedForwardIn
    let width = activations.layers.map { site.width(network.configuration, layer: $0) }.max() ?? 0
    // The covariance with its eigenvectors, and the tokens as points.
    let (axes, tokens) = (min(pca, width), activations.tokens)
    let covariance = 8 * width * width + leadingEigenBytes(width, axes)
    let points = 12 * tokens * axes
    guard !activations.kept(of: site).contains(.values) else {
      return Resources(memory: 4 * tokens * width + covariance + points)
    }
    let longest = try activations.loadCorpus().sequences.longest
    let walk = network.walkBytes(tokens: tokens, longest: longest)
    // Where no block stands before, nothing has passed an FFN yet when the covariance is there.
    let isFirst = activations.layers == [0] && (site.module == .attention || site == .feedForwardIn)
    let ffn = isFirst ? network.passedBytes(.ffn, tokens: tokens, longest: longest) : 0
    return Resources(memory: max(walk, walk - ffn + covariance) + points)
  }

  /// The clusters of every layer, by its place among the captured ones.
  private func clusters(_ site: Site, _ context: any RunContext) throws -> [Int: LayerClusters] {
    let layers = activations.layers
    var found = try context.checkpoints(of: "layer", count: layers.count) { try LayerClusters(from: $0) }
    func keep(_ place: Int, _ pass: RowPass) throws {
      let clusters = try cluster(site, layer: layers[place], context, pass)
      try context.checkpoint("layer-\(place)") { try clusters.write(to: $0) }
      found[place] = clusters
    }
    func pulse(_ place: Int) throws { try context.progress(place, of: layers.count, "layer") }
    let missing = layers.indices.filter { found[$0] == nil }
    guard activations.kept(of: site).contains(.values) else {
      let model = try activations.loadModel().network
      let walk = ResumableWalk(network: model, sequences: try activations.loadCorpus().sequences, context: context)
      try walk.visit(missing.map { layers[$0] }, of: layers, pulse: { _ in try context.checkCancelled() }) { walk in
        let place = layers.firstIndex(of: walk.layer) ?? 0
        try pulse(place)
        try walk.step(lookingAt: site, pulse: { _ in try pulse(place) }) { try keep(place, $0) }
      }
      return found
    }
    if !found.isEmpty { context.resumed(at: found.count, of: layers.count, "layer") }
    for place in missing {
      try pulse(place)
      let X = try activations.part(site, layer: layers[place]).kept(\.values, .values).load()
      try keep(place) { look in try look(X, 0..<X.rows) }
    }
    return found
  }

  private func cluster(
    _ site: Site, layer: Int, _ context: any RunContext, _ pass: RowPass
  ) throws -> LayerClusters {
    let width = site.width(try activations.loadModel().configuration, layer: layer)
    guard pca <= min(activations.tokens, width) else {
      throw Diagnostic(
        "\(pca) principal components are more than \(activations.tokens) tokens x \(width) features allow",
        argument: "pca")
    }
    return try at("layer \(layer)") {
      let components = try principalComponents(columns: width, count: pca, pass)
      let points = Matrix<Float>(rows: activations.tokens, columns: pca)
      try pass { X, rows in points.rows(rows).assign(components.projected(X)) }
      let found = try contextClusters(
        points, clusters: k, restarts: restarts, seed: seed, name: "kmeans layer \(layer)",
        progress: { done, total in try context.checkCancelled() })
      if !found.hasConverged { context.warn("the clusters of layer \(layer) were still moving after the last step") }
      return LayerClusters(
        label: found.labels, center: Matrix<Float>(found.centers), basis: Matrix<Float>(components.axes.T.copy()),
        size: found.sizes.map(Int64.init), inertia: found.inertia)
    }
  }
}

extension Walk {
  /// Runs the next block; on the way `body` may look at all tokens at one site as often as it likes.
  fileprivate func step(
    lookingAt site: Site, pulse: @escaping (WalkProgress) throws -> Void, _ body: (RowPass) throws -> Void
  ) throws {
    let layer = self.layer
    let block = try model.loadBlock(layer)
    func show(_ X: Matrix<Float>, _ rows: Range<Int>, _ look: (Matrix<Float>, Range<Int>) throws -> Void) throws {
      try requireFinite(X, site, layer: layer, from: rows.lowerBound, argument: "activations")
      try look(X, rows)
    }
    for module in Module.allCases {
      if module == site.module, site != .blockOut {
        try body { look in
          try run(
            module, of: block, advancing: false, sites: [site],
            tap: { try show($0.values, $0.rows, look) }, pulse: pulse)
        }
      }
      try run(module, of: block, advancing: true, pulse: pulse)
    }
    if site == .blockOut { try body { try show(states, 0..<states.rows, $0) } }
  }
}

/// The clusters of one layer on their way into the result.
private struct LayerClusters {
  var label: [Int32]
  var center: Matrix<Float>
  var basis: Matrix<Float>
  var size: [Int64]
  var inertia: Double
}

extension LayerClusters {
  func write(to writer: any ArtifactWriter) throws {
    try writer.vector("label", label, axis: "token")
    try writer.array("center", center.values, shape: [center.rows, center.columns], axes: ["cluster", "component"])
    try writer.array("basis", basis.values, shape: [basis.rows, basis.columns], axes: ["component", "feature"])
    try writer.vector("size", size, axis: "cluster")
    try writer.vector("inertia", [inertia], axis: "one")
  }

  init(from reader: any ArtifactReader) throws {
    func matrix(_ path: String) throws -> Matrix<Float> {
      let shape = try reader.shape(path)
      return Matrix(rows: shape[0], columns: shape[1], values: try reader.array(path, as: Float.self))
    }
    label = try reader.array("label", as: Int32.self)
    center = try matrix("center")
    basis = try matrix("basis")
    size = try reader.array("size", as: Int64.self)
    inertia = try reader.array("inertia", as: Double.self).first ?? 0
  }
}
