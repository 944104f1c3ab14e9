/// What the metadata of a GGUF file says of the model, as config.json of its family would say it.
struct GGUFConfiguration {
  let architecture: GGUFArchitecture
  let json: JSON
  /// What attention units all blocks are made of.
  let attentionUnit: AttentionUnit

  private let header: GGUFHeader
  private let stored: TensorFile

  /// - Throws: `GGUFError` naming the key at fault.
  init(_ header: GGUFHeader, _ stored: TensorFile) throws {
    self.header = header
    self.stored = stored
    let name = try header.text("general.architecture") ?? ""
    guard let architecture = GGUFArchitecture.all.first(where: { $0.name == name }) else {
      throw GGUFError.architecture(file: header.file, found: name)
    }
    self.architecture = architecture
    let numbers = Numbers(header: header, prefix: name)
    try numbers.checkKeys(stored)

    let hidden = try numbers.positive("embedding_length")
    let layers = try numbers.positive("block_count")
    guard layers <= 4096 else { throw numbers.error("block_count", "is too large: \(layers)") }
    let heads = try numbers.perBlock("attention.head_count", count: layers)
    let groups = try numbers.perBlock("attention.head_count_kv", count: layers, or: heads)
    let neurons = try numbers.perBlock("feed_forward_length", count: layers)
    let headSize = try numbers.integer("attention.key_length") ?? hidden / heads[0]
    guard headSize > 0, try numbers.integer("attention.value_length") ?? headSize == headSize else {
      throw numbers.error("attention.value_length", "must be attention.key_length")
    }
    let perGroup = heads[0] / groups[0]
    attentionUnit = (0..<layers).allSatisfy { heads[$0] == perGroup * groups[$0] } ? .group : .query
    for layer in 0..<layers
    where !heads[layer].isMultiple(of: groups[layer]) || attentionUnit == .query && groups[layer] != groups[0] {
      throw numbers.error(
        "attention.head_count",
        "gives block \(layer) \(heads[layer]) query heads over \(groups[layer]) key-value heads; all blocks must have as many per key-value head as block 0, or as many key-value heads"
      )
    }
    let blocks = (0..<layers).map { layer in
      BlockSizes(
        units: PerModule(attention: groups[layer], ffn: neurons[layer]),
        biases: Set(
          architecture.family.linears.filter {
            stored.tensors[ByteString(GGUFArchitecture.linear($0.roles, layer) + ".bias")] != nil
          }.flatMap(\.roles)))
    }
    let isUniform = blocks.allSatisfy { $0.units == blocks[0].units } && Set(heads).count == 1
    guard isUniform || architecture.turnsNeighbours else {
      throw numbers.error("attention.head_count", "or feed_forward_length differs between blocks")
    }
    let fits = isUniform && architecture.family.holding(blocks) == blocks
    let family = fits || architecture.family.graph != Family.pruned.graph ? architecture.family : .pruned
    guard let table = stored.tensors[ByteString(GGUFArchitecture.embedding)] else {
      throw GGUFError.noTensor(file: header.file, name: GGUFArchitecture.embedding)
    }

    var members: [JSON.Member] = []
    func add(_ key: String?, _ value: JSON) { if let key { members.append(JSON.Member(ByteString(key), value)) } }
    func add(_ quantity: Quantity, _ value: JSON) { add(family.keys[quantity]?.first, value) }
    add("model_type", .text(family.modelTypes[0]))
    add("architectures", .array([.text(family.className)]))
    add(.layers, .integer(layers))
    add(.hiddenSize, .integer(hidden))
    // A class may want heads that share the stream, which pruned ones no longer do.
    let widest = (0..<layers).max { heads[$0] < heads[$1] } ?? 0
    let divisor = attentionUnit == .group ? perGroup : groups[0]
    let isShared = !isUniform && hidden.isMultiple(of: headSize * divisor)
    let whole = isShared ? hidden / headSize : heads[widest]
    add(.heads, .integer(whole))
    add(.keyValueHeads, .integer(attentionUnit == .group ? whole / perGroup : groups[0]))
    add(family.groupingKey, .bool(true))
    add(.headSize, .integer(headSize))
    add(.neurons, .integer(neurons.max() ?? 1))
    add(.vocabulary, .integer(table.rows))
    let positions = try numbers.positive("context_length")
    add(.positions, .integer(positions))
    add(.epsilon, .number(try numbers.number("attention.layer_norm_rms_epsilon")))
    let base = try header.number("\(name).rope.freq_base") ?? 10000
    add(.ropeTheta, .number(base))
    add(.ropeRatio, .number(base / 10000))
    add("tie_word_embeddings", .bool(stored.tensors[ByteString(GGUFArchitecture.head)] == nil))
    if let span = try numbers.integer("attention.sliding_window"), span > 0, span < positions {
      guard family.sliding != .never else {
        throw numbers.error("attention.sliding_window", "is not known in \(name) models")
      }
      add("sliding_window", .integer(span))
      add("use_sliding_window", .bool(true))
    }
    for linear in family.linears {
      guard case .whenTrue(let keys) = linear.bias, let key = keys.first else { continue }
      if !members.contains(where: { $0.key == ByteString(key) }) {
        add(key, .bool(!blocks[0].biases.isDisjoint(with: linear.roles)))
      }
    }
    try numbers.rotation(family, headSize: headSize, positions: positions, stored).forEach {
      add($0.key.text, $0.value)
    }
    if let key = family.layerSizes {
      let counts = (0..<layers).map { HeadCounts(queries: heads[$0], keyValues: groups[$0]) }
      members += family.sizes(blocks, heads: counts, key: key)
    }
    for (role, key) in [("bos", "bos"), ("eos", "eos")] {
      if let id = try header.integer("tokenizer.ggml.\(key)_token_id") { add("\(role)_token_id", .integer(id)) }
    }
    json = .object(members)
  }
}

