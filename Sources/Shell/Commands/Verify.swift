import Kernel

/// A store that, for one key, computes again what it has and compares instead of publishing.
final class VerifyingStore: StoreView {
  private let key: String
  private(set) var result: Verification?

  init(_ store: Store, key: String) {
    self.key = key
    super.init(store)
  }

  /// The key looks missing once, so that the session asks for the step to be performed.
  override func find(_ wanted: String) throws -> StoredStep? {
    wanted == key && result == nil ? nil : try store.find(wanted)
  }

  override func perform(_ recipe: StepRecipe, observer: any StepObserver) throws -> StoredStep {
    guard recipe.key == key else { return try store.perform(recipe, observer: observer) }
    result = try store.verify(recipe, observer: observer)
    guard let stored = try store.find(key) else {
      throw Diagnostic("the object \(key.prefix(12)) is gone", kind: .store)
    }
    return stored
  }
}

/// `prn verify NAME`: makes the value again from its lineage and says whether it is the same.
struct Verify {
  let store: Store
  let console: Console
  let catalog: Catalog
  let meta: MetaWords

  /// - Parameter text: how the value was named.
  /// - Returns: the exit code: 1 when the values differ.
  func run(_ handle: ArtifactHandle, _ text: String) throws -> Int32 {
    let name = BoundName(text)?.name ?? "value"
    guard handle.type == Sweep.type else { return try run(name, handle.reference.key) }
    // A sweep is what its cells are.
    let codes = try store.info(handle.reference.key).children.enumerated().map { try run("\(name)_\($0)", $1.key) }
    return codes.first { $0 != 0 } ?? 0
  }

  private func run(_ name: String, _ key: String) throws -> Int32 {
    for step in try store.ancestry(of: key).map(\.step) {
      guard let op = step["op"]?.stringValue, let signature = catalog.signature(op) else { continue }
      guard signature.isRepeatable else {
        throw Diagnostic("`\(name)` comes from `\(op)`, which measures anew each time", kind: .usage)
      }
      guard step["revision"] == .integer(signature.revision) else {
        throw Diagnostic(
          "`\(name)` was made by another revision of `\(op)` than the one this prn has", hint: "make it again")
      }
    }
    let script = try ReplayScript(store: store, catalog: catalog).text(of: key, name: name)
    let verifying = VerifyingStore(store, key: key)
    let session = Session(catalog: catalog, store: verifying, observer: console, meta: meta)
    let outcome = session.run(Source(name: "lineage of \(name)", text: script))
    if !outcome.diagnostics.isEmpty {
      console.report(outcome)
      return outcome.exitCode
    }
    guard let result = verifying.result else {
      throw Diagnostic("the lineage of `\(name)` leads to another step")
    }
    var rows: [(name: String, value: TableData.Cell)] = [
      ("content", .text(result.isSameContent ? "same" : "different")),
      ("bytes", .text(result.isIdentical ? "same" : "different")),
    ]
    for (part, difference) in result.differences.sorted(by: { $0.key < $1.key }) {
      rows.append((part, .number(difference)))
    }
    console.show(TableData(record: rows), name: name, showsAll: true)
    return result.isSameContent ? 0 : 1
  }
}
