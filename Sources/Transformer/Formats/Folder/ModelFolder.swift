import Glibc
import Numerics

extension LanguageModel {
  /// Writes the model as a folder in Hugging Face layout.
  ///
  /// Numbers keep the type they have in the checkpoint; only what compensation changed (biases, refitted weights) is
  /// single precision.
  func write(
    _ target: FolderTarget, toFolder folder: String, _ options: ModelFormat.Options, pulse: () throws -> Void
  ) throws {
    guard mkdir(folder, 0o777) == 0 || errno == EEXIST else {
      throw ModelError.file(path: folder, reason: "cannot be created: \(String(cString: strerror(errno)))")
    }

    try withoutActuallyEscaping(pulse) { pulse in
      _ = try Safetensors.writeSharded(
        try tensorSources(target, pulse: pulse), toFolder: folder, shardLimit: options.shard ?? 5_000_000_000)
    }
    let isWidened = !pruning.isUncompensated || pruning.slicing != nil
    try OutputFile.write(
      target.config(of: self, isWidened: isWidened).serialized(indented: true) + [UInt8(ascii: "\n")],
      to: folder + "/config.json")
    for name in Self.carriedFiles + ownCode where checkpoint.files.contains(name) {
      try OutputFile.write(try checkpoint.files.bytes(name), to: folder + "/" + name)
    }
    let map = JSON.object([
      JSON.Member("unpruned", .text("numbers count the units of the unpruned model, in the order they have here")),
      JSON.Member("blocks", unitMap(target.layers)),
    ])
    try OutputFile.write(map.serialized() + [UInt8(ascii: "\n")], to: folder + "/prn_units.json")
    try OutputFile.write(Array(modelCard(target, options).utf8), to: folder + "/README.md")
    if !checkpoint.files.contains("tokenizer_config.json"), let name = tokenizerClass {
      let config = JSON.object([JSON.Member("tokenizer_class", .text(name))])
      try OutputFile.write(
        config.serialized(indented: true) + [UInt8(ascii: "\n")], to: folder + "/tokenizer_config.json")
    }
  }

  /// Neurons and heads of the unpruned model by their places in this one, block by block.
  private func unitMap(_ layers: [Int]) -> JSON {
    .array(
      layers.map { layer in
        let heads = leftHeads(layer)
        return .object(
          [
            JSON.Member("block", .integer(layer)),
            JSON.Member("kv_heads", .array(heads.keyValues.map { .integer($0) })),
            JSON.Member("heads", .array(heads.queries.map { .integer($0) })),
            JSON.Member("neurons", .array(leftUnits(.ffn, layer: layer).map { .integer($0) })),
          ] + pairs(layer))
      })
  }

  /// The rotary pairs that each of these key-value heads has left, where some are gone.
  private func pairs(_ layer: Int) -> [JSON.Member] {
    guard let pairs = leftPairs(layer: layer) else { return [] }
    return [JSON.Member("rotary_pairs", .array(pairs.map { .array($0.map { .integer($0) }) }))]
  }

  /// The heads of the unpruned model that a block has left, in the order of its tensors.
  private func leftHeads(_ layer: Int) -> (queries: [Int], keyValues: [Int]) {
    let (units, perUnit) = (leftUnits(.attention, layer: layer), configuration.queriesPerUnit)
    guard configuration.attentionUnit == .query else { return (units.features(of: perUnit), units) }
    let group = configuration.units(.attention, layer: layer)
    let keyValues = Array(0..<configuration.heads(units: units.count).keyValues)
    return (keyValues.flatMap { keyValue in units.map { keyValue * group + $0 } }, keyValues)
  }

  /// The structural units that each of some blocks has left.
  func unitCounts(_ layers: [Int]) -> [PerModule<Int>] {
    layers.map { layer in PerModule { leftUnits($0, layer: layer).count } }
  }

  /// What transformers 4 has to be told where no tokenizer_config.json says it: it guesses from the class of the model,
  /// knows nothing of ours, and gives a byte-level tokenizer in a LLaMA folder tokens that the model does not have.
  private var tokenizerClass: String? {
    if checkpoint.files.contains("tokenizer.json") { return "PreTrainedTokenizerFast" }
    return checkpoint.files.contains("tokenizer.model") ? "LlamaTokenizer" : nil
  }

