extension ModelFormat {
  /// Only what is left: the class of the source where the blocks that are left are whole, else a class with sizes per
  /// block, which transformers loads with the Python file that is written along.
  public static let huggingFace = ModelFormat(name: "hf", suffixes: []) { model, folder, _, pulse in
    let target = try FolderTarget(model, isSliced: true)
    try model.write(target, toFolder: folder, pulse: pulse)
    if target.configuration.family.layerSizes != nil {
      try OutputFile.write(Array(modelingFile.utf8), to: folder + "/modeling_prn.py")
    }
    return []
  }
}
