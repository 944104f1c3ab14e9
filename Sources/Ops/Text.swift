import Foundation
import Kernel
import Numerics
import Transformer

struct Text: Op {
  static let name = "text"
  static let summary = "Tokenise texts, whole, as windows for calibration, or as pages."
  static let reference: String? = "calibration sampling of FLAP and FANG; pages of lm-evaluation-harness"
  static let revision = 4
  static let example = "m = load ./data/tiny-llama\ncal = text ./data/calibration.txt model=m samples=32 length=128"

  enum Take: String, Choice {
    case random, order

    var meaning: String {
      switch self {
      case .random: "windows at random starts, drawn as the papers' code draws them"
      case .order: "windows one after the other from the start"
      }
    }
  }
  enum Join: String, Choice {
    /// The text as it is.
    case none
    /// Lines joined as the papers' code joins them: with a space for calibration, with two newlines for a whole text.
    case papers
    /// WikiText's pages, each by itself, detokenised as lm-evaluation-harness does.
    case pages

    var meaning: String {
      switch self {
      case .none: "the text as it is"
      case .papers: "lines joined as the papers' code joins them"
      case .pages: "WikiText's pages, each by itself, as lm-evaluation-harness reads them"
      }
    }
  }

  @External(
    "UTF-8 text, or JSON lines with a field `text`, each also as .gz; files or folders", files: TextFiles.patterns,
    orFile: true, list: true)
  var path
  @Input("the model whose tokenizer reads the text", named: true) var model: Model
  @Param("windows to cut; none keeps the text whole", unit: "window", in: .ifGiven(.atLeast(1))) var samples: Int? = nil
  @Param(
    "length of each window; not given, 2048 or what the model takes if less", unit: "token",
    in: .ifGiven(.atLeast(2)))
  var length: Int? = nil
  @Param("seed of the random starts", in: .atLeast(0)) var seed = 0
  @Param("where the windows start") var take = Take.random
  @Param("how lines are joined, or pages told apart") var join = Join.none

  init() {}

  func check() throws -> Corpus.Facts {
    // `samples=none` says by name that nothing is cut, so that a script can have it as a parameter.
    if !$samples.isGiven {
      try refuse("length", length != nil, "the text is cut into windows only with samples=")
      try refuse("take", take != .random, "the text is cut into windows only with samples=")
      try refuse("seed", seed != 0, "the text is cut into windows only with samples=")
    } else if samples != nil {
      try refuse("seed", seed != 0 && take == .order, "windows in order have no random starts")
      try refuse("join", join == .pages, "pages stay whole, and samples= cuts windows")
    }
    return Corpus.Facts(whole: samples == nil, pages: join == .pages, windows: samples)
  }

  var idleParameters: Set<String> { samples == nil ? ["length", "take", "seed"] : [] }

  /// - Throws: when a parameter that cannot take effect is given.
  private func refuse(_ argument: String, _ isGiven: Bool, _ reason: String) throws {
    guard isGiven else { return }
    throw Diagnostic("\(argument)= has no effect here: \(reason)", argument: argument, kind: .usage)
  }

  private var window: Int { length ?? min(2048, model.configuration.positions) }

  func estimate(within limit: Int) throws -> Resources {
    let sizes = path.map { (try? FileManager.default.attributesOfItem(atPath: $0.path)[.size] as? Int) ?? 0 }
    let bytes = sizes.reduce(0, +)
    let tokens = Int(Double(bytes) * (bytes > Text.sampled ? tokensPerByte : 1))
    // The text twice; then it and its pieces as they are rewritten, with the tokens as they grow, or where they stand.
    let reading = 2 * bytes + max(7 * bytes + 12 * tokens, 24 * tokens) + model.network.tokenizerBytes
    guard let samples else { return Resources(memory: reading) }
    // A text has no more tokens than bytes, so a longer window is refused by `run` instead.
    let (drawn, isTooMany) = samples.multipliedReportingOverflow(by: min(window, bytes))
    return Resources(memory: isTooMany || drawn > Int.max / 64 ? Int.max : 20 * drawn + reading)
  }

  /// Bytes from which the others' tokens are told.
  private static let sampled = 1 << 20

