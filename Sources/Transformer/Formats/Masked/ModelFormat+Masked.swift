extension ModelFormat {
  /// The original class and sizes, zeros where something was taken out. Added biases need a class that has them.
  public static let masked = ModelFormat(name: "masked", suffixes: []) { model, folder, _, pulse in
    try model.write(FolderTarget(model, isSliced: false), toFolder: folder, pulse: pulse)
    return []
  }
}
