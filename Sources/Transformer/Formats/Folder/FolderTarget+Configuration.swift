extension FolderTarget {
  /// config.json of the exported model: the source's, with what changes replaced.
  ///
  /// - Parameter isWidened: some tensors are single precision because compensation changed them.
  func config(of model: LanguageModel, isWidened: Bool) -> JSON {
    var members = ConfigMembers(model.checkpoint.config.members)
    if isWidened {
      members.remove("torch_dtype")
      members["dtype"] = .text("float32")
      // transformers 4 reads the older name.
      members["torch_dtype"] = .text("float32")
    }
    members["tie_word_embeddings"] = .bool(configuration.isTied)
    // vLLM goes by it; transformers does without.
    members["architectures"] = members["architectures"] ?? .array([.text(configuration.family.className)])
    keepRotation(&members)
    if let slicing { takeWidth(slicing, &members) }
    members["prn_heads"] = hasNarrowHeads ? .array(configuration.blocks.map(\.heads.json)) : nil
    if layers.count < model.layers { keepLayers(&members, of: model) }
    if keepsFamily && configuration.blocks == layers.map({ model.configuration.blocks[$0] }) { return members.json }
    let family = configuration.family
    if !keepsFamily {
      if let key = model.configuration.family.layerSizes { members.remove(key) }
      take(&members, family)
    }
    for stored in family.linears {
      guard case .whenTrue(let keys) = stored.bias, let key = keys.first else { continue }
      members[key] = .bool(configuration.blocks.contains { !$0.biases.isDisjoint(with: stored.roles) })
    }
    if let key = family.layerSizes {
      let heads = configuration.blocks.map { configuration.heads(units: $0.units.attention) }
      let sizes = family.sizes(configuration.blocks, heads: heads, key: key)
      for member in sizes { members[member.key.text] = member.value }
    } else if let block = configuration.blocks.first, widths != .whole {
      let heads = configuration.heads(units: block.units.attention)
      let numbers: [(Quantity, Int)] = [
        (.heads, heads.queries), (.keyValueHeads, heads.keyValues),
        (.headSize, configuration.headSize), (.neurons, block.units.ffn),
      ]
      for (quantity, number) in numbers {
        if let key = family.keys[quantity]?.first { members[key] = .integer(number) }
      }
    }
    return members.json
  }

  /// The width of a sliced stream: of the model, or of a class that turns it before every branch.
  private func takeWidth(_ slicing: Slicing, _ members: inout ConfigMembers) {
    guard slicing.isShared else {
      members["prn_width"] = .integer(slicing.width)
      return
    }
    let keys = configuration.family.keys
    if let key = keys[.hiddenSize]?.first { members[key] = .integer(slicing.width) }
    if let key = keys[.headSize]?.first { members[key] = .integer(configuration.headSize) }
    if let key = keys[.epsilon]?.first { members[key] = .number(Double(configuration.epsilon)) }
  }

  /// Fewer blocks, and what config.json says of single ones goes with them; `prn_kept_layers` has their old numbers.
  private func keepLayers(_ members: inout ConfigMembers, of model: LanguageModel) {
    for key in configuration.family.keys[.layers] ?? [] where members[key] != nil {
      members[key] = .integer(layers.count)
    }
    if case .array(let types)? = members["layer_types"], types.count == model.layers {
      members["layer_types"] = .array(layers.map { types[$0] })
    }
    if case .integer(let first)? = members["max_window_layers"] {
      members["max_window_layers"] = .integer(layers.count { $0 < first })
    }
    members["prn_kept_layers"] = .array(layers.map { .integer($0) })
  }

  /// Names another class, takes out what its configuration does not know, and writes what it would have otherwise.
  private func take(_ members: inout ConfigMembers, _ family: Family) {
    members["model_type"] = family.modelTypes.first.map { .text($0) }
    members["architectures"] = .array([.text(family.className)])
    members.remove("auto_map")
    if family.sliding == .never {
      for key in ["sliding_window", "use_sliding_window", "max_window_layers", "layer_types"] { members.remove(key) }
    }
    members.remove("original_max_position_embeddings")
    if let key = family.keys[.epsilon]?.first {
      members[key] = members[key] ?? .number(Double("\(configuration.epsilon)") ?? Double(configuration.epsilon))
    }
    for (key, value) in family.settledKeys.sorted(by: { $0.key < $1.key }) { members[key] = value }
    if case .given(let key) = family.scale { members[key] = .number(Double(configuration.attentionScale(0))) }
  }

  /// transformers 4 wants `rope_theta` at the top and scaling in `rope_scaling`; 5 keeps both in `rope_parameters` and
  /// still reads the older keys.
  private func keepRotation(_ members: inout ConfigMembers) {
    guard case .object(let parameters)? = members["rope_parameters"] else { return }
    if let theta = parameters.first(where: { $0.key == "rope_theta" }) { members["rope_theta"] = theta.value }
    let kind = parameters.first { $0.key == "rope_type" }?.value
    if let kind, kind != .text("default") {
      members["rope_scaling"] = .object(parameters.filter { $0.key != "rope_theta" })
    }
  }
}

