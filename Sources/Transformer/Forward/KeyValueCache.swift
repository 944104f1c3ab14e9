import Numerics

/// The keys and values of a text so far, block by block, so that what follows passes the model without what is before it.
public final class KeyValueCache {
  /// Tokens that passed every block.
  public internal(set) var count = 0
  private let capacity: Int
  /// Of each block that was passed: capacity × (keys and values).
  private var layers: [Int: Matrix<Float>] = [:]

  /// - Parameter capacity: the most tokens it will hold.
  public init(capacity: Int) { self.capacity = capacity }

  /// Bytes that it comes to take for a model.
  public static func bytes(of model: LanguageModel, capacity: Int) -> Int {
    let configuration = model.configuration
    let columns = (0..<configuration.layers).reduce(0) {
      $0 + configuration.size(.keys, layer: $1) + configuration.size(.values, layer: $1)
    }
    return columns * capacity * MemoryLayout<Float>.stride
  }

  /// Keys and values of the text with those of its next tokens in one block.
  ///
  /// - Parameter own: tokens × (keys and values), keys rotated.
  func adding(_ own: Matrix<Float>, layer: Int) -> Matrix<Float> {
    precondition(count + own.rows <= capacity, "a cache of \(capacity) tokens for \(count + own.rows)")
    let all = layers[layer] ?? Matrix(rows: capacity, columns: own.columns)
    layers[layer] = all
    all.rows(count..<count + own.rows).assign(own)
    return all
  }
}
