extension ModelFormat {
  /// Sizes per block; transformers loads it with the Python file that is written along.
  public static let huggingFace = ModelFormat(name: "hf", suffixes: []) { model, folder, _, pulse in
    let target = try FolderTarget(model, isSliced: true)
    try model.write(target, toFolder: folder, pulse: pulse)
    try OutputFile.write(Array(modelingFile.utf8), to: folder + "/modeling_prn.py")
    return []
  }
}
