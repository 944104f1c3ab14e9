// Whole blocks go: depth pruning. A block that is gone passes the residual stream on as it is,  x^{l+1} = x^l.

/// How many blocks are to go.
package enum Depth: Sendable, Equatable {
  case count(Int)
  /// The number whose parameters come nearest to this many; of two equally near, the larger.
  case parameters(Double)
  /// All with a score up to this one.
  case threshold(Double)
}

/// Why no blocks could be chosen.
package enum BlockSelectionError: Error, Equatable, CustomStringConvertible {
  case tooMany(Int, candidates: Int, blocks: Int)
  case noneLeft(of: Int)
  case notTheWindow(count: Int, span: Int)

  package var description: String {
    switch self {
    case .tooMany(let count, let candidates, let blocks) where candidates < blocks:
      "\(count) blocks cannot go: what is protected or was not ranked leaves \(candidates) of \(blocks)"
    case .tooMany(let count, _, let blocks): "\(count) of \(blocks) blocks cannot go; at least one must stay"
    case .noneLeft(let blocks): "all \(blocks) would go; at least one must stay"
    case .notTheWindow(let count, let span):
      "the scores rank windows of \(span) blocks, which go together; \(count) of them is another number"
    }
  }
}

/// The blocks that go, in the order (score, index).
///
/// - Parameters:
///   - scores: one per block, higher = keep; NaN for a block that is gone already, infinite for one that was not ranked.
///   - parameters: of each block.
///   - protected: blocks that stay.
package func selectBlocks(
  _ depth: Depth, scores: [Double], parameters: [Int], protected: Set<Int> = []
) throws -> [Int] {
  let blocks = scores.count { !$0.isNaN }
  let order = scores.indices.filter { scores[$0].isFinite && !protected.contains($0) }
    .sorted { (scores[$0], $0) < (scores[$1], $1) }
  let count: Int
  switch depth {
  case .count(let wanted): count = wanted
  case .threshold(let level): count = order.count { scores[$0] <= level }
  case .parameters(let target): count = try nearest(order.map { Double(parameters[$0]) }, to: target, of: blocks)
  }
  guard count <= order.count else {
    throw BlockSelectionError.tooMany(count, candidates: order.count, blocks: blocks)
  }
  guard count < blocks else { throw BlockSelectionError.noneLeft(of: blocks) }
  return Array(order.prefix(count))
}

/// How many leading sizes add up to the number nearest to `target`.
private func nearest(_ sizes: [Double], to target: Double, of blocks: Int) throws -> Int {
  var (sum, count) = (0.0, 0)
  for size in sizes {
    if abs(sum + size - target) > abs(sum - target) { break }
    sum += size
    count += 1
  }
  // More than half of another block is wanted and not to be had.
  if count == sizes.count, let last = sizes.last, target - sum > last / 2 {
    throw BlockSelectionError.tooMany(count + 1, candidates: sizes.count, blocks: blocks)
  }
  return count
}

/// SLEB (Song et al. 2024), Algorithm 1: the block whose absence harms least goes, then the next, judged without the
/// first, and so on. Of equals the first goes.
///
/// - Parameters:
///   - blocks: those there are.
///   - spares: whether the first and the last of those left stay.
///   - losses: the loss without each of the second list, once the first list is gone.
/// - Returns: the blocks in the order in which they go.
package func greedyBlockRemoval(
  of blocks: [Int], count: Int, sparingEnds spares: Bool, after done: [Int] = [],
  losses: (_ gone: [Int], _ candidates: [Int]) throws -> [Double]
) rethrows -> [Int] {
  var gone = done
  while gone.count < count {
    let left = blocks.filter { !gone.contains($0) }
    let candidates = spares ? Array(left.dropFirst().dropLast()) : left
    let found = try losses(gone, candidates)
    guard let least = candidates.indices.min(by: { found[$0] < found[$1] }) else { break }
    gone.append(candidates[least])
  }
  return gone
}

/// Scores of windows of `span` blocks as scores of the blocks: each has that of the lowest window it is in, so that the
/// `span` lowest blocks are the lowest window (LLM-Streamline, Chen et al. 2025).
///
/// - Parameter windows: the score of blocks l … l + span - 1, for l = 0 … L - span.
package func scoresOfBlocks(inWindows windows: [Double], span: Int) -> [Double] {
  (0..<windows.count + span - 1).map { block in
    (max(0, block - span + 1)...min(block, windows.count - 1)).map { windows[$0] }.min() ?? .infinity
  }
}
