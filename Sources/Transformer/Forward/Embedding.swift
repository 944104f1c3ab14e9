import Numerics

extension LanguageModel {
  /// The embeddings of `tokens`, plus those of their positions where the family has a table of them.
  ///
  /// A sliced model has them in the basis of its stream.
  ///
  /// - Parameter states: tokens × d, overwritten.
  func embed(_ tokens: ArraySlice<Int32>, positions: [Int32], into states: Matrix<Float>) throws {
    let width = configuration.streamWidth ?? states.columns
    try gather(layout.embedding, rows: Array(tokens), into: states.columns(0..<width))
    if width < states.columns { states.columns(width..<states.columns).clear() }
    if let table = layout.positionEmbedding {
      let added = Matrix<Float>(rows: states.rows, columns: states.columns)
      try gather(table, rows: positions, into: added)
      states.add(added)
    }
    if let slicing = pruning.slicing {
      if configuration.family.normalization == .layer { states.subtractRowMeans() }
      states.turn(into: slicing.bases[0])
    }
  }

  private func gather(_ name: String, rows: [Int32], into target: Matrix<Float>) throws {
    let tensor = ByteString(name)
    let file = try checkpoint.shard(of: tensor)
    try target.withUnsafeMutablePointer { start, stride in
      for (i, row) in rows.enumerated() {
        try file.read(
          tensor, rows: Int(row)..<Int(row) + 1,
          into: UnsafeMutableBufferPointer(start: start + i * stride, count: target.columns))
      }
    }
    // Only what is used is looked at: a whole table can be gigabytes.
    if !target.isFinite { try checkpoint.requireFinite(tensor) }
    try checkpoint.release(tensor)
  }
}
