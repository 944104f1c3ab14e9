import Ranks

/// The store of a run that several ranks share. Rank 0 finds, publishes, names and writes down. The others compute the same
/// steps beside it; what there is, and what is to be made, they learn from it, so that all go the same way.
public final class RankedStore: StepStore {
  private let store: Store
  private let ranks: any Communicator
  /// Whether rank 0 makes what the others only wait for.
  private var isAlone = false

  public init(_ store: Store, _ ranks: any Communicator) {
    self.store = store
    self.ranks = ranks
    if !ranks.isFirst { store.options.remembersSources = false }
  }

  public func find(_ key: String) throws -> StoredStep? {
    if isAlone { return try store.find(key) }
    let found = ranks.isFirst ? try store.find(key) : nil
    let answer = try ranks.share(found?.handle.reference.key ?? "", from: 0)
    return try ranks.isFirst ? found : answer.isEmpty ? nil : known(answer)
  }

  /// What rank 0 says there is.
  private func known(_ key: String) throws -> StoredStep {
    if let found = try store.find(key) { return found }
    throw Diagnostic(
      "rank \(ranks.rank) does not see the object \(key.prefix(12)) that rank 0 has",
      hint: "all ranks need the same workspace, on a disk that all see", kind: .store)
  }

  public func perform(_ recipe: StepRecipe, observer: any StepObserver) throws -> StoredStep {
    try ranks.isFirst ? lead(recipe, observer) : follow(recipe, observer)
  }

  /// Says that the step runs, if it does, and at the end what came of it.
  private func lead(_ recipe: StepRecipe, _ observer: any StepObserver) throws -> StoredStep {
    var led = recipe
    led.run = { [self] context in
      // What is measured of the machine, others would disturb.
      isAlone = !recipe.isRepeatable
      defer { isAlone = false }
      if isAlone { return try recipe.run(context) }
      _ = try ranks.share("run \(recipe.key)", from: 0)
      let shared = RankedContext(context, ranks)
      let value = try recipe.run(shared)
      try shared.shareWarnings()
      return value
    }
    let done = try store.perform(led, observer: observer)
    _ = try ranks.share("done \(done.handle.reference.key)", from: 0)
    return done
  }

  private func follow(_ recipe: StepRecipe, _ observer: any StepObserver) throws -> StoredStep {
    var word = try ranks.share("", from: 0).split(separator: " ")
    if word.first == "run" {
      guard word.last == Substring(recipe.key) else {
        throw Diagnostic(
          "rank \(ranks.rank) is at another step than rank 0: `\(recipe.op)`",
          hint: "all ranks need the same program, script and inputs")
      }
      let own = StepContext(store: store, recipe: recipe, observer: observer)
      defer { own.removeScratch() }
      let shared = RankedContext(own, ranks)
      _ = try recipe.run(shared)
      try shared.shareWarnings()
      word = try ranks.share("", from: 0).split(separator: " ")
    }
    return try known(String(word.last ?? ""))
  }

  /// Every rank reads what is outside by itself, and it must be the same.
  public func external(_ path: String, files: [String]) throws -> ExternalFile {
    if isAlone || ranks.isFirst {
      let file = try store.external(path, files: files)
      if !isAlone { _ = try ranks.share(file.content, from: 0) }
      return file
    }
    // After rank 0, which writes down the hashes.
    let content = try ranks.share("", from: 0)
    let file = try store.external(path, files: files)
    guard file.content == content else {
      throw Diagnostic("rank \(ranks.rank) sees another \(path) than rank 0", kind: .usage)
    }
    return file
  }

  public func agreed(_ number: Int) throws -> Int {
    try ranks.all(String(number)).compactMap { Int($0) }.reduce(number, min)
  }

  // A script sees no names but its own.
  public func names() throws -> [String] { [] }
  public func value(named name: String, back: Int) throws -> ArtifactHandle? { nil }
  public func keys(of name: String) throws -> [String] { [] }

  public func bind(_ name: String, to reference: ArtifactReference) throws {
    if ranks.isFirst { try store.bind(name, to: reference) }
  }

