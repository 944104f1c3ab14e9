extension ModelFormat {
  /// One width for all blocks, that of the widest, so that a stock class loads it: its own, LLaMA's, or Granite's where heads
  /// do not divide the stream. Zeros stand behind the units of narrower blocks.
  public static let uniform = ModelFormat(name: "uniform", suffixes: [], options: [.align, .shard]) {
    model, folder, options, pulse in
    let target = try FolderTarget(model, .even(align: options.align ?? 32))
    try model.write(target, toFolder: folder, options, pulse: pulse)
    let blocks = target.configuration.blocks
    let widths = model.unitCounts(target.layers)
    return Module.allCases.compactMap { module -> String? in
      let (width, own) = (blocks[0].units[module], widths.map { $0[module] })
      let zeros = own.reduce(0) { $0 + width - $1 }
      guard zeros > 0 else { return nil }
      return
        "\(zeros) of \(width * own.count) \(module == .attention ? "attention groups" : "neurons") are zeros that make all blocks \(width) wide"
    }
      + (target.keepsFamily
        ? [] : ["written as a \(target.configuration.family.name) model, whose class has the biases and heads"])
  }
}
