import Kernel
import Numerics
import Transformer

/// Units that are taken out together.
struct LesionSet: Sendable, Equatable {
  /// Units of one module of one layer, by index in the unpruned model, ascending.
  struct Piece: Sendable, Equatable {
    var layer: Int
    var module: Module
    var units: [Int]
  }

  /// In the order in which a forward pass meets them.
  var pieces: [Piece]

  init(_ pieces: [Piece]) {
    self.pieces = pieces.filter { !$0.units.isEmpty }.map { piece in
      Piece(layer: piece.layer, module: piece.module, units: piece.units.sorted())
    }.sorted { ($0.layer, $0.module == .ffn ? 1 : 0) < ($1.layer, $1.module == .ffn ? 1 : 0) }
  }

  var units: Int { pieces.reduce(0) { $0 + $1.units.count } }

  func units(_ module: Module, layer: Int) -> [Int] {
    pieces.first { $0.layer == layer && $0.module == module }?.units ?? []
  }
}

/// What `lesion` takes out: key neurons of networks, neurons of groups, or what masks remove.
enum Lesioned: InputValue {
  case networks(Networks)
  case groups(Groups)
  case masks([Labelled<Mask>])

  static var accepts: [ArtifactType] { [Networks.type, Groups.type, Mask.type] }
  static var arity: InputArity { .many }
  static var isLabelled: Bool { true }

  init(_ inputs: [BoundInput]) throws {
    guard let first = inputs.first else { throw Diagnostic("of= needs networks, groups or masks", argument: "of") }
    if first.type.name == Mask.type.name, inputs.allSatisfy({ $0.type.name == Mask.type.name }) {
      self = .masks(try inputs.map { try Labelled<Mask>([$0]) })
    } else if inputs.count > 1 {
      throw Diagnostic("of= takes networks, groups, or masks, and of the first two only one value", argument: "of")
    } else if first.type.name == Groups.type.name {
      self = .groups(try Groups(inputs))
    } else {
      self = .networks(try Networks(inputs))
    }
  }

  var model: String? {
    switch self {
    case .networks(let networks): networks.structure.model
    case .groups(let groups): groups.structure.model
    case .masks(let masks): masks.first?.value.structure.model
    }
  }

  /// What one of them is called.
  var noun: String {
    switch self {
    case .networks: "network"
    case .groups: "group"
    case .masks: "mask"
    }
  }
}

/// A lesion with its name.
struct NamedLesion: Sendable {
  /// The layers of its network, group or mask.
  var layers: [Int]
  /// Number of the network or group, or the mask's label.
  var name: String
  /// Units by falling |z| as (layer, module, unit); for groups and masks in order.
  var members: LesionSet
  /// For networks, all units of the layer from the strongest to the weakest: what `grow` takes them by.
  var order: [(layer: Int, module: Module, unit: Int)] = []
}

/// Random sets in the place of lesions: like them in every layer they touch.
struct RandomLesions: Sendable {
  let network: LanguageModel
  let pools: [PerModule<UnitPool?>]
  /// Whether what is random is what stays, with everything else taken out.
  let isKept: Bool
  let match: SetMatch
  let seed: Int
  let noun: String

  static func stream(_ seed: Int, _ lesion: NamedLesion, _ draw: Int) -> RandomStream {
    RandomStream(seed: seed, name: "lesion \(LayerNetworks.title(lesion.layers)) \(lesion.name) random \(draw)")
  }

  func set(like lesion: NamedLesion, _ draw: Int) throws -> LesionSet {
    var stream = RandomLesions.stream(seed, lesion, draw)
    let pieces = try lesion.members.pieces.map { piece -> LesionSet.Piece in
      let all = network.keptUnits(piece.module, layer: piece.layer)
      let out = Set(piece.units)
      let own = all.filter { out.contains($0) != isKept }
      guard let chosen = pools[piece.layer][piece.module]?.set(like: own, match, using: &stream) else {
        throw Diagnostic(
          "layer \(piece.layer) has \(all.count - own.count) units outside of \(noun) \(lesion.name), fewer than its \(own.count): there are no random sets like it",
          hint: "give nulls=0", argument: "nulls")
      }
      var result = piece
      result.units = isKept ? all.filter { !Set(chosen).contains($0) } : chosen.sorted()
      return result
    }
    return LesionSet(pieces)
  }
}