  public func record(_ entry: [String: JSONValue]) throws {
    if ranks.isFirst { try store.record(entry) }
  }

  public var memoryLimit: Int { store.memoryLimit }
  public func freeDisk() throws -> Int { try store.freeDisk() }
}

/// What a step that several ranks compute has of its surroundings: rank 0 decides what was there and what is kept.
final class RankedContext: RunContext {
  private let own: any RunContext
  let ranks: any Communicator
  private var warnings: Set<String> = []

  init(_ own: any RunContext, _ ranks: any Communicator) {
    self.own = own
    self.ranks = ranks
  }

  func progress(_ done: Int, of total: Int, _ unit: String) throws { try own.progress(done, of: total, unit) }
  func checkCancelled() throws { try own.checkCancelled() }
  func resumed(at done: Int, of total: Int, _ unit: String) { own.resumed(at: done, of: total, unit) }

  func warn(_ sentence: String) {
    warnings.insert(sentence)
    own.warn(sentence)
  }

  /// A rank may have warned of its part of the work alone; the result tells what any of them warned of.
  func shareWarnings() throws {
    let text = JSONValue.array(warnings.sorted().map(JSONValue.string)).canonical
    for other in try ranks.all(text) {
      try JSONValue(parsing: other).arrayValue?.compactMap(\.stringValue).forEach(own.warn)
    }
  }

  func checkpoint(_ name: String, _ write: (any ArtifactWriter) throws -> Void) throws -> Bool {
    try ranks.isFirst && own.checkpoint(name, write)
  }

  func checkpoint(named name: String) throws -> (any ArtifactReader)? {
    let saved = ranks.isFirst ? try own.checkpoint(named: name) : nil
    guard try ranks.share(saved == nil ? "" : "saved", from: 0) == "saved" else { return nil }
    let found = try saved ?? own.checkpoint(named: name)
    // It stays until every rank has it open.
    try ranks.wait()
    if let found { return found }
    throw Diagnostic(
      "rank \(ranks.rank) does not see the checkpoint \(name) that rank 0 has",
      hint: "all ranks need the same workspace, on a disk that all see", kind: .store)
  }

  func discardCheckpoint(_ name: String) {
    if ranks.isFirst { own.discardCheckpoint(name) }
  }

  func child<A: Artifact>(
    _ type: A.Type, part: String, parameters: [String: JSONValue], make: () throws -> A
  ) throws -> ArtifactReference {
    if ranks.isFirst {
      let reference = try own.child(type, part: part, parameters: parameters) {
        _ = try ranks.share("make", from: 0)
        return try make()
      }
      _ = try ranks.share(reference.shared, from: 0)
      return reference
    }
    let word = try ranks.share("", from: 0)
    guard word == "make" else { return try ArtifactReference(shared: word) ?? missing(part) }
    _ = try make()
    return try ArtifactReference(shared: ranks.share("", from: 0)) ?? missing(part)
  }

  func existingChild(part: String, parameters: [String: JSONValue]) throws -> ArtifactReference? {
    if ranks.isFirst {
      let found = try own.existingChild(part: part, parameters: parameters)
      _ = try ranks.share(found?.shared ?? "", from: 0)
      return found
    }
    return ArtifactReference(shared: try ranks.share("", from: 0))
  }

  func beside(_ recipe: StepRecipe) -> (any RunContext)? { own.beside(recipe).map { RankedContext($0, ranks) } }

  private func missing(_ part: String) throws -> ArtifactReference {
    throw Diagnostic("rank 0 did not say what it made of the part \(part)")
  }

  var open: @Sendable (ArtifactReference) throws -> any ArtifactReader { own.open }

  func line(of reference: ArtifactReference, through input: String) throws -> [String] {
    try own.line(of: reference, through: input)
  }

  var memoryLimit: Int { own.memoryLimit }
  var scratch: String { own.scratch }
}

extension ArtifactReference {
  /// As ranks tell each other.
  fileprivate var shared: String { "\(key) \(content)" }

  fileprivate init?(shared text: String) {
    let words = text.split(separator: " ").map(String.init)
    guard words.count == 2 else { return nil }
    self.init(key: words[0], content: words[1])
  }
}
