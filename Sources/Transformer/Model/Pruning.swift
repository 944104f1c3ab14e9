import Numerics

/// What is taken out of one block, and what makes up for it. Indices are those of the unpruned model.
public struct BlockPruning: Sendable {
  /// One entry per attention unit (a key-value group with its query heads); true = kept.
  public var units: [Bool]
  /// One entry per neuron; true = kept.
  public var neurons: [Bool]
  /// Added after the output projection, `d` numbers.
  public var outputBias: [Float]?
  /// Added after the down projection, `d` numbers.
  public var downBias: [Float]?
  /// Stands for the kept columns of the output projection: `d × (kept units × g × headSize)`.
  public var outputWeight: Matrix<Float>?
  /// Stands for the kept columns of the down projection: `d × kept neurons`.
  public var downWeight: Matrix<Float>?

  public init(
    units: [Bool], neurons: [Bool], outputBias: [Float]? = nil, downBias: [Float]? = nil,
    outputWeight: Matrix<Float>? = nil, downWeight: Matrix<Float>? = nil
  ) {
    self.units = units
    self.neurons = neurons
    self.outputBias = outputBias
    self.downBias = downBias
    self.outputWeight = outputWeight
    self.downWeight = downWeight
  }

  /// Nothing is taken out of block `layer`.
  public static func keepingAll(_ configuration: Configuration, layer: Int) -> BlockPruning {
    BlockPruning(
      units: Array(repeating: true, count: configuration.units(layer)),
      neurons: Array(repeating: true, count: configuration.neurons(layer)))
  }

  public var keptUnits: [Int] { units.indices.filter { units[$0] } }
  public var keptNeurons: [Int] { neurons.indices.filter { neurons[$0] } }
  public var removedUnits: Int { units.count - keptUnits.count }
  public var removedNeurons: Int { neurons.count - keptNeurons.count }

  /// Whether only masks are at work: no bias was added, no weight refitted.
  public var isUncompensated: Bool {
    outputBias == nil && downBias == nil && outputWeight == nil && downWeight == nil
  }

  /// The columns of the output projection that stay: every feature of every head of the kept units.
  public func keptQueryColumns(_ configuration: Configuration) -> [Int] {
    keptUnits.features(of: configuration.queriesPerUnit * configuration.headSize)
  }

  /// This pruning followed by `later`, whose compensation was found on the model that this one leaves.
  ///
  /// Kept is what both keep; added biases add up; a refit replaces an earlier one, which otherwise keeps the columns
  /// that are still there.
  public func followed(by later: BlockPruning, _ configuration: Configuration) -> BlockPruning {
    var result = BlockPruning(
      units: zip(units, later.units).map { $0 && $1 }, neurons: zip(neurons, later.neurons).map { $0 && $1 })
    result.outputBias = sum(outputBias, later.outputBias)
    result.downBias = sum(downBias, later.downBias)
    result.outputWeight =
      later.outputWeight?.keeping(result.keptQueryColumns(configuration), of: later.keptQueryColumns(configuration))
      ?? outputWeight?.keeping(result.keptQueryColumns(configuration), of: keptQueryColumns(configuration))
    result.downWeight =
      later.downWeight?.keeping(result.keptNeurons, of: later.keptNeurons)
      ?? downWeight?.keeping(result.keptNeurons, of: keptNeurons)
    return result
  }

  private func sum(_ first: [Float]?, _ second: [Float]?) -> [Float]? {
    guard let first else { return second }
    guard let second else { return first }
    return zip(first, second).map(+)
  }
}

/// What is taken out of a model, block by block.
public struct Pruning: Sendable {
  /// One entry per block, or none at all when the model is whole.
  public var blocks: [BlockPruning]

  public init(blocks: [BlockPruning] = []) { self.blocks = blocks }

  /// The model as it is.
  public static let none = Pruning()

  public static func keepingAll(_ configuration: Configuration) -> Pruning {
    Pruning(blocks: (0..<configuration.layers).map { .keepingAll(configuration, layer: $0) })
  }

  public subscript(layer: Int) -> BlockPruning? { blocks.indices.contains(layer) ? blocks[layer] : nil }

  public var isUncompensated: Bool { blocks.allSatisfy(\.isUncompensated) }

  /// This pruning followed by `later`; see `BlockPruning.followed`.
  public func followed(by later: Pruning, _ configuration: Configuration) -> Pruning {
    if blocks.isEmpty { return later }
    if later.blocks.isEmpty { return self }
    return Pruning(blocks: zip(blocks, later.blocks).map { $0.followed(by: $1, configuration) })
  }

  /// Weights of linear maps that are gone.
  public func removedParameters(_ configuration: Configuration) -> Int {
    blocks.reduce(0) {
      $0 + $1.removedUnits * configuration.parametersPerUnit + $1.removedNeurons * configuration.parametersPerNeuron
    }
  }

  /// - Throws: `ModelError.pruningMismatch` naming the first block and part that does not fit.
  public func check(_ configuration: Configuration) throws {
    guard !blocks.isEmpty else { return }
    guard blocks.count == configuration.layers else {
      throw ModelError.pruningMismatch(
        layer: blocks.count, what: "blocks", found: blocks.count, expected: configuration.layers)
    }
    for (layer, block) in blocks.enumerated() {
      func require(_ what: String, _ found: Int?, _ expected: Int) throws {
        if let found, found != expected {
          throw ModelError.pruningMismatch(layer: layer, what: what, found: found, expected: expected)
        }
      }
      let d = configuration.hiddenSize
      try require("attention units", block.units.count, configuration.units(layer))
      try require("neurons", block.neurons.count, configuration.neurons(layer))
      try require("output bias entries", block.outputBias?.count, d)
      try require("down bias entries", block.downBias?.count, d)
      try require("output weight rows", block.outputWeight?.rows, d)
      try require("down weight rows", block.downWeight?.rows, d)
      try require(
        "output weight columns", block.outputWeight?.columns, block.keptQueryColumns(configuration).count)
      try require("down weight columns", block.downWeight?.columns, block.keptNeurons.count)
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