  /// Of the beginning of the text; 1 where that is no text that could be read.
  private var tokensPerByte: Double {
    guard let file = path.first, let handle = FileHandle(forReadingAtPath: file.path),
      let start = try? handle.read(upToCount: Text.sampled), let end = start.lastIndex(of: 0x0A),
      let tokens = try? Tokenizer(model.network.checkpoint.files).encode([UInt8](start[...end]), addSpecial: false)
    else { return 1 }
    return Double(tokens.count) / Double(end + 1)
  }

  func run(_ context: any RunContext) throws -> Corpus {
    let name = path.map(\.path).joined(separator: ", ")
    // As bytes, as tokens and where they stand, with room to grow.
    let files = try reading("path") { try TextFiles(path, memory: context.memoryLimit / 8) }
    let own = model.network.checkpoint.files
    let tokenizer = try Tokenizer(own)
    let pages = join == .pages ? try WikiText.pages(files) : []
    let texts = join == .pages ? pages.map(\.text) : [joined(files)]
    var tokens: [Int32] = []
    var starts = [0]
    for text in texts {
      do { tokens += try tokenizer.encode(text, addSpecial: join != .pages) } catch let error as TokenizerError {
        throw files.located(error) ?? Diagnostic("\(name): \(error)", argument: "path")
      }
      starts.append(tokens.count)
      try context.checkCancelled()
    }
    let added = join == .pages ? 0 : tokenizer.prefix.count + tokenizer.suffix.count
    if tokens.count <= added { throw Diagnostic("\(name) holds no text", argument: "path") }
    let vocabulary = model.configuration.vocabularySize
    if let bad = tokens.first(where: { Int($0) >= vocabulary }) {
      throw Diagnostic(
        "the tokenizer gives token \(bad), but the model has only \(vocabulary) embeddings", argument: "model")
    }
    var spans = join == .none ? tokenSpans(tokens, of: texts[0], tokenizer) : nil
    if let windows = try windowStarts(tokens: tokens.count, file: name) {
      tokens = windows.flatMap { tokens[$0..<($0 + window)] }
      spans = spans.map { spans in windows.flatMap { spans[$0..<($0 + window)] } }
      starts = (0...windows.count).map { $0 * window }
    }
    return Corpus(
      tokens: tokens, starts: starts, textHash: hash, tokenizerHash: try Text.tokenizerHash(own),
      isWhole: samples == nil, pages: join == .pages ? pages.map(\.size) : nil,
      spans: spans)
  }

  /// The hash of the one file or folder; of several, over theirs in order.
  private var hash: String {
    path.count == 1 ? path[0].content : SHA256.hex(of: path.map { $0.content + "\n" }.joined())
  }

  private func joined(_ files: TextFiles) -> [UInt8] {
    guard join == .papers else { return files.whole }
    return Array(files.rows.joined(separator: samples == nil ? [0x0A, 0x0A] : [0x20]))
  }

  /// Where each window starts; nil when the text stays whole.
  private func windowStarts(tokens: Int, file: String) throws -> [Int]? {
    guard let samples else { return nil }
    // The papers draw from 0...count - length - 1, so one token must be left over.
    guard tokens > window || take == .order && tokens == window else {
      throw Diagnostic(
        "\(file) has \(tokens) tokens, shorter than one window of \(window)",
        hint: "give a smaller length= or a longer text", argument: "length")
    }
    switch take {
    case .random:
      var generator = MersenneTwister(seed: seed)
      return (0..<samples).map { _ in generator.randint(0, tokens - window - 1) }
    case .order:
      guard samples <= tokens / window else {
        throw Diagnostic(
          "\(file) holds \(tokens / window) windows of \(window) tokens in order, fewer than \(samples)",
          argument: "samples")
      }
      return (0..<samples).map { $0 * window }
    }
  }

  /// The hash of the one file that makes up a tokenizer; of several, over theirs in order.
  static func tokenizerHash(_ files: ModelFiles) throws -> String {
    let hashes = try Tokenizer.filesUsed(in: files).map {
      try files.bytes($0).withUnsafeBytes(SHA256.hex(of:))
    }
    return hashes.count == 1 ? hashes[0] : SHA256.hex(of: hashes.map { $0 + "\n" }.joined())
  }
}
