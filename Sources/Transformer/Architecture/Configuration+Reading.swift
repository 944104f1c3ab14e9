extension Configuration {
  /// Reads config.json.
  ///
  /// - Throws: an error naming the field that is missing, out of range or not understood.
  public init(_ fields: JSONFields) throws {
    let modelType = try fields.text("model_type")
    guard let family = Family.all.first(where: { $0.modelTypes.contains(modelType) }) else {
      throw ModelError.unknownArchitecture(found: modelType, known: Family.all.flatMap(\.modelTypes))
    }
    func size(_ quantity: Quantity, or fallback: Int? = nil) throws -> Int {
      try fields.size(family.keys[quantity] ?? [], or: fallback)
    }
    let hidden = try size(.hiddenSize)
    let heads = try size(.heads)
    let sharesKeys = try fields.optionalBool("multi_query_attention") ?? true
    let keyValueHeads = sharesKeys ? try size(.keyValueHeads, or: heads) : heads
    guard heads.isMultiple(of: keyValueHeads) else {
      throw fields.error(family.keys[.keyValueHeads]?.first ?? "", "must divide the \(heads) heads")
    }
    let headSize = try size(.headSize, or: max(1, hidden / heads))
    let positions = try size(.positions, or: 2048)

    self.family = family
    self.hiddenSize = hidden
    self.headSize = headSize
    self.queriesPerUnit = heads / keyValueHeads
    self.vocabularySize = try size(.vocabulary)
    self.positions = positions
    self.epsilon = Float(try fields.number(family.keys[.epsilon] ?? [], or: family.defaultEpsilon))
    self.activation = try Self.activation(fields, family)
    self.rotary = try Self.rotary(fields, family: family, headSize: headSize, positions: positions)
    self.isTied = try fields.optionalBool("tie_word_embeddings") ?? family.isTiedByDefault
    (slidingWindow, slidingFrom) = try Self.slidingWindow(fields, family)
    let uniform = BlockSizes(units: PerModule(attention: keyValueHeads, ffn: try size(.neurons, or: 4 * hidden)))
    self.blocks = try Self.blocks(fields, family: family, count: try size(.layers), uniform: uniform, group: queriesPerUnit)
  }

  private static func blocks(
    _ fields: JSONFields, family: Family, count: Int, uniform: BlockSizes, group: Int
  ) throws -> [BlockSizes] {
    func biases(layer: JSONFields) throws -> Set<LinearRole> {
      var found: Set<LinearRole> = []
      for linear in family.linears where try linear.bias.applies(model: fields, layer: layer) {
        found.formUnion(linear.roles)
      }
      return found
    }
    guard count <= 4096 else { throw fields.error(family.keys[.layers]?.first ?? "", "is too large: \(count)") }
    guard let entries = try fields.optionalObjects("prn_layers") else {
      var sizes = uniform
      sizes.biases = try biases(layer: fields)
      return Array(repeating: sizes, count: count)
    }
    guard entries.count == count else {
      throw fields.error("prn_layers", "has \(entries.count) entries for \(count) layers")
    }
    return try entries.map { layer in
      let units = PerModule(attention: try layer.natural("kv_heads"), ffn: try layer.natural("ffn"))
      guard try layer.natural("heads") == units.attention * group else {
        throw layer.error("heads", "must be \(group) times kv_heads")
      }
      return BlockSizes(units: units, biases: try biases(layer: layer))
    }
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
    // transformers 5 keeps everything in `rope_parameters`; before, `rope_theta` stood at the top.
    let parameters = try fields.optionalObject("rope_parameters") ?? fields.optionalObject("rope_scaling")
    let ratio = try fields.number(family.keys[.ropeRatio] ?? [], or: 1)
    let theta =
      try parameters?.optionalDouble("rope_theta")
      ?? fields.number(family.keys[.ropeTheta] ?? [], or: 10000 * ratio)
    let share =
      try parameters?.optionalDouble("partial_rotary_factor") ?? fields.number(["partial_rotary_factor"], or: 1)
    let rotated = Int(Double(headSize) * fraction * min(max(share, 0), 1))
    guard rotated > 0, rotated.isMultiple(of: 2) else {
      throw fields.error(family.keys[.headSize]?.first ?? "", "gives \(rotated) rotated features, not an even number")
    }
    guard theta > 0 else { throw fields.error("rope_theta", "must be above 0") }
    return Rotary(
      theta: theta, rotated: rotated, pairing: pairing, scaling: try scaling(parameters, positions: positions))
  }

  private static func scaling(_ parameters: JSONFields?, positions: Int) throws -> Rotary.Scaling {
    guard let parameters, let kind = try parameters.text(["rope_type", "type"]) else { return .none }
    switch kind {
    case "default": return .none
    case "linear": return .linear(factor: try parameters.double("factor"))
    case "llama3":
      return .llama3(
        factor: try parameters.double("factor"), low: try parameters.double("low_freq_factor"),
        high: try parameters.double("high_freq_factor"),
        originalPositions: try parameters.number(["original_max_position_embeddings"], or: Double(positions)))
    default: throw ModelError.unknownRopeScaling(kind)
    }
  }

  /// Mistral slides wherever `sliding_window` is set; Qwen2 only when its switch is on, and only in its upper blocks.
  private static func slidingWindow(_ fields: JSONFields, _ family: Family) throws -> (Int?, Int) {
    guard let window = try fields.optionalPositive("sliding_window") else { return (nil, 0) }
    guard family.name == Family.qwen2.name else { return (family.name == Family.mistral.name ? window : nil, 0) }
    return try fields.flag("use_sliding_window")
      ? (window, fields.optionalPositive("max_window_layers") ?? 28) : (nil, 0)
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
