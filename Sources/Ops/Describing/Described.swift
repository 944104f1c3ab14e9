import Kernel
import Numerics
import Transformer

/// What can be described and lesioned: networks, groups of neurons, and for descriptions clusters of tokens.
enum Described: InputValue {
  case networks(Networks)
  case groups(Groups)
  case clusters(Clusters)

  static var accepts: [ArtifactType] { [Networks.type, Groups.type, Clusters.type] }
  static var arity: InputArity { .one }

  init(_ inputs: [BoundInput]) throws {
    switch inputs.first?.type.name {
    case Networks.type.name: self = .networks(try Networks(inputs))
    case Groups.type.name: self = .groups(try Groups(inputs))
    default: self = .clusters(try Clusters(inputs))
    }
  }

  /// Content hash of the model they are of.
  var model: String {
    switch self {
    case .networks(let networks): networks.structure.model
    case .groups(let groups): groups.structure.model
    case .clusters(let clusters): clusters.model
    }
  }

  /// What one of them is called.
  var noun: String {
    switch self {
    case .networks: "network"
    case .groups: "group"
    case .clusters: "cluster"
    }
  }

  /// The layers that are looked at together.
  var partLayers: [[Int]] {
    switch self {
    case .networks(let networks): networks.partLayers
    case .groups(let groups): groups.group.indices.map { [$0] }
    case .clusters(let clusters): clusters.layers.map { [$0] }
    }
  }

  /// - Throws: when they are of another model.
  func require(_ model: Model, _ reference: ArtifactReference, argument: String) throws {
    guard self.model != reference.content else { return }
    throw Diagnostic("the \(noun)s were made on another model", argument: argument)
  }
}

extension KeyRule: ParameterValue {
  public static var kind: String { "a share such as 5%, or a size of z" }
  public init(literal: Literal) throws {
    switch literal {
    case .ratio(let value) where value > 0 && value <= 1: self = .share(value)
    case .integer(let value) where value > 0: self = .threshold(Double(value))
    case .number(let value) where value > 0 && value.isFinite: self = .threshold(value)
    default: throw Mismatch(expected: KeyRule.kind, found: literal)
    }
  }
  public var literal: Literal {
    switch self {
    case .share(let value): .ratio(value)
    case .threshold(let value): .number(value)
    }
  }
  public var canonical: JSONValue {
    switch self {
    case .share(let value): ["relative": .number(value)]
    case .threshold(let value): .number(value)
    }
  }
  public static var illegal: [Literal] { [.ratio(0), .integer(-1), .symbol("high")] }
}
