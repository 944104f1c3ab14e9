import Numerics

/// What is taken out of one branch, and what makes up for it. Indices are those of the unpruned model.
public struct BranchPruning: Sendable {
  /// One entry per structural unit; true = kept.
  public var keep: [Bool]
  /// Added after the output map, `d` numbers.
  public var bias: [Float]?
  /// Stands for the branch, of which no unit stays: x ← x + A norm(x) + c, A d×d.
  public var bridge: LinearMap?
  /// What is left of the features of the heads; of attention alone.
  public var heads = HeadPruning()
  /// Two factors in the place of some maps, which give and read what is left of the heads.
  public var factors: [LinearRole: Factors] = [:]
  /// Other matrices in the place of some maps, compensation biases included.
  public var maps: [LinearRole: DenseMap] = [:]
  /// Stands for the kept columns of the output map: `d × (kept units × their columns)`. Where heads have lost directions of
  /// their values, those that are left stand first among the columns of a head, zeros behind.
  public var weight: Matrix<Float>?

  public init(keep: [Bool], bias: [Float]? = nil, weight: Matrix<Float>? = nil) {
    self.keep = keep
    self.bias = bias
    self.weight = weight
  }

  public var kept: [Int] { keep.indices.filter { keep[$0] } }
  public var removed: [Int] { keep.indices.filter { !keep[$0] } }
  /// Whether units go and none stays: nothing is left of the branch but the compensation.
  public var removesAll: Bool { !keep.isEmpty && !keep.contains(true) }

  /// Share of the units that stay.
  public var keptShare: Double { Double(kept.count) / Double(max(1, keep.count)) }

  /// Whether only a mask is at work: no bias was added, no weight refitted, no map stands for what is gone.
  public var isUncompensated: Bool {
    bias == nil && weight == nil && bridge == nil && factors.isEmpty && maps.isEmpty && heads.values == nil
  }

  private var outputMap: DenseMap? { maps.first { $0.key == $0.key.module.output }?.value }

  /// Whether the output map has a bias that makes up for something.
  var hasAddedBias: Bool { bias != nil || !removesAll && outputMap?.bias != nil }

  /// Whether the weights of a map are not those of the checkpoint.
  func changes(_ role: LinearRole) -> Bool {
    if factors[role] != nil || maps[role] != nil { return true }
    if heads.values != nil, [.value, .output].contains(role) { return true }
    return role == role.module.output && (weight != nil || bridge != nil)
  }

  /// This pruning followed by `later`, whose compensation was found on the model that this one leaves.
  ///
  /// Kept is what both keep; added biases add up, unless `later` takes the last units and with them what was added; a
  /// refit replaces an earlier one, or two factors, and is replaced by these; otherwise it keeps the columns that are still
  /// there. Where `later` takes directions
  /// of the values, earlier maps are taken to what is left of them. Another output map has refits and biases in it that
  /// were there before.
  func followed(by later: BranchPruning, _ module: Module, _ configuration: Configuration) -> BranchPruning {
    let width = configuration.featuresPerUnit(module.output.columns)
    let earlier = later.heads.values.map { passing($0, configuration) } ?? self
    var result = BranchPruning(keep: zip(keep, later.keep).map { $0 && $1 })
    result.bridge = later.bridge ?? bridge
    result.heads = HeadPruning(pairs: later.heads.pairs ?? heads.pairs, values: later.heads.values ?? heads.values)
    result.factors = earlier.factors.merging(later.factors) { $1 }
    if later.weight != nil { result.factors[module.output] = nil }
    result.maps = result.removesAll ? [:] : maps.merging(later.maps) { $1 }
    let startsAnew = !removesAll && (later.outputMap != nil || result.removesAll)
    result.bias = startsAnew ? later.bias : sum(bias, later.bias)
    let left = result.kept.features(of: width)
    let isReplaced = later.outputMap != nil || later.factors[module.output] != nil
    let refit = isReplaced ? nil : earlier.weight
    result.weight =
      later.weight?.keeping(left, of: later.kept.features(of: width))
      ?? refit?.keeping(left, of: kept.features(of: width))
    return result
  }
}

extension BranchPruning {
  /// How many numbers stand between the two factors of a map; nil where it is one matrix.
  func rank(of role: LinearRole, _ configuration: Configuration, layer: Int) -> Int? {
    // A refit of the output map, or a map in its place, is one matrix.
    let isReplaced = role == role.module.output && (weight != nil || bridge != nil) || maps[role] != nil
    return removesAll || isReplaced ? nil : factors[role]?.rank ?? configuration.blocks[layer].ranks[role]
  }

  /// Weights of the map in the place of the branch, which acts on what is left of the stream.
  func bridgeParameters(_ widths: StreamWidths) -> Int { bridge == nil ? 0 : widths.entering * widths.leaving }

