import Numerics

// A head can lose features without going as a whole (MoDeGPT, Lin et al. 2025). Queries and keys meet in a product alone, and
// the two features of a rotary pair turn together: so they lose pairs, the same in all query heads of a key-value head. Values
// are mixed over tokens and read by the output map, whatever basis they stand in: so they lose directions,
//
//     v ≈ B A v        W_V ← A W_V        W_O ← W_O B
//
// The scores are still divided by the square root of the whole head, and each pair turns at its own frequency.

/// What is left of the features of a block's heads.
public struct HeadPruning: Sendable {
  /// The rotary pairs of queries and keys that stay: as many for every key-value head of the unpruned model, ascending. Nil:
  /// all.
  public var pairs: [[Int]]?
  /// B, size × rank, and A, rank × size, for the values of every key-value head of the unpruned model. Nil: as they are.
  public var values: [Factors]?

  public init(pairs: [[Int]]? = nil, values: [Factors]? = nil) {
    self.pairs = pairs
    self.values = values
  }

  public var isWhole: Bool { pairs == nil && values == nil }
}

extension Rotary {
  /// The features of a head that are those of some pairs, in the order in which a head of these pairs alone has them.
  public func features(of pairs: [Int]) -> [Int] {
    switch pairing {
    case .halves: pairs + pairs.map { $0 + inverseFrequencies.count }
    case .neighbours: pairs.flatMap { [2 * $0, 2 * $0 + 1] }
    }
  }
}

// MARK: - Branches

extension Branch {
  /// Features that a unit has in a space.
  public func featuresPerUnit(_ space: Space) -> Int { configuration.featuresPerUnit(space, head: heads.size) }

  /// The features of the unpruned model that the columns of a space stand for. What is left of the values has the first
  /// places of a head.
  func originals(_ space: Space) -> [Int] { originals(space, Array(units.indices)) }

  /// The same of the units at some positions.
  func originals(_ space: Space, _ positions: [Int]) -> [Int] {
    let group = configuration.queriesPerUnit
    switch space {
    case .model: return []
    case .neurons: return positions.map { units[$0] }
    case .queries, .heads:
      return positions.flatMap { position in
        (position * group..<(position + 1) * group).flatMap { head in
          originals(space, keyValueHead: configuration.keyValueHead(ofQuery: head)).map {
            (units[position] * group + head - position * group) * configuration.headSize + $0
          }
        }
      }
    case .keys, .values:
      let numbers = configuration.keyValueHeads(of: positions.map { units[$0] })
      return zip(configuration.keyValueHeads(of: positions), numbers).flatMap { place, number in
        originals(space, keyValueHead: place).map { number * configuration.headSize + $0 }
      }
    }
  }

  /// The features of a whole head that one here has.
  private func originals(_ space: Space, keyValueHead place: Int) -> [Int] {
    guard space == .queries || space == .keys else { return Array(0..<heads.size.value) }
    guard let pairs = heads.pairs, let rotary = configuration.rotary else { return Array(0..<heads.size.key) }
    return rotary.features(of: pairs[place])
  }

  /// This branch with what `pruning` leaves of its heads.
  func keeping(_ pruning: HeadPruning) -> Branch {
    guard module == .attention, !units.isEmpty else { return self }
    let numbers = configuration.keyValueHeads(of: units)
    var branch = self
    if let pairs = pruning.pairs { branch = branch.keeping(pairs: numbers.map { pairs[$0] }) }
    if let values = pruning.values { branch = branch.passing(numbers.map { values[$0] }) }
    return branch
  }

  /// - Parameter pairs: of each key-value head that is here.
  private func keeping(pairs: [[Int]]) -> Branch {
    guard let rotary = configuration.rotary else { return self }
    let features = pairs.map(rotary.features)
    let queries = (0..<columns(.queries) / heads.size.key).map(configuration.keyValueHead)
    let rows = (queries + Array(pairs.indices)).enumerated().flatMap { head, keyValue in
      features[keyValue].map { head * heads.size.key + $0 }
    }
    return changed(
      input: input.keeping(rows: rows + self.rows(of: .value)), output: output,
      heads: Heads(size: HeadSizes(key: features[0].count, value: heads.size.value), pairs: pairs))
  }

