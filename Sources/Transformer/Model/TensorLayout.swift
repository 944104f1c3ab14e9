/// One tensor that a checkpoint must hold.
struct TensorSlot: Sendable, Equatable {
  enum Content: Sendable, Equatable {
    case embedding, positionEmbedding, head
    case norm
    /// The linear maps stacked in it.
    case linear(roles: [LinearRole], LinearPart)
    /// The map that turns the stream on its way around a branch.
    case shortcut
  }

  /// What of a linear map stands in a tensor.
  enum LinearPart: Sendable, Equatable {
    case weight
    /// One axis.
    case bias
    /// A and B of W = B A.
    case inner, outer
  }

  /// The branch that a tensor belongs to.
  struct Place: Sendable, Equatable {
    let layer: Int
    let module: Module
  }

  let name: String
  let shape: [Int]
  let content: Content
  /// Nil outside the blocks.
  var place: Place? = nil
}

/// The names and shapes of a model's tensors: a family's names applied to a configuration's sizes.
struct TensorLayout: Sendable {
  let configuration: Configuration
  /// What stands before the names in this checkpoint.
  let prefix: String

  private var family: Family { configuration.family }

  /// - Parameter contains: whether the checkpoint has a tensor of that name.
  init(_ configuration: Configuration, contains: (String) -> Bool) {
    self.configuration = configuration
    let prefixes = configuration.family.prefixes
    let embedding = configuration.family.embedding + ".weight"
    prefix = prefixes.first { contains($0 + embedding) } ?? prefixes.first ?? ""
  }

  var embedding: String { prefix + family.embedding + ".weight" }
  var positionEmbedding: String? { family.positionEmbedding.map { prefix + $0 + ".weight" } }
  var finalNorm: String { prefix + family.finalNorm }
  /// The tensor of the output head: the embedding table when tied.
  var head: String { configuration.isTied ? embedding : ownHead }
  var ownHead: String { (family.isHeadInBase ? prefix : "") + family.head + ".weight" }

  private func layerPrefix(_ layer: Int) -> String {
    prefix + family.layer.split(separator: "#", omittingEmptySubsequences: false).joined(separator: "\(layer)")
  }

  func norm(_ module: Module, _ layer: Int) -> String { layerPrefix(layer) + family.norms[module] }
  /// The norm of a map's outputs, nil when there is none.
  func norm(_ role: LinearRole, _ layer: Int) -> String? { family.norm(role).map { layerPrefix(layer) + $0 } }
  func linear(_ stored: StoredLinear, _ layer: Int) -> String { layerPrefix(layer) + stored.name }

  /// The matrices of a linear map: one, or those of its two factors, the inner one first, as `export as=hf` calls them.
  func tensors(_ stored: StoredLinear, _ layer: Int) -> [String] {
    let name = linear(stored, layer)
    return isFactored(stored, layer) ? [name + ".0.weight", name + ".1.weight"] : [name + ".weight"]
  }

  func bias(_ stored: StoredLinear, _ layer: Int) -> String {
    linear(stored, layer) + (isFactored(stored, layer) ? ".1.bias" : ".bias")
  }

  private func isFactored(_ stored: StoredLinear, _ layer: Int) -> Bool { rank(stored, layer) != nil }

  private func rank(_ stored: StoredLinear, _ layer: Int) -> Int? {
    stored.roles.first.flatMap { configuration.blocks[layer].ranks[$0] }
  }

  /// The map that turns a sliced stream on its way around a branch, as `export as=hf` calls it.
  func shortcut(_ module: Module, _ layer: Int) -> String {
    layerPrefix(layer) + "\(module.rawValue)_shortcut.weight"
  }

  /// What the tensor of a block is called when the block has another number.
  func name(_ slot: TensorSlot, ofLayer layer: Int) -> String {
    guard let place = slot.place else { return slot.name }
    return layerPrefix(layer) + slot.name.dropFirst(layerPrefix(place.layer).count)
  }

  /// Where a linear map's rows (outputs) stand in its stored tensor.
  func rows(of role: LinearRole, in stored: StoredLinear, layer: Int) -> Range<Int> {
    var start = 0
    for other in stored.roles {
      let size = configuration.rows(of: other, layer: layer)
      if other == role { return start..<start + size }
      start += size
    }
    return 0..<0
  }

  /// Every tensor of the model, in a fixed order.
  var slots: [TensorSlot] {
    let d = configuration.hiddenSize
    var slots = [
      TensorSlot(
        name: embedding, shape: [configuration.vocabularySize, configuration.streamWidth ?? d], content: .embedding)
    ]
    if let positionEmbedding {
      slots.append(
        TensorSlot(name: positionEmbedding, shape: [configuration.positions, d], content: .positionEmbedding))
    }
    for layer in 0..<configuration.layers { slots += blockSlots(layer) }
    slots += norm(finalNorm, of: nil)
    if !configuration.isTied {
      slots.append(TensorSlot(name: head, shape: [configuration.vocabularySize, d], content: .head))
    }
    return slots
  }

  private func blockSlots(_ layer: Int) -> [TensorSlot] {
    var slots = Module.allCases.flatMap { module in
      let place = TensorSlot.Place(layer: layer, module: module)
      if configuration.streamWidth == nil { return norm(norm(module, layer), of: place) }
      // The maps that read a turned stream have its norm in them.
      let widths = configuration.streamWidths(module, layer: layer)
      return [
        TensorSlot(
          name: shortcut(module, layer), shape: [widths.leaving, widths.entering], content: .shortcut, place: place)
      ]
    }
    for role in configuration.roles {
      guard let name = norm(role, layer) else { continue }
      let width =
        family.queryKeyNorm == .perHead ? configuration.headSize : configuration.rows(of: role, layer: layer)
      slots.append(
        TensorSlot(
          name: name + ".weight", shape: [width], content: .norm, place: .init(layer: layer, module: role.module)))
    }
    for stored in family.linears {
      let rows = stored.roles.reduce(0) { $0 + configuration.rows(of: $1, layer: layer) }
      let columns = stored.roles.first.map { configuration.columns(of: $0, layer: layer) } ?? 0
      let place = stored.roles.first.map { TensorSlot.Place(layer: layer, module: $0.module) }
      func add(_ name: String, _ shape: [Int], _ part: TensorSlot.LinearPart) {
        slots.append(
          TensorSlot(name: name, shape: shape, content: .linear(roles: stored.roles, part), place: place))
      }
      let names = tensors(stored, layer)
      if let rank = rank(stored, layer) {
        add(names[0], [rank, columns], .inner)
        add(names[1], [rows, rank], .outer)
      } else {
        add(names[0], family.isTransposed ? [columns, rows] : [rows, columns], .weight)
      }
      if stored.roles.contains(where: configuration.blocks[layer].biases.contains) {
        add(bias(stored, layer), [rows], .bias)
      }
    }
    return slots
  }

  private func norm(_ name: String, of place: TensorSlot.Place?) -> [TensorSlot] {
    let parts = family.normalization == .layer ? ["weight", "bias"] : ["weight"]
    return parts.map {
      TensorSlot(name: "\(name).\($0)", shape: [configuration.hiddenSize], content: .norm, place: place)
    }
  }
}
