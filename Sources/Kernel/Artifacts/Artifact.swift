/// What kind of value an artifact file holds, and which version of its layout.
public struct ArtifactType: Sendable, Hashable {
  public let name: String
  public let version: Int
  public init(_ name: String, version: Int = 1) {
    self.name = name
    self.version = version
  }
}

/// A value of the language: what one step produces and one HDF5 file holds. Immutable.
public protocol Artifact: Sendable {
  static var type: ArtifactType { get }
  /// Properties of a value that are known before anything runs: which sites a capture keeps, how scores were weighted.
  /// An op returns those of its result from `check`; consumers read them in their own `check`.
  associatedtype Facts: Codable & Sendable = NoFacts
  /// Its shape in a few words, for the line after a statement: "8 layers x 704 neurons, 20.0% removed".
  var summary: String { get }
  /// The names usable as `x.name`, with a one-line meaning each.
  static var fields: [String: String] { get }
  /// The value of `x.name`, nil when this value has none (a report without that metric).
  func field(_ name: String) -> Literal?
  /// Writes the whole payload. Deterministic: equal values write equal bytes.
  func write(to writer: any ArtifactWriter) throws
  /// Reads what `write` wrote; large parts may be read later through the reader, which stays valid.
  init(from reader: any ArtifactReader) throws
}

extension Artifact {
  public static var fields: [String: String] { [:] }
  public func field(_ name: String) -> Literal? { nil }
}

/// The number types an artifact file holds.
public protocol ArtifactElement: Sendable, BitwiseCopyable {}
extension Float: ArtifactElement {}
extension Double: ArtifactElement {}
extension Int32: ArtifactElement {}
extension Int64: ArtifactElement {}
extension UInt8: ArtifactElement {}

/// Where an artifact puts its payload. Paths are like "delta/layer_00/bias"; groups are made as needed.
/// Axes are names; an axis named in several datasets is one dimension scale.
public protocol ArtifactWriter: AnyObject {
  /// A root attribute (short text or number), part of the value.
  func attribute(_ name: String, _ value: JSONValue) throws
  /// A root attribute that tells how the value came about (the rate that was asked for) and is not part of it: values
  /// that differ only in notes are equal, and steps that use them need not run again.
  func note(_ name: String, _ value: JSONValue) throws
  /// A whole numeric array, row-major, one name per axis.
  func array<E: ArtifactElement>(
    _ path: String, _ values: UnsafeBufferPointer<E>, shape: [Int], axes: [String], meaning: String?, units: String?)
    throws
  /// The values along an axis (layer numbers, token ids); without it the axis counts from 0.
  func scale(_ axis: String, _ values: [Int64], meaning: String?) throws
  /// A list of ASCII or UTF-8 strings along one axis.
  func strings(_ path: String, _ values: [String], axis: String) throws
  /// One text of any length (JSON, a protocol).
  func text(_ path: String, _ value: String) throws
  /// Extra attributes of a dataset already written, such as `flag_meanings`.
  func annotate(_ path: String, _ name: String, _ value: JSONValue) throws
  /// The default plot of the file: at most 4096 points, 1-D or 2-D.
  func preview(title: String, signal: [Float], shape: [Int], axes: [(name: String, values: [Float])]) throws
  /// Another object this one is made of and must be kept with.
  func child(_ child: ArtifactReference) throws
}

extension ArtifactWriter {
  public func array<E: ArtifactElement>(
    _ path: String, _ values: [E], shape: [Int], axes: [String], meaning: String? = nil, units: String? = nil
  ) throws {
    try values.withUnsafeBufferPointer {
      try array(path, $0, shape: shape, axes: axes, meaning: meaning, units: units)
    }
  }
  /// A vector along one axis.
  public func vector<E: ArtifactElement>(
    _ path: String, _ values: [E], axis: String, meaning: String? = nil, units: String? = nil
  ) throws {
    try array(path, values, shape: [values.count], axes: [axis], meaning: meaning, units: units)
  }
}

/// The payload of a finished artifact.
public protocol ArtifactReader: AnyObject, Sendable {
  func attribute(_ name: String) throws -> JSONValue
  /// Whether the payload has a dataset of this name.
  func has(_ path: String) -> Bool
  func shape(_ path: String) throws -> [Int]
  /// The whole array, row-major.
  func array<E: ArtifactElement>(_ path: String, as: E.Type) throws -> [E]
  /// Rows `rows` of the first axis, row-major, into `destination`.
  func read<E: ArtifactElement>(_ path: String, rows: Range<Int>, into destination: UnsafeMutableBufferPointer<E>)
    throws
  func strings(_ path: String) throws -> [String]
  func text(_ path: String) throws -> String
  /// The children in the order in which they were written.
  var children: [ArtifactReference] { get throws }
  func open(_ child: ArtifactReference) throws -> any ArtifactReader
  /// Where an external file or folder with this content was last seen.
  func source(content: String) throws -> String
}

/// An object of the store by key, with the hash of its payload.
public struct ArtifactReference: Sendable, Hashable {
  public let key: String
  public let content: String
  public init(key: String, content: String) {
    self.key = key
    self.content = content
  }
}

/// A finished value of the session: its identity at hand, its payload read when first asked for.
public final class ArtifactHandle: Sendable {
  public let type: ArtifactType
  public let reference: ArtifactReference
  public let facts: RecordedFacts
  private let loader: @Sendable () throws -> any Artifact

  public init(
    type: ArtifactType, reference: ArtifactReference, facts: RecordedFacts,
    loader: @escaping @Sendable () throws -> any Artifact
  ) {
    self.type = type
    self.reference = reference
    self.facts = facts
    self.loader = loader
  }

  /// The value itself.
  public func load() throws -> any Artifact { try loader() }
}
