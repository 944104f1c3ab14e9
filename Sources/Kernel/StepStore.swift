/// Where finished values live, as the interpreter sees it: found by step key, made and published, named, recorded.
/// The interpreter computes keys and facts; everything about files is the store's.
public protocol StepStore: AnyObject {
  /// The finished value of the step with this key, without reading its payload; nil when there is none
  /// (never made, collected, or found damaged and set aside).
  func find(_ key: String) throws -> StoredStep?
  /// Runs the step and publishes its value. When another process is making the same key, waits for it.
  /// An existing object of this key is replaced only when `recipe.isFresh`.
  /// - Throws: what `recipe.run` throws; `Diagnostic` of kind `store` when publishing fails.
  func perform(_ recipe: StepRecipe, observer: any StepObserver) throws -> StoredStep
  /// The file or folder at `path` (absolute, or relative to the working directory) with its content hash, which is cached
  /// by path, size, modification time and inode.
  /// - Parameter files: for a folder, the name patterns that count as content; empty for a plain file.
  func external(_ path: String, files: [String]) throws -> ExternalFile

  /// The names bound in the workspace, in any session.
  func names() throws -> [String]
  /// The value `name` is bound to, or was bound to `back` bindings ago. Nil when there is none.
  func value(named name: String, back: Int) throws -> ArtifactHandle?
  /// The keys `name` was bound to, oldest first, whether or not the objects are there.
  func keys(of name: String) throws -> [String]
  /// Binds a name to a finished value.
  func bind(_ name: String, to reference: ArtifactReference) throws
  /// Appends one entry to the journal of this process (the store adds time, host and process).
  func record(_ entry: [String: JSONValue]) throws

  /// The smallest of the numbers that those have who compute the step together.
  func agreed(_ number: Int) throws -> Int

  /// Bytes of memory a step may use.
  var memoryLimit: Int { get }
  /// Bytes free on the store's disk.
  func freeDisk() throws -> Int
}

extension StepStore {
  public func agreed(_ number: Int) throws -> Int { number }
}

/// A finished step as the store knows it without reading the payload.
public struct StoredStep: Sendable {
  public var handle: ArtifactHandle
  /// The value's `summary`, kept with the object.
  public var summary: String
  /// What was warned of while it was made.
  public var warnings: [String]
  /// What computing it last took, wall clock; nil when no journal tells.
  public var seconds: Double?
  /// Bytes on disk, children included.
  public var bytes: Int

  public init(handle: ArtifactHandle, summary: String, warnings: [String] = [], seconds: Double?, bytes: Int) {
    self.handle = handle
    self.summary = summary
    self.warnings = warnings
    self.seconds = seconds
    self.bytes = bytes
  }
}

/// Everything the store needs to run one step and to write down how its value was made.
public struct StepRecipe {
  /// SHA-256 (hex) of `record.canonical`.
  public var key: String
  /// `{op, revision, parameters, inputs}` and the conditions of the catalog; `inputs` maps input names to lists of content hashes.
  public var record: JSONValue
  public var op: String
  public var revision: Int
  /// Parameters after defaults, canonical.
  public var parameters: [String: JSONValue]
  public var inputs: [ArtifactReference]
  public var externals: [ExternalFile]
  public var outputType: any Artifact.Type
  /// What `check` said about the result; kept with the object and given back by `ArtifactHandle.facts`.
  public var facts: RecordedFacts
  /// The call on one line with short input hashes: `flap 3fa91c02 metric=wifv`. Pure ASCII.
  public var call: String
  public var estimate: Resources
  /// Recompute and replace, whatever the store has (`--fresh`); checkpoints are not used.
  public var isFresh: Bool
  /// File and line of the statement, for the journal.
  public var place: String?
  /// Runs the op; inputs are loaded already.
  public var run: (any RunContext) throws -> any Artifact

  /// Whether another run gives the same; what is measured of the machine has a number drawn for it in its record.
  var isRepeatable: Bool { record["taken"] == nil }

  package init(
    key: String, record: JSONValue, op: String, revision: Int, parameters: [String: JSONValue],
    inputs: [ArtifactReference], externals: [ExternalFile], outputType: any Artifact.Type, facts: RecordedFacts,
    call: String,
    estimate: Resources, isFresh: Bool, place: String?, run: @escaping (any RunContext) throws -> any Artifact
  ) {
    self.key = key
    self.record = record
    self.op = op
    self.revision = revision
    self.parameters = parameters
    self.inputs = inputs
    self.externals = externals
    self.outputType = outputType
    self.facts = facts
    self.call = call
    self.estimate = estimate
    self.isFresh = isFresh
    self.place = place
    self.run = run
  }
}

/// Hears what happens while a step runs, and can stop it.
public protocol StepObserver: AnyObject {
  func progress(_ done: Int, of total: Int, _ unit: String)
  func resumed(at done: Int, of total: Int, _ unit: String)
  func warned(_ sentence: String)
  /// Another process is making the same value.
  func waiting(forProcess pid: Int)
  /// Polled by `RunContext.progress`; true stops the step with a `Diagnostic` of kind `cancelled`.
  var isCancelled: Bool { get }
}

/// Tells nobody: of what takes no time, such as linking cells, and of work on a later step.
final class Unheard: StepObserver {
  private let stops: () -> Bool
  init(_ stops: @escaping () -> Bool) { self.stops = stops }

  func progress(_ done: Int, of total: Int, _ unit: String) {}
  func resumed(at done: Int, of total: Int, _ unit: String) {}
  func warned(_ sentence: String) {}
  func waiting(forProcess pid: Int) {}
  var isCancelled: Bool { stops() }
}
