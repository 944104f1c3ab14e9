/// An op's declaration as plain data, read off a blank instance. Every reader of a declaration reads this.
public struct Signature: Sendable {
  public let name: String
  public let summary: String
  public let reference: String?
  public let revision: Int
  public let isRepeatable: Bool
  public let example: String
  /// Inputs given by position, in order, then those given by name.
  public let inputs: [InputDeclaration]
  public let parameters: [ParameterDeclaration]
  public let output: ArtifactType

  public var positional: [InputDeclaration] { inputs.filter { !$0.isNamed } }
  public var named: [InputDeclaration] { inputs.filter(\.isNamed) }
  /// Every `name=` a call may have.
  public var keywords: [String] { named.map(\.name) + parameters.map(\.name) }

  public func input(_ name: String) -> InputDeclaration? { inputs.first { $0.name == name } }
  public func parameter(_ name: String) -> ParameterDeclaration? { parameters.first { $0.name == name } }
}

/// One input of an op.
public struct InputDeclaration: Sendable {
  public let name: String
  public let meaning: String
  /// The artifact types it takes; empty for a file or folder outside the store.
  public let accepts: [ArtifactType]
  public let arity: InputArity
  public let isNamed: Bool
  public let isExternal: Bool
  /// Whether labels and sweep coordinates of the values belong to the step.
  public let isLabelled: Bool
  /// Whether failed sweep cells may stand among the values.
  public let allowsMissing: Bool
  /// For an external folder, the name patterns that count as content.
  public let files: [String]
  /// Names that a folder's own files add to them.
  public let further: @Sendable (String) -> [String]
  /// Whether a plain file may stand in place of the folder.
  public let takesFile: Bool
  /// What helps when there is nothing at a path.
  public let advice: @Sendable (String) -> String?

  /// "activations", "networks or activations", "path".
  public var typeName: String { isExternal ? "path" : accepts.map(\.name).joined(separator: " or ") }
  public var isRequired: Bool { arity != .optional && !(isNamed && arity == .many) }
}

/// One keyword parameter of an op.
public struct ParameterDeclaration: Sendable {
  public let name: String
  public let meaning: String
  /// With its article: "a ratio such as 20%".
  public let kind: String
  public let unit: String?
  /// "at least 1", "0% to 100%".
  public let range: String?
  public let choices: [String]?
  /// What each choice means, where that is known.
  public let choiceMeanings: [String: String]
  public let words: BareWord
  /// Nil when the parameter must be given.
  public let defaultValue: Literal?
  /// The same as steps record it; nil when they do not.
  public let recordedDefault: JSONValue?
  /// Whether it can also be given without its name, behind the inputs.
  public let isPositional: Bool
  /// Literals a call must refuse: of the wrong kind, or just outside the range.
  public let illegal: [Literal]

  public var isRequired: Bool { defaultValue == nil }
}

/// A call being put together: a fresh op with its wrappers by name.
final class BoundOp {
  let op: any Op
  let signature: Signature
  let parameters: [String: any ErasedParameter]
  let inputs: [String: any ErasedInput]
  let externals: [String: External]

  init(_ type: any Op.Type) {
    let op = type.init()
    var parameters: [(String, any ErasedParameter)] = []
    var declared: [InputDeclaration] = []
    var inputs: [String: any ErasedInput] = [:]
    var externals: [String: External] = [:]
    for (name, wrapper) in op.wrappers {
      switch wrapper {
      case let parameter as any ErasedParameter: parameters.append((name, parameter))
      case let input as any ErasedInput:
        inputs[name] = input
        declared.append(input.declaration(named: name))
      case let external as External:
        externals[name] = external
        declared.append(external.declaration(named: name))
      default: break
      }
    }
    self.op = op
    self.parameters = Dictionary(parameters, uniquingKeysWith: { $1 })
    self.inputs = inputs
    self.externals = externals
    signature = Signature(
      name: type.name, summary: type.summary, reference: type.reference, revision: type.revision,
      isRepeatable: type.isRepeatable, example: type.example,
      inputs: declared.filter { !$0.isNamed } + declared.filter(\.isNamed),
      parameters: parameters.map { $0.1.declaration(named: $0.0) }, output: BoundOp.output(of: type).type)
  }

  /// The type of artifact an op makes.
  static func output(of type: any Op.Type) -> any Artifact.Type {
    func open<T: Op>(_ type: T.Type) -> any Artifact.Type { T.Output.self }
    return open(type)
  }

  /// Asks the op whether the call makes sense, and what its result will be like.
  func check() throws -> RecordedFacts {
    func open<T: Op>(_ op: T) throws -> RecordedFacts { try RecordedFacts(recording: op.check()) }
    return try open(op)
  }

