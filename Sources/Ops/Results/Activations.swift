import Kernel
import Numerics
import Transformer

/// What a capture keeps of each site.
public enum Statistic: String, Choice, Codable {
  case values, moments, gram, stream

  public var meaning: String {
    switch self {
    case .values: "the activations of every token"
    case .moments: "mean and variance of every feature, per cluster with by="
    case .gram: "sums of products of all pairs of features, per group and cluster with groups= and by="
    case .stream: "nothing: whoever needs the signals walks the model again, layer by layer"
    }
  }
}

extension Site: Choice, Codable {}

/// What was captured of a model over a corpus; one child object per layer and site.
public struct Activations: Artifact, InputValue, SiteKeeping {
  public static let type = ArtifactType("activations")

  public let model: ArtifactReference
  public let corpus: ArtifactReference
  public let structure: Structure
  public let sites: [Site]
  public let keep: [Kept]
  public let layers: [Int]
  public let tokens: Int
  /// Hashes of the text of the corpus and of what the model was calibrated on.
  public let calibration: [String]
  /// The clusters and groups its parts are divided by.
  public let clusters: ArtifactReference?
  public let groups: ArtifactReference?
  /// `parts[site][position in layers]`; none of a site that keeps nothing but the stream.
  public let parts: [Site: [ArtifactReference]]
  let open: @Sendable (ArtifactReference) throws -> any ArtifactReader

  public var summary: String {
    "\(counted(layers.count, "layer")) x \(sites.map(\.rawValue).joined(separator: ",")), \(tokens) tokens, keeps "
      + keep.map(\.rawValue).joined(separator: ",")
  }
  public static let fields = ["tokens": "number of tokens", "layers": "number of layers"]
  public func field(_ name: String) -> Literal? {
    switch name {
    case "tokens": return .integer(tokens)
    case "layers": return .integer(layers.count)
    default: return nil
    }
  }

  /// What was captured of one site of one layer.
  /// - Throws: when the capture leaves the site or the layer out.
  public func part(_ site: Site, layer: Int) throws -> LayerActivations {
    guard let index = layers.firstIndex(of: layer), let parts = parts[site], parts.indices.contains(index) else {
      throw Diagnostic("the capture has nothing of \(site.rawValue) in layer \(layer)", argument: "acts")
    }
    return try LayerActivations(from: open(parts[index]))
  }

  public func loadModel() throws -> Model { try Model(from: open(model)) }
  public func loadCorpus() throws -> Corpus { try Corpus(from: open(corpus)) }
  public func loadGroups() throws -> Groups? { try groups.map { try Groups(from: open($0)) } }

  public init(
    model: ArtifactReference, corpus: ArtifactReference, structure: Structure, sites: [Site], keep: [Kept],
    layers: [Int], tokens: Int, calibration: [String], clusters: ArtifactReference?, groups: ArtifactReference?,
    parts: [Site: [ArtifactReference]], open: @escaping @Sendable (ArtifactReference) throws -> any ArtifactReader
  ) {
    self.model = model
    self.corpus = corpus
    self.structure = structure
    self.sites = sites
    self.keep = keep
    self.layers = layers
    self.tokens = tokens
    self.calibration = calibration
    self.clusters = clusters
    self.groups = groups
    self.parts = parts
    self.open = open
  }

  public func write(to writer: any ArtifactWriter) throws {
    try structure.write(to: writer)
    try writer.vector("layer", layers.map(Int32.init), axis: "captured", meaning: "layers captured")
    try writer.attribute("site", .string(sites.map(\.rawValue).joined(separator: ",")))
    try writer.attribute("keep", .string(keep.map(\.rawValue).joined(separator: ",")))
    try writer.attribute("tokens", .integer(tokens))
    try writer.attribute("clusters_content", .string(clusters?.content ?? ""))
    try writer.attribute("groups_content", .string(groups?.content ?? ""))
    try writer.calibration(calibration)
    for child in [model, corpus, clusters, groups] { if let child { try writer.child(child) } }
    for site in sites {
      guard let parts = parts[site] else { continue }
      try writer.strings("\(site.rawValue)/child_key", parts.map(\.key), axis: "captured")
      try writer.strings("\(site.rawValue)/child_content", parts.map(\.content), axis: "captured")
      for part in parts { try writer.child(part) }
    }
    let configuration = try loadModel().configuration
    let widths = layers.map { layer in sites.reduce(Float(0)) { $0 + Float($1.width(configuration, layer: layer)) } }
    try writer.preview(title: "features captured in each layer", values: widths, axis: "layer")
  }

