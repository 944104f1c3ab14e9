import Glibc
import Numerics

// Random sets of units that are like a given one in what they put into the stream, so that a lesion is compared with
// what as large a loss does anyway.

/// How a random set is like the one it stands for.
package enum SetMatch: String, Sendable, CaseIterable {
  case energy, size

  package var meaning: String {
    switch self {
    case .energy: "each unit is replaced by one of the 12 free ones nearest in log energy"
    case .size: "as many units, any"
    }
  }
}

/// Units that random sets are drawn from.
package struct UnitPool: Sendable {
  /// Units in rising order of energy, and the logarithm of each one's.
  private let units: [Int]
  private let size: [Double]

  /// - Parameters:
  ///   - energy: e_j = E[h_j²] ‖W_j‖² of every unit.
  ///   - available: units that may be chosen.
  package init(energy: [Double], available: [Int]) {
    func logarithm(_ j: Int) -> Double { log(max(energy[j], Double.leastNormalMagnitude)) }
    units = available.sorted { (energy[$0], $0) < (energy[$1], $1) }
    size = units.map(logarithm)
  }

  /// A set of as many other units. With `energy`, units are replaced in falling order of theirs, so that the few that
  /// matter most have the first choice; no unit is taken twice.
  ///
  /// - Parameter S: the units to be replaced, of the pool; none of them is chosen.
  /// - Returns: nil when there are fewer free units than S has.
  package func set(like S: [Int], _ match: SetMatch, using stream: inout RandomStream) -> [Int]? {
    let own = Set(S)
    var isFree = units.map { !own.contains($0) }
    guard isFree.count(where: { $0 }) >= S.count else { return nil }
    if match == .size {
      let free = units.indices.filter { isFree[$0] }.map { units[$0] }.sorted()
      return stream.sample(S.count, from: free.count).map { free[$0] }
    }
    return units.indices.filter { own.contains(units[$0]) }.reversed().map { place in
      let chosen = nearest(to: place, isFree)
      let found = chosen[stream.below(chosen.count)]
      isFree[found] = false
      return units[found]
    }
  }

  /// Places of the 12 free units nearest in log energy, fewer when there are no more; the smaller one where two are as
  /// near.
  private func nearest(to place: Int, _ isFree: [Bool]) -> [Int] {
    var (low, high) = (place - 1, place + 1)
    var found: [Int] = []
    while found.count < 12 {
      while low >= 0, !isFree[low] { low -= 1 }
      while high < units.count, !isFree[high] { high += 1 }
      let below = low >= 0 ? size[place] - size[low] : .infinity
      let above = high < units.count ? size[high] - size[place] : .infinity
      if below.isInfinite, above.isInfinite { break }
      if below <= above {
        found.append(low)
        low -= 1
      } else {
        found.append(high)
        high += 1
      }
    }
    return found
  }
}
