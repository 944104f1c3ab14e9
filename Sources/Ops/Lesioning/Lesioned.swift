import Kernel
import Numerics
import Transformer

/// What `lesion` takes out: key units of networks, neurons of groups, or what masks remove.
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

  var sets: any StudiedSets {
    switch self {
    case .networks(let networks): networks
    case .groups(let groups): groups
    case .masks(let masks): masks[0].value
    }
  }

  /// How many lesions have to do with some of the layers.
  func count(of layers: [Int]) -> Int {
    switch self {
    case .networks(let networks):
      networks.partLayers.count { $0.contains(where: layers.contains) } * networks.settings.components
    case .groups(let groups): layers.count * (groups.count + 1)
    case .masks(let masks): masks.count
    }
  }

  /// A lesion for every network, group or mask that has to do with some of the layers.
  ///
  /// - Parameters:
  ///   - run: of networks.
  ///   - key: which units of a network are key.
  ///   - keepsKeys: whether all units of a network's layers go but the key ones.
  func lesions(of layers: [Int], run: Int, key: KeyRule, keepsKeys: Bool) throws -> [NamedLesion] {
    switch self {
    case .networks(let networks):
      try networks.require(run: run)
      return try networks.partLayers.indices.filter { networks.partLayers[$0].contains(where: layers.contains) }
        .flatMap { index in
          let part = try networks.part(index)
          let S = Matrix<Double>(try part.maps(run: run))
          return (0..<S.rows).map { NamedLesion($0, of: part, z: S.row($0), key: key, keepsKeys: keepsKeys) }
        }
    case .groups(let groups):
      return groups.group.indices.filter(layers.contains).flatMap { NamedLesion.all(of: groups, layer: $0) }
    case .masks(let masks):
      return masks.enumerated().map { index, mask in
        NamedLesion(mask.value, name: mask.label ?? String(index), of: layers)
      }
    }
  }
}

extension NamedLesion {
  /// - Parameter z: the network's map over all signals of the part's units.
  fileprivate init(_ number: Int, of part: LayerNetworks, z: [Double], key: KeyRule, keepsKeys: Bool) {
    let halves = part.signals.count
    func located(_ places: [Int]) -> [(layer: Int, module: Module, unit: Int)] {
      places.map { place in
        let layer = part.layers.first { part.places(of: $0).contains(place) } ?? part.layers[0]
        return (layer, part.module, place - part.places(of: layer).lowerBound)
      }
    }
    let keys = key.units(of: z, halves: halves)
    let taken = keepsKeys ? (0..<part.units).filter { !Set(keys).contains($0) } : keys
    self.init(
      layers: part.layers, name: String(number), members: LesionSet(located(taken)),
      order: located(KeyRule.share(1).units(of: z, halves: halves)))
  }

  /// The groups of a layer, the shared neurons last.
  fileprivate static func all(of groups: Groups, layer: Int) -> [NamedLesion] {
    let own = groups.group[layer]
    let numbers = (0..<Int32(groups.count)).map { $0 } + (own.contains { $0 < 0 } ? [-1] : [])
    return numbers.map { number in
      let units = own.indices.filter { own[$0] == number }
      return NamedLesion(
        layers: [layer], name: number < 0 ? "shared" : String(number),
        members: LesionSet([.init(layer: layer, module: .ffn, units: units)]))
    }
  }

  /// What a mask removes of some layers.
  fileprivate init(_ mask: Mask, name: String, of layers: [Int]) {
    let set = LesionSet(
      mask.keep.modules().flatMap { module in
        (mask.keep[module] ?? []).enumerated().filter { layers.contains($0.offset) }.map { layer, keep in
          LesionSet.Piece(layer: layer, module: module, units: keep.indices.filter { !keep[$0] })
        }
      })
    self.init(layers: set.pieces.map(\.layer).uniqued, name: name, members: set)
  }
}
