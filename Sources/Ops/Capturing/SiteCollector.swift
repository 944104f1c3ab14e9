import Kernel
import Numerics
import Ranks
import Transformer

/// What is kept of one site of one layer while batches come in.
final class SiteCollector {
  private let site: Site
  private let layer: Int
  private let sequences: Sequences
  /// The sequence whose tokens come next.
  private var next = 0
  private let labels: [Int32]?
  private var values: Matrix<Float>?
  private var moments: Moments?
  /// What FLAP's own program would have accumulated.
  private var reference: ReferenceFluctuation?
  private var clusterMoments: [Moments]?
  private var gram: GramSum?
  /// By group and cluster; ranks have them by turns.
  private var groupGrams: [[Matrix<Double>]]?
  private let groups: [[Int]]?
  private let ranks: any Communicator

  init(
    site: Site, layer: Int, width: Int, sequences: Sequences, keep: [Statistic], labels: [Int32]?, clusters: Int,
    groups: [[Int]]?, ranks: any Communicator
  ) {
    self.site = site
    self.layer = layer
    self.sequences = sequences
    self.labels = labels
    self.groups = groups
    self.ranks = ranks
    if keep.contains(.values) { values = Matrix(rows: sequences.tokens.count, columns: width) }
    if keep.contains(.moments) {
      moments = Moments(columns: width)
      reference = ReferenceFluctuation(columns: width)
      if labels != nil { clusterMoments = (0..<clusters).map { _ in Moments(columns: width) } }
    }
    guard keep.contains(.gram) else { return }
    if let groups {
      groupGrams = groups.map { group in (0..<clusters).map { _ in Matrix(rows: group.count, columns: group.count) } }
    } else {
      gram = GramSum(columns: width, ranks: ranks)
    }
  }

  /// - Parameter rows: which tokens of the corpus these are.
  func add(_ batch: Matrix<Float>, rows: Range<Int>) {
    values?.rows(rows).assign(batch)
    if moments != nil { addMoments(batch, rows: rows) }
    gram?.add(batch)
    guard let labels, clusterMoments != nil || groupGrams != nil else { return }
    let clusters = clusterMoments?.count ?? groupGrams?.first?.count ?? 0
    for cluster in 0..<clusters {
      let members = rows.filter { labels[$0] == Int32(cluster) }.map { $0 - rows.lowerBound }
      guard !members.isEmpty else { continue }
      let tokens = batch.gathering(rows: members)
      clusterMoments?[cluster].add(tokens)
      guard let groups, let groupGrams else { continue }
      for (group, neurons) in groups.enumerated() where (group * clusters + cluster) % ranks.size == ranks.rank {
        accumulateGram(tokens.gathering(columns: neurons), into: groupGrams[group][cluster])
      }
    }
  }

  /// Batches are whole sequences, and each sequence is one sample of FLAP's program.
  private func addMoments(_ batch: Matrix<Float>, rows: Range<Int>) {
    while next < sequences.count, sequences[next].upperBound <= rows.upperBound {
      let own = sequences[next]
      var sample = Moments(columns: batch.columns)
      sample.add(batch.rows((own.lowerBound - rows.lowerBound)..<(own.upperBound - rows.lowerBound)))
      moments?.merge(sample)
      reference?.add(mean: sample.mean, squares: sample.m2, tokens: sample.count)
      next += 1
    }
  }

  func result(cosine: Double?) throws -> LayerActivations {
    for (place, gram) in (groupGrams ?? []).joined().enumerated() {
      try ranks.broadcast(gram, from: place % ranks.size)
    }
    return LayerActivations(
      layer: layer, site: site, values: values, moments: moments, reference: try? reference?.values(),
      clusterMoments: clusterMoments, gram: try gram?.total(),
      groupGrams: groupGrams, cosine: cosine)
  }
}
