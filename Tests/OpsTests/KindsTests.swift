import Foundation
import Kernel
import Testing
import Transformer

@testable import Ops

private let start = """
  m = load DATA/tiny-llama
  whole = text DATA/calibration.txt model=m
  cal = text DATA/calibration.txt model=m samples=24 length=128
  order = text DATA/calibration.txt model=m samples=24 length=128 take=order
  all = kinds whole model=m labels=DATA/calibration.labels.tsv
  cl = kinds cal model=m labels=DATA/calibration.labels.tsv
  first = kinds order model=m labels=DATA/calibration.labels.tsv

  """

@Suite(.serialized) struct KindsTests {
  let bench = ScriptBench()

  @Test func theTokensSpellTheText() throws {
    let corpus: Corpus = try bench.value("whole", start)
    let text = Array(try Data(contentsOf: URL(fileURLWithPath: ScriptBench.data + "/calibration.txt")))
    let tokenizer = try Tokenizer(folder: ScriptBench.data + "/tiny-llama")
    let spans = try #require(corpus.spans)
    #expect(spans.first?.lowerBound == 0 && spans.last?.upperBound == text.count)
    #expect(zip(spans, spans.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
    #expect(zip(spans, corpus.tokens).allSatisfy { $0.isEmpty || Array(text[$0]) == tokenizer.bytes(of: $1) })
    let windows: Corpus = try bench.value("cal", start)
    let cut = try #require(windows.spans)
    #expect(zip(cut, windows.tokens).allSatisfy { Array(text[$0]) == tokenizer.bytes(of: $1) })
  }

  /// Texts of many scripts: either the tokens spell a text, or the tokenizer changed it and there are no spans.
  @Test(arguments: [
    "gpt2", "gpt2-files", "llama2-always", "llama2-first", "llama2-legacy", "llama3", "qwen2", "tekken",
    "sentencepiece-legacy", "sentencepiece-llama", "sentencepiece-plain", "deepseek-llm",
  ]) func spansAreOfTheTextOrThereAreNone(_ name: String) throws {
    let folder = ScriptBench.data + "/../Tests/Fixtures/tokenizers"
    let tokenizer = try Tokenizer(folder: folder + "/" + name)
    let file = try Data(contentsOf: URL(fileURLWithPath: folder + "/texts.json"))
    let texts = try JSONDecoder().decode([String].self, from: file).map { Array($0.utf8) }
    var known = 0
    for text in texts {
      let tokens = try tokenizer.encode(text, addSpecial: true)
      guard let spans = tokenSpans(tokens, of: text, tokenizer) else { continue }
      known += 1
      #expect(spans.count == tokens.count)
      #expect(spans.map(\.count).reduce(0, +) == text.count)
      #expect(zip(spans, spans.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
    }
    // Two of them have no tokens for bytes, so that most texts hold what they cannot spell.
    let isPoor = ["llama2-always", "sentencepiece-plain"].contains(name)
    #expect(known > (isPoor ? 10 : texts.count / 2), "\(known) of \(texts.count)")
  }

  @Test func windowsHaveTheKindsOfTheirPlacesInTheText() throws {
    let whole: Corpus = try bench.value("whole", start)
    let ofWhole: Clusters = try bench.value("all", start)
    for (name, corpusName) in [("cl", "cal"), ("first", "order")] {
      let corpus: Corpus = try bench.value(corpusName, start)
      let clusters: Clusters = try bench.value(name, start)
      #expect(clusters.layers == Array(0..<6) && Set(clusters.label).count == 1)
      let places = Dictionary(
        zip(try #require(whole.spans), ofWhole.label[0].indices).filter { !$0.0.isEmpty }.map { ($0.lowerBound, $1) },
        uniquingKeysWith: { first, _ in first })
      let names = try #require(clusters.kinds).names
      let wholeKinds = try #require(ofWhole.kinds)
      for (token, span) in try #require(corpus.spans).enumerated() {
        guard !span.isEmpty else {
          #expect(clusters.label[0][token] == -1)
          continue
        }
        let other = try #require(places[span.lowerBound])
        let kind = clusters.label[0][token]
        let expected = ofWhole.label[0][other]
        #expect((kind < 0 ? nil : names[Int(kind)]) == (expected < 0 ? nil : wholeKinds.names[Int(expected)]))
        #expect(clusters.kinds?.passage[token] == wholeKinds.passage[other])
      }
    }
  }

  /// FANG as it is, with labels of people in place of clusters.
  @Test func kindsServeWhereverClustersDo() throws {
    let text =
      start + """
        S = taylor m cal by=cl
        gr = assign S
        acts = capture m cal sites=attn.heads,ffn.act keep=moments,gram by=cl groups=gr
        s = flap acts weight=context
        mk = mask s rate=20% within=gr scope=layer
        """
    let groups: Groups = try bench.value("gr", text)
    let clusters: Clusters = try bench.value("cl", text)
    #expect(groups.count == clusters.count && clusters.count == 8)
    let affinity: Affinity = try bench.value("S", text)
    let corpus: Corpus = try bench.value("cal", text)
    let last = Set((1...corpus.windows).map { corpus.starts[$0] - 1 })
    for kind in 0..<clusters.count {
      let counted = clusters.label[0].enumerated().count { $0.element == Int32(kind) && !last.contains($0.offset) }
      #expect(affinity.counts[0][kind] == Int64(counted))
    }
    let mask: Mask = try bench.value("mk", text)
    #expect(mask.removedParameters > 0)
  }

  @Test func aTextThatItsTokensDoNotSpellIsRefused() throws {
    let text = "m = load DATA/tiny-llama\nc = text DATA/calibration.txt model=m join=papers samples=4 length=32\n"
    let outcome = try bench.run(text + "x = kinds c model=m labels=DATA/calibration.labels.tsv")
    #expect(outcome.exitCode == 1)
    #expect(
      outcome.diagnostics.first?.summary
        == "labels= counts bytes of the text, and the tokens of this corpus do not spell it")
  }
}
