/// An external file or folder: named by path in the script, by content in the step key.
@propertyWrapper
public final class External {
  let meaning: String
  let files: [String]
  let further: @Sendable (String) -> [String]
  let takesFile: Bool
  let isPositional: Bool
  let isRequired: Bool
  let isList: Bool
  let advice: @Sendable (String) -> String?
  var bound: [ExternalFile] = []

  /// - Parameters:
  ///   - files: for a folder, the name patterns that count as content (`*.safetensors`); empty for a plain file.
  ///   - further: names that a folder's own files add to them, such as those in an index.
  ///   - orFile: whether a plain file may stand in place of the folder.
  ///   - advice: what helps when there is nothing at a path.
  public init(
    _ meaning: String, files: [String] = [], further: @escaping @Sendable (_ folder: String) -> [String] = { _ in [] },
    orFile: Bool = false, positional: Bool = true, required: Bool = true, list: Bool = false,
    advice: @escaping @Sendable (_ path: String) -> String? = { _ in nil }
  ) {
    self.meaning = meaning
    self.files = files
    self.further = further
    takesFile = orFile
    isPositional = positional
    isRequired = required
    isList = list
    self.advice = advice
  }

  public var wrappedValue: [ExternalFile] { bound }
}

/// A file or folder outside the store with the hash of what is in it.
public struct ExternalFile: Sendable, Hashable {
  public let path: String
  /// SHA-256 of the file; of a folder, over the names and hashes of the files that count.
  public let content: String
  public init(path: String, content: String) {
    self.path = path
    self.content = content
  }
}

/// A value an op works on: given by position, or by keyword when `named`.
@propertyWrapper
public final class Input<Value: InputValue> {
  let meaning: String
  let isNamed: Bool
  var handles: [BoundInput] = []
  private var value: Value?

  public init(_ meaning: String, named: Bool = false) {
    self.meaning = meaning
    isNamed = named
  }

  public var wrappedValue: Value {
    guard let value else {
      // `Step.run` loads every input before it calls the op; `check` uses the facts instead.
      preconditionFailure("input read before it was loaded")
    }
    return value
  }

  /// The wrapper itself: `$activations.facts` in `check`.
  public var projectedValue: Input<Value> { self }

  /// What is known of each value of type `A` that was given; nil where that is not enough.
  public func facts<A: Artifact>(of type: A.Type) -> [A.Facts?] {
    handles.filter { $0.type.name == A.type.name }.map { $0.facts.typed() }
  }
  /// The objects behind the values given, once they exist.
  public var references: [ArtifactReference] { handles.compactMap { $0.handle?.reference } }
  /// What each value given is called: its variable, or its label in a list; nil for a call.
  public var labels: [String?] { handles.map(\.label) }
  /// Whether anything was given.
  public var isGiven: Bool { !handles.isEmpty }
  /// The language types of the values given, in order.
  public var givenTypes: [ArtifactType] { handles.map(\.type) }
  /// The language type of the first value given.
  public var givenType: ArtifactType? { handles.first?.type }

  func load() throws { value = try Value(handles) }
  func unload() { value = nil }
}

extension Input where Value: Artifact {
  /// What is known of the value; nil when that is not enough.
  public var facts: Value.Facts? { facts(of: Value.self).first ?? nil }
}

/// One value given to an input, before and after it exists.
public struct BoundInput: Sendable {
  /// The label it has in a list, or the coordinates of its cell in a sweep.
  public var label: String?
  public var coordinates: [(name: String, value: Literal)]
  public var type: ArtifactType
  public var facts: RecordedFacts
  /// Present once the step that makes it has run.
  public var handle: ArtifactHandle?
  /// Why there will be no value: its sweep cell failed and the run went on.
  public var failure: String?

  public init(
    type: ArtifactType, facts: RecordedFacts = [:], label: String? = nil,
    coordinates: [(name: String, value: Literal)] = [],
    handle: ArtifactHandle? = nil, failure: String? = nil
  ) {
    self.type = type
    self.facts = facts
    self.label = label
    self.coordinates = coordinates
    self.handle = handle
    self.failure = failure
  }
}
