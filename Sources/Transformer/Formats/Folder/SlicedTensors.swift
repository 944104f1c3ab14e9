import Numerics

// What is written of a model whose residual stream is sliced, beside its linear maps: embeddings and head in the basis of
// the stream, norms without weights of their own, and the maps that turn the stream.

extension LanguageModel {
  /// How a tensor is written that stands in the sliced stream; nil for those that slicing leaves to others. All are single
  /// precision, as the maps are.
  ///
  /// - Parameters:
  ///   - slot: of the folder.
  ///   - layer: its block in the source.
  ///   - cache: the block as it is written.
  func slicedSource(
    _ slot: TensorSlot, layer: Int, _ slicing: Slicing, _ layout: TensorLayout, _ cache: BlockCache,
    pulse: @escaping () throws -> Void
  ) throws -> TensorSource? {
    let name = ByteString(slot.name)
    switch slot.content {
    case .embedding: return table(slot, self.layout.embedding, in: slicing.bases[0], pulse)
    case .head:
      if let last = slicing.last {
        let reading = last.copy()
        reading.scaleRows(by: try norm(self.layout.finalNorm).weight)
        return table(slot, self.layout.head, in: reading, pulse)
      }
      // A head that was the embedding table gets a tensor of its own.
      return table(slot, self.layout.head, in: nil, pulse)
    case .norm where slicing.isShared && isOfStream(slot, layout):
      let weight = (Float(configuration.hiddenSize) / Float(slicing.width)).squareRoot()
      return TensorSource(name, type: .f32, shape: slot.shape) { sink in
        try pulse()
        try sink.append(Array(repeating: weight, count: slicing.width))
      }
    case .norm:
      let source = ByteString(layout.name(slot, ofLayer: layer))
      return TensorSource(name, type: .f32, shape: slot.shape) { sink in
        try pulse()
        try sink.append(try checkpoint.read(source) as [Float])
      }
    case .shortcut:
      return TensorSource(name, type: .f32, shape: slot.shape) { sink in
        try pulse()
        guard let module = slot.place?.module else { return }
        try sink.append(try cache.block(layer)[module].shortcut?.weight.values ?? [])
      }
    case .positionEmbedding, .linear: return nil
    }
  }

  /// A table of the vocabulary, times Q, d×d'.
  private func table(
    _ slot: TensorSlot, _ original: String, in Q: Matrix<Float>?, _ pulse: @escaping () throws -> Void
  ) -> TensorSource {
    let (words, d) = (configuration.vocabularySize, configuration.hiddenSize)
    return TensorSource(ByteString(slot.name), type: .f32, shape: [words, Q?.columns ?? d]) { sink in
      for rows in Parallel.ranges(words, of: 8192) {
        try pulse()
        let part = try Matrix<Float>(rows: rows.count, columns: d) {
          try readRows(ByteString(original), rows, columns: d, into: $0)
        }
        try sink.append((Q.map { part * $0 } ?? part).values)
      }
    }
  }

  private func isOfStream(_ slot: TensorSlot, _ layout: TensorLayout) -> Bool {
    guard slot.content == .norm else { return false }
    return slot.place.map { slot.name.hasPrefix(layout.norm($0.module, $0.layer) + ".") } ?? true
  }
}
