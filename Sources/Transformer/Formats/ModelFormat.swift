/// A way to write a pruned model for other programs: one folder of code each.
public struct ModelFormat: Sendable {
  public let name: String
  /// How the file's name may end; empty when a folder is written.
  public let suffixes: [String]
  /// The options that the format obeys.
  public var options: [Option] = []
  /// Writes a model to a place, calling the last argument before each tensor, which throws to stop. Returns what the user
  /// should know, one sentence each.
  ///
  /// Throws `ModelError.cannotExport`, before anything is written, when the format cannot hold the model.
  let write: @Sendable (LanguageModel, String, Options, () throws -> Void) throws -> [String]

  /// Every format, the default first.
  public static let all = [huggingFace, uniform, masked, gguf]

  /// What can be asked of a format.
  public enum Option: String, Sendable {
    case type, align, shard
  }

  /// What is asked of a format.
  public struct Options: Sendable {
    /// How matrices are stored; nil keeps the checkpoint's type.
    public var type: GGUFType?
    /// What the lengths of rows are padded to multiples of, with zeros.
    public var align: Int?
    /// Bytes of the weights in one file of a folder; more are cut in several with an index.
    public var shard: Int?
    /// What the user of the folder should know of where the model comes from, for its model card: lines of Markdown.
    public var origin: [String]
    /// What was measured of the model, for its card: lines of Markdown.
    public var measured: [String] = []

    public init(type: GGUFType? = nil, align: Int? = nil, shard: Int? = nil, origin: [String] = []) {
      self.type = type
      self.align = align
      self.shard = shard
      self.origin = origin
    }
  }
}

extension LanguageModel {
  /// Writes the pruned model as a file, or as a folder, that others can load.
  ///
  /// - Parameters:
  ///   - path: nothing stands there, or an empty folder. After an error a folder holds a part of the model.
  ///   - pulse: called before each tensor; throw from it to stop.
  /// - Returns: what the user should know about what was written, one sentence each.
  /// - Throws: `ModelError.cannotExport` when the format cannot hold the model, or an error naming the file.
  @discardableResult
  public func export(
    to path: String, as format: ModelFormat, _ options: ModelFormat.Options = .init(), pulse: () throws -> Void = {}
  ) throws -> [String] {
    try format.write(self, path, options, pulse)
  }

  /// The blocks of which something is left, be it a map that turns the stream around them.
  ///
  /// - Throws: `ModelError.cannotExport` when there is none: no program reads a model without blocks.
  func presentBlocks() throws -> [Int] {
    let absent = pruning.slicing?.isShared == false ? [] : Set(pruning.absentBlocks)
    let present = (0..<layers).filter { !absent.contains($0) }
    guard !present.isEmpty else { throw ModelError.cannotExport(reason: "nothing is left of any block") }
    return present
  }
}
