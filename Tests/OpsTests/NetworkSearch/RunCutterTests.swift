import Numerics
import Testing

@testable import Ops
@testable import Transformer

@Suite struct RunCutterTests {
  /// The number of a token, and ten times it at the second site.
  private func tap(_ site: Site, _ rows: Range<Int>) -> Tap {
    let scale: Float = site == .up ? 10 : 1
    return Tap(
      layer: 0, site: site, rows: rows,
      values: Matrix(rows: rows.count, columns: 1, values: rows.map { scale * Float($0) }))
  }

  /// Batches that end within runs, on their edges, and hold several.
  @Test(arguments: [[3, 7, 9, 12], [12], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], [5, 12]])
  func runsArePutTogetherFromAnyBatches(_ ends: [Int]) throws {
    let runs = [0..<4, 5..<7, 7..<12]
    var found: [(Int, [[Float]])] = []
    let cutter = RunCutter(sites: [.gate, .up], runs: runs) { run, signals in
      found.append((run, signals.map(\.values)))
    }
    var start = 0
    for end in ends {
      try cutter.add(tap(.gate, start..<end))
      try cutter.add(tap(.up, start..<end))
      start = end
    }
    #expect(found.map(\.0) == [0, 1, 2])
    for (run, signals) in found {
      #expect(signals == [runs[run].map(Float.init), runs[run].map { 10 * Float($0) }])
    }
  }
}
