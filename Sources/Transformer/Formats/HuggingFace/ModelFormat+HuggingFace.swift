extension ModelFormat {
  /// Only what is left: the class of the source where the blocks that are left are whole, else a class with sizes per
  /// block, which transformers loads with the Python file that is written along.
  public static let huggingFace = ModelFormat(name: "hf", suffixes: [], options: [.shard]) {
    model, folder, options, pulse in
    let target = try FolderTarget(model, .own)
    try model.write(target, toFolder: folder, options, pulse: pulse)
    let family = target.configuration.family
    if family.layerSizes != nil {
      try OutputFile.write(
        Array(
          modelingFile(
            for: family, isSliced: target.configuration.streamWidth != nil, hasNarrowHeads: target.hasNarrowHeads
          ).utf8),
        to: folder + "/modeling_prn.py")
    }
    return []
  }
}
