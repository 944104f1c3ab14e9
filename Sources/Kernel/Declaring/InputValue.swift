/// What an input can be: an artifact, an optional one, one of two kinds, or many.
public protocol InputValue {
  static var accepts: [ArtifactType] { get }
  static var arity: InputArity { get }
  /// Whether the result depends on labels or sweep coordinates, which then enter the step key.
  static var isLabelled: Bool { get }
  /// Whether a sweep cell that failed may stand among the values, as nil.
  static var allowsMissing: Bool { get }
  init(_ inputs: [BoundInput]) throws
}

extension InputValue {
  public static var isLabelled: Bool { false }
  public static var allowsMissing: Bool { false }
}

public enum InputArity: Sendable { case one, optional, many }

/// `Artifact` types become inputs through this: `extension Scores: SingleInput {}` is not needed, every artifact conforms
/// by declaring `InputValue` and taking the default below.
extension InputValue where Self: Artifact {
  public static var accepts: [ArtifactType] { [type] }
  public static var arity: InputArity { .one }
  public init(_ inputs: [BoundInput]) throws { self = try loaded(inputs, 0) }
}

extension Optional: InputValue where Wrapped: InputValue {
  public static var accepts: [ArtifactType] { Wrapped.accepts }
  public static var arity: InputArity { .optional }
  public static var isLabelled: Bool { Wrapped.isLabelled }
  public static var allowsMissing: Bool { true }
  public init(_ inputs: [BoundInput]) throws {
    self = inputs.first.map { $0.failure != nil } ?? true ? nil : try Wrapped(inputs)
  }
}

extension Array: InputValue where Element: InputValue {
  public static var accepts: [ArtifactType] { Element.accepts }
  public static var arity: InputArity { .many }
  public static var isLabelled: Bool { Element.isLabelled }
  public static var allowsMissing: Bool { Element.allowsMissing }
  public init(_ inputs: [BoundInput]) throws { self = try inputs.map { try Element([$0]) } }
}

/// Many artifacts with the labels or sweep coordinates they came with.
public struct Labelled<Value: InputValue>: InputValue {
  public let label: String?
  public let coordinates: [(name: String, value: Literal)]
  public let value: Value
  /// Hash of what the value holds, once it is there.
  public let content: String?
  /// Why `value` is missing, when it may be (`Labelled<Report?>`) and its sweep cell failed.
  public let failure: String?
  public static var accepts: [ArtifactType] { Value.accepts }
  public static var arity: InputArity { .one }
  public static var isLabelled: Bool { true }
  public static var allowsMissing: Bool { Value.allowsMissing }
  public init(_ inputs: [BoundInput]) throws {
    label = inputs.first?.label
    coordinates = inputs.first?.coordinates ?? []
    failure = inputs.first?.failure
    content = inputs.first?.handle?.reference.content
    value = try Value(inputs)
  }
}

/// One of two artifact types.
public enum Either<A: InputValue & Artifact, B: InputValue & Artifact>: InputValue {
  case first(A)
  case second(B)
  public static var accepts: [ArtifactType] { A.accepts + B.accepts }
  public static var arity: InputArity { .one }
  public init(_ inputs: [BoundInput]) throws {
    if inputs.first?.type.name == A.type.name {
      self = .first(try A(inputs))
    } else {
      self = .second(try B(inputs))
    }
  }
}

func loaded<A: Artifact>(_ inputs: [BoundInput], _ index: Int) throws -> A {
  guard inputs.indices.contains(index), let value = try inputs[index].handle?.load() as? A else {
    throw Diagnostic("an input of type \(A.type.name) could not be read from the store", kind: .store)
  }
  return value
}
