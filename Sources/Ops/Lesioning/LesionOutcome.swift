import Kernel
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

  init(_ text: Corpus, labels: Clusters?, by: Clusters?) {
    sequences = text.sequences
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

/// What a lesion changed.
struct LesionOutcome: Sendable, Equatable {
  /// Change of the loss, summed over all targets, and over those of each cell; nats.
  var total = 0.0
  var cells: [Double]
  /// Mean of ‖W_S h_S‖² where it starts.
  var energy = 0.0
}

/// Derivatives of the loss by what neurons give, summed so that any number of sets can be estimated.
struct LesionEstimate: Sendable {
  private let targets: LesionTargets
  /// By layer, neuron × (window, class of the predicting token; the last class is none): Σ (h - m) ∂L/∂h.
  private let sums: [Int: Matrix<Double>]
  /// By layer, targets of each class.
  private let counts: [Int: [Double]]

  init(
    _ network: LanguageModel, _ targets: LesionTargets, layers: [Int], means: [PerModule<[Double]>]?,
    _ context: any RunContext
  ) throws {
    self.targets = targets
    let width = targets.kinds.count + 1
    let kinds = Dictionary(uniqueKeysWithValues: try layers.map { ($0, try targets.sourceKind(layer: $0)) })
    var sums: [Int: Matrix<Double>] = [:]
    for layer in layers {
      sums[layer] = Matrix(
        rows: targets.windows * width, columns: network.configuration.units(.ffn, layer: layer))
    }
    var windowOf = [Int](repeating: 0, count: targets.sequences.tokens.count)
    for window in 0..<targets.windows { for t in targets.sequences[window] { windowOf[t] = window } }
    try network.gradients(
      targets.sequences, lowest: layers.min() ?? 0, memory: context.memoryLimit / 4,
      tap: { tap in
        guard let sum = sums[tap.layer], let kind = kinds[tap.layer] else { return }
        let mean = means?[tap.layer].ffn
        for (row, t) in tap.rows.enumerated() {
          let window = windowOf[t]
          // The derivative is of the window's mean loss.
          let scale = Double(targets.sequences[window].count - 1)
          let place = window * width + (kind[t] < 0 ? width - 1 : Int(kind[t]))
          let (h, g) = (tap.h.row(row), tap.gradient.row(row))
          sum.withUnsafeMutablePointer { out, stride in
            let target = out + place * stride
            for j in h.indices { target[j] += (Double(h[j]) - (mean?[j] ?? 0)) * Double(g[j]) * scale }
          }
        }
      }, pulse: { done in try context.progress(done, of: targets.sequences.tokens.count, "token") })
    self.sums = sums.mapValues { $0.T.copy() }
    counts = Dictionary(
      uniqueKeysWithValues: layers.map { layer in
        let own = kinds[layer] ?? []
        return (layer, targets.kinds.indices.map { kind in Double(own.count { $0 == Int32(kind) }) })
      })
  }

  /// Estimated change per target, in all and by the class of the predicting token.
  func change(_ lesion: LesionSet) -> (total: Double, byKind: [Double]) {
    let width = targets.kinds.count + 1
    var s = [Double](repeating: 0, count: targets.windows * width)
    for piece in lesion.pieces {
      guard let sum = sums[piece.layer] else { continue }
      sum.withUnsafePointer { rows, stride in
        for unit in piece.units { for place in s.indices { s[place] += rows[unit * stride + place] } }
      }
    }
    let windows = (0..<targets.windows).map { window in (0..<width).reduce(0) { $0 + s[window * width + $1] } }
    let count = counts[lesion.pieces.first?.layer ?? 0] ?? []
    return (
      estimatedChange(windows) / Double(max(1, targets.targets)),
      targets.kinds.indices.map { kind in
        let own = (0..<targets.windows).map { s[$0 * width + kind] }
        return count[kind] > 0 ? estimatedChange(own) / count[kind] : .nan
      }
    )
  }
}
