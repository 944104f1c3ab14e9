import CKernels
import Numerics

extension Attention {
  /// From the derivative by the heads to that by queries, keys and values. With weights P of one head:
  ///
  ///     dV = Pᵀ dO     dP = dO Vᵀ     dS = P ∘ (dP - rowsum(P ∘ dP)) / √d_h     dQ = dS K     dK = dSᵀ Q
  ///
  /// Keys and values collect from all query heads that share them. P is computed again, tile by tile. No sequence goes on
  /// after another.
  ///
  /// - Parameters:
  ///   - dHeads: tokens × (heads × value size).
  ///   - result: as queries, keys and values side by side, overwritten; still rotated.
  func gradient(_ queryKeyValue: Matrix<Float>, _ dHeads: Matrix<Float>, into result: Matrix<Float>) {
    // One task per sequence and key-value head: it alone writes the gradient of those keys and values.
    Parallel.forEach(spans.count * keyValueHeads) { task in
      let (span, group) = (spans[task / keyValueHeads], queryHeads(of: task % keyValueHeads))
      let collected = keysAndValues(result)
      key(collected, group[0]).rows(span.queries).clear()
      value(collected, group[0]).rows(span.queries).clear()
      for tile in tiles(of: span) {
        for head in group { addGradient(queryKeyValue, dHeads, tile.of(head: head), to: result) }
      }
    }
  }

  private func addGradient(
    _ queryKeyValue: Matrix<Float>, _ dHeads: Matrix<Float>, _ tile: Tile, to result: Matrix<Float>
  ) {
    let (keysAndValues, collected, keys) = (keysAndValues(queryKeyValue), keysAndValues(result), tile.keys[0].rows)
    let dO = mixed(dHeads, tile.head).rows(tile.queries)
    let K = key(keysAndValues, tile.head).rows(keys)
    let V = value(keysAndValues, tile.head).rows(keys)
    pool.withMatrix(tile.queries.count, tile.visible) { P in
      pool.withMatrix(tile.queries.count, tile.visible) { dS in
        probabilities(queryKeyValue, keysAndValues, tile, into: P)
        multiply(dO, V.T, into: dS)
        softmaxGradient(P, dS, scale: scale)
        multiply(dS, K, into: query(result, tile.head).rows(tile.queries))
        let Q = query(queryKeyValue, tile.head).rows(tile.queries)
        multiply(dS.T, Q, into: key(collected, tile.head).rows(keys), beta: 1)
        multiply(P.T, dO, into: value(collected, tile.head).rows(keys), beta: 1)
      }
    }
  }
}

/// `dS`, the derivative by the weights, becomes that by the scores: 0 wherever the weight is 0.
private func softmaxGradient(_ P: Matrix<Float>, _ dS: Matrix<Float>, scale: Float) {
  P.withUnsafePointer { weights, weightStride in
    dS.withUnsafeMutablePointer { gradient, stride in
      prn_softmax_rows_gradient(weights, weightStride, gradient, stride, P.rows, P.columns, scale)
    }
  }
}
