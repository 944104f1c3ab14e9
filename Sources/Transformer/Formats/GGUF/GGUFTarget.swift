import Glibc
import Numerics

/// How a pruned model stands in a GGUF file: the architecture that can hold it, and the sizes its blocks get there.
///
/// llama.cpp knows LLaMA's block under three names. `deci` has heads and neurons of its own in every block; `llama` and
/// `qwen2` take those of the first block for all. None can do without heads or neurons in a block: one that has none
/// left gets one of zeros.
struct GGUFTarget {
  let architecture: GGUFArchitecture
  let configuration: Configuration
  let rotary: Rotary
  /// The blocks of the source that are written, in their order.
  let layers: [Int]
  /// Structural units of each of them, padding included.
  let units: [PerModule<Int>]
  private let kept: [PerModule<Int>]
  private let align: Int
  private let biases: [Set<LinearRole>]

  /// - Parameter align: rows of the output maps are padded to multiples of this, as far as the unpruned model's reach.
  /// - Throws: `ModelError.cannotExport` saying what llama.cpp would compute otherwise.
  init(_ model: LanguageModel, align: Int) throws {
    let configuration = model.configuration
    rotary = try Self.rotary(of: model)
    let bridges = model.pruning.bridgedBlocks + (0..<model.layers).filter { model.configuration.blocks[$0].bridges }
    if let block = bridges.first {
      throw ModelError.cannotExport(
        reason: "as=gguf cannot write this model: a linear map stands for the blocks from \(block) on")
    }
    if model.slicedWidth != nil {
      throw ModelError.cannotExport(reason: "as=gguf cannot write this model: its stream is sliced; as=hf can")
    }
    let layers = try model.presentBlocks()
    guard layers.count <= 512 else {
      throw ModelError.cannotExport(
        reason: "as=gguf cannot write this model: llama.cpp reads 512 blocks, block \(layers[512]) is one more")
    }
    self.layers = layers
    self.configuration = configuration
    self.align = align
    let kept = layers.map { layer in
      PerModule { model.pruning[layer]?[$0].kept.count ?? configuration.units($0, layer: layer) }
    }
    self.kept = kept
    let units = layers.indices.map { place in
      PerModule<Int> { module in
        configuration.padded(
          kept[place][module], module, align: align, upTo: configuration.units(module, layer: layers[place]))
      }
    }
    self.units = units
    let biases = layers.map { layer in
      let added = Module.allCases.filter { model.pruning[layer]?[$0].hasAddedBias == true }.map(\.output)
      return configuration.blocks[layer].biases.union(added)
    }
    self.biases = biases
    let isUniform = units.allSatisfy { $0 == units[0] }
    let isQwen = biases.allSatisfy { $0 == [.query, .key, .value] } && rotary.pairing == .halves
    let needsFactors = rotary.divisors(headSize: configuration.headSize) != nil
    architecture = !isUniform ? .deci : isQwen && !needsFactors ? .qwen2 : .llama
  }

  private static func rotary(of model: LanguageModel) throws -> Rotary {
    let configuration = model.configuration
    func refuse(_ reason: String) -> ModelError { .cannotExport(reason: "as=gguf cannot write this model: \(reason)") }
    let graph = configuration.family.graph
    if graph.queryKeyNorm != nil {
      throw refuse("block 0 norms its queries and keys, which the architectures to be written do not")
    }
    let differences = [
      graph.normalization == .rootMeanSquare ? nil : "LayerNorm", graph.isGated ? nil : "an FFN without a gate",
      graph.normsOutput ? "norms behind its modules" : nil, configuration.activation == .silu ? nil : "GELU",
      configuration.rotary == nil ? "learned positions" : nil,
    ].compactMap { $0 }
    guard differences.isEmpty, let rotary = configuration.rotary else {
      throw refuse(
        "block 0 of a \(configuration.family.name) model has \(differences.joined(separator: ", ")), and what llama.cpp reads with sizes per block is LLaMA's block"
      )
    }
    for layer in 0..<model.layers {
      if let span = configuration.window(layer) {
        throw refuse(
          "block \(layer) attends to the last \(span) tokens only, which the architectures to be written do not")
      }
      guard configuration.attentionScale(layer) == 1 / Float(configuration.headSize).squareRoot() else {
        throw refuse("block \(layer) scales its attention scores by a factor of its own")
      }
    }
    return rotary
  }

