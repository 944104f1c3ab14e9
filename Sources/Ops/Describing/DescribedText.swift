import Kernel
import Numerics
import Transformer

/// The windows that descriptions are made from, then those they are judged on: two texts, or the even and the odd windows
/// of one.
struct DescribedText {
  let sequences: Sequences
  let halves: FitAndTest
  /// Rows whose signals are put on one scale together.
  let texts: [Range<Int>]
  let facts: [FactLevels]
  /// Where each row's token comes from: which text, and its place among that text's tokens.
  let origin: [(text: Int, token: Int)]
  /// The bytes of the text that each token stands for; nil where a tokenizer changes it.
  let spans: [Range<Int>]?
  private let bytes: [Int32: [UInt8]]
  private let tokenizer: Tokenizer

  /// Fewer windows than this tell nothing.
  static let fewestWindows = 16

  /// - Throws: where a text has too few windows.
  static func require(windows: Int, isWhole: Bool, argument: String) throws {
    guard windows < fewestWindows else { return }
    throw Diagnostic(
      "\(counted(windows, "window")) of text are too few; there must be \(fewestWindows)",
      hint: isWhole ? "cut it with `text … samples= length=`" : nil, argument: argument)
  }

  /// - Parameters:
  ///   - labels: kinds of the tokens of every text, or none.
  ///   - references: of the corpora, by which labels find theirs.
  init(_ corpora: [Corpus], _ references: [ArtifactReference], labels: [Clusters], _ model: Model) throws {
    for (index, corpus) in corpora.enumerated() {
      let argument = index == 0 ? "text" : "test"
      try DescribedText.require(windows: corpus.windows, isWhole: corpus.isWhole, argument: argument)
      try corpus.requireWindows(of: model, argument: argument)
    }
    // Rows of the windows, the described ones first.
    let windows: [(text: Int, window: Int)]
    let fitCount: Int
    if corpora.count > 1 {
      windows = corpora.enumerated().flatMap { text, corpus in (0..<corpus.windows).map { (text, $0) } }
      fitCount = corpora[0].windows
    } else {
      let all = Array(0..<corpora[0].windows)
      windows = (all.filter { $0 % 2 == 0 } + all.filter { $0 % 2 == 1 }).map { (0, $0) }
      fitCount = (all.count + 1) / 2
    }
    let sequences = Sequences(windows.map { Array(corpora[$0.text][$0.window]) })
    self.sequences = sequences
    let ranges = (0..<sequences.count).map { sequences[$0] }
    let (middle, end) = (sequences.offsets[fitCount], sequences.tokens.count)
    halves = FitAndTest(fit: 0..<middle, test: middle..<end, windows: ranges)
    texts = corpora.count > 1 ? [0..<middle, middle..<end] : [0..<end]
    let origin = windows.flatMap { text, window in
      (corpora[text].starts[window]..<corpora[text].starts[window + 1]).map { (text: text, token: $0) }
    }
    self.origin = origin
    let known = corpora.map(\.spans)
    spans = known.contains { $0 == nil } ? nil : origin.map { known[$0.text]?[$0.token] ?? 0..<0 }
    let tokenizer = try Tokenizer(model.network.checkpoint.files)
    self.tokenizer = tokenizer
    var bytes: [Int32: [UInt8]] = [:]
    for token in sequences.tokens where bytes[token] == nil {
      bytes[token] = tokenizer.kind(of: token) == .control ? [] : tokenizer.bytes(of: token)
    }
    self.bytes = bytes
    facts = contextFacts(
      sequences.tokens, windows: ranges, spell: { bytes[$0] ?? [] },
      kinds: try DescribedText.kinds(labels, of: references, origin))
  }

  /// Kinds of all rows under common names.
  private static func kinds(
    _ labels: [Clusters], of references: [ArtifactReference], _ origin: [(text: Int, token: Int)]
  ) throws -> (names: [String], of: [Int32])? {
    guard !labels.isEmpty else { return nil }
    let found = try references.map { reference in
      guard let own = labels.first(where: { $0.corpus == reference.content }), let kinds = own.kinds else {
        throw Diagnostic(
          labels.contains { $0.kinds == nil }
            ? "labels= takes what `kinds` makes, not clusters of values" : "labels= has none of one of the texts",
          hint: "make them with `kinds`, for every text", argument: "labels")
      }
      return (label: own.label[0], names: kinds.names)
    }
    let names = found.flatMap(\.names).uniqued
    return (
      names,
      origin.map { text, token in
        let (label, own) = found[text]
        return label[token] < 0 ? -1 : Int32(names.firstIndex(of: own[Int(label[token])]) ?? -1)
      }
    )
  }

  /// Whether a row of the head is a word of the tokenizer; some models have more rows than words.
  func isWord(_ id: Int) -> Bool { id < tokenizer.vocabularySize && tokenizer.kind(of: Int32(id)) != .unused }

  /// A word as a line can show it; of one that stands for no text its name.
  func spelled(_ id: Int32) -> String {
    let isNamed = tokenizer.kind(of: id) == .control || tokenizer.bytes(of: id).isEmpty
    return readable(isNamed ? Array(tokenizer.token(id)?.bytes ?? []) : tokenizer.bytes(of: id))
  }

  /// Bytes shown before a token and after its start.
  private static let (before, after) = (32, 16)

  /// A token and what stands around it in its window: up to 32 bytes before it, and 16 from its first one on.
  func snippet(_ row: Int) -> (before: String, token: String, after: String) {
    let window = halves.windows.first { $0.contains(row) } ?? row..<(row + 1)
    let own = bytes[sequences.tokens[row]] ?? []
    let past = (window.lowerBound..<row).flatMap { bytes[sequences.tokens[$0]] ?? [] }
    let future = ((row + 1)..<window.upperBound).prefix(DescribedText.after).flatMap {
      bytes[sequences.tokens[$0]] ?? []
    }
    return (
      readable(past.suffix(DescribedText.before)), readable(own),
      readable(future.prefix(max(0, DescribedText.after - own.count)))
    )
  }
}