  /// - Parameter values: of each key-value head that is here.
  private func passing(_ values: [Factors]) -> Branch {
    let queries = (0..<columns(.heads) / heads.size.value).map { values[configuration.keyValueHead(ofQuery: $0)] }
    return changed(
      input: input.changing(outputs: rows(of: .value)) { $0.reading(values) },
      output: output.changingInputs { $0.writing(queries) },
      heads: Heads(size: HeadSizes(key: heads.size.key, value: values[0].rank), pairs: heads.pairs))
  }

  private func changed(input: LinearMap, output: LinearMap, heads: Heads) -> Branch {
    Branch(
      configuration: configuration, module: module, units: units, heads: heads, norm: norm, outputNorms: outputNorms,
      input: input, output: output, shortcut: shortcut)
  }
}

extension Matrix<Float> {
  /// A_h W_h of every head h, whose rows stand side by side.
  fileprivate func reading(_ values: [Factors]) -> Matrix<Float> {
    let size = rows / values.count
    let result = Matrix(rows: values.reduce(0) { $0 + $1.rank }, columns: columns)
    for (head, factors) in values.enumerated() {
      let place = head * factors.rank..<(head + 1) * factors.rank
      multiply(factors.inner, rows(head * size..<(head + 1) * size), into: result.rows(place))
    }
    return result
  }

  /// W_h B_h of every head h, whose columns stand side by side.
  fileprivate func writing(_ values: [Factors]) -> Matrix<Float> {
    if values.isEmpty { return self }
    let size = columns / values.count
    let result = Matrix(rows: rows, columns: values.reduce(0) { $0 + $1.rank })
    for (head, factors) in values.enumerated() {
      let place = head * factors.rank..<(head + 1) * factors.rank
      multiply(columns(head * size..<(head + 1) * size), factors.outer, into: result.columns(place))
    }
    return result
  }
}

// MARK: - Prunings

extension BranchPruning {
  /// What is left of each head; nil when all is.
  public func headSizes(_ configuration: Configuration, layer: Int) -> HeadSizes? {
    let stored = configuration.blocks[layer].heads?.size
    guard !heads.isWhole else { return stored }
    return HeadSizes(
      key: heads.pairs?.first.map { 2 * $0.count } ?? stored?.key ?? configuration.headSize,
      value: heads.values?.first?.rank ?? stored?.value ?? configuration.headSize)
  }

  /// This pruning with its maps taken to what `values` leave of the values, zeros behind in every head.
  func passing(_ values: [Factors], _ configuration: Configuration) -> BranchPruning {
    let (size, group) = (configuration.headSize, configuration.queriesPerUnit)
    guard let rank = values.first?.rank else { return self }
    func places(_ heads: Int) -> [Int] { (0..<heads).flatMap { $0 * size..<$0 * size + rank } }
    func written(_ W: Matrix<Float>, _ units: [Int]) -> Matrix<Float> {
      let numbers = configuration.keyValueHeads(of: units)
      let own = (0..<units.count * group).map { values[numbers[configuration.keyValueHead(ofQuery: $0)]] }
      return W.writing(own).spread(columns: places(own.count), of: W.columns)
    }
    var result = self
    result.weight = weight.map { written($0, kept) }
    if let output = factors[.output] {
      result.factors[.output] = Factors(outer: output.outer, inner: written(output.inner, Array(keep.indices)))
    }
    if let value = factors[.value] {
      let outer = value.outer.reading(values).spread(rows: places(values.count), of: value.outer.rows)
      result.factors[.value] = Factors(outer: outer, inner: value.inner)
    }
    return result
  }
}

extension LanguageModel {
  /// What is left of each head of a block; nil when all is.
  public func headSizes(layer: Int) -> HeadSizes? {
    guard let pruning = pruning[layer]?.attention else { return configuration.blocks[layer].heads?.size }
    return pruning.headSizes(configuration, layer: layer)
  }

  /// Whether heads of a block lost rotary pairs, and whether they lost directions of their values.
  public func narrowing(layer: Int) -> (pairs: Bool, values: Bool) {
    let (heads, stored) = (pruning[layer]?.attention.heads, configuration.blocks[layer].heads)
    let isNarrow = (stored?.size.value ?? configuration.headSize) < configuration.headSize
    return (heads?.pairs != nil || stored?.pairs != nil, heads?.values != nil || isNarrow)
  }