  /// What the file says of the model.
  func metadata(fileType: GGUFType) -> [GGUFWriter.Entry] {
    let name = architecture.name
    func perBlock(_ number: (PerModule<Int>) -> Int) -> GGUFValue {
      architecture.hasSizesPerBlock ? .integers(units.map { Int32(number($0)) }) : .count(number(units[0]))
    }
    return [
      ("general.architecture", .text(name)), ("general.file_type", .count(fileType.fileType)),
      ("\(name).vocab_size", .count(configuration.vocabularySize)),
      ("\(name).context_length", .count(configuration.positions)),
      ("\(name).embedding_length", .count(configuration.hiddenSize)),
      ("\(name).block_count", .count(layers.count)),
      ("\(name).feed_forward_length", perBlock { $0.ffn }),
      ("\(name).attention.head_count", perBlock { configuration.heads(units: $0.attention).queries }),
      ("\(name).attention.head_count_kv", perBlock { configuration.heads(units: $0.attention).keyValues }),
      ("\(name).attention.key_length", .count(configuration.headSize)),
      ("\(name).attention.value_length", .count(configuration.headSize)),
      ("\(name).attention.layer_norm_rms_epsilon", .number(configuration.epsilon)),
      ("\(name).rope.dimension_count", .count(configuration.headSize)),
      ("\(name).rope.freq_base", .number(Float(rotary.base(headSize: configuration.headSize)))),
    ]
  }

  /// What the user should know about the file.
  func remarks(_ tensors: [GGUFWriter.Tensor]) -> [String] {
    var remarks: [String] = []
    let nouns = PerModule(attention: "attention group", ffn: "neuron")
    for module in Module.allCases {
      let empty = kept.indices.filter { kept[$0][module] == 0 }
      if !empty.isEmpty {
        remarks.append(
          "llama.cpp knows no block without \(nouns[module])s: one of zeros stands in block \(empty.map { String(layers[$0]) }.joined(separator: ", "))"
        )
      }
    }
    let loose = tensors.filter { $0.shape.count == 2 && $0.shape[1] % 32 != 0 }
    if !loose.isEmpty {
      remarks.append(
        "\(loose.count) matrices have rows that are no multiple of 32 and stay F16 when quantised; align=32 mends those of pruned maps"
      )
    }
    return remarks
  }

  // MARK: - Tensors

  /// - Parameter type: of all matrices; nil keeps the checkpoint's, and single precision where compensation changed one.
  func tensors(of model: LanguageModel, as type: GGUFType?) -> [GGUFWriter.Tensor] {
    let d = configuration.hiddenSize
    var tensors = [table(GGUFArchitecture.embedding, model.layout.embedding, model, type)]
    if let divisors = rotary.divisors(headSize: configuration.headSize), architecture.turnsNeighbours {
      tensors.append(GGUFWriter.Tensor(GGUFArchitecture.frequencies, .f32, [divisors.count]) { try $0(divisors) })
    }
    let cache = BlockCache { place in
      let block = try model.loadBlock(layers[place])
      return Block(
        configuration: configuration, layer: layers[place],
        branches: PerModule { block[$0].padded(to: units[place][$0]).inStoredOrder() })
    }
    for place in layers.indices {
      for module in Module.allCases {
        tensors.append(
          GGUFWriter.Tensor(GGUFArchitecture.norm(module, place) + ".weight", .f32, [d]) {
            try $0(try cache.block(place)[module].norm.weight)
          })
        for role in module.roles where configuration.roles.contains(role) {
          tensors += linear(role, place, model, type, cache)
        }
      }
    }
    tensors.append(
      GGUFWriter.Tensor(GGUFArchitecture.finalNorm + ".weight", .f32, [d]) {
        try $0(try model.vector(model.layout.finalNorm + ".weight"))
      })
    if !configuration.isTied { tensors.append(table(GGUFArchitecture.head, model.layout.head, model, type)) }
    return tensors
  }

