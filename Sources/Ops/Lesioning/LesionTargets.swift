import Numerics
import Transformer

/// Which targets of a text belong together: passages, or what each window holds of each cluster.
struct LesionTargets: Sendable {
  let sequences: Sequences
  /// Names of the classes; none when targets are not told apart.
  let kinds: [String]
  /// Class of every token of each layer, as a predicting token; -1 for none.
  private let source: @Sendable (Int) throws -> [Int32]
  /// Passages, when classes are kinds of text.
  private let passages: (cell: [Int32], kind: [Int])?

  init(_ sequences: Sequences, labels: Clusters?, by: Clusters?) {
    self.sequences = sequences
    if let labels, let own = labels.kinds {
      kinds = own.names
      source = { _ in labels.label[0] }
      let met = Set(own.passage).subtracting([-1]).sorted()
      let place = Dictionary(uniqueKeysWithValues: met.enumerated().map { ($1, Int32($0)) })
      let cell = own.passage.map { place[$0] ?? -1 }
      var kind = [Int](repeating: -1, count: met.count)
      for (t, c) in cell.enumerated() where c >= 0 { kind[Int(c)] = Int(labels.label[0][t]) }
      passages = (cell, kind)
    } else if let by {
      kinds = by.kinds?.names ?? (0..<by.count).map(String.init)
      source = { try by.labels(layer: $0) }
      passages = nil
    } else {
      kinds = []
      source = { _ in [] }
      passages = nil
    }
  }

  var hasPassages: Bool { passages != nil }

  /// Number of windows.
  var windows: Int { sequences.count }

  /// The cells, by class.
  var cells: LossCells {
    if let passages { return LossCells(kind: passages.kind, kinds: kinds.count) }
    if kinds.isEmpty { return LossCells(kind: Array(repeating: -1, count: windows), kinds: 0) }
    return LossCells(kind: (0..<(windows * kinds.count)).map { $0 % kinds.count }, kinds: kinds.count)
  }

  /// The cell of the target behind each token, for a lesion of a layer; -1 for one that is in none, and after the last
  /// token of a window.
  func cell(layer: Int) throws -> [Int32] {
    let label = try source(layer)
    var result = [Int32](repeating: -1, count: sequences.tokens.count)
    for window in 0..<windows {
      for t in sequences[window].dropLast() {
        if let passages {
          result[t] = passages.cell[t + 1]
        } else if kinds.isEmpty {
          result[t] = Int32(window)
        } else {
          result[t] = label[t] < 0 ? -1 : Int32(window * kinds.count) + label[t]
        }
      }
    }
    return result
  }

  /// The class of each predicting token that has a target; -1 for none.
  func sourceKind(layer: Int) throws -> [Int32] {
    var label = try source(layer)
    if label.isEmpty { label = [Int32](repeating: -1, count: sequences.tokens.count) }
    for window in 0..<windows where !sequences[window].isEmpty { label[sequences[window].upperBound - 1] = -1 }
    return label
  }

  var targets: Int { (0..<windows).reduce(0) { $0 + max(0, sequences[$1].count - 1) } }
}
