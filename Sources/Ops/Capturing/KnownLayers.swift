import Kernel

// The number of layers of a model travels with the facts of everything made from it, so that positions among layers are
// checked before anything runs.

extension Facts {
  /// These facts and the number of layers that `other` knows, if it does.
  func withLayers(of other: Facts?) -> Facts {
    guard let layers = other?["layers"] else { return self }
    return merging(["layers": layers]) { first, _ in first }
  }
}

extension Positions {
  /// The positions among `count` layers.
  /// - Throws: `Diagnostic` naming the one that does not exist, and `parameter`.
  func layers(of count: Int, for parameter: String) throws -> [Int] {
    do { return try resolved(count: count) } catch var problem as Diagnostic {
      problem.argument = parameter
      throw problem
    }
  }

  /// Checks positions among the layers of a model that `facts` may know.
  func checkLayers(_ facts: Facts?, for parameter: String) throws {
    if let count = facts?["layers"]?.intValue { _ = try layers(of: count, for: parameter) }
  }
}