  public init(from reader: any ArtifactReader) throws {
    let children = try reader.children
    guard children.count >= 2 else {
      throw Diagnostic("an activations object does not name its model and corpus", kind: .store)
    }
    model = children[0]
    corpus = children[1]
    structure = try Structure(from: reader)
    func words(_ name: String) throws -> [String] {
      try (reader.attribute(name).stringValue ?? "").split(separator: ",").map(String.init)
    }
    let sites = try words("site").compactMap(Site.init(rawValue:))
    self.sites = sites
    keep = try words("keep").compactMap(Kept.init(rawValue:))
    layers = try reader.array("layer", as: Int32.self).map(Int.init)
    tokens = try reader.attribute("tokens").intValue ?? 0
    func child(_ name: String) throws -> ArtifactReference? {
      let content = try reader.attribute(name).stringValue
      return children.first { $0.content == content }
    }
    clusters = try child("clusters_content")
    groups = try child("groups_content")
    calibration = try reader.calibration()
    var parts: [Site: [ArtifactReference]] = [:]
    for site in sites where reader.has("\(site.rawValue)/child_key") {
      let keys = try reader.strings("\(site.rawValue)/child_key")
      let contents = try reader.strings("\(site.rawValue)/child_content")
      parts[site] = zip(keys, contents).map(ArtifactReference.init)
    }
    self.parts = parts
    open = { try reader.open($0) }
  }
}

/// What was captured of one site of one layer.
public struct LayerActivations: Artifact {
  public static let type = ArtifactType("activations.layer")

  public let layer: Int
  public let site: Site
  /// Every token's activations, tokens x features.
  public let values: Lazy<Matrix<Float>>?
  /// Count, mean and sum of squared deviations of each feature.
  public let moments: Moments?
  /// What FLAP's own program accumulates instead of the variance; absent with fewer than two windows.
  public let reference: [Double]?
  /// The same, cluster by cluster.
  public let clusterMoments: [Moments]?
  /// `sum of x x^T` over tokens, features x features.
  public let gram: Lazy<Matrix<Double>>?
  /// `gram[group][cluster]`, over the features of the group and the tokens of the cluster.
  public let groupGrams: Lazy<[[Matrix<Double>]]>?
  /// Mean cosine between the residual stream before and after the block (with `block.out`), tokens it could be taken over.
  public let cosine: Double?

  public var summary: String { "layer \(layer), \(site.rawValue)" }

  /// A value that is read from the file when it is first wanted.
  public struct Lazy<Value>: @unchecked Sendable {
    let load: () throws -> Value
  }

  public init(
    layer: Int, site: Site, values: Matrix<Float>? = nil, moments: Moments? = nil, reference: [Double]? = nil,
    clusterMoments: [Moments]? = nil,
    gram: Matrix<Double>? = nil, groupGrams: [[Matrix<Double>]]? = nil, cosine: Double? = nil
  ) {
    self.layer = layer
    self.site = site
    self.values = values.map { value in Lazy { value } }
    self.moments = moments
    self.reference = reference
    self.clusterMoments = clusterMoments
    self.gram = gram.map { value in Lazy { value } }
    self.groupGrams = groupGrams.map { value in Lazy { value } }
    self.cosine = cosine
  }

  private var axis: String {
    switch site.space {
    case .neurons: return "neuron"
    case .queries, .keys, .values, .heads: return "head_feature"
    default: return "feature"
    }
  }

