import Numerics

extension LanguageModel {
  /// `-log p(target)` at some rows of the states, in nats: row `rows[i]` predicts `targets[i]`. A row may occur more
  /// than once.
  ///
  /// - Parameters:
  ///   - states: the residual stream that leaves the last block, tokens × d.
  ///   - pulse: called between chunks of work; throw from it to stop.
  public func losses(
    states: Matrix<Float>, rows: [Int], targets: [Int32], pulse: () throws -> Void = {}
  ) throws -> [Double] {
    let head = try Head(self)
    return try Parallel.ranges(rows.count, of: Head.tokensPerReading).flatMap { range in
      let picked = Matrix<Float>(rows: range.count, columns: states.columns)
      for (place, row) in rows[range].enumerated() {
        picked.rows(place..<(place + 1)).assign(states.rows(row..<(row + 1)))
      }
      return try head.losses(picked, targets: targets[range], pulse: pulse)
    }
  }
}
