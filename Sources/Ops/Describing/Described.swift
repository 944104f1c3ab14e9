import Kernel

/// What can be described: networks, groups of neurons, clusters of tokens.
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

  var sets: any StudiedSets {
    switch self {
    case .networks(let networks): networks
    case .groups(let groups): groups
    case .clusters(let clusters): clusters
    }
  }
}
