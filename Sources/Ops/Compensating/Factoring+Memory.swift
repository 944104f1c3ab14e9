import Numerics
import Transformer

/// The sizes of a map as it is left in a block.
struct MapSizes {
  let role: LinearRole
  /// Rows, and columns.
  let m: Int
  let n: Int
  /// What is seen of its inputs in the unpruned model.
  let seen: Int

  /// The smaller of its sides.
  var s: Int { min(m, n) }

  /// The maps of a block of which something is left, the one with the most inputs first.
  static func widestFirst(_ roles: [LinearRole], _ network: LanguageModel, layer: Int) -> [MapSizes] {
    let sizes = roles.filter { !network.leftUnits($0.module, layer: layer).isEmpty }.map { role in
      let (m, n) = network.size(of: role, layer: layer)
      return MapSizes(role: role, m: m, n: n, seen: network.configuration.size(role.columns, layer: layer))
    }
    return sizes.indices.sorted { (-sizes[$0].n, $0) < (-sizes[$1].n, $1) }.map { sizes[$0] }
  }

  /// Bytes that stay of `OutputMoments`.
  var momentBytes: Int { 8 * (m > n ? 2 : 1) * s * s }

  /// Bytes while they are found: the map; its Gram matrix, of which a part is cut out where inputs are gone; and their
  /// product.
  func searchBytes(isWhitened: Bool) -> Int {
    let gram = isWhitened ? seen * seen + (n < seen ? n * (seen + n) : 0) : 0
    return 8 * (m * n + gram + s * n) + momentBytes
  }
}

extension Factoring {
  /// Bytes at the peak, beside a block or a walk through one: the factors of all blocks so far, and what one of them takes.
  ///
  /// - Parameters:
  ///   - rate: as of `Factoring`.
  ///   - updates: whether outer factors are fitted again.
  static func bytes(
    _ network: LanguageModel, _ roles: [LinearRole], rate: (LinearRole, Int) -> Double, isWhitened: Bool, updates: Bool
  ) -> Int {
    var (kept, peak) = (0, 0)
    for layer in 0..<network.layers {
      let maps = MapSizes.widestFirst(roles, network, layer: layer).filter { rate($0.role, layer) > 0 }
      let ranks = maps.map { (try? rankKeeping(1 - rate($0.role, layer), rows: $0.m, columns: $0.n)) ?? 0 }
      let ranked = Array(zip(maps, ranks))
      var (moments, most) = (0, 0)
      for map in maps {
        most = max(most, moments + map.searchBytes(isWhitened: isWhitened))
        moments += map.momentBytes
      }
      // LAPACK works on copies and its vectors are turned; then all of them are there.
      var (atWork, directions, factors, found): ([Int], Int, Int, Int) = ([], 0, 0, 0)
      for (map, k) in ranked {
        let (ends, vectors) = (k * (map.m + map.n), 8 * k * map.s)
        atWork.append(8 * map.s * map.s + vectors)
        directions += vectors
        factors = max(factors, 8 * (map.m * map.n + ends) + 2 * vectors)
        found += 4 * ends
      }
      let together = atWork.sorted(by: >).prefix(Parallel.threads).reduce(0, +)
      most = max(most, moments + directions + max(together, factors + found))
      if updates {
        // The Gram matrices of the stream, and what an outer factor is solved from; small directions may not be given back.
        let grams = Set(maps.map(\.role.site)).reduce(0) { sum, site in
          let width = site.width(network.configuration, layer: layer)
          return sum + 8 * width * width
        }
        var solving = 0
        for (map, k) in ranked { solving = max(solving, map.m * map.n + 2 * k * (map.m + map.n) + 4 * k * k) }
        most = max(most, found + directions + grams + 8 * solving)
      }
      peak = max(peak, kept + most)
      kept += found
    }
    return peak
  }
}