  /// A table with a row per token, read some rows at a time.
  private func table(
    _ name: String, _ stored: String, _ model: LanguageModel, _ type: GGUFType?
  ) -> GGUFWriter.Tensor {
    let (rows, columns) = (configuration.vocabularySize, configuration.hiddenSize)
    let type = type ?? GGUFType(try? model.checkpoint.info(ByteString(stored)))
    return GGUFWriter.Tensor(name, type.holding(columns), [rows, columns]) { append in
      for range in Parallel.ranges(rows, of: 4096) {
        let part = try Matrix<Float>(rows: range.count, columns: columns) {
          try model.readRows(ByteString(stored), range, columns: columns, into: $0)
        }
        try append(part.values)
      }
    }
  }

  private func linear(
    _ role: LinearRole, _ place: Int, _ model: LanguageModel, _ type: GGUFType?, _ cache: BlockCache
  ) -> [GGUFWriter.Tensor] {
    let layer = layers[place]
    let name = GGUFArchitecture.linear([role], place)
    func size(_ space: Space) -> Int {
      space.module.map { configuration.size(space, units: units[place][$0]) } ?? configuration.hiddenSize
    }
    let (rows, columns) = (size(role.rows), size(role.columns))
    let pruning = model.pruning[layer]?[role.module]
    let isRefitted = pruning?.changes(role) == true
    let stored = configuration.family.linear(role).flatMap {
      try? model.checkpoint.info(ByteString(model.layout.tensors($0, layer)[0]))
    }
    let type = type ?? (isRefitted ? .f32 : GGUFType(stored))
    let order = architecture.rowOrder(of: role, rows: rows, headSize: configuration.headSize, rotary)
    var tensors = [
      GGUFWriter.Tensor(name + ".weight", type.holding(columns), [rows, columns]) { append in
        let weight = try cache.block(place)[role].weight(role)
        try append(order.map { weight.gathering(rows: $0).values } ?? weight.values)
      }
    ]
    if biases[place].contains(role) {
      tensors.append(
        GGUFWriter.Tensor(name + ".bias", .f32, [rows]) { append in
          let bias = try cache.block(place)[role].bias(role) ?? Array(repeating: 0, count: rows)
          try append(order.map { $0.map { bias[$0] } } ?? bias)
        })
    }
    return tensors
  }
}

extension Branch {
  /// This branch with zeros behind its units, `count` in all.
  func padded(to count: Int) -> Branch {
    Branch(
      configuration: configuration, module: module, units: Array(units.indices), heads: heads, norm: norm,
      outputNorms: outputNorms, input: input, output: output, shortcut: shortcut
    ).spread(to: count)
  }
}

extension Rotary {
  /// The base that turns the first features as here when all features of a head turn.
  func base(headSize: Int) -> Double { pow(theta, Double(headSize) / Double(rotatedFeatures)) }

  /// What llama.cpp divides the frequencies of a head's pairs by: scaling for long texts, and so much that nothing
  /// turns beyond the rotated share. Nil when all are 1.
  func divisors(headSize: Int) -> [Float]? {
    let plain = Rotary(theta: theta, rotated: rotatedFeatures, pairing: pairing, scaling: .none)
    let turning = zip(plain.inverseFrequencies, inverseFrequencies).map { $0.0 / $0.1 }
    let still = Array(repeating: Float(1e30), count: headSize / 2 - turning.count)
    let divisors = turning + still
    return divisors.allSatisfy { $0 == 1 } ? nil : divisors
  }
}
