import Foundation
import Kernel
import Numerics
import Transformer

struct Text: Op {
  static let name = "text"
  static let summary = "Tokenise a text file, whole or as windows for calibration."
  static let reference: String? = "calibration sampling of FLAP and FANG"
  static let example = "m = load ./data/tiny-llama\ncal = text ./data/calibration.txt model=m samples=32 length=128"

  enum Take: String, Choice {
    /// Windows at random starts, drawn as the papers' code draws them.
    case random
    /// Windows one after the other from the start.
    case order
  }
  enum Join: String, Choice {
    /// The file as it is.
    case none
    /// Lines joined as the papers' code joins them: with a space for calibration, with two newlines for a whole text.
    case papers
  }

  @External("a UTF-8 text file") var path
  @Input("the model whose tokenizer reads the text", named: true) var model: Model
  @Param("windows to cut; none keeps the text whole", unit: "window", in: .ifGiven(.atLeast(1))) var samples: Int? = nil
  @Param("length of each window", unit: "token", in: .atLeast(2)) var length = 2048
  @Param("seed of the random starts", in: .atLeast(0)) var seed = 0
  @Param("where the windows start") var take = Take.random
  @Param("how lines are joined") var join = Join.none

  init() {}

  func check() throws -> Facts { ["whole": .bool(samples == nil)] }

  /// A text has no more tokens than bytes, so a longer window is refused by `run` instead.
  func estimate() throws -> Resources {
    guard let samples, let file = path.first else { return Resources() }
    let size = (try? FileManager.default.attributesOfItem(atPath: file.path)[.size] as? Int) ?? 0
    let (tokens, isTooMany) = samples.multipliedReportingOverflow(by: min(length, size))
    return Resources(memory: isTooMany || tokens > Int.max / 16 ? Int.max : 16 * tokens)
  }

  func run(_ context: any RunContext) throws -> Corpus {
    guard let file = path.first else { throw Diagnostic("text needs a path", argument: "path") }
    var bytes = try readFile(file.path)
    if bytes.allSatisfy({ $0 == 0x20 || (0x09...0x0D).contains($0) }) {
      throw Diagnostic("\(file.path) holds no text", argument: "path")
    }
    if join == .papers { bytes = joined(bytes) }
    let folder = model.network.checkpoint.folder
    let tokenizer = try Tokenizer(folder: folder)
    let tokens = try tokenizer.encode(bytes, addSpecial: true)
    let vocabulary = model.configuration.vocabularySize
    if let bad = tokens.first(where: { Int($0) >= vocabulary }) {
      throw Diagnostic(
        "the tokenizer gives token \(bad), but the model has only \(vocabulary) embeddings", argument: "model")
    }
    let starts = try windowStarts(tokens: tokens.count, file: file.path)
    return Corpus(
      tokens: starts.map { $0.flatMap { tokens[$0..<($0 + length)] } } ?? tokens,
      starts: starts.map { (0...$0.count).map { $0 * length } } ?? [0, tokens.count],
      textHash: file.content, tokenizerHash: try Text.tokenizerHash(folder), isWhole: starts == nil)
  }

  /// Where each window starts; nil when the text stays whole.
  private func windowStarts(tokens: Int, file: String) throws -> [Int]? {
    guard let samples else { return nil }
    // The papers draw from 0...count - length - 1, so one token must be left over.
    guard tokens > length else {
      throw Diagnostic(
        "\(file) has \(tokens) tokens, shorter than one window of \(length)",
        hint: "give a smaller length= or a longer text", argument: "length")
    }
    switch take {
    case .random:
      var generator = MersenneTwister(seed: seed)
      return (0..<samples).map { _ in generator.randint(0, tokens - length - 1) }
    case .order:
      guard samples <= tokens / length else {
        throw Diagnostic(
          "\(file) holds \(tokens / length) windows of \(length) tokens in order, fewer than \(samples)",
          argument: "samples")
      }
      return (0..<samples).map { $0 * length }
    }
  }

  /// Rows are lines with their newline, as the data sets publish them.
  private func joined(_ bytes: [UInt8]) -> [UInt8] {
    var rows: [[UInt8]] = []
    var row: [UInt8] = []
    for byte in bytes {
      row.append(byte)
      if byte == 0x0A {
        rows.append(row.count == 1 ? [] : row)
        row = []
      }
    }
    if !row.isEmpty { rows.append(row) }
    let separator: [UInt8] = samples == nil ? [0x0A, 0x0A] : [0x20]
    return Array(rows.joined(separator: separator))
  }

  static func tokenizerHash(_ folder: String) throws -> String {
    let name = FileManager.default.fileExists(atPath: folder + "/tokenizer.json") ? "tokenizer.json" : "tokenizer.model"
    return try readFile(folder + "/" + name).withUnsafeBytes(SHA256.hex(of:))
  }
}

extension Corpus {
  /// Token numbers mean something only to the tokenizer they come from.
  /// - Throws: `Diagnostic` when the model's folder holds another one.
  func requireTokenizer(of model: Model) throws {
    guard let own = try? Text.tokenizerHash(model.network.checkpoint.folder), own != tokenizerHash else { return }
    throw Diagnostic(
      "the corpus was made with another tokenizer than the model's", hint: "make it with `text … model=` this model",
      argument: "corpus")
  }
}

/// The bytes of a file.
/// - Throws: a sentence naming the file and what the system said.
func readFile(_ path: String) throws -> [UInt8] {
  do {
    return Array(try Data(contentsOf: URL(fileURLWithPath: path)))
  } catch {
    throw Diagnostic("\(path) cannot be read", argument: "path")
  }
}