  /// The Python files that `auto_map` of the source names: a class that is not transformers' own comes with its code.
  private var ownCode: [String] {
    let settings = try? checkpoint.files.fields("tokenizer_config.json")
    let classes = [checkpoint.config, settings].flatMap { Self.strings($0?["auto_map"]) }
    return Set(classes.compactMap { $0.split(separator: ".").first.map { "\($0).py" } }).sorted()
  }

  /// Every text in a value, however deep.
  private static func strings(_ value: JSON?) -> [String] {
    switch value {
    case .string(let text)?: [text.text]
    case .array(let items)?: items.flatMap { strings($0) }
    case .object(let members)?: members.flatMap { strings($0.value) }
    default: []
    }
  }

  /// Files that go along unchanged.
  private static let carriedFiles = [
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "merges.txt", "chat_template.jinja", "generation_config.json",
  ]

  private func tensorSources(_ target: FolderTarget, pulse: @escaping () throws -> Void) throws -> [TensorSource] {
    let layout = TensorLayout(target.configuration, contains: { checkpoint.contains(ByteString($0)) })
    let cache = BlockCache { try target.block($0, of: self) }
    return try layout.slots.map { slot in
      let layer = slot.place.map { target.layers[$0.layer] } ?? 0
      let source = ByteString(layout.name(slot, ofLayer: layer))
      if let sliced = try target.slicing.flatMap({
        try slicedSource(slot, layer: layer, $0, layout, cache, pulse: pulse)
      }) {
        return sliced
      }
      guard case .linear(let roles, let part) = slot.content else {
        return TensorSource(
          ByteString(slot.name), type: try checkpoint.info(source).type, shape: slot.shape
        ) { sink in
          try pulse()
          try checkpoint.append(source, to: sink)
        }
      }
      let isChanged = pruning.slicing != nil || target.isChanged(roles, part, pruning[layer])
      let type = try isChanged ? .f32 : type(of: source, roles, layer)
      return TensorSource(ByteString(slot.name), type: type, shape: slot.shape) { sink in
        try pulse()
        let block = try cache.block(layer)
        if part == .weight, target.configuration.family.isTransposed {
          return try sink.append(stacked(roles.map { block[$0].weight($0) }).T.values)
        }
        for role in roles { try sink.append(block[role].values(role, part)) }
      }
    }
  }

  /// The checkpoint's type for the tensor; for a bias it does not have, that of the weights beside it.
  private func type(of source: ByteString, _ roles: [LinearRole], _ layer: Int) throws -> TensorType {
    if checkpoint.contains(source) { return try checkpoint.info(source).type }
    guard let stored = roles.first.flatMap(configuration.family.linear) else { return .f32 }
    return try checkpoint.info(ByteString(layout.tensors(stored, layer)[0])).type
  }

  private func stacked(_ parts: [Matrix<Float>]) -> Matrix<Float> {
    Matrix(
      rows: parts.reduce(0) { $0 + $1.rows }, columns: parts.first?.columns ?? 0, values: parts.flatMap(\.values))
  }
}

extension Branch {
  /// What stands in a tensor of a linear map.
  fileprivate func values(_ role: LinearRole, _ part: TensorSlot.LinearPart) -> [Float] {
    switch part {
    case .weight: weight(role).values
    case .bias: bias(role) ?? Array(repeating: 0, count: weight(role).rows)
    case .inner: factors(role)?.inner.values ?? []
    case .outer: factors(role)?.outer.values ?? []
    }
  }
}

/// The block that was asked for last: tensors of one block are written one after the other.
final class BlockCache {
  private let load: (Int) throws -> Block
  private var last: (layer: Int, block: Block)?

  init(load: @escaping (Int) throws -> Block) { self.load = load }

  func block(_ layer: Int) throws -> Block {
    if let last, last.layer == layer { return last.block }
    let block = try load(layer)
    last = (layer, block)
    return block
  }
}