  public func write(to writer: any ArtifactWriter) throws {
    try writer.attribute("layer", .integer(layer))
    try writer.attribute("site", .string(site.rawValue))
    if let values = try values?.load() {
      try values.withUnsafePointer { pointer, _ in
        try writer.array(
          "values", UnsafeBufferPointer(start: pointer, count: values.count), shape: [values.rows, values.columns],
          axes: ["token", axis], meaning: site.rawValue, units: nil)
      }
      let shown = (0..<min(values.rows, 64)).map { Array(values.row($0)) }
      try writer.preview(title: "\(site.rawValue), first tokens", rows: shown, axis: axis, rowAxis: "token")
    }
    if let moments {
      try writer.attribute("n", .integer(moments.count))
      try writer.vector("mean", moments.mean, axis: axis, meaning: "mean over tokens")
      try writer.vector("var", moments.variance(ddof: 0), axis: axis, meaning: "variance, ddof 0")
      try writer.vector("m2", moments.m2, axis: axis, meaning: "sum of squared deviations from the mean")
      if values == nil {
        let shown = moments.variance(ddof: 0).prefix(4096).map { Float($0) }
        try writer.preview(title: "variance of \(site.rawValue) in layer \(layer)", values: shown, axis: axis)
      }
    }
    if let reference {
      try writer.vector(
        "flap_fluctuation", reference, axis: axis, meaning: "fluctuation as FLAP's program accumulates it")
    }
    if let clusterMoments {
      let shape = [clusterMoments.count, clusterMoments.first?.mean.count ?? 0]
      try writer.vector(
        "cluster/count", clusterMoments.map { Int64($0.count) }, axis: "cluster", meaning: "tokens in the cluster")
      try writer.array(
        "cluster/mean", clusterMoments.flatMap(\.mean), shape: shape, axes: ["cluster", axis],
        meaning: "mean over the cluster's tokens")
      try writer.array(
        "cluster/m2", clusterMoments.flatMap(\.m2), shape: shape, axes: ["cluster", axis],
        meaning: "sum of squared deviations from that mean")
    }
    if let gram = try gram?.load() {
      try gram.withUnsafePointer { pointer, _ in
        try writer.array(
          "gram", UnsafeBufferPointer(start: pointer, count: gram.count), shape: [gram.rows, gram.columns],
          axes: [axis, axis + "_2"], meaning: "sum over tokens of x x^T, not centred", units: nil)
      }
    }
    if let groupGrams = try groupGrams?.load() {
      for (group, blocks) in groupGrams.enumerated() {
        guard let size = blocks.first?.rows else { continue }
        try writer.array(
          "gram/group_\(group)", blocks.flatMap(\.values), shape: [blocks.count, size, size],
          axes: ["cluster", "group_\(group)_neuron", "group_\(group)_neuron_2"],
          meaning: "sum over the cluster's tokens of x x^T, not centred")
      }
      try writer.attribute("gram_groups", .integer(groupGrams.count))
    }
    if let cosine { try writer.attribute("cosine", .number(cosine)) }
  }

  public init(from reader: any ArtifactReader) throws {
    layer = try reader.attribute("layer").intValue ?? 0
    guard let site = Site(rawValue: try reader.attribute("site").stringValue ?? "") else {
      throw Diagnostic("an activations.layer object names no known site", kind: .store)
    }
    self.site = site
    func matrix<E: Scalar & ArtifactElement>(_ path: String, _: E.Type) -> Lazy<Matrix<E>>? {
      guard reader.has(path) else { return nil }
      return Lazy {
        let shape = try reader.shape(path)
        let result = Matrix<E>(rows: shape[0], columns: shape[1])
        try result.withUnsafeMutablePointer { pointer, _ in
          try reader.read(
            path, rows: 0..<shape[0], into: UnsafeMutableBufferPointer(start: pointer, count: shape[0] * shape[1]))
        }
        return result
      }
    }
    values = matrix("values", Float.self)
    gram = matrix("gram", Double.self)
    if reader.has("mean") {
      moments = Moments(
        count: try reader.attribute("n").intValue ?? 0, mean: try reader.array("mean", as: Double.self),
        m2: try reader.array("m2", as: Double.self))
    } else {
      moments = nil
    }
    reference = reader.has("flap_fluctuation") ? try reader.array("flap_fluctuation", as: Double.self) : nil
    if reader.has("cluster/mean") {
      let counts = try reader.array("cluster/count", as: Int64.self)
      let means = try reader.array("cluster/mean", as: Double.self)
      let m2 = try reader.array("cluster/m2", as: Double.self)
      let width = means.count / max(1, counts.count)
      clusterMoments = counts.indices.map { k in
        let range = (k * width)..<((k + 1) * width)
        return Moments(count: Int(counts[k]), mean: Array(means[range]), m2: Array(m2[range]))
      }
    } else {
      clusterMoments = nil
    }
    if let groups = (try? reader.attribute("gram_groups"))?.intValue {
      groupGrams = Lazy {
        try (0..<groups).map { group in
          let shape = try reader.shape("gram/group_\(group)")
          let all = try reader.array("gram/group_\(group)", as: Double.self)
          let size = shape[1] * shape[2]
          return (0..<shape[0]).map { cluster in
            Matrix(rows: shape[1], columns: shape[2], values: Array(all[(cluster * size)..<((cluster + 1) * size)]))
          }
        }
      }
    } else {
      groupGrams = nil
    }
    cosine = (try? reader.attribute("cosine"))?.doubleValue
  }
}
