import Numerics

/// How signals are put on one scale before networks are sought.
package enum SignalScale: String, Sendable, CaseIterable {
  /// Each column over all rows (the authors').
  case zscore
  /// Each column over the rows of each subject.
  case zscorePerSubject
  /// Means taken off, amplitudes kept.
  case center
}

/// Signals with a shift and a factor per column, applied when a tile is asked for.
package struct ScaledSignals: Sendable {
  /// T, tokens.
  package let rows: Int
  /// N.
  package let columns: Int
  /// Columns without variance, which are zero everywhere.
  package let dead: [Int]
  /// Columns of one tile; no tile crosses from one part into the next.
  let tiles: [Range<Int>]
  private let parts: [(signals: Matrix<Float>, start: Int)]
  private let blocks: [(rows: Range<Int>, mean: [Float], factor: [Float])]

  /// - Parameters:
  ///   - parts: T×n matrices, to be read side by side. Not copied.
  ///   - subjects: consecutive ranges of rows that belong together, for `zscorePerSubject`.
  package init(_ parts: [Matrix<Float>], scale: SignalScale = .zscore, subjects: [Range<Int>] = []) throws {
    let T = parts.first?.rows ?? 0
    precondition(parts.allSatisfy { $0.rows == T }, "signals of different lengths side by side")
    guard T >= 2 else { throw NetworkError.tooFewTokens(T) }
    rows = T
    var placed: [(signals: Matrix<Float>, start: Int)] = []
    var tiles: [Range<Int>] = []
    var N = 0
    for part in parts {
      placed.append((part, N))
      tiles += Parallel.ranges(part.columns, of: 1024).map { ($0.lowerBound + N)..<($0.upperBound + N) }
      N += part.columns
    }
    columns = N
    self.parts = placed
    self.tiles = tiles
    let ranges = scale == .zscorePerSubject && !subjects.isEmpty ? subjects : [0..<T]
    var isAlive = [Bool](repeating: false, count: N)
    blocks = try ranges.map { range in
      var (mean, sd): ([Double], [Double]) = ([], [])
      for part in parts {
        let moments = part.rows(range).columnMoments
        mean += moments.mean
        sd += moments.count > 1 ? moments.standardDeviation(ddof: 1) : moments.mean.map { _ in 0 }
      }
      if let bad = sd.firstIndex(where: { !$0.isFinite }) { throw NetworkError.notFinite(column: bad) }
      let least = 1e-8 * median(sd)
      for j in sd.indices where sd[j] > least { isAlive[j] = true }
      let factor = sd.map { $0 > least ? Float(scale == .center ? 1 : 1 / $0) : 0 }
      return (range, mean.map { Float($0) }, factor)
    }
    dead = isAlive.indices.filter { !isAlive[$0] }
    guard 2 * dead.count <= N else { throw NetworkError.mostlyConstant(constant: dead.count, columns: N) }
  }

  /// Z[rows, columns of one tile], new storage.
  func tile(_ columns: Range<Int>, rows wanted: Range<Int>? = nil) -> Matrix<Float> {
    let wanted = wanted ?? 0..<rows
    let result = Matrix<Float>(rows: wanted.count, columns: columns.count)
    guard let part = parts.last(where: { $0.start <= columns.lowerBound }) else { return result }
    let chunks = Parallel.ranges(wanted.count, of: 512)
    part.signals.withUnsafePointer { source, step in
      result.withUnsafeMutablePointer { target, width in
        nonisolated(unsafe) let (source, target) = (source, target)
        Parallel.forEach(chunks.count) { chunk in
          for block in blocks {
            let first = max(block.rows.lowerBound - wanted.lowerBound, chunks[chunk].lowerBound)
            let last = min(block.rows.upperBound - wanted.lowerBound, chunks[chunk].upperBound)
            guard first < last else { continue }
            block.mean.withUnsafeBufferPointer { mean in
              block.factor.withUnsafeBufferPointer { factor in
                for t in first..<last {
                  let from = source + (t + wanted.lowerBound) * step + (columns.lowerBound - part.start)
                  let to = target + t * width
                  for j in 0..<columns.count {
                    let column = columns.lowerBound + j
                    to[j] = (from[j] - mean[column]) * factor[column]
                  }
                }
              }
            }
          }
        }
      }
    }
    return result
  }
}

/// The signals of attention units: each feature of a head is put on one scale, and a head's signal is the mean of its
/// features.
///
/// - Parameters:
///   - H: T×(u·g·d), heads side by side; the input of the output projection.
///   - g: query heads of a unit.
///   - d: features of a head.
/// - Returns: g matrices T×u; the s-th has head s of every unit.
package func headSignals(
  _ H: Matrix<Float>, perUnit g: Int, size d: Int, scale: SignalScale = .zscore, subjects: [Range<Int>] = []
) throws -> [Matrix<Float>] {
  let Z = try ScaledSignals([H], scale: scale, subjects: subjects)
  let units = H.columns / (g * d)
  let signals = (0..<g).map { _ in Matrix<Float>(rows: H.rows, columns: units) }
  let average = Matrix<Float>(rows: d, columns: 1, values: [Float](repeating: 1 / Float(d), count: d))
  for head in 0..<(units * g) {
    multiply(
      Z.tile((head * d)..<((head + 1) * d)), average, into: signals[head % g].columns((head / g)..<(head / g + 1)))
  }
  return signals
}
