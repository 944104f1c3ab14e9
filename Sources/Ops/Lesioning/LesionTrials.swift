import Kernel
import Numerics

/// One set of units that goes through the model, and what it is for.
struct LesionTrial {
  /// Place among the lesions.
  var lesion: Int
  /// nil for the lesion itself; else which random set.
  var draw: Int?
  /// Share of the layer that is out, of a growing lesion.
  var share: Double?
  var set: LesionSet
}

/// What goes through the model: lesions, and random sets in their place.
struct LesionTrials {
  let lesions: [NamedLesion]
  let random: RandomLesions
  /// Random sets of each lesion.
  let draws: Int
  let context: any RunContext

  /// Every lesion, with as many random sets that are like it.
  func matched() throws -> [LesionTrial] {
    try lesions.enumerated().flatMap { index, lesion -> [LesionTrial] in
      try context.checkCancelled()
      return [LesionTrial(lesion: index, set: lesion.members)]
        + (try (0..<draws).map { LesionTrial(lesion: index, draw: $0, set: try random.set(like: lesion, $0)) })
    }
  }

  /// Shares of a layer that growing lesions take out.
  private static let steps = (1...20).map { Double($0) / 20 }
  /// Random orders of a growing lesion, at most.
  private static let mostOrders = 3

  /// Every lesion in twenty steps, in its order and in random ones.
  func growing() -> [LesionTrial] {
    lesions.enumerated().flatMap { index, lesion in
      let orders =
        [(nil as Int?, lesion.order)]
        + (0..<min(draws, LesionTrials.mostOrders)).map { draw in
          var stream = RandomLesions.stream(random.seed, lesion, draw)
          var order = lesion.order
          stream.shuffle(&order)
          return (draw, order)
        }
      return orders.flatMap { draw, order in
        LesionTrials.steps.map { share in
          let count = Int((share * Double(order.count)).rounded(.up))
          return LesionTrial(lesion: index, draw: draw, share: share, set: LesionSet(Array(order.prefix(count))))
        }
      }
    }
  }
}
