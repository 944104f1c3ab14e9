import CKernels
import Numerics

// The elementwise parts of a block on whole matrices: rows are spread over the threads in chunks of a fixed size.

/// `body` for every row, in chunks that hold about 32,000 numbers.
private func forEachRow(_ rows: Int, columns: Int, _ body: @Sendable (Int) -> Void) {
  let chunks = Parallel.ranges(rows, of: max(1, 32768 / max(columns, 1)))
  Parallel.forEach(chunks.count) { chunk in for row in chunks[chunk] { body(row) } }
}

/// Rows of some matrices, for use inside a parallel region.
private struct Rows: @unchecked Sendable {
  let start: UnsafeMutablePointer<Float>
  let stride: Int

  init(_ X: Matrix<Float>) { (start, stride) = X.withUnsafeMutablePointer { ($0, $1) } }

  subscript(row: Int) -> UnsafeMutablePointer<Float> { start + row &* stride }
}

/// `out = norm(x)`, row by row.
func normalize(_ x: Matrix<Float>, _ norm: Norm, _ configuration: Configuration, into out: Matrix<Float>) {
  let (source, target, epsilon, width) = (Rows(x), Rows(out), configuration.epsilon, x.columns)
  withExtendedLifetime((x, out)) {
    forEachRow(x.rows, columns: width) { row in
      if let bias = norm.bias {
        prn_layer_norm(source[row], norm.weight, bias, target[row], width, epsilon)
      } else {
        prn_rms_norm(source[row], norm.weight, target[row], width, epsilon)
      }
    }
  }
}

/// The root-mean-square norm of every stretch of a row that is as long as its weight.
func normalizeSegments(_ x: Matrix<Float>, _ weight: [Float], _ epsilon: Float, into out: Matrix<Float>) {
  let (source, target, width) = (Rows(x), Rows(out), weight.count)
  guard width > 0 else { return }
  withExtendedLifetime((x, out)) {
    forEachRow(x.rows, columns: x.columns) { row in
      for start in stride(from: 0, to: x.columns, by: width) {
        prn_rms_norm(source[row] + start, weight, target[row] + start, width, epsilon)
      }
    }
  }
}

/// The derivative of `normalizeSegments` by x, times `dy`.
func segmentGradient(
  _ x: Matrix<Float>, _ weight: [Float], _ epsilon: Float, _ dy: Matrix<Float>, into dx: Matrix<Float>
) {
  let (source, gradient, target, width) = (Rows(x), Rows(dy), Rows(dx), weight.count)
  guard width > 0 else { return }
  withExtendedLifetime((x, dy, dx)) {
    forEachRow(x.rows, columns: x.columns) { row in
      target[row].update(repeating: 0, count: x.columns)
      for start in stride(from: 0, to: x.columns, by: width) {
        prn_rms_norm_gradient(source[row] + start, weight, gradient[row] + start, width, epsilon, target[row] + start)
      }
    }
  }
}

/// `dx += ∂norm(x)/∂x · dy`, row by row.
func addNormGradient(
  _ x: Matrix<Float>, _ norm: Norm, _ configuration: Configuration, _ dy: Matrix<Float>, to dx: Matrix<Float>
) {
  let (source, gradient, target) = (Rows(x), Rows(dy), Rows(dx))
  let (epsilon, width) = (configuration.epsilon, x.columns)
  withExtendedLifetime((x, dy, dx)) {
    forEachRow(x.rows, columns: width) { row in
      if norm.bias != nil {
        prn_layer_norm_gradient(source[row], norm.weight, gradient[row], width, epsilon, target[row])
      } else {
        prn_rms_norm_gradient(source[row], norm.weight, gradient[row], width, epsilon, target[row])
      }
    }
  }
}

/// `out = silu(x) ∘ up`, or `gelu(x)` in a model without a gate, or `silu(x)` alone.
func activate(_ x: Matrix<Float>, times up: Matrix<Float>?, _ activation: Activation, into out: Matrix<Float>) {
  let (source, factor, target, width) = (Rows(x), up.map(Rows.init), Rows(out), x.columns)
  withExtendedLifetime((x, up, out)) {
    forEachRow(x.rows, columns: width) { row in
      switch (activation, factor) {
      case (.silu, let factor?): prn_silu_times(source[row], factor[row], target[row], width)
      case (.silu, nil): prn_silu(source[row], target[row], width)
      case (.geluTanh, _): prn_gelu_tanh(source[row], target[row], width)
      }
    }
  }
}