extension Heads? {
  /// What is left of the heads of a block, key-value head by key-value head; null where all is.
  fileprivate var json: JSON {
    guard let self else { return .null }
    let lists = self.pairs.map { JSON.array($0.map { .array($0.map { .integer($0) }) }) }
    return .object([JSON.Member("value", .integer(self.size.value)), JSON.Member("pairs", lists ?? .null)])
  }
}

extension Family {
  /// What config.json of the class with sizes per block says of them, and where the class is.
  func sizes(_ blocks: [BlockSizes], heads: [HeadCounts], key: String) -> [JSON.Member] {
    let entries = zip(blocks, heads).map { block, heads in
      let bridge = block.bridges ? [JSON.Member("bridge", .bool(true))] : []
      let ranks = linears.compactMap { stored in
        stored.roles.first.flatMap { block.ranks[$0] }.map { JSON.Member(ByteString(stored.shortName), .integer($0)) }
      }
      return JSON.object(
        [
          JSON.Member("heads", .integer(heads.queries)), JSON.Member("kv_heads", .integer(heads.keyValues)),
          JSON.Member("ffn", .integer(block.units.ffn)),
          JSON.Member("qkv_bias", .bool(block.biases.contains(.query))),
          JSON.Member("o_bias", .bool(block.biases.contains(.output))),
          JSON.Member("gate_up_bias", .bool(block.biases.contains(.up))),
          JSON.Member("down_bias", .bool(block.biases.contains(.down))),
        ] + bridge + (ranks.isEmpty ? [] : [JSON.Member("ranks", .object(ranks))]))
    }
    let classes = JSON.object([
      JSON.Member("AutoConfig", .text("modeling_prn.PrnConfig")),
      JSON.Member("AutoModelForCausalLM", .text("modeling_prn.PrnForCausalLM")),
    ])
    return [JSON.Member("auto_map", classes), JSON.Member(ByteString(key), .array(entries))]
  }
}

/// The members of config.json, to be replaced by name; the order of the file stays.
private struct ConfigMembers {
  private var members: [JSON.Member]

  init(_ members: [JSON.Member]) { self.members = members }

  var json: JSON { .object(members) }

  subscript(name: String) -> JSON? {
    get { members.first { $0.key == ByteString(name) }?.value }
    set {
      guard let newValue else { return remove(name) }
      let member = JSON.Member(ByteString(name), newValue)
      if let place = members.firstIndex(where: { $0.key == member.key }) {
        members[place] = member
      } else {
        members.append(member)
      }
    }
  }

  mutating func remove(_ name: String) { members.removeAll { $0.key == ByteString(name) } }
}