  /// The heads that a block has left; nil where they are whole, or none is left.
  func heads(_ layer: Int) -> Heads? {
    guard !leftUnits(.attention, layer: layer).isEmpty else { return nil }
    return headSizes(layer: layer).map { Heads(size: $0, pairs: leftPairs(layer: layer)) }
  }

  /// How many numbers stand between the factors of those maps of a block that are two.
  public func ranks(_ layer: Int) -> [LinearRole: Int] {
    let pruning = pruning[layer] ?? .keepingAll(configuration, layer: layer)
    return configuration.roles.reduce(into: [:]) {
      $0[$1] = pruning[$1.module].rank(of: $1, configuration, layer: layer)
    }
  }

  /// Whether some maps of a block are two factors.
  public func hasFactors(layer: Int) -> Bool { !ranks(layer).isEmpty }

  /// The rotary pairs that each key-value head has, of those that a block has left; nil where they have all.
  func leftPairs(layer: Int) -> [[Int]]? {
    guard let pairs = pruning[layer]?.attention.heads.pairs ?? configuration.blocks[layer].heads?.pairs else {
      return nil
    }
    return configuration.keyValueHeads(of: leftUnits(.attention, layer: layer)).map { pairs[$0] }
  }
}

extension Pruning {
  /// Whether what is left of the heads fits, and no head loses features of one kind twice.
  func checkHeads(_ configuration: Configuration, after earlier: Pruning) throws {
    for (layer, block) in blocks.enumerated() {
      let (heads, before) = (block.attention.heads, earlier[layer]?.attention.heads ?? HeadPruning())
      let stored = configuration.blocks[layer].heads
      let count = configuration.keyValueHeads(layer: layer)
      if !heads.isWhole, earlier[layer]?.attention.maps.isEmpty == false {
        throw ModelError.cannotFollow("other matrices for maps of block \(layer)", "narrow heads")
      }
      func require(_ what: String, _ found: Int, _ expected: Int) throws {
        if found != expected {
          throw ModelError.pruningMismatch(layer: layer, what: what, found: found, expected: expected)
        }
      }
      if let pairs = heads.pairs {
        if before.pairs != nil || stored?.pairs != nil {
          throw ModelError.cannotFollow("a choice of rotary pairs in block \(layer)", "another")
        }
        if let obstacle = configuration.obstacleToPairs { throw ModelError.cannotFollow(obstacle, "a choice of pairs") }
        try require("lists of rotary pairs", pairs.count, count)
        for list in pairs {
          try require("rotary pairs in a head", list.count, pairs[0].count)
          let isRising = zip(list, list.dropFirst()).allSatisfy { $0 < $1 }
          guard isRising, let first = list.first, first >= 0, list[list.count - 1] < configuration.headSize / 2 else {
            throw ModelError.pruningMismatch(
              layer: layer, what: "rotary pairs out of order or beyond the head", found: list.count,
              expected: configuration.headSize / 2)
          }
        }
      }
      if let values = heads.values {
        if before.values != nil || (stored?.size.value ?? configuration.headSize) < configuration.headSize {
          throw ModelError.cannotFollow("a choice of directions of the values in block \(layer)", "another")
        }
        try require("pairs of factors of values", values.count, count)
        for factors in values {
          try require("directions of values in a head", factors.rank, values[0].rank)
          try require("rows of a factor of values", factors.outer.rows, configuration.headSize)
          try require("columns of a factor of values", factors.inner.columns, configuration.headSize)
        }
      }
    }
  }
}

extension Configuration {
  /// Why queries and keys cannot lose rotary pairs; nil when they can.
  public var obstacleToPairs: String? {
    guard let rotary else { return "a family without rotary positions, as \(family.name)," }
    if rotary.rotatedFeatures < headSize {
      return "a head of which \(rotary.rotatedFeatures) of \(headSize) features are rotated, as in \(family.name),"
    }
    return family.queryKeyNorm == nil ? nil : "queries and keys that are normed, as in \(family.name),"
  }
}