  /// Rows and columns that are left of a linear map.
  func sizes(
    of role: LinearRole, _ configuration: Configuration, _ widths: StreamWidths, layer: Int
  ) -> (rows: Int, columns: Int) {
    let head = headSizes(configuration, layer: layer)
    func size(_ space: Space, stream: Int) -> Int {
      space.module == nil ? stream : configuration.size(space, units: kept.count, head: head)
    }
    return (size(role.rows, stream: widths.leaving), size(role.columns, stream: widths.entering))
  }

  /// Weights of one linear map that are gone; negative when what stands for them has more.
  ///
  /// - Parameter widths: what is left of the stream at the ends of the branch.
  func removedParameters(
    of role: LinearRole, _ configuration: Configuration, _ widths: StreamWidths, layer: Int
  ) -> Int {
    let whole = configuration.parameters(of: role, layer: layer)
    // Without units there is at most a map in their place, as wide as the stream.
    if keep.isEmpty && bridge == nil {
      let isMap = configuration.blocks[layer].bridges && role == .output
      return isMap ? whole - widths.entering * widths.leaving : 0
    }
    if keep.isEmpty || removesAll { return whole }
    // A refit of the output map has columns of its own.
    if let map = maps[role], role != role.module.output || weight == nil {
      return whole - map.parameters(role, of: kept, keep.count, configuration, widths)
    }
    let left = sizes(of: role, configuration, widths, layer: layer)
    return whole
      - (rank(of: role, configuration, layer: layer).map { $0 * (left.rows + left.columns) } ?? left.rows * left.columns)
  }
}

extension LanguageModel {
  /// Rows and columns that are left of a linear map.
  public func size(of role: LinearRole, layer: Int) -> (rows: Int, columns: Int) {
    let branch = (pruning[layer] ?? .keepingAll(configuration, layer: layer))[role.module]
    return branch.sizes(
      of: role, configuration, pruning.widths(role.module, layer: layer, configuration), layer: layer)
  }
}

extension Configuration {
  /// Weights of one linear map that are left of it in a block whose stream is whole.
  public func keptParameters(of role: LinearRole, _ pruning: Pruning, layer: Int) -> Int {
    let whole = parameters(of: role, layer: layer)
    guard let branch = pruning[layer]?[role.module] else { return whole }
    return whole - branch.removedParameters(of: role, self, StreamWidths(self), layer: layer)
  }
}

/// What is taken out of one block.
public typealias BlockPruning = PerModule<BranchPruning>

extension BlockPruning {
  /// Whether some of its maps are two factors.
  public var hasFactors: Bool { Module.allCases.contains { !self[$0].factors.isEmpty } }

  /// Whether other matrices stand in the place of some of its maps.
  public var hasOtherMaps: Bool { Module.allCases.contains { !self[$0].maps.isEmpty } }

  /// Whether nothing is left of the block: the residual stream passes it as it is.
  public var isAbsent: Bool { Module.allCases.allSatisfy { self[$0].removesAll && self[$0].isUncompensated } }

  /// Nothing is taken out of block `layer`.
  public static func keepingAll(_ configuration: Configuration, layer: Int) -> BlockPruning {
    BlockPruning { BranchPruning(keep: Array(repeating: true, count: configuration.units($0, layer: layer))) }
  }
}

/// What is taken out of a model, block by block.
public struct Pruning: Sendable {
  /// One entry per block, or none at all when the model is whole.
  public var blocks: [BlockPruning]
  /// What is left of the residual stream; nil when all is. What makes up for units in `blocks` is of the whole stream.
  public var slicing: Slicing?

  public init(blocks: [BlockPruning] = [], slicing: Slicing? = nil) {
    self.blocks = blocks
    self.slicing = slicing
  }

  /// The model as it is.
  public static let none = Pruning()

  public static func keepingAll(_ configuration: Configuration) -> Pruning {
    Pruning(blocks: (0..<configuration.layers).map { .keepingAll(configuration, layer: $0) })
  }

  public subscript(layer: Int) -> BlockPruning? { blocks.indices.contains(layer) ? blocks[layer] : nil }

  /// The blocks of which nothing is left.
  public var absentBlocks: [Int] { blocks.indices.filter { blocks[$0].isAbsent } }

  public var isUncompensated: Bool {
    blocks.allSatisfy { block in Module.allCases.allSatisfy { block[$0].isUncompensated } }
  }

  /// This pruning followed by `later`; see `BranchPruning.followed`.
  public func followed(by later: Pruning, _ configuration: Configuration) -> Pruning {
    if blocks.isEmpty { return later }
    if later.blocks.isEmpty { return self }
    return Pruning(
      blocks: blocks.indices.map { layer in
        BlockPruning { module in
          blocks[layer][module].followed(
            by: later.blocks[layer][module].inUnslicedStream(slicing?.leaving(module, layer: layer)), module,
            configuration)
        }
      }, slicing: slicing ?? later.slicing)
  }

