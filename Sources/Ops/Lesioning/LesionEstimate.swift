import Kernel
import Numerics
import Transformer

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
    /// The sums of the windows of a batch: no window is in two.
    func parts(_ rows: Range<Int>) -> [Matrix<Double>] {
      guard let first = rows.first, let last = rows.last else { return [] }
      return layers.compactMap { sums[$0]?.rows((windowOf[first] * width)..<((windowOf[last] + 1) * width)) }
    }
    try network.gradients(
      targets.sequences, lowest: layers.min() ?? 0, memory: context.memoryLimit / 4, ranks: context.ranks,
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
      },
      sums: { rows in parts(rows).flatMap(\.values) },
      add: { rows, numbers in
        var numbers = numbers
        for part in parts(rows) {
          part.assign(Matrix(rows: part.rows, columns: part.columns, values: Array(numbers.prefix(part.count))))
          numbers = numbers.dropFirst(part.count)
        }
      },
      pulse: { done in try context.progress(done, of: targets.sequences.tokens.count, "token") })
    self.sums = sums.mapValues { $0.T.copy() }
    counts = Dictionary(
      uniqueKeysWithValues: layers.map { layer in
        let own = kinds[layer] ?? []
        return (layer, targets.kinds.indices.map { kind in Double(own.count { $0 == Int32(kind) }) })
      })
  }

  /// Bytes of the sums, which are turned at the end.
  static func sumBytes(_ configuration: Configuration, windows: Int, kinds: Int) -> Int {
    let units = (0..<configuration.layers).reduce(0) { $0 + configuration.units(.ffn, layer: $1) }
    return 2 * 8 * windows * (kinds + 1) * units
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
