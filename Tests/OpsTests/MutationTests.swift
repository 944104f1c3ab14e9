import Foundation
import Kernel
import Numerics
import Testing

@testable import Ops
@testable import Transformer

/// Seeded damage to a text: what a slip of the hand, a broken disk or somebody hostile makes of it.
struct Mutator {
  private var stream: RandomStream
  private static let pieces = [
    "|>", "[", "]", "(", ")", "{", "}", "=", ",", ":", "\"", "'", "@-1", "_", "!", "&", "|", "^", "..", "%", "\\u{",
    "for x in 1,2 {", "time", "none", "-9223372036854775808", "9223372036854775808", "1e999", "NaN", "null", "\u{0}",
    "\u{1b}[31m", "\u{202e}", "\u{feff}", "\n", "\r\n", "\t", "é", "é", "\\", "# %%", "0", "-1", "1e308",
  ]

  init(seed: Int) { stream = RandomStream(seed: seed, name: "mutations") }

  mutating func mutated(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    for _ in 0...stream.below(3) {
      let start = stream.below(bytes.count + 1)
      let end = min(bytes.count, start + stream.below(12))
      switch stream.below(6) {
      case 0: bytes.removeSubrange(start..<end)
      case 1: bytes.insert(contentsOf: bytes[start..<end], at: start)
      case 2: bytes.insert(contentsOf: Mutator.pieces[stream.below(Mutator.pieces.count)].utf8, at: start)
      case 3: bytes.replaceSubrange(start..<end, with: Mutator.pieces[stream.below(Mutator.pieces.count)].utf8)
      case 4: if start < bytes.count { bytes[start] ^= 1 << UInt8(stream.below(8)) }
      default: if stream.below(8) == 0 { bytes.removeSubrange(start...) }
      }
    }
    return bytes
  }
}

/// No input traps: whatever is written, each error is one sentence.
@Suite(.serialized) struct MutationTests {
  private func requireSentence(_ diagnostic: Diagnostic, _ context: String) {
    let summary = diagnostic.summary
    #expect(!summary.isEmpty && !summary.contains("\n") && summary.utf8.count < 1000, "\(context): \(summary)")
  }

  @Test func twoHundredMutatedScripts() throws {
    let notebooks = Program.notebooks
    let scripts =
      catalog.signatures.map(\.example) + (try notebooks.map { try String(contentsOfFile: $0, encoding: .utf8) })
    var checker = Checker(catalog)
    checker.fileExists = { _ in true }
    for seed in 0..<200 {
      var mutator = Mutator(seed: seed)
      let bytes = mutator.mutated(Array(scripts[seed % scripts.count].utf8))
      let result = checker.check(Source(name: "mutation", text: String(decoding: bytes, as: UTF8.self)))
      for diagnostic in result.diagnostics {
        requireSentence(diagnostic, "seed \(seed)")
        #expect(diagnostic.kind == .usage, "seed \(seed)")
      }
    }
  }

  @Test(arguments: ["config.json", "tokenizer.json", "model.safetensors"])
  func aHundredMutatedModelFolders(_ file: String) throws {
    let folder = NSTemporaryDirectory() + "prn-mutation-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try FileManager.default.copyItem(atPath: Program.model, toPath: folder)
    let place = URL(fileURLWithPath: folder + "/" + file)
    let whole = try [UInt8](Data(contentsOf: place))
    // Of weights the header is what is read as text.
    let header = file.hasSuffix(".safetensors") ? 8..<8 + Int(whole[0]) + Int(whole[1]) << 8 : 0..<whole.count
    for seed in 0..<100 {
      var mutator = Mutator(seed: seed)
      let text = mutator.mutated(Array(whole[header]))
      let length = withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) }
      // Half of the headers keep a length that is now wrong.
      let start = seed % 2 == 0 ? Array(whole[..<header.lowerBound]) : Array(length[..<header.lowerBound])
      try Data(start + text + whole[header.upperBound...]).write(to: place)
      do {
        let network = try LanguageModel(folder)
        for name in network.tensorNames { try network.checkpoint.requireFinite(name) }
        _ = try Tokenizer(folder: folder).encode("The cat sat on the mat.\n\u{0}é", addSpecial: true)
      } catch {
        requireSentence(Diagnostic("\(error)"), "\(file) \(seed)")
      }
    }
  }

  /// With a tokenizer, as `export` writes it; what is damaged is what comes before the weights.
  @Test func aHundredMutatedGGUFFiles() throws {
    let path = NSTemporaryDirectory() + "prn-mutation-\(UUID().uuidString).gguf"
    defer { try? FileManager.default.removeItem(atPath: path) }
    try LanguageModel(Program.model).export(to: path, as: .gguf)
    let whole = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
    let header = whole.count - (try LanguageModel(path).storedBytes())
    for seed in 0..<100 {
      var mutator = Mutator(seed: seed)
      // Half of the damage is done to the first bytes, where the sizes stand.
      let part = seed % 2 == 0 ? min(1000, header) : header
      try Data(mutator.mutated(Array(whole[..<part])) + whole[part...]).write(to: URL(fileURLWithPath: path))
      do {
        let network = try LanguageModel(path)
        for name in network.tensorNames { try network.checkpoint.requireFinite(name) }
        _ = try Tokenizer(network.checkpoint.files).encode("The cat sat on the mat.\n\u{0}é", addSpecial: true)
      } catch {
        requireSentence(Diagnostic("\(error)"), "GGUF \(seed)")
      }
    }
  }

  /// A file is found whatever bit of it changes.
  @Test func aFlippedBitIsFoundInEveryObject() throws {
    let bench = ScriptBench()
    try bench.run(
      """
      m = load DATA/tiny-llama
      cal = text DATA/calibration.txt model=m samples=2 length=32
      acts = capture m cal sites=attn.heads,ffn.act keep=moments
      p = prune m (mask (flap acts) rate=20%)
      t = compare [p: eval p cal length=32]
      """)
    let objects = try bench.objects()
    #expect(objects.count > 18)
    var stream = RandomStream(seed: 0, name: "flips")
    for (name, bytes) in objects.sorted(by: { $0.key < $1.key }) {
      let path = bench.folder + "/.prn/objects/" + name
      chmod(path, 0o644)
      var bytes = bytes
      bytes[stream.below(bytes.count)] ^= 1 << UInt8(stream.below(8))
      try bytes.write(to: URL(fileURLWithPath: path))
    }
    let store = try Store(workspace: bench.folder + "/.prn", types: catalog.artifactTypes)
    let found = Set(try store.check().filter { [.damaged, .annotated, .tooNew].contains($0.kind) }.map(\.path))
    #expect(Set(objects.keys.map { "objects/" + $0 }).subtracting(found) == [])
  }
}

/// Material of the project.
private enum Program {
  static let root = (ScriptBench.data as NSString).deletingLastPathComponent
  static let model = root + "/Tests/Fixtures/parity/model"
  static let notebooks = ["quickstart", "fang", "canica"].map { root + "/notebooks/\($0).prn" }
}