  func run(_ context: any RunContext) throws -> any Artifact {
    func open<T: Op>(_ op: T) throws -> any Artifact { try op.run(context) }
    return try open(op)
  }

  /// Parameters after defaults, as the step key records them.
  var canonicalParameters: [String: JSONValue] { op.recordedParameters }
}

extension Op {
  /// The wrapped properties by the names they have in the language.
  fileprivate var wrappers: [(name: String, wrapper: Any)] {
    Mirror(reflecting: self).children.compactMap { child in
      // The compiler stores a wrapped property `perRun` as `_perRun`; the language writes `per_run`.
      guard let label = child.label, label.hasPrefix("_") else { return nil }
      return (snakeCased(label.dropFirst()), child.value)
    }
  }

  /// Parameters after defaults, as the step key records them: what the keys of an op's parts are made of.
  public var recordedParameters: [String: JSONValue] {
    let idle = idleParameters
    return Dictionary(
      wrappers.compactMap { name, wrapper in
        let parameter = wrapper as? any ErasedParameter
        return (idle.contains(name) ? parameter?.recordedDefault : parameter?.recorded).map { (name, $0) }
      }, uniquingKeysWith: { $1 })
  }
}

/// `Param<Value>` with the type forgotten.
protocol ErasedParameter: AnyObject {
  /// - Throws: `Mismatch` for the wrong kind, `OutOfRange` outside the bounds.
  func bind(_ literal: Literal) throws
  /// The literal in force: bound or default; nil when required and not bound yet.
  var literal: Literal? { get }
  /// What a step key records; nil for a later parameter at its default.
  var recorded: JSONValue? { get }
  /// The same of a call that does not give the parameter.
  var recordedDefault: JSONValue? { get }
  /// Some legal literal, standing in while the real value is not known.
  var standIn: Literal? { get }
  func declaration(named name: String) -> ParameterDeclaration
}

/// A literal outside the bounds of its parameter.
struct OutOfRange: Error {
  var range: String
  var found: Literal
}

extension Param: ErasedParameter {
  func bind(_ literal: Literal) throws { bound = try checked(literal) }

  private func checked(_ literal: Literal) throws -> Value {
    let value = try Value(literal: literal)
    if let range, !range.contains(value) { throw OutOfRange(range: range.text, found: literal) }
    return value
  }

  private var inForce: Value? { bound ?? defaultValue }
  var literal: Literal? { inForce?.literal }
  var recorded: JSONValue? {
    let canonical = inForce?.canonical
    return isLater && canonical == defaultValue?.canonical ? nil : canonical
  }

  var recordedDefault: JSONValue? { isLater ? nil : defaultValue?.canonical }

  var standIn: Literal? {
    if let literal, literal != .none { return literal }
    let symbols = (Value.choices ?? []).map(Literal.symbol)
    let candidates =
      symbols + [.ratio(0.5), .integer(1), .number(0.5), .string("x"), .path("./x"), .bool(true), .integer(100)]
    return candidates.first { (try? checked($0)) != nil } ?? literal
  }

  func declaration(named name: String) -> ParameterDeclaration {
    ParameterDeclaration(
      name: name, meaning: meaning, kind: Value.kind, unit: unit, range: range?.text, choices: Value.choices,
      choiceMeanings: Value.choiceMeanings, words: Value.words, defaultValue: defaultValue?.literal,
      recordedDefault: recordedDefault, isPositional: isPositional,
      illegal: Value.illegal + (range?.outside ?? []))
  }
}

/// `Input<Value>` with the type forgotten.
protocol ErasedInput: AnyObject {
  var handles: [BoundInput] { get set }
  func load() throws
  /// Lets go of the loaded value, which may be large.
  func unload()
  func declaration(named name: String) -> InputDeclaration
}

extension Input: ErasedInput {
  func declaration(named name: String) -> InputDeclaration {
    InputDeclaration(
      name: name, meaning: meaning, accepts: Value.accepts, arity: Value.arity, isNamed: isNamed, isExternal: false,
      isLabelled: Value.isLabelled, allowsMissing: Value.allowsMissing, files: [], further: { _ in [] },
      takesFile: false, advice: { _ in nil })
  }
}

extension External {
  func declaration(named name: String) -> InputDeclaration {
    InputDeclaration(
      name: name, meaning: meaning, accepts: [], arity: isList ? .many : isRequired ? .one : .optional,
      isNamed: !isPositional, isExternal: true, isLabelled: false, allowsMissing: false, files: files,
      further: further, takesFile: takesFile, advice: advice)
  }
}

/// `perRun` as `per_run`.
private func snakeCased(_ name: Substring) -> String {
  name.reduce(into: "") { $0 += $1.isUppercase ? "_" + $1.lowercased() : String($1) }
}
