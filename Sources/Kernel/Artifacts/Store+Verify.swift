import Foundation

// Making a finished step again to see whether it comes out the same.

/// How a step made again compares with the object in the store.
public struct Verification: Sendable, Equatable {
  /// The files are the same, byte for byte.
  public var isIdentical: Bool
  /// The payloads are the same; files can still differ when another build of HDF5 or zlib wrote them.
  public var isSameContent: Bool
  /// The parts that differ, with the largest difference of numbers; infinite where types, shapes or texts differ.
  public var differences: [String: Double]

  public init(isIdentical: Bool, isSameContent: Bool, differences: [String: Double]) {
    self.isIdentical = isIdentical
    self.isSameContent = isSameContent
    self.differences = differences
  }
}

extension Store {
  /// Runs a step again, publishing nothing.
  /// - Throws: `Diagnostic` when the object is missing, or what the step throws.
  public func verify(_ recipe: StepRecipe, observer: any StepObserver) throws -> Verification {
    var recipe = recipe
    // Checkpoints would bring back what the first run computed.
    recipe.isFresh = true
    guard try find(recipe.key) != nil else { throw StoreFailure.missingObject(key: recipe.key).diagnostic }
    do {
      let verifier = Verifier(store: self)
      let context = StepContext(store: self, recipe: recipe, observer: observer, verifier: verifier)
      defer { context.removeScratch() }
      let value = try recipe.run(context)
      try verifier.compare(
        value, try record(recipe, summary: value.summary, warnings: context.warnings), part: nil)
      return verifier.result
    } catch let error as any Explained { throw error.diagnostic }
  }
}

/// Writes values again under temporary names and compares them with the objects of their keys.
final class Verifier {
  private let store: Store
  private(set) var result = Verification(isIdentical: true, isSameContent: true, differences: [:])

  init(store: Store) { self.store = store }

  /// - Parameter part: the part of the step's value this is; nil for the value itself.
  func compare(_ value: any Artifact, _ record: ObjectRecord, part: String?) throws {
    let temporary = store.temporaryPath(record.key + "-verify")
    defer { Files.remove(temporary) }
    _ = try store.write(to: temporary) { writer in
      try value.write(to: writer)
      return try writer.finish(record)
    }
    let path = store.objectPath(record.key)
    if try Sources.hash(of: temporary) == Sources.hash(of: path) { return }
    result.isIdentical = false
    let (old, new) = (try HDF5File(reading: path), try HDF5File(reading: temporary))
    if try old.attribute("prn_content") == new.attribute("prn_content") { return }
    result.isSameContent = false
    let inside = part.map { $0 + "/" } ?? ""
    let paths = Set(try old.datasets() + new.datasets()).filter {
      !$0.hasPrefix("provenance/") && !$0.hasPrefix("preview/")
    }
    for path in paths {
      let largest = try largestDifference(path, old, new)
      if largest != 0 { result.differences[inside + path] = largest }
    }
  }

  private func largestDifference(_ path: String, _ old: HDF5File, _ new: HDF5File) throws -> Double {
    guard try old.has(path), try new.has(path) else { return .infinity }
    let (a, b) = (try old.describe(path), try new.describe(path))
    guard a == b else { return .infinity }
    switch a.type {
    case .float32: return try largest(path, a, Float(0), old, new) { Double($0) }
    case .float64: return try largest(path, a, Double(0), old, new) { $0 }
    case .int32: return try largest(path, a, Int32(0), old, new) { Double($0) }
    case .int64: return try largest(path, a, Int64(0), old, new) { Double($0) }
    case .uint8: return try largest(path, a, UInt8(0), old, new) { Double($0) }
    case .string: return try ObjectReader.text(path, in: old) == ObjectReader.text(path, in: new) ? 0 : .infinity
    }
  }

  private func largest<E: ArtifactElement & Equatable>(
    _ path: String, _ shape: DatasetShape, _ zero: E, _ old: HDF5File, _ new: HDF5File, _ number: (E) -> Double
  ) throws -> Double {
    func values(_ file: HDF5File) throws -> [E] {
      var values = [E](repeating: zero, count: shape.count)
      try values.withUnsafeMutableBytes { try file.read(path, type: shape.type, into: $0) }
      return values
    }
    var largest = 0.0
    for (a, b) in zip(try values(old), try values(new)) where a != b {
      let difference = abs(number(a) - number(b))
      // Two NaNs are the same result.
      if number(a).isNaN && number(b).isNaN { continue }
      largest = max(largest, difference.isNaN ? .infinity : difference)
    }
    return largest
  }
}
