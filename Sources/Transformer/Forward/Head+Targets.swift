import Numerics
import Ranks

extension LanguageModel {
  /// `-log p(target)` at some rows of the states, in nats: row `rows[i]` predicts `targets[i]`. A row may occur more
  /// than once.
  ///
  /// - Parameters:
  ///   - states: the residual stream that leaves the last block, tokens × d.
  ///   - ranks: those that divide the rows among them.
  ///   - pulse: called between chunks of work; throw from it to stop.
  public func losses(
    states: Matrix<Float>, rows: [Int], targets: [Int32], ranks: any Communicator = OneRank(),
    pulse: () throws -> Void = {}
  ) throws -> [Double] {
    let head = try Head(self)
    let readings = Head.readings(rows.count, ranks)
    return try ranks.map(readings.count) { reading in
      let range = readings[reading]
      let picked = Matrix<Float>(rows: range.count, columns: states.columns)
      for (place, row) in rows[range].enumerated() {
        picked.rows(place..<(place + 1)).assign(states.rows(row..<(row + 1)))
      }
      return try head.losses(picked, targets: targets[range], pulse: pulse)
    }.flatMap { $0 }
  }
}
