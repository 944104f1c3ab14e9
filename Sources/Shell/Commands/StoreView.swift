import Kernel

/// The store as it stands: what is there can be seen, and nothing is made, named or written down.
class StoreView: StepStore {
  let store: Store

  init(_ store: Store) { self.store = store }

  func find(_ key: String) throws -> StoredStep? { try store.find(key) }
  func perform(_ recipe: StepRecipe, observer: any StepObserver) throws -> StoredStep {
    throw Diagnostic("the result of `\(recipe.op)` is not in the store")
  }
  func external(_ path: String, files: [String]) throws -> ExternalFile { try store.external(path, files: files) }
  func names() throws -> [String] { [] }
  func value(named name: String, back: Int) throws -> ArtifactHandle? { nil }
  func keys(of name: String) throws -> [String] { [] }
  func bind(_ name: String, to reference: ArtifactReference) throws {}
  func record(_ entry: [String: JSONValue]) throws {}
  var memoryLimit: Int { store.memoryLimit }
  func freeDisk() throws -> Int { try store.freeDisk() }
}
