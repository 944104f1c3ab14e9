/// Where the blocks, heads and neurons of the unpruned model stand in an exported folder.
public struct UnitMap: Sendable {
  /// The number of each block there; nil when it is gone.
  public let blocks: [Int?]
  /// By block and unit of the unpruned model, the place in its block there; nil when it is gone.
  public let heads, keyValueHeads, neurons: [[Int?]]

  init(_ model: LanguageModel, _ target: FolderTarget) {
    let configuration = model.configuration
    let blocks = (0..<model.layers).map { target.layers.firstIndex(of: $0) }
    /// - Parameters:
    ///   - count: of places in a block, from its units.
    ///   - items: what belongs to unit `number` of `units`.
    func places(
      _ module: Module, count: (Int) -> Int, _ items: (_ number: Int, _ units: Int) -> [Int]
    ) -> [[Int?]] {
      (0..<model.layers).map { layer in
        let units = configuration.units(module, layer: layer)
        var places = [Int?](repeating: nil, count: count(units))
        guard let block = blocks[layer] else { return places }
        let unitsThere = target.configuration.units(module, layer: block)
        for (index, unit) in model.leftUnits(module, layer: layer).enumerated() {
          let there = items(target.widths == .whole ? unit : index, unitsThere)
          for (old, new) in zip(items(unit, units), there) { places[old] = new }
        }
        return places
      }
    }
    self.blocks = blocks
    neurons = places(.ffn, count: { $0 }) { unit, _ in [unit] }
    let perUnit = configuration.queriesPerUnit
    let isGrouped = configuration.attentionUnit == .group
    keyValueHeads = places(.attention, count: { configuration.heads(units: $0).keyValues }) { unit, _ in
      isGrouped ? [unit] : Array(0..<perUnit)
    }
    heads = places(.attention, count: { $0 * perUnit }) { unit, units in
      (0..<perUnit).map { isGrouped ? unit * perUnit + $0 : $0 * units + unit }
    }
  }

  /// For each block that is there the numbers of what it has left, in the order they have there.
  var json: JSON {
    func kept(_ places: [Int?]) -> JSON {
      .array(
        places.indices.filter { places[$0] != nil }.sorted { (places[$0] ?? 0) < (places[$1] ?? 0) }.map {
          .integer($0)
        })
    }
    let present = blocks.indices.filter { blocks[$0] != nil }
    return .object([
      JSON.Member("unpruned", .text("numbers count the units of the unpruned model, in the order they have here")),
      JSON.Member(
        "blocks",
        .array(
          present.map { layer in
            .object([
              JSON.Member("block", .integer(layer)), JSON.Member("kv_heads", kept(keyValueHeads[layer])),
              JSON.Member("heads", kept(heads[layer])), JSON.Member("neurons", kept(neurons[layer])),
            ])
          })),
    ])
  }
}
