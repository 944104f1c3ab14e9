import Kernel
import Numerics
import Transformer

/// A group is active by its share of the energy that goes into the stream, ‖W_g h_g‖² over the sum of all groups; random
/// sets are groups of the same sizes.
struct GroupActivity: ActivitySource {
  let groups: Groups
  let network: LanguageModel
  let draws: RandomDraws
  let context: any RunContext

  var module: Module? { .ffn }
  var parts: [[Int]] { groups.group.indices.map { [$0] } }

  var look: ((Walk) throws -> [Matrix<Float>])? {
    { walk in
      let layer = walk.layer
      let units = network.configuration.units(.ffn, layer: layer)
      let h = Matrix<Float>(rows: walk.sequences.tokens.count, columns: units)
      try walk.step(
        sites: [.activation],
        tap: { tap in
          try requireFinite(tap.values, tap.site, layer: layer, from: tap.rows.lowerBound, argument: "model")
          h.rows(tap.rows).assign(tap.values)
        }, pulse: { _ in try context.checkCancelled() })
      return [h]
    }
  }

  func activity(of part: [Int], _ layers: [[Matrix<Float>]]) throws -> Activity {
    let (layer, h) = (part[0], layers[0][0])
    let W = try network.loadBlock(layer).outputWeight(.ffn)
    let own = groups.group[layer].map { $0 < 0 ? groups.count : Int($0) }
    let count = own.contains(groups.count) ? groups.count + 1 : groups.count
    func courses(_ group: [Int]) throws -> [[Double]] {
      let energy = try (0..<count).map { g -> [Double] in
        try context.checkCancelled()
        let members = group.indices.filter { group[$0] == g }
        let out = h.gathering(columns: members) * W.gathering(columns: members).T
        return (0..<out.rows).map { row in out.row(row).reduce(0.0) { $0 + Double($1) * Double($1) } }
      }
      let total = (0..<h.rows).map { t in energy.reduce(0) { $0 + $1[t] } }
      return energy.map { zip($0, total).map { $1 > 0 ? $0 / $1 : 0 } }
    }
    var activity = Activity(courses: try courses(own))
    activity.sets = (0..<count).map { g in
      SetDescription(
        name: g == groups.count ? "shared" : String(g),
        keys: [own.indices.filter { own[$0] == g }.map { Int32($0) }], spread: [1], threshold: .nan)
    }
    activity.random = try draws.map("groups of layer \(layer)") { stream in
      var drawn = own
      stream.shuffle(&drawn)
      return try courses(drawn)
    }
    return activity
  }
}