/// The derivatives by gate and up of `silu(gate) ∘ up`, times `dh`.
func gatedGradient(
  _ gate: Matrix<Float>, _ up: Matrix<Float>, _ dh: Matrix<Float>, into dGate: Matrix<Float>, _ dUp: Matrix<Float>
) {
  let (source, factor, gradient, width) = (Rows(gate), Rows(up), Rows(dh), gate.columns)
  let (gateTarget, upTarget) = (Rows(dGate), Rows(dUp))
  withExtendedLifetime((gate, up, dh, dGate, dUp)) {
    forEachRow(gate.rows, columns: width) { row in
      prn_silu_times_gradient(source[row], factor[row], gradient[row], gateTarget[row], upTarget[row], width)
    }
  }
}

/// The derivative by up of `gelu(up)`, times `dh`.
func ungatedGradient(_ up: Matrix<Float>, _ dh: Matrix<Float>, into dUp: Matrix<Float>) {
  let (source, gradient, target, width) = (Rows(up), Rows(dh), Rows(dUp), up.columns)
  withExtendedLifetime((up, dh, dUp)) {
    forEachRow(up.rows, columns: width) { row in
      prn_gelu_tanh_gradient(source[row], gradient[row], target[row], width)
    }
  }
}

/// Turns the first `heads` heads of every row by the angles of the row's position.
///
/// - Parameter pairs: those that each head has; nil: all.
func turn(
  _ x: Matrix<Float>, heads: Int, headSize: Int, pairs: [[Int]]?, _ positions: [Int32], _ tables: RotationTables,
  _ direction: Float
) {
  let rows = Rows(x)
  @Sendable func rotate(
    _ head: UnsafeMutablePointer<Float>, _ c: UnsafePointer<Float>, _ s: UnsafePointer<Float>, _ pairs: Int
  ) {
    switch tables.pairing {
    case .halves: prn_rotate_halves(head, pairs, c, s, direction)
    case .neighbours: prn_rotate_neighbours(head, pairs, c, s, direction)
    }
  }
  withExtendedLifetime(x) {
    forEachRow(x.rows, columns: heads * headSize) { row in
      tables.cosines.withUnsafeBufferPointer { cosines in
        tables.sines.withUnsafeBufferPointer { sines in
          guard let cosine = cosines.baseAddress, let sine = sines.baseAddress else { return }
          let angles = (Int(positions[row]) - tables.positions.lowerBound) * tables.pairs
          for head in 0..<heads {
            let part = rows[row] + head * headSize
            guard let own = pairs?[head] else {
              rotate(part, cosine + angles, sine + angles, tables.pairs)
              continue
            }
            withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * own.count) { gathered in
              guard let start = gathered.baseAddress else { return }
              for (place, pair) in own.enumerated() {
                start[place] = cosine[angles + pair]
                start[own.count + place] = sine[angles + pair]
              }
              rotate(part, start, start + own.count, own.count)
            }
          }
        }
      }
    }
  }
}

/// Row `i` of `scores` becomes softmax(scale · row) over its first `visible + i` columns, and 0 behind them.
func causalSoftmax(_ scores: Matrix<Float>, visible: Int, scale: Float) {
  scores.withUnsafeMutablePointer { prn_softmax_rows($0, $1, scores.rows, scores.columns, visible, scale) }
}

/// Row `i` of `scores` becomes softmax(scale · row) over `range`, and 0 elsewhere.
func softmax(_ scores: Matrix<Float>, row i: Int, over range: Range<Int>, scale: Float) {
  scores.withUnsafeMutablePointer { start, stride in
    let row = start + i * stride
    row.update(repeating: 0, count: range.lowerBound)
    prn_softmax_rows(row + range.lowerBound, 0, 1, range.count, range.count, scale)
    (row + range.upperBound).update(repeating: 0, count: scores.columns - range.upperBound)
  }
}

/// Every row += `vector`.
func addToRows(_ x: Matrix<Float>, _ vector: [Float]) {
  let rows = Rows(x)
  withExtendedLifetime(x) {
    forEachRow(x.rows, columns: x.columns) { row in
      let target = rows[row]
      vector.withUnsafeBufferPointer { source in for j in 0..<source.count { target[j] += source[j] } }
    }
  }
}

/// Column `k` of `x` becomes column `places[k]` of `target`; the others become 0.
func scatter(_ x: Matrix<Float>, to places: [Int], in target: Matrix<Float>) {
  let (source, rows, width) = (Rows(x), Rows(target), target.columns)
  withExtendedLifetime((x, target)) {
    forEachRow(x.rows, columns: width) { row in
      rows[row].update(repeating: 0, count: width)
      for (k, place) in places.enumerated() { rows[row][place] = source[row][k] }
    }
  }
}

extension Matrix<Float> {
  /// Whether no number is NaN or infinite. The window must not be transposed.
  var isFinite: Bool {
    withUnsafePointer { start, stride in
      (0..<rows).allSatisfy { prn_all_finite(start + $0 * stride, columns) == 1 }
    }
  }
}
