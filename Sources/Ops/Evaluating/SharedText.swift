import Kernel

/// How much of a text also stands in others, by runs of words: what a model was calibrated on should not be what it is
/// tested on, not even in part.
struct SharedText {
  /// Words of a run: long enough that two texts do not share one by chance.
  static let run = 32

  /// The runs of the text, one after the other, as hashes.
  private let runs: Set<UInt64>
  private var found: Set<UInt64> = []

  init(_ text: [UInt8]) {
    var runs: Set<UInt64> = []
    var place = 0
    SharedText.forEachRun(of: text) { hash in
      if place % SharedText.run == 0 { runs.insert(hash) }
      place += 1
    }
    self.runs = runs
  }

  /// Looks for the runs at every word of another text.
  mutating func look(in other: [UInt8]) {
    SharedText.forEachRun(of: other) { hash in if runs.contains(hash) { found.insert(hash) } }
  }

  /// The share of the runs that were found.
  var share: Double { runs.isEmpty ? 0 : Double(found.count) / Double(runs.count) }

  /// Rolling hashes: Σ word(i + j) baseʲ over the words of a run, modulo 2⁶⁴; a word by FNV-1a.
  private static func forEachRun(of text: [UInt8], _ body: (UInt64) -> Void) {
    let base: UInt64 = 0x9E37_79B9_7F4A_7C15
    let top = (0..<run).reduce(UInt64(1)) { power, _ in power &* base }
    var words = [UInt64](repeating: 0, count: run)
    var (count, hash) = (0, UInt64(0))
    var word: UInt64?
    func end() {
      guard let ended = word else { return }
      let oldest = words[count % run]
      words[count % run] = ended
      hash = hash &* base &+ ended &- oldest &* top
      count += 1
      word = nil
      if count >= run { body(hash) }
    }
    for byte in text {
      if byte == 0x20 || (0x09...0x0D).contains(byte) {
        end()
      } else {
        word = ((word ?? 0xCBF2_9CE4_8422_2325) ^ UInt64(byte)) &* 0x100_0000_01B3
      }
    }
    end()
  }
}

extension SharedText {
  /// The share of the corpus's text that also stands in texts the model was calibrated on; 0 for texts that are no longer
  /// where they were read.
  static func share(of corpus: Corpus, _ reference: ArtifactReference, in model: Model, _ context: any RunContext)
    throws
    -> Double
  {
    let reader = try context.open(reference)
    func text(_ hash: String) throws -> [UInt8]? {
      guard let path = try? reader.source(content: hash) else { return nil }
      return try TextFiles([ExternalFile(path: path, content: hash)]).whole
    }
    let others = model.calibration.filter { $0 != corpus.textHash }
    guard !others.isEmpty, let own = try text(corpus.textHash) else { return 0 }
    var shared = SharedText(own)
    for hash in others {
      try context.checkCancelled()
      if let other = try text(hash) { shared.look(in: other) }
    }
    return shared.share
  }
}
