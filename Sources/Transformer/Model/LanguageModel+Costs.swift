extension LanguageModel {
  /// Bytes of the weights that are left, and of the biases that make up for others, in the number types of the
  /// checkpoint. Rows and columns of zeros are stored like others.
  public func storedBytes() throws -> Int {
    let whole = countingZeros
    let tied = try checkpoint.info(ByteString(layout.embedding)).bytes(of: untiedHead)
    var bytes = try layout.slots.reduce(tied + addedParameters * MemoryLayout<Float>.stride) { sum, slot in
      sum + (try checkpoint.info(ByteString(slot.name)).bytes(of: whole.left(of: slot)))
    }
    for (layer, block) in pruning.blocks.enumerated() {
      if block.attention.bridge != nil {
        bytes += pruning.widths(.attention, layer: layer, configuration).leaving * MemoryLayout<Float>.stride
      }
      for module in Module.allCases where block[module].hasAddedBias {
        let isBiased = configuration.blocks[layer].biases.contains(module.output)
        guard !isBiased || block[module].removesAll, let stored = configuration.family.linear(module.output) else {
          continue
        }
        let weight = try checkpoint.info(ByteString(layout.tensors(stored, layer)[0]))
        bytes += weight.bytes(of: pruning.widths(module, layer: layer, configuration).leaving)
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
      let head = headSizes(layer: layer)
      let features = [Space.queries, .heads].reduce(0) { $0 + configuration.featuresPerUnit($1, head: head) }
      return sum + seen * Double(units * features)
    }
    return countingZeros.blockParameters + configuration.vocabularySize * headWidth + Int(attention.rounded())
  }
}
