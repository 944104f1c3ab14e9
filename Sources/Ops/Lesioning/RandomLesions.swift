import Kernel
import Numerics
import Transformer

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
      let all = network.leftUnits(piece.module, layer: piece.layer)
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
