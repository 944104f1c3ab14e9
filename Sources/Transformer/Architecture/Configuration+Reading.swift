extension Configuration {
  /// Reads config.json.
  ///
  /// - Parameter unit: what is taken out of attention as a whole.
  /// - Throws: an error naming the field that is missing, out of range or not understood.
  public init(_ fields: JSONFields, attentionUnit unit: AttentionUnit = .group) throws {
    let modelType = try fields.text("model_type")
    guard let family = Family.all.first(where: { $0.modelTypes.contains(modelType) }) else {
      throw ModelError.unknownArchitecture(
        found: modelType, known: Family.all.filter { $0.baseClass == nil }.flatMap(\.modelTypes))
    }
    func size(_ quantity: Quantity, or fallback: Int? = nil) throws -> Int {
      try fields.size(family.keys[quantity] ?? [], or: fallback)
    }
    let hidden = try size(.hiddenSize)
    let heads = try size(.heads)
    let sharesKeys = try family.groupingKey.map(fields.flag) ?? true
    let keyValueHeads = sharesKeys ? try size(.keyValueHeads, or: heads) : heads
    guard heads.isMultiple(of: keyValueHeads) else {
      throw fields.error(family.keys[.keyValueHeads]?.first ?? "", "must divide the \(heads) heads")
    }
    let headSize = try size(.headSize, or: family.defaultHeadSize ?? max(1, hidden / heads))
    let positions = try size(.positions, or: family.defaultPositions)

    self.family = family
    self.hiddenSize = hidden
    self.headSize = headSize
    self.attentionUnit = unit
    if unit == .query, heads == keyValueHeads, heads > 1 {
      throw fields.error(
        family.keys[.keyValueHeads]?.first ?? "", "is the number of heads, so gqa=query has none to share keys")
    }
    self.queriesPerUnit = unit == .group ? heads / keyValueHeads : keyValueHeads
    self.vocabularySize = try size(.vocabulary)
    self.positions = positions
    self.epsilon = Float(try fields.number(family.keys[.epsilon] ?? [], or: family.defaultEpsilon))
    self.activation = try Self.activation(fields, family)
    self.rotary = try Self.rotary(fields, family: family, headSize: headSize, positions: positions)
    self.isTied = try fields.optionalBool("tie_word_embeddings") ?? family.isTiedByDefault
    let layers = try size(.layers)
    let uniform = BlockSizes(
      units: PerModule(attention: heads / queriesPerUnit, ffn: try size(.neurons, or: 4 * hidden)))
    self.blocks = try Self.blocks(
      fields, family: family, count: layers, uniform: uniform, unit: unit, queriesPerUnit: queriesPerUnit)
    self.attentionScales = try Self.attentionScales(fields, family, headSize: headSize, count: layers)
    // A window that holds the longest sequence shuts nothing out.
    self.windows = try Self.windows(fields, family, count: layers).map { $0.flatMap { $0 < positions ? $0 : nil } }
    try readHeads(fields)
    try readStreamWidth(fields)
    try family.checkKeys(fields)
  }

  private static func blocks(
    _ fields: JSONFields, family: Family, count: Int, uniform: BlockSizes, unit: AttentionUnit, queriesPerUnit: Int
  ) throws -> [BlockSizes] {
    func biases(layer: JSONFields) throws -> Set<LinearRole> {
      var found: Set<LinearRole> = []
      for linear in family.linears where try linear.bias.applies(model: fields, layer: layer) {
        found.formUnion(linear.roles)
      }
      return found
    }
    guard count <= 4096 else { throw fields.error(family.keys[.layers]?.first ?? "", "is too large: \(count)") }
    guard let key = family.layerSizes else {
      var sizes = uniform
      sizes.biases = try biases(layer: fields)
      return Array(repeating: sizes, count: count)
    }
    guard let entries = try fields.optionalObjects(key) else { throw fields.error(key, "is missing") }
    guard entries.count == count else {
      throw fields.error(key, "has \(entries.count) entries for \(count) layers")
    }
    return try entries.map { layer in
      let (heads, keyValueHeads) = (try layer.natural("heads"), try layer.natural("kv_heads"))
      let units = unit == .group ? keyValueHeads : heads / queriesPerUnit
      guard heads == units * queriesPerUnit, (keyValueHeads == 0) == (units == 0),
        unit == .group || units == 0 || keyValueHeads == queriesPerUnit
      else {
        throw layer.error(
          "heads",
          unit == .query
            ? "and kv_heads must be multiples of \(queriesPerUnit) and \(queriesPerUnit) with gqa=query"
            : "must be \(queriesPerUnit) times kv_heads; gqa=query loads groups that lost query heads")
      }
      var sizes = BlockSizes(
        units: PerModule(attention: units, ffn: try layer.natural("ffn")), biases: try biases(layer: layer))
      sizes.bridges = try layer.flag("bridge")
      sizes.ranks = try ranks(layer, family, of: sizes)
      guard !sizes.bridges || units == 0 else {
        throw layer.error("bridge", "needs a block without heads")
      }
      return sizes
    }
  }

  /// Of the maps of a block that are two factors: how many numbers stand between them.
  private static func ranks(_ layer: JSONFields, _ family: Family, of sizes: BlockSizes) throws -> [LinearRole: Int] {
    guard let entry = try layer.optionalObject("ranks") else { return [:] }
    var ranks: [LinearRole: Int] = [:]
    for member in entry.members {
      let name = member.key.description
      guard let stored = family.linears.first(where: { $0.shortName == name }), stored.roles.count == 1 else {
        throw entry.error(name, "is no linear map of a \(family.name) block that can be two factors")
      }
      let role = stored.roles[0]
      guard sizes.units[role.module] > 0 else { throw entry.error(name, "is a map of units that are not there") }
      ranks[role] = try entry.size([name])
    }
    return ranks
  }

  /// What is left of the features of the heads, block by block.
  private mutating func readHeads(_ fields: JSONFields) throws {
    let key = "prn_heads"
    guard family.layerSizes != nil, let entries = try fields.optionalArray(key) else { return }
    guard entries.count == layers else {
      throw fields.error(key, "has \(entries.count) entries for \(layers) layers")
    }
    for (layer, entry) in entries.enumerated() where entry != .null {
      let found = try JSONFields(entry, file: fields.file, path: "\(key)[\(layer)]")
      guard units(.attention, layer: layer) > 0 else { throw found.error("value", "is of heads that are not there") }
      let value = try found.size(["value"])
      guard value <= headSize else { throw found.error("value", "is more than the \(headSize) features of a head") }
      let pairs = try pairs(found, heads: keyValueHeads(layer: layer))
      blocks[layer].heads = Heads(
        size: HeadSizes(key: pairs.map { 2 * $0[0].count } ?? headSize, value: value), pairs: pairs)
    }
  }

  /// The rotary pairs of every key-value head of a block.
  private func pairs(_ fields: JSONFields, heads: Int) throws -> [[Int]]? {
    guard let lists = try fields.optionalArray("pairs") else { return nil }
    if let obstacle = obstacleToPairs { throw fields.error("pairs", "cannot be chosen with \(obstacle.dropLast())") }
    let pairs = lists.map { list -> [Int] in
      guard case .array(let numbers) = list else { return [] }
      return numbers.compactMap {
        if case .integer(let number) = $0, 0..<headSize / 2 ~= number { number } else { nil }
      }
    }
    let areWhole = zip(lists, pairs).allSatisfy { list, own in
      if case .array(let numbers) = list { numbers.count == own.count } else { false }
    }
    guard areWhole, pairs.count == heads, let first = pairs.first, !first.isEmpty,
      pairs.allSatisfy({ $0.count == first.count && zip($0, $0.dropFirst()).allSatisfy { $0 < $1 } })
    else {
      throw fields.error(
        "pairs", "must be \(heads) lists of as many rising numbers below \(headSize / 2), one for every key-value head")
    }
    return pairs
  }

  /// What is left of a stream that is turned around every branch.
  private mutating func readStreamWidth(_ fields: JSONFields) throws {
    let key = "prn_width"
    guard family.layerSizes != nil, fields[key] != nil else { return }
    let width = try fields.size([key])
    guard width <= hiddenSize else { throw fields.error(key, "is more than the \(hiddenSize) of the whole stream") }
    if isTied {
      throw fields.error(
        "tie_word_embeddings", "must be false: the head reads \(hiddenSize), embeddings are \(width) wide")
    }
    if family.normsOutput { throw fields.error(key, "cannot be with norms that come last, as in \(family.name)") }
    streamWidth = width
  }

  private static func activation(_ fields: JSONFields, _ family: Family) throws -> Activation {
    guard let key = fields.firstName(family.activationKeys) else { return family.defaultActivation }
    // A gate goes with SiLU and its absence with GELU in every known family; nothing else has been checked.
    let names = family.isGated ? ["silu", "swish"] : ["gelu_new", "gelu_pytorch_tanh"]
    guard names.contains(try fields.text(key)) else { throw fields.error(key, "must be \(names[0])") }
    return family.isGated ? .silu : .geluTanh
  }

  private static func rotary(
    _ fields: JSONFields, family: Family, headSize: Int, positions: Int
  ) throws -> Rotary? {
    guard case .rotary(let pairing, let fraction) = family.position else { return nil }
    let parameters = family.readsRotation ? try rotationParameters(fields) : nil
    let ratio = try fields.number(family.keys[.ropeRatio] ?? [], or: 1)
    let theta =
      try parameters?.optionalDouble("rope_theta")
      ?? fields.number(family.keys[.ropeTheta] ?? [], or: 10000 * ratio)
    let share = try rotatedShare(fields, parameters, family)
    let rotated = Int(Double(headSize) * fraction * min(max(share, 0), 1))
    guard rotated > 0, rotated.isMultiple(of: 2) else {
      throw fields.error(family.keys[.headSize]?.first ?? "", "gives \(rotated) rotated features, not an even number")
    }
    guard theta > 0 else { throw fields.error("rope_theta", "must be above 0") }
    return Rotary(
      theta: theta, rotated: rotated, pairing: pairing,
      scaling: try scaling(parameters, fields, positions: positions, pairs: rotated / 2))
  }

  /// Only classes that say so turn less than whole heads. The others pass the key over, and so it must be 1.
  private static func rotatedShare(_ fields: JSONFields, _ parameters: JSONFields?, _ family: Family) throws -> Double {
    let key = "partial_rotary_factor"
    let share = try parameters?.optionalDouble(key) ?? fields.number([key], or: 1)
    guard share == 1 || family.keys[.rotatedShare]?.contains(key) == true else {
      throw fields.error(key, "is not known in \(family.name) models, which turn whole heads")
    }
    return share
  }

  /// transformers 5 keeps everything in `rope_parameters`; before, `rope_theta` stood at the top and the rest in
  /// `rope_scaling`, which still wins where somebody wrote it beside the other.
  private static func rotationParameters(_ fields: JSONFields) throws -> JSONFields? {
    for key in ["rope_scaling", "rope_parameters"] {
      if let parameters = try fields.optionalObject(key), !parameters.members.isEmpty { return parameters }
    }
    return nil
  }

  private static func scaling(
    _ parameters: JSONFields?, _ fields: JSONFields, positions: Int, pairs: Int
  ) throws -> Rotary.Scaling {
    guard let parameters else { return .none }
    func positive(_ key: String) throws -> Double {
      let number = try parameters.double(key)
      guard number > 0 else { throw parameters.error(key, "must be above 0") }
      return number
    }
    let scaling: Rotary.Scaling
    switch try parameters.text(["rope_type", "type"]) ?? "default" {
    case "default": scaling = .none
    case "linear": scaling = .linear(factor: try positive("factor"))
    case "llama3":
      scaling = .llama3(
        factor: try positive("factor"), low: try positive("low_freq_factor"), high: try positive("high_freq_factor"),
        originalPositions: try parameters.number(["original_max_position_embeddings"], or: Double(positions)))
    case "longrope": scaling = .factors(try factors(parameters, fields, positions: positions, pairs: pairs))
    case let kind: throw ModelError.unknownRopeScaling(kind)
    }
    for member in parameters.members where member.value != .null {
      let key = member.key.description
      guard Family.rotationKeys.contains(key) else { throw parameters.error(key, "is not a key of a known rotation") }
    }
    return scaling
  }

  /// One factor per pair. Those for long texts must be those for short ones, or no text be long; and scores stay as they
  /// are.
  private static func factors(
    _ parameters: JSONFields, _ fields: JSONFields, positions: Int, pairs: Int
  ) throws -> [Double] {
    let short = try parameters.array("short_factor")
    let key = "original_max_position_embeddings"
    let original = try parameters.number([key], or: fields.number([key], or: Double(positions)))
    guard try parameters.array("long_factor") == short || Double(positions) <= original else {
      throw parameters.error(
        "long_factor", "must be short_factor: frequencies that depend on a text's length are not computed")
    }
    guard try parameters.number(["attention_factor"], or: Double(positions) <= original ? 1 : 0) == 1 else {
      throw parameters.error("attention_factor", "must be 1")
    }
    let factors = short.compactMap { factor -> Double? in
      switch factor {
      case .integer(let number): Double(number)
      case .number(let number): number
      default: nil
      }
    }
    guard factors.count == pairs, short.count == pairs, factors.allSatisfy({ $0 > 0 && $0.isFinite }) else {
      throw parameters.error("short_factor", "must be a list of \(pairs) numbers above 0")
    }
    return factors
  }

  /// GPT-2 may leave out 1 / √d_h, and may divide by the number of the layer, counted from 1.
  private static func attentionScales(
    _ fields: JSONFields, _ family: Family, headSize: Int, count: Int
  ) throws -> [Float] {
    let scale: Float = 1 / Float(headSize).squareRoot()
    switch family.scale {
    case .bySize: return Array(repeating: scale, count: count)
    case .given(let key): return Array(repeating: Float(try fields.number([key], or: 1)), count: count)
    case .switched(let bySize, let byDepth):
      let base = try fields.optionalBool(bySize) ?? true ? scale : 1
      let isByDepth = try fields.flag(byDepth)
      return (0..<count).map { isByDepth ? base / Float($0 + 1) : base }
    }
  }

  private static func windows(_ fields: JSONFields, _ family: Family, count: Int) throws -> [Int?] {
    func window(or fallback: Int?) throws -> Int? {
      fields.names("sliding_window") ? try fields.optionalPositive("sliding_window") : fallback
    }
    switch family.sliding {
    case .never: return Array(repeating: nil, count: count)
    case .everywhere(let fallback): return Array(repeating: try window(or: fallback), count: count)
    case .perLayer(let fallback, let first):
      let span = try fields.flag("use_sliding_window") ? try window(or: fallback) : nil
      guard let types = try fields.optionalArray("layer_types") else {
        let first = try fields.optionalNatural("max_window_layers") ?? first
        return (0..<count).map { $0 >= first ? span : nil }
      }
      guard types.count == count else {
        throw fields.error("layer_types", "has \(types.count) entries for \(count) layers")
      }
      return try types.map { type in
        switch type {
        case .text("full_attention"): return nil
        case .text("sliding_attention"):
          guard let span else { throw fields.error("layer_types", "asks for a sliding window that no key gives") }
          return span
        default: throw fields.error("layer_types", "must hold full_attention and sliding_attention only")
        }
      }
    }
  }
}

extension Configuration {
  /// Reads config.json of a folder, and looks whether the head is tied as it says: a head that the file holds beside the
  /// embedding table counts, as in transformers, when its numbers are its own.
  public init(_ checkpoint: Checkpoint, attentionUnit: AttentionUnit = .group) throws {
    try self.init(checkpoint.config, attentionUnit: attentionUnit)
    guard isTied else { return }
    let layout = TensorLayout(self) { checkpoint.contains(ByteString($0)) }
    let own = ByteString(layout.ownHead)
    if checkpoint.contains(own) { isTied = try checkpoint.areEqual(own, ByteString(layout.embedding)) }
  }
}

extension BiasRule {
  func applies(model: JSONFields, layer: JSONFields) throws -> Bool {
    switch self {
    case .never: false
    case .always: true
    case .whenTrue(let keys): try keys.contains { try model.flag($0) }
    case .perLayer(let key): try layer.flag(key)
    }
  }
}
