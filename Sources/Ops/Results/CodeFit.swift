import Kernel
import Numerics

/// How well a sparse or deep code explains signals: shares of their variance that it does not (FVU), of the tokens it was
/// trained on and of those held out, beside those of principal components.
struct CodeFit: Sendable, Equatable {
  var fvu = Double.nan
  var fvuHeld = Double.nan
  /// Held out: principal components, as many as are active at a token, and as many as there are networks.
  var pcaActive = Double.nan
  var pcaK = Double.nan
  /// Share of the signals' variance in the coordinates that the code saw.
  var rankKept = Double.nan
  /// Networks that are active at no token.
  var dead = Double.nan
  /// Share of the tokens at which each network is active, by falling variance explained; none of a deep code.
  var activeShare: [Double] = []

  /// What the code explains beyond as many principal components; held out.
  var gain: Double { pcaK - fvuHeld }

  private static let columns: [Column<CodeFit>] = [
    .number("fvu", \.fvu, "share of the variance not explained, training tokens"),
    .number("fvu_held", \.fvuHeld, "the same, held-out tokens"),
    .number("pca_active", \.pcaActive, "the same of as many principal components as networks are active at a token"),
    .number("pca_k", \.pcaK, "the same of as many principal components as networks"),
    .number("rank_kept", \.rankKept, "share of the variance of the signals that the code saw"),
    .number("dead_networks", \.dead, "networks active at no token"),
    .list("active_share", \.activeShare, per: "component", "share of the tokens at which the network is active"),
  ]

  init() {}

  /// Means over runs; nil of none.
  init?(meanOf runs: [CodeFit]) {
    guard let first = runs.first else { return nil }
    for place: WritableKeyPath<CodeFit, Double> in [
      \.fvu, \.fvuHeld, \.pcaActive, \.pcaK, \.rankKept, \.dead,
    ] { self[keyPath: place] = mean(runs.map { $0[keyPath: place] }) }
    activeShare = first.activeShare.indices.map { i in mean(runs.map { $0.activeShare[i] }) }
  }

  /// Nothing of networks that are no code.
  static func write(_ rows: [CodeFit?], to writer: any ArtifactWriter, axis: String, in group: String) throws {
    let fits = rows.compactMap { $0 }
    if !fits.isEmpty { try writer.columns(columns, of: fits, axis: axis, in: group) }
  }

  /// - Returns: one of each row, or as many nils where there are none in the file.
  static func read(from reader: any ArtifactReader, _ count: Int, in group: String) throws -> [CodeFit?] {
    guard reader.has(group + "fvu") else { return Array(repeating: nil, count: count) }
    var rows = Array(repeating: CodeFit(), count: count)
    try reader.fill(&rows, columns, in: group)
    return rows
  }
}
