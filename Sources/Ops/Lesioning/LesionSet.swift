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
    let filled = pieces.filter { !$0.units.isEmpty }
    self.pieces = Set(filled.map(\.layer)).sorted().flatMap { layer in
      Module.allCases.flatMap { module in
        filled.filter { $0.layer == layer && $0.module == module }.map { piece in
          Piece(layer: layer, module: module, units: piece.units.sorted())
        }
      }
    }
  }

  init(_ members: [(layer: Int, module: Module, unit: Int)]) {
    self.init(
      Set(members.map(\.layer)).sorted().flatMap { layer in
        Module.allCases.map { module in
          Piece(
            layer: layer, module: module,
            units: members.filter { $0.layer == layer && $0.module == module }.map(\.unit))
        }
      })
  }

  var units: Int { pieces.reduce(0) { $0 + $1.units.count } }

  func units(_ module: Module, layer: Int) -> [Int] {
    pieces.first { $0.layer == layer && $0.module == module }?.units ?? []
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
