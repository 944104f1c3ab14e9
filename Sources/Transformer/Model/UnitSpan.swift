/// Where the structural units of a module stand in one tensor of a checkpoint: unit `u` takes `width` positions of
/// `axis`, from `start + u · width` on. A unit with heads in several groups has a span in each.
public struct UnitSpan: Sendable, Equatable {
  public let layer: Int
  public let module: Module
  /// The tensor's name in the checkpoint.
  public let tensor: String
  /// The axis of the stored tensor: 0 for its rows, 1 for its columns.
  public let axis: Int
  public let start: Int
  public let width: Int

  public init(layer: Int, module: Module, tensor: String, axis: Int, start: Int, width: Int) {
    self.layer = layer
    self.module = module
    self.tensor = tensor
    self.axis = axis
    self.start = start
    self.width = width
  }

  /// The unit's part of the tensor, as NumPy and PyTorch index it: `model.layers.0.mlp.down_proj.weight[:,17]`.
  public func part(of unit: Int) -> String {
    let first = start + unit * width
    let positions = width == 1 ? "\(first)" : "\(first):\(first + width)"
    return tensor + (axis == 0 ? "[\(positions)]" : "[:,\(positions)]")
  }
}

extension LanguageModel {
  /// The tensors that lose something with a structural unit, layer by layer.
  public var unitSpans: [UnitSpan] {
    (0..<layers).flatMap { layer in
      configuration.family.linears.flatMap { stored in
        stored.roles.flatMap { role in spans(of: role, in: stored, layer) }
      }
    }
  }

  /// A linear map narrows where its rows or its columns are made of units; its bias goes with its rows.
  private func spans(of role: LinearRole, in stored: StoredLinear, _ layer: Int) -> [UnitSpan] {
    let (tensors, head) = (layout.tensors(stored, layer), configuration.blocks[layer].heads?.size)
    func span(_ tensor: String, _ space: Space, axis: Int, start: Int) -> [UnitSpan] {
      let isOfQueries = space == .queries || space == .heads
      let groups = isOfQueries && configuration.attentionUnit == .query ? configuration.queriesPerUnit : 1
      let width = configuration.featuresPerUnit(space, head: head) / groups
      guard width > 0 else { return [] }
      return (0..<groups).map { group in
        UnitSpan(
          layer: layer, module: role.module, tensor: tensor, axis: axis,
          start: start + group * configuration.units(role.module, layer: layer) * width, width: width)
      }
    }
    let isTransposed = configuration.family.isTransposed
    let first = layout.rows(of: role, in: stored, layer: layer).lowerBound
    let hasBias = stored.roles.contains(where: configuration.blocks[layer].biases.contains)
    return [
      // The outer factor of two makes the outputs, the inner one reads the inputs.
      span(tensors[tensors.count - 1], role.rows, axis: isTransposed ? 1 : 0, start: first),
      span(tensors[0], role.columns, axis: isTransposed ? 0 : 1, start: 0),
      hasBias ? span(layout.bias(stored, layer), role.rows, axis: 0, start: first) : [],
    ].flatMap { $0 }
  }
}