  /// The blocks in whose place a linear map stands.
  public var bridgedBlocks: [Int] { blocks.indices.filter { blocks[$0].attention.bridge != nil } }

  /// Weights of linear maps that are gone.
  public func removedParameters(_ configuration: Configuration) -> Int {
    blocks.indices.reduce(0) { $0 + removedParameters(layer: $1, configuration) }
  }

  /// Weights of a block's linear maps that are gone, less those that stand for others or turn the stream.
  public func removedParameters(layer: Int, _ configuration: Configuration) -> Int {
    removedParameters(layer: layer, configuration) { widths($0, layer: layer, configuration) }
  }

  /// The same, were the stream as wide as this at the ends of the branches.
  func removedParameters(layer: Int, _ configuration: Configuration, widths: (Module) -> StreamWidths) -> Int {
    Module.allCases.reduce(0) { sum, module in
      let (branch, widths) = (blocks[layer][module], widths(module))
      let roles = configuration.roles.filter { $0.module == module }
      return roles.reduce(sum - branch.bridgeParameters(widths) - widths.shortcut) {
        $0 + branch.removedParameters(of: $1, configuration, widths, layer: layer)
      }
    }
  }

  /// - Parameter earlier: what was taken out before; the compensation is of the stream that it leaves.
  /// - Throws: `ModelError.pruningMismatch` naming the first block and part that does not fit, or
  ///   `ModelError.cannotFollow` for what cannot be done to a sliced model.
  public func check(_ configuration: Configuration, after earlier: Pruning = .none) throws {
    guard !blocks.isEmpty else { return }
    try checkSlicing(configuration, after: earlier)
    guard blocks.count == configuration.layers else {
      throw ModelError.pruningMismatch(
        layer: blocks.count, what: "blocks", found: blocks.count, expected: configuration.layers)
    }
    try checkHeads(configuration, after: earlier)
    for (layer, block) in blocks.enumerated() {
      for module in Module.allCases {
        let branch = block[module]
        func require(_ what: String, _ found: Int?, _ expected: Int) throws {
          if let found, found != expected {
            throw ModelError.pruningMismatch(layer: layer, what: what, found: found, expected: expected)
          }
        }
        let written = earlier.widths(module, layer: layer, configuration).leaving
        try require("\(module.rawValue) units", branch.keep.count, configuration.units(module, layer: layer))
        try require("\(module.output.rawValue) bias entries", branch.bias?.count, written)
        for role in module.roles {
          let factors = branch.factors[role]
          try require(
            "\(role.rawValue) outer rows", factors?.outer.rows, configuration.size(role.rows, layer: layer))
          try require(
            "\(role.rawValue) inner columns", factors?.inner.columns, configuration.size(role.columns, layer: layer))
          let map = branch.maps[role]
          try require("\(role.rawValue) rows", map?.weight.rows, configuration.size(role.rows, layer: layer))
          try require("\(role.rawValue) columns", map?.weight.columns, configuration.size(role.columns, layer: layer))
          let before = earlier[layer]?[module]
          let stored = configuration.blocks[layer]
          if factors != nil, stored.ranks[role] != nil {
            throw ModelError.cannotFollow("two factors", "others for the \(role.rawValue) of block \(layer)")
          }
          if map != nil, factors != nil || before?.factors[role] != nil || stored.ranks[role] != nil {
            throw ModelError.cannotFollow("two factors", "another matrix for the \(role.rawValue) of block \(layer)")
          }
          if map != nil, module == .attention,
            !branch.heads.isWhole || before?.heads.isWhole == false || stored.heads != nil
          {
            throw ModelError.cannotFollow("narrow heads", "another matrix for the \(role.rawValue) of block \(layer)")
          }
          if factors != nil, before?.maps[role] != nil {
            throw ModelError.cannotFollow("another matrix", "two factors for the \(role.rawValue) of block \(layer)")
          }
        }
        try require("bridge rows", branch.bridge?.outputs, configuration.hiddenSize)
        try require("bridge columns", branch.bridge?.inputs, configuration.hiddenSize)
        try require("\(module.output.rawValue) weight rows", branch.weight?.rows, written)
        try require(
          "\(module.output.rawValue) weight columns", branch.weight?.columns,
          branch.kept.count * configuration.featuresPerUnit(module.output.columns))
      }
    }
  }
}

extension [Int] {
  /// The features of the heads (or groups of heads) with these indices, each `size` wide.
  func features(of size: Int) -> [Int] { flatMap { ($0 * size)..<($0 * size + size) } }
}

extension Matrix<Float> {
  /// The columns called `wanted`, where this matrix's columns are called `names`, both ascending.
  func keeping(_ wanted: [Int], of names: [Int]) -> Matrix<Float> {
    let place = Dictionary(zip(names, names.indices), uniquingKeysWith: { first, _ in first })
    return gathering(columns: wanted.compactMap { place[$0] })
  }
}
