import Ranks

/// An operation of the language, declared once: a struct whose wrapped properties are its signature.
///
///     struct FLAP: Op {
///       static let name = "flap"
///       ...
///       @Input("moments of attn.heads and ffn.act") var activations: Activations
///       @Param("how fluctuation becomes a score") var metric = Metric.wifv
///       func run(_ context: RunContext) throws -> Scores { ... }
///     }
///
/// Parsing, checking, help, completion, docs/ops.md, the step key and the negative tests all read that declaration.
/// A property's name is public language and part of the step key.
public protocol Op: SendableMetatype {
  associatedtype Output: Artifact
  static var name: String { get }
  /// One sentence ending with a full stop.
  static var summary: String { get }
  /// Paper and section or equation; nil for what no paper defines.
  static var reference: String? { get }
  /// Raised by hand whenever the same inputs give another result.
  static var revision: Int { get }
  /// Whether the same inputs give the same result. What is measured of the machine does not: it is never taken from the
  /// store, and every time it is run it is another step.
  static var isRepeatable: Bool { get }
  /// Statements that run in a workspace where the bundled model is at hand.
  static var example: String { get }
  init()
  /// Looks at parameters and at the facts of inputs before anything runs; returns the facts of the result.
  func check() throws -> Output.Facts
  /// Parameters that mean nothing beside the others of this call: whatever they were given, the step records their
  /// defaults, so that calls with one result are one step.
  var idleParameters: Set<String> { get }
  /// What running would need, asked after the inputs are there and before `run`. Memory is what comes on top of the inputs
  /// and the program: never less than is used, and not much more. There is no default: an op that takes next to nothing says
  /// so.
  /// - Parameter limit: bytes of memory that the step may use, as `RunContext.memoryLimit` will say.
  func estimate(within limit: Int) throws -> Resources
  func run(_ context: RunContext) throws -> Output
}

extension Op {
  public static var reference: String? { nil }
  public static var revision: Int { 1 }
  public static var isRepeatable: Bool { true }
  public var idleParameters: Set<String> { [] }
}

extension Op where Output.Facts == NoFacts {
  public func check() throws -> NoFacts { NoFacts() }
}

/// What a step will need at its peak.
public struct Resources: Sendable, Equatable {
  public var memory: Int
  public var disk: Int
  public init(memory: Int = 0, disk: Int = 0) {
    self.memory = memory
    self.disk = disk
  }
}

/// What an op may ask of its surroundings while it runs.
public protocol RunContext: AnyObject {
  /// Reports that `done` of `total` units are finished, and stops the op when the user asked for it.
  /// Call it between chunks of work of at most 100 ms.
  /// - Throws: `Diagnostic` of kind `cancelled`.
  func progress(_ done: Int, of total: Int, _ unit: String) throws
  /// Like `progress` without anything to report.
  func checkCancelled() throws
  /// Something the user should know; shown, and kept with the artifact.
  func warn(_ sentence: String)
  /// A finished part of this step, kept until the step is done. A rerun after a crash finds it again.
  /// - Returns: whether it was saved: not when saving takes too large a share of the time.
  @discardableResult
  func checkpoint(_ name: String, _ write: (any ArtifactWriter) throws -> Void) throws -> Bool
  /// The part saved under `name` by an earlier, interrupted run.
  func checkpoint(named name: String) throws -> (any ArtifactReader)?
  /// Says that work goes on at `done` of `total` thanks to checkpoints.
  func resumed(at done: Int, of total: Int, _ unit: String)
  /// Drops a checkpoint that is no longer of use.
  func discardCheckpoint(_ name: String)
  /// A part of the result that is an artifact of its own: taken from the store when its key is known, else made and published.
  func child<A: Artifact>(
    _ type: A.Type, part: String, parameters: [String: JSONValue], make: () throws -> A
  ) throws -> ArtifactReference
  /// The child if it is in the store already.
  func existingChild(part: String, parameters: [String: JSONValue]) throws -> ArtifactReference?
  /// Opens an object of the store. A result may keep it: it holds the store, not the step.
  var open: @Sendable (ArtifactReference) throws -> any ArtifactReader { get }
  /// A value of the store and the values it was made from through one input of every step, newest first.
  func line(of reference: ArtifactReference, through input: String) throws -> [String]
  /// Bytes of memory the step may use.
  var memoryLimit: Int { get }
  /// A folder on the store's disk for spill files, emptied afterwards.
  var scratch: String { get }
  /// What a later step, of which this one does some work on its way, has of its surroundings; nil when the step only runs
  /// to be compared.
  func beside(_ recipe: StepRecipe) -> (any RunContext)?
  /// The processes that compute the step together, each all of it but for what walks and sums divide among them.
  var ranks: any Communicator { get }
}
