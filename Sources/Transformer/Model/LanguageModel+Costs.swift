extension LanguageModel {
  /// Bytes of the weights that are left, and of the biases that make up for others, in the number types of the
  /// checkpoint.
  public func storedBytes() throws -> Int {
    func size(_ name: String) throws -> Int { try checkpoint.info(ByteString(name)).byteRange.count }
    var bytes = try layout.slots.reduce(0) { $0 + (try size($1.name)) }
    for (layer, block) in pruning.blocks.enumerated() {
      for role in configuration.roles {
        guard let stored = configuration.family.linear(role) else { continue }
        let weight = try checkpoint.info(ByteString(layout.linear(stored, layer) + ".weight"))
        let removed = block[role.module].removed.count
        let (rows, columns) = (configuration.featuresPerUnit(role.rows), configuration.featuresPerUnit(role.columns))
        let biases = configuration.blocks[layer].biases.contains(role) ? rows : 0
        bytes -= weight.bytes(of: removed * (configuration.hiddenSize * (rows + columns) + biases))
        if role == role.module.output, block[role.module].bias != nil,
          !configuration.blocks[layer].biases.contains(role)
        {
          bytes += weight.bytes(of: configuration.hiddenSize)
        }
      }
    }
    return bytes
  }

  /// Multiply-accumulates of the linear maps, the head, and attention for one token of a text of `length` tokens, on the
  /// average over the text.
  public func multiplyAccumulates(perTokenOf length: Int) -> Int {
    let attention = (0..<layers).reduce(0.0) { sum, layer in
      let window = min(configuration.window(layer) ?? length, length)
      // The first tokens see 1, 2, … keys, the others as many as the window has.
      let seen = Double(window) - Double(window * (window - 1)) / 2 / Double(length)
      let units = pruning[layer]?.attention.kept.count ?? configuration.units(.attention, layer: layer)
      return sum + 2 * seen * Double(units * configuration.featuresPerUnit(.queries))
    }
    return blockParameters + configuration.vocabularySize * configuration.hiddenSize + Int(attention.rounded())
  }
}
