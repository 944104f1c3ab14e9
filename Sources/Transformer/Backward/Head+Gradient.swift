import CKernels
import Glibc
import Numerics

extension Head {
  /// The derivative of Σ weight · loss by the states that leave the last block.
  ///
  ///     ∂L/∂logits = weight · (softmax(logits) - onehot(target))
  ///
  /// - Parameters:
  ///   - weights: one per row; rows with a negative target count for nothing.
  ///   - result: rows × d, overwritten.
  /// - Returns: the loss of every row, 0 where the target is negative.
  func gradient(
    _ states: Matrix<Float>, targets: [Int32], weights: [Float], into result: Matrix<Float>, pulse: () throws -> Void
  ) throws -> [Double] {
    var losses = [Double](repeating: 0, count: states.rows)
    let normalized = normalized(states)
    for rows in Parallel.ranges(states.rows, of: Self.tokenTile) {
      let logits = scratch.matrix(.logits, rows.count, vocabulary)
      for (tile, words) in tiles.enumerated() {
        try map(tile: tile).apply(normalized.rows(rows), into: logits.columns(words), pulse: pulse)
      }
      losses.withUnsafeMutableBufferPointer { losses in
        nonisolated(unsafe) let losses = losses
        Parallel.forEach(rows.count) { i in
          let row = rows.lowerBound + i
          losses[row] = logitGradient(logits, row: i, target: Int(targets[row]), weight: weights[row])
        }
      }
      let dNormalized = scratch.matrix(.normalizedGradient, rows.count, states.columns)
      for (tile, words) in tiles.enumerated() {
        try map(tile: tile).applyBackward(logits.columns(words), into: dNormalized, adding: tile > 0)
        try pulse()
      }
      let target = result.rows(rows)
      target.assign(Matrix(rows: rows.count, columns: states.columns))
      addNormGradient(unsliced(states.rows(rows)), norm, model.configuration, dNormalized, to: target)
      if let basis = model.pruning.slicing?.last { target.turn(into: basis) }
    }
    return losses
  }
}

/// Turns a row of logits into the derivative of its weighted loss, and returns the loss.
private func logitGradient(_ logits: Matrix<Float>, row: Int, target: Int, weight: Float) -> Double {
  logits.withUnsafeMutablePointer { start, stride in
    let numbers = start + row * stride
    guard target >= 0 else {
      numbers.update(repeating: 0, count: logits.columns)
      return 0
    }
    var maximum = -Float.infinity
    var sum = 0.0
    prn_log_sum_exp(numbers, logits.columns, &maximum, &sum)
    let loss = log(sum) + Double(maximum - numbers[target])
    prn_exponential(numbers, logits.columns, maximum, weight / Float(sum))
    numbers[target] -= weight
    return loss
  }
}
