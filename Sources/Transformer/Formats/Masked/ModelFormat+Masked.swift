extension ModelFormat {
  /// The original class and sizes, zeros where something was taken out. Added biases need a class that has them.
  public static let masked = ModelFormat(name: "masked", suffixes: [], options: [.shard]) {
    model, folder, options, pulse in
    try model.write(FolderTarget(model, .whole), toFolder: folder, options, pulse: pulse)
    return []
  }
}