/// The keys of one architecture.
private struct Numbers {
  let header: GGUFHeader
  let prefix: String

  func error(_ key: String, _ problem: String) -> GGUFError {
    .value(file: header.file, key: "\(prefix).\(key)", problem: problem)
  }

  func integer(_ key: String) throws -> Int? {
    guard let number = try header.integer("\(prefix).\(key)") else { return nil }
    guard 0..<(1 << 28) ~= number else { throw error(key, "is out of range: \(number)") }
    return number
  }

  func positive(_ key: String) throws -> Int {
    guard let number = try integer(key) else { throw GGUFError.missing(file: header.file, key: "\(prefix).\(key)") }
    guard number > 0 else { throw error(key, "must be above 0") }
    return number
  }

  func number(_ key: String) throws -> Double {
    guard let number = try header.number("\(prefix).\(key)") else {
      throw GGUFError.missing(file: header.file, key: "\(prefix).\(key)")
    }
    return number
  }

  /// One number per block, or one for all.
  func perBlock(_ key: String, count: Int, or fallback: [Int]? = nil) throws -> [Int] {
    if case .integers(let numbers)? = header.metadata["\(prefix).\(key)"] {
      guard numbers.count == count else { throw error(key, "has \(numbers.count) entries for \(count) blocks") }
      if let empty = numbers.firstIndex(where: { $0 <= 0 || $0 >= 1 << 28 }) {
        throw error(key, "is \(numbers[empty]) in block \(empty); blocks without a part are not read")
      }
      return numbers.map(Int.init)
    }
    if let fallback, header.metadata["\(prefix).\(key)"] == nil { return fallback }
    return Array(repeating: try positive(key), count: count)
  }

  /// Keys that are read, or do not change what is computed.
  private static let known: Set<String> = [
    "vocab_size", "context_length", "embedding_length", "block_count", "feed_forward_length", "attention.head_count",
    "attention.head_count_kv", "attention.key_length", "attention.value_length", "attention.layer_norm_rms_epsilon",
    "rope.dimension_count", "rope.freq_base", "rope.scaling.type", "rope.scaling.factor",
    "rope.scaling.original_context_length", "rope.scaling.finetuned", "attention.sliding_window",
  ]

  /// - Throws: `GGUFError` naming a key that asks for something prn does not compute.
  func checkKeys(_ stored: TensorFile) throws {
    for (key, value) in header.metadata.sorted(by: { $0.key < $1.key }) where key.hasPrefix(prefix + ".") {
      let name = String(key.dropFirst(prefix.count + 1))
      if Self.known.contains(name) { continue }
      switch value {
      case .count(0), .flag(false): continue
      case .number(let number) where number == 0: continue
      default: throw error(name, "is not known in \(prefix) models; what it asks for is not computed")
      }
    }
  }

  /// What config.json says of the rotation besides its base.
  func rotation(_ family: Family, headSize: Int, positions: Int, _ stored: TensorFile) throws -> [JSON.Member] {
    guard case .rotary(_, let fraction) = family.position else { return [] }
    var members: [JSON.Member] = []
    let whole = Int(Double(headSize) * fraction)
    let turning = try integer("rope.dimension_count") ?? headSize
    if turning != whole {
      guard turning > 0, turning < whole, family.keys[.rotatedShare]?.isEmpty == false else {
        throw error("rope.dimension_count", "is \(turning), wanted \(whole)")
      }
      members.append(JSON.Member("partial_rotary_factor", .number(Double(turning) / Double(headSize))))
    }
    var scaling: [JSON.Member] = []
    switch try header.text("\(prefix).rope.scaling.type") ?? "none" {
    case "none": break
    case "linear":
      scaling = [
        JSON.Member("rope_type", .text("linear")),
        JSON.Member("factor", .number(try number("rope.scaling.factor"))),
      ]
    case let kind: throw error("rope.scaling.type", "is \(kind); the known types are none and linear")
    }
    if stored.tensors[ByteString(GGUFArchitecture.frequencies)] != nil {
      guard scaling.isEmpty, family.readsRotation else {
        throw error("rope.scaling.type", "cannot be used beside the tensor \(GGUFArchitecture.frequencies)")
      }
      let factors = JSON.array(
        try stored.read(ByteString(GGUFArchitecture.frequencies)).map { .number(Double("\($0)") ?? Double($0)) })
      scaling = [
        JSON.Member("rope_type", .text("longrope")), JSON.Member("short_factor", factors),
        JSON.Member("long_factor", factors), JSON.Member("attention_factor", .number(1)),
        JSON.Member("original_max_position_embeddings", .integer(positions)),
      ]
    }
    if !scaling.isEmpty { members.append(JSON.Member("rope_scaling", .object(scaling))) }
    return members
  }
}
