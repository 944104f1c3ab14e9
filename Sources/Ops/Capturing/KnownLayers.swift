import Kernel

extension Positions {
  /// The positions among `count` layers.
  /// - Throws: `Diagnostic` naming the one that does not exist, and `parameter`.
  func layers(of count: Int, for parameter: String) throws -> [Int] {
    do { return try resolved(count: count) } catch var problem as Diagnostic {
      problem.argument = parameter
      throw problem
    }
  }

  /// As `layers`, and all of them where none is named.
  func layersOrAll(of count: Int, for parameter: String) throws -> [Int] {
    ranges.isEmpty ? Array(0..<count) : try layers(of: count, for: parameter)
  }

  /// Checks them before anything runs, if the number of layers is known by then.
  func check(among count: Int?, for parameter: String) throws {
    if let count { _ = try layers(of: count, for: parameter) }
  }
}
