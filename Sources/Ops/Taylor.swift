import Kernel
import Numerics
import Transformer

struct Taylor: Op {
  static let name = "taylor"
  static let summary = "Score how much every neuron matters to every token cluster, by a backward pass."
  static let reference: String? = "FANG eq. 5"
  static let revision = 4
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=16 length=128
    S = taylor m cal by=(kmeans (capture m cal sites=ffn.in keep=values) k=7)
    """

  @Input("the model") var model: Model
  @Input("the text whose tokens are clustered, as windows") var corpus: Corpus
  @Input("clusters of those tokens in every layer", named: true) var by: Clusters

  init() {}

  func estimate(within limit: Int) throws -> Resources {
    let network = model.network
    let sums = (0..<network.layers).reduce(0) { $0 + network.configuration.units(.ffn, layer: $1) * by.count * 8 }
    return Resources(
      memory: 3 * sums
        + network.gradientBytes(
          tokens: min(Taylor.chunkTokens, corpus.tokens.count), longest: corpus.sequences.longest, memory: limit / 4))
  }

  /// Sequences that go forward and back between two checkpoints hold about this many tokens.
  private static let chunkTokens = 8192

  func run(_ context: any RunContext) throws -> Affinity {
    try corpus.requireWindows(of: model)
    guard by.corpus == $corpus.references[0].content else {
      throw Diagnostic("the clusters label the tokens of another corpus", argument: "by")
    }
    guard by.layers.count == model.configuration.layers else {
      throw Diagnostic("taylor needs clusters of every layer", argument: "by")
    }
    let sequences = corpus.sequences
    let labels = countedLabels(sequences)
    var sums = (0..<model.configuration.layers).map {
      TaylorAffinity(clusters: by.count, neurons: model.configuration.units(.ffn, layer: $0))
    }
    let chunks = sequences.batches(tokens: Taylor.chunkTokens)
    var first = 0
    if let (stage, saved) = try context.latestStage(of: "chunks", through: chunks.count) {
      sums = try sums.indices.map { try TaylorAffinity(from: saved, layer: $0) }
      first = stage
      context.resumed(at: chunks[stage - 1].upperBound, of: sequences.count, "window")
    }
    for index in chunks.indices.dropFirst(first) {
      let chunk = chunks[index]
      let base = sequences.offsets[chunk.lowerBound]
      // Of one batch.
      var own = sums.map(\.empty)
      try model.network.gradients(
        sequences[chunk], memory: context.memoryLimit / 4, ranks: context.ranks,
        tap: { tap in
          if let row = firstNonFinite(tap.gradient) {
            throw Diagnostic(
              "the gradient of layer \(tap.layer) is not finite at token \(base + tap.rows.lowerBound + row)")
          }
          let rows = (tap.rows.lowerBound + base)..<(tap.rows.upperBound + base)
          own[tap.layer].add(h: tap.h, gradient: tap.gradient, labels: Array(labels[tap.layer][rows]))
        },
        sums: { _ in
          defer { own = sums.map(\.empty) }
          return own.flatMap(\.numbers)
        },
        add: { _, numbers in
          var numbers = numbers
          for layer in sums.indices { sums[layer].add(takingFrom: &numbers) }
        },
        pulse: { _ in try context.progress(chunk.lowerBound, of: sequences.count, "window") })
      try context.checkpoint("chunks", stage: index + 1) { writer in
        for (layer, sum) in sums.enumerated() { try sum.write(to: writer, layer: layer) }
      }
    }
    for (layer, sum) in sums.enumerated() {
      for (cluster, count) in sum.counts.enumerated() where count == 0 {
        context.warn("cluster \(cluster) of layer \(layer) has no token with a gradient")
      }
    }
    return Affinity(
      structure: Structure(model.network, model: $model.references[0].content), score: sums.map(\.scores),
      counts: sums.map { $0.counts.map(Int64.init) }, clusters: $by.references[0],
      calibration: merged(by.calibration, [corpus.textHash]))
  }

  /// The labels of every layer, negative at the last token of each window, which predicts nothing.
  private func countedLabels(_ sequences: Sequences) -> [[Int32]] {
    by.label.map { labels in
      var labels = labels
      for window in 0..<sequences.count where !sequences[window].isEmpty {
        labels[sequences[window].upperBound - 1] = -1
      }
      return labels
    }
  }
}

extension TaylorAffinity {
  fileprivate func write(to writer: any ArtifactWriter, layer: Int) throws {
    try writer.array(
      layerName(layer) + "/sums", sums.values, shape: [sums.rows, sums.columns],
      axes: ["cluster", "neuron_\(sums.columns)"])
    try writer.vector(layerName(layer) + "/counts", counts.map(Int64.init), axis: "cluster")
  }

  fileprivate init(from reader: any ArtifactReader, layer: Int) throws {
    let shape = try reader.shape(layerName(layer) + "/sums")
    self.init(
      sums: Matrix(
        rows: shape[0], columns: shape[1], values: try reader.array(layerName(layer) + "/sums", as: Double.self)),
      counts: try reader.array(layerName(layer) + "/counts", as: Int64.self).map(Int.init))
  }
}
