import Testing

@testable import Kernel
@testable import Ops

private let start = """
  m = load DATA/tiny-llama
  cal = text DATA/calibration.txt model=m samples=4 length=16 take=order
  signals = capture m cal sites=ffn.gate,ffn.up keep=stream
  ends = capture m cal sites=ffn.in,block.in,block.out keep=values
  heads = mask (flap (capture m cal sites=attn.heads)) rate=5% scope=layer

  """

/// Numbers at the edge of what can be written, and parameters that could do nothing, end in one sentence.
@Suite(.serialized) struct ExtremeCallTests {
  let bench = ScriptBench()

  /// Every number of every op, the smallest and the largest that can be written: refused, or planned and stopped.
  @Test(arguments: catalog.names) func everyNumberIsASentenceOrAPlanNeverATrap(_ op: String) throws {
    let signature = try #require(catalog.signature(op))
    let call = try #require(ExampleCall(signature))
    bench.stopsAtStart = op
    #expect([0, 130].contains(try bench.run(call.script()).exitCode), "the example of \(op)")
    for parameter in signature.parameters {
      for value in ExtremeCallTests.extremes(of: parameter.kind) {
        let outcome = try bench.run(call.script(parameter.name, value))
        #expect([0, 1, 2, 5, 130].contains(outcome.exitCode), "\(op) \(parameter.name)=\(value)")
        #expect(outcome.exitCode == 0 || outcome.diagnostics.count == 1, "\(op) \(parameter.name)=\(value)")
      }
    }
  }

  private static func extremes(of kind: String) -> [String] {
    let words = kind.split(separator: ",")[0]
    if words.hasPrefix("a whole number") { return ["\(Int.min)", "-1", "0", "1", "\(Int.max)"] }
    if words.hasPrefix("a number") { return ["-1e308", "0", "5e-324", "1e308"] }
    if words.hasPrefix("a ratio") { return ["0%", "1e-300%", "99.99999999999999%", "100%"] }
    if words.hasPrefix("positions") { return ["\(Int.max)", "\(Int.min)", "0..1:\(Int.max)"] }
    return []
  }

  @Test(arguments: [
    "canica signals components=4 per_run=\(Int.max) per_subject=\(Int.max)",
    "canica signals components=4 per_run=2 reduce=cca subject_components=\(Int.max)",
    "assign (taylor m cal by=(kmeans ends k=2 pca=4)) how=random seed=\(Int.max)",
  ])
  func whatTakesTwoToBeExtremeIsASentenceToo(_ call: String) throws {
    let outcome = try bench.run(start + "x = " + call)
    #expect([0, 1, 2, 5].contains(outcome.exitCode), "\(call)")
    #expect(outcome.exitCode == 0 || outcome.diagnostics.count == 1, "\(call)")
  }

  @Test(arguments: [
    ("cascade m cal by=flap metric=wifn rate=20%", nil), ("cascade m cal by=obc metric=ifv rate=20%", "metric"),
    ("cascade m cal by=flap how=greedy rate=20%", "how"),
    ("cascade m cal by=flap damp=5% rate=20%", "damp"), ("cascade m cal tau=9 rate=20%", "tau"),
    ("obc (capture m cal sites=attn.heads keep=gram) how=greedy head_score=sum", "head_score"),
    ("flap (capture m cal sites=ffn.act) tau=9", "tau"),
    ("prune m (mask (flap (capture m cal sites=ffn.act)) rate=20%) damp=5%", "damp"),
    ("prune m (mask (flap (capture m cal sites=ffn.act)) rate=20%) acts=ends", "acts"),
    ("score signals how=magnitude seed=1", "seed"),
    ("assign (taylor m cal by=(kmeans ends k=2 pca=4)) how=exact seed=1", "seed"),
    ("assign (taylor m cal by=(kmeans ends k=2 pca=4)) shared=0 shared_rule=iterative", "shared_rule"),
    ("assign (taylor m cal by=(kmeans ends k=2 pca=4)) how=single scale=rank", "scale"),
    ("canica signals components=4 per_run=2 ica=none restarts=3", "restarts"),
    ("canica signals components=4 per_run=2 ica=none seed=3", "seed"),
    ("canica signals components=4 per_run=2 per_subject=2", "per_subject"),
    ("canica signals components=4 per_run=2 subject_components=4", "subject_components"),
    ("canica signals components=4 per_run=2 per_subject=2 scale=zscore_per_subject", nil),
    ("flap (capture m cal sites=ffn.act) square_attention=true", "square_attention"),
    ("flap [capture m cal sites=ffn.act, capture m cal sites=attn.heads] square_attention=true", nil),
    ("obc (capture m cal sites=ffn.act keep=gram) head_score=sum", "head_score"),
    ("combine heads heads how=not", "masks"),
    ("lesion m cal of=heads nulls=0 match=size", "match"), ("lesion m cal of=heads nulls=0 seed=1", "seed"),
    ("capture m cal sites=ffn.act keep=stream by=(kmeans ends k=2 pca=4)", "by"),
    ("cascade m cal by=obc metric=wifv rate=20%", "metric"),
    ("cascade m cal by=wanda how=oneshot rate=20%", "how"),
    ("cascade m cal by=flap damp=0.01 rate=20%", "damp"),
    ("eval m cal bos=legacy", "bos"),
    ("eval m cal metric=word_perplexity", "metric"),
    ("eval m (text DATA/test.txt model=m join=pages) keep=tokens", "keep"),
    ("mask (flap (capture m cal sites=ffn.act)) rates=(allocate ends rate=20%) scope=global", "scope"),
  ])
  func aParameterThatCanDoNothingIsRefused(_ call: String, _ argument: String?) throws {
    let diagnostics = try bench.run(start + "x = " + call).diagnostics
    #expect(diagnostics.first?.argument == argument, "\(call)")
    #expect(diagnostics.isEmpty == (argument == nil), "\(call)")
  }

  @Test func weightedWifnIsRefusedInACascadeAsInFlap() throws {
    let groups = "gr = assign (taylor m cal by=(kmeans ends k=2 pca=4))\n"
    let outcome = try bench.run(
      start + groups + "x = cascade m cal by=flap metric=wifn groups=gr weight=context rate=20%")
    #expect(outcome.exitCode == 2)
    #expect(outcome.diagnostics.first?.summary == "metric=wifn has no weighted form")
  }

  @Test func noneIsNoneAndNotTheMethodsOwn() throws {
    for by in ["obc", "flap"] {
      let bare: Model = try bench.value("x", start + "x = cascade m cal by=\(by) rate=20% comp=none")
      #expect(bare.pruning.isUncompensated && bare.compensation == "none")
      let own: Model = try bench.value("x", start + "x = cascade m cal by=\(by) rate=20%")
      #expect(own.compensation == (by == "obc" ? "ls" : "bias"))
    }
  }
}
