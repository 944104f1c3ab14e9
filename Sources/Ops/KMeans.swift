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
    cl = kmeans (capture m cal sites=ffn.in keep=values) k=7 pca=64 seed=0
    """

  @Input("values of ffn.in or ffn.resid") var activations: Activations
  @Param("number of clusters", unit: "cluster", in: .atLeast(2)) var k = 7
  @Param("principal components the tokens are reduced to first", in: .atLeast(1)) var pca = 64
  @Param("seed of the starts", in: .atLeast(0)) var seed = 0
  @Param("starts; the partition of least inertia wins", in: .atLeast(1)) var restarts = 10
  @Param("the site whose values are clustered; ffn.in if the capture has it, else ffn.resid") var site: Site? = nil

  init() {}

  func check() throws -> Facts {
    guard let facts = $activations.facts, let keep = facts["keep"]?.arrayValue else { return [:] }
    guard keep.contains("values") else {
      throw Diagnostic(
        "kmeans needs the values of the activations, and this capture does not keep them",
        hint: "capture with keep=values", argument: "activations", kind: .usage)
    }
    let sites = facts["sites"]?.arrayValue?.compactMap(\.stringValue) ?? []
    let wanted = site.map { [$0.rawValue] } ?? KMeans.preferred.map(\.rawValue)
    guard wanted.contains(where: sites.contains) else {
      throw Diagnostic(
        "this capture does not look at \(wanted.joined(separator: " or "))", hint: "capture with sites=\(wanted[0])",
        argument: site == nil ? "activations" : "site", kind: .usage)
    }
    return ["k": .integer(k)]
  }

  private static let preferred: [Site] = [.feedForwardIn, .feedForwardResidual]

  func run(_ context: any RunContext) throws -> Clusters {
    guard let site = site ?? KMeans.preferred.first(where: activations.sites.contains) else {
      throw Diagnostic("the capture has no site to cluster", argument: "activations")
    }
    guard activations.tokens >= k else {
      throw Diagnostic("\(activations.tokens) tokens cannot form \(k) clusters", argument: "k")
    }
    var layers: [LayerClusters] = []
    let saved = try context.checkpoints(of: "layer", count: activations.layers.count) { try LayerClusters(from: $0) }
    if !saved.isEmpty { context.resumed(at: saved.count, of: activations.layers.count, "layer") }
    for (done, layer) in activations.layers.enumerated() {
      try context.progress(done, of: activations.layers.count, "layer")
      if let found = saved[done] {
        layers.append(found)
        continue
      }
      let found = try cluster(site, layer: layer, context)
      try context.checkpoint("layer-\(done)") { try found.write(to: $0) }
      layers.append(found)
    }
    return Clusters(
      label: layers.map(\.label), center: layers.map(\.center), basis: layers.map(\.basis), size: layers.map(\.size),
      inertia: layers.map(\.inertia), layers: activations.layers, corpus: activations.corpus.content,
      model: activations.structure.model, site: site.rawValue, seed: seed, calibration: activations.calibration)
  }

  private func cluster(_ site: Site, layer: Int, _ context: any RunContext) throws -> LayerClusters {
    guard let X = try activations.part(site, layer: layer).values?.load() else {
      throw Diagnostic("the capture keeps no values of \(site.rawValue) in layer \(layer)", argument: "activations")
    }
    guard pca <= min(X.rows, X.columns) else {
      throw Diagnostic(
        "\(pca) principal components are more than \(X.rows) tokens x \(X.columns) features allow", argument: "pca")
    }
    do {
      let components = try principalComponents(X, count: pca)
      let found = try contextClusters(
        components.projected(X), clusters: k, restarts: restarts, seed: seed, name: "kmeans layer \(layer)",
        progress: { done, total in try context.checkCancelled() })
      if !found.hasConverged { context.warn("the clusters of layer \(layer) were still moving after the last step") }
      return LayerClusters(
        label: found.labels, center: Matrix<Float>(found.centers), basis: Matrix<Float>(components.axes.T.copy()),
        size: found.sizes.map(Int64.init), inertia: found.inertia)
    } catch let error as ClusterError {
      throw Diagnostic("layer \(layer): \(error)", argument: "activations")
    }
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
