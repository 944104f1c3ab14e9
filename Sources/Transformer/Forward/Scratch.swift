import Numerics
import Synchronization

/// Memory that is used again for every batch. A matrix from here is overwritten by the next request for the same use.
final class Scratch {
  enum Use: Hashable {
    case normalized, residual, gate, scattered, branchOutput, turned, unsliced
    case unnormalized(LinearRole)
    case projected(Module), mixed(Module)
    case unnormalizedGradient, branchOutputGradient
    case normalizedGradient, projectedGradient, mixedGradient, scatteredGradient
    case logits, headWeights
    case kept(Site), received
  }

  private final class Buffer {
    let numbers: Matrix<Float>
    init(count: Int) { numbers = Matrix(rows: 1, columns: count) }
  }

  private var buffers: [Use: Buffer] = [:]
  let scores = ScorePool()

  /// `rows × columns` numbers with arbitrary content.
  func matrix(_ use: Use, _ rows: Int, _ columns: Int) -> Matrix<Float> {
    let buffer: Buffer
    if let found = buffers[use], found.numbers.columns >= rows * columns {
      buffer = found
    } else {
      buffer = Buffer(count: max(rows * columns, 1))
      buffers[use] = buffer
    }
    return buffer.numbers.withUnsafeMutablePointer { pointer, _ in
      Matrix(borrowing: pointer, rows: rows, columns: columns, from: buffer)
    }
  }
}

/// Score matrices for attention, one per task that runs at the moment.
final class ScorePool: Sendable {
  private let free = Mutex<[Matrix<Float>]>([])

  /// `body` gets a matrix of `rows × columns` with arbitrary content.
  func withMatrix(_ rows: Int, _ columns: Int, _ body: (Matrix<Float>) -> Void) {
    let found = free.withLock { $0.popLast() }
    let store =
      found.flatMap { $0.rows >= rows && $0.columns >= columns ? $0 : nil }
      ?? Matrix(rows: max(rows, found?.rows ?? 0), columns: max(columns, found?.columns ?? 0))
    body(store.rows(0..<rows).columns(0..<columns))
    free.withLock { $0.append(store) }
  }
}
