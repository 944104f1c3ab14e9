import Kernel
import Numerics

/// Token contexts, layer by layer: clusters of a layer's values (FANG, context clustering), or kinds of text that people
/// gave names to.
public struct Clusters: Artifact, InputValue {
  public static let type = ArtifactType("clusters")

  /// `label[layer][token]`, 0 is the largest cluster; -1 for tokens of no kind.
  public let label: [[Int32]]
  /// `center[layer]`: clusters x PCA dimensions; none for kinds.
  public let center: [Matrix<Float>]
  /// `basis[layer]`: PCA dimensions x features; none for kinds.
  public let basis: [Matrix<Float>]
  public let size: [[Int64]]
  /// Sum of squared distances to the centres; none for kinds.
  public let inertia: [Double]
  /// What people call the clusters, and the passage of the text that each token is in, -1 for none; nil for clusters of
  /// values.
  public let kinds: Kinds?
  public let layers: [Int]
  /// The corpus whose tokens are labelled.
  public let corpus: String
  public let model: String
  public let site: String
  public let seed: Int
  public let calibration: [String]

  /// Names of kinds in the order of the text, and passages, whose tokens belong together when samples are drawn.
  public struct Kinds: Sendable, Equatable {
    public let names: [String]
    public let passage: [Int32]
  }

  public var count: Int { size.first?.count ?? 0 }
  public var tokens: Int { label.first?.count ?? 0 }
  public var summary: String {
    guard let kinds else {
      return "\(counted(layers.count, "layer")) x \(counted(count, "cluster")) of \(tokens) tokens"
    }
    let labelled = size.first?.reduce(0, +) ?? 0
    return
      "\(counted(count, "kind")) in \(counted(Set(kinds.passage).subtracting([-1]).count, "passage")), \(labelled) of \(tokens) tokens"
  }
  public static let fields = ["k": "number of clusters", "tokens": "number of tokens"]
  public func field(_ name: String) -> Literal? {
    switch name {
    case "k": return .integer(count)
    case "tokens": return .integer(tokens)
    default: return nil
    }
  }

  public init(
    label: [[Int32]], center: [Matrix<Float>], basis: [Matrix<Float>], size: [[Int64]], inertia: [Double],
    layers: [Int], corpus: String, model: String, site: String, seed: Int, kinds: Kinds? = nil, calibration: [String]
  ) {
    self.label = label
    self.center = center
    self.basis = basis
    self.size = size
    self.inertia = inertia
    self.layers = layers
    self.corpus = corpus
    self.model = model
    self.site = site
    self.seed = seed
    self.kinds = kinds
    self.calibration = calibration
  }

  /// The labels of one layer.
  /// - Throws: when that layer was not clustered.
  public func labels(layer: Int) throws -> [Int32] {
    guard let index = layers.firstIndex(of: layer) else {
      throw Diagnostic("the clusters have no layer \(layer)", argument: "by")
    }
    return label[index]
  }

  public func write(to writer: any ArtifactWriter) throws {
    let (dimensions, features) = (basis.first?.rows ?? 0, basis.first?.columns ?? 0)
    try writer.scale("layer", layers.map(Int64.init), meaning: "layer")
    try writer.array("label", label.flatMap { $0 }, shape: [layers.count, tokens], axes: ["layer", "token"])
    if let kinds {
      try writer.strings("kind", kinds.names, axis: "cluster")
      try writer.vector("passage", kinds.passage, axis: "token", meaning: "passage of the text, -1 = none")
    } else {
      try writer.array(
        "center", center.flatMap(\.values), shape: [layers.count, count, dimensions],
        axes: ["layer", "cluster", "component"])
      try writer.array(
        "basis", basis.flatMap(\.values), shape: [layers.count, dimensions, features],
        axes: ["layer", "component", "feature"])
      try writer.vector("inertia", inertia, axis: "layer")
    }
    try writer.array(
      "size", size.flatMap { $0 }, shape: [layers.count, count], axes: ["layer", "cluster"], units: "token")
    try writer.attribute("k", .integer(count))
    try writer.attribute("pca", .integer(dimensions))
    try writer.attribute("seed", .integer(seed))
    try writer.attribute("corpus_content", .string(corpus))
    try writer.attribute("model_content", .string(model))
    try writer.attribute("site", .string(site))
    try writer.calibration(calibration)
    try writer.preview(title: "tokens per cluster", rows: size.map { $0.map(Float.init) }, axis: "cluster")
  }

  public init(from reader: any ArtifactReader) throws {
    layers = try reader.array("layer", as: Int64.self).map(Int.init)
    let tokens = try reader.shape("label")[1]
    let labels = try reader.array("label", as: Int32.self)
    label = layers.indices.map { Array(labels[($0 * tokens)..<(($0 + 1) * tokens)]) }
    kinds =
      reader.has("kind")
      ? Kinds(names: try reader.strings("kind"), passage: try reader.array("passage", as: Int32.self)) : nil
    func matrices(_ path: String) throws -> [Matrix<Float>] {
      guard reader.has(path) else { return [] }
      let shape = try reader.shape(path)
      let all = try reader.array(path, as: Float.self)
      let size = shape[1] * shape[2]
      return (0..<shape[0]).map {
        Matrix(rows: shape[1], columns: shape[2], values: Array(all[($0 * size)..<(($0 + 1) * size)]))
      }
    }
    center = try matrices("center")
    basis = try matrices("basis")
    let sizes = try reader.array("size", as: Int64.self)
    let count = sizes.count / max(1, layers.count)
    size = layers.indices.map { Array(sizes[($0 * count)..<(($0 + 1) * count)]) }
    inertia = reader.has("inertia") ? try reader.array("inertia", as: Double.self) : []
    corpus = try reader.attribute("corpus_content").stringValue ?? ""
    model = try reader.attribute("model_content").stringValue ?? ""
    site = try reader.attribute("site").stringValue ?? ""
    seed = try reader.attribute("seed").intValue ?? 0
    calibration = try reader.calibration()
  }
}
