import Kernel
import Testing

@testable import Ops

private let start = """
  m = load DATA/tiny-llama
  cal = text DATA/calibration.txt model=m samples=4 length=16 take=order
  ends = capture m cal sites=block.in,block.out keep=stream
  acts = capture m cal sites=attn.heads,ffn.act keep=values
  wide = capture m cal sites=ffn.in keep=values,moments,gram
  cl = kmeans wide k=2 pca=4
  gr = assign (taylor m cal by=cl)
  parted = capture m cal sites=ffn.act keep=moments,gram by=cl groups=gr
  wholes = capture m cal sites=ffn.act keep=gram
  mk = mask (score parted how=random) rate=20%

  """

/// Every consumer says before anything runs what its captures lack, in the same words.
@Suite(.serialized) struct CaptureNeedsTests {
  @Test(arguments: [
    ("flap acts", "flap needs the moments of the activations, and this capture does not keep them"),
    ("flap [parted, wide]", "flap needs attn.heads or ffn.act, and this capture looks at ffn.in"),
    ("flap [capture m cal sites=ffn.act] weight=context", "weight= needs a capture divided by neuron groups"),
    ("obc acts", "obc needs the Gram matrix of the activations, and this capture does not keep them"),
    ("score acts how=wanda", "how=wanda needs the moments of the activations, and this capture does not keep them"),
    ("score wide how=magnitude", "how=magnitude needs attn.heads or ffn.act, and this capture looks at ffn.in"),
    (
      "score ends how=block_influence",
      "how=block_influence needs the moments of the activations, and this capture does not keep them"
    ),
    (
      "score acts how=block_influence",
      "how=block_influence needs block.in and block.out, and this capture looks at attn.heads, ffn.act"
    ),
    ("allocate wide rate=20%", "how=clip needs block.in and block.out, and this capture looks at ffn.in"),
    ("kmeans parted k=2", "kmeans needs the signals of the activations, and this capture does not keep them"),
    ("kmeans acts k=2", "kmeans needs ffn.in or ffn.resid, and this capture looks at attn.heads, ffn.act"),
    ("kmeans wide k=2 site=block.in", "kmeans needs block.in, and this capture looks at ffn.in"),
    (
      "kmeans (capture m cal sites=ffn.in,ffn.act keep=moments,ffn.act:values) k=2",
      "kmeans needs the signals of ffn.in, which this capture does not keep"
    ),
    ("canica parted", "canica needs the signals of the activations, and this capture does not keep them"),
    ("canica wide", "canica needs ffn.up or attn.heads, and this capture looks at ffn.in"),
    ("prune m mk comp=bias acts=acts", "comp=bias needs the moments of the activations, and this capture does not"),
    ("prune m mk comp=ls acts=acts", "comp=ls needs the Gram matrix of the activations, and this capture does not"),
    ("score parted how=leverage", "how=leverage needs ungrouped Gram matrices"),
    ("mask (obc wholes how=greedy) rate=20%", "these scores order the units of each layer by themselves"),
    ("mask (obc wholes how=greedy) threshold=0", "these scores order the units of each layer by themselves"),
    ("mask (flap parted weight=context) rate=20% scope=layer", "these scores were weighted group by group"),
    ("mask (obc parted) rate=20% scope=layer", "these scores were weighted group by group"),
    ("prune m mk comp=ls acts=parted", "the mask was not made group by group, so the refit needs the ungrouped"),
  ])
  func whatACaptureLacksIsToldBeforeAnythingRuns(_ call: String, _ sentence: String) throws {
    let outcome = try ScriptBench().run(start + "x = " + call)
    #expect(outcome.exitCode == 2)
    #expect(
      outcome.diagnostics.first?.summary.hasPrefix(sentence) == true, "\(outcome.diagnostics.first?.summary ?? "")")
    #expect(outcome.diagnostics.count == 1)
  }

  @Test func whatIsKeptIsEnough() throws {
    let outcome = try ScriptBench().run(
      start + """
        whole = capture m cal sites=attn.heads,ffn.act keep=moments
        a = flap [whole, parted] weight=context
        b = prune m mk comp=bias acts=ends
        c = prune m mk comp=bias acts=acts stream=pruned
        """)
    #expect(outcome.exitCode == 0, "\(outcome.diagnostics.first?.summary ?? "")")
  }

  @Test(arguments: [
    ("sites=ffn.in,ffn.act keep=ffn.in:stream", "nothing is kept of ffn.act"),
    ("sites=ffn.in,ffn.act keep=moments,ffn.up:stream", "ffn.up is not among the sites of this capture"),
    ("sites=ffn.in keep=moments,ffn.in:stream", "every site is named, so moments has no effect"),
    ("sites=ffn.in,ffn.act keep=moments,ffn.in:stream,ffn.in:gram", "keep=stream stores nothing, so it cannot be"),
    ("sites=ffn.in,ffn.act keep=ffn.in:gram,moments,ffn.in:gram", "ffn.in:gram is given twice"),
    (
      "sites=ffn.in keep=ffn.in:everything",
      "`keep` of `capture` is one of values, moments, gram, stream, or one of a single site"
    ),
  ])
  func whatIsKeptOfASiteIsRefusedWhenItMeansNothing(_ arguments: String, _ sentence: String) throws {
    let outcome = try ScriptBench().run(
      "m = load DATA/tiny-llama\ncal = text DATA/calibration.txt model=m samples=4 length=16\nx = capture m cal "
        + arguments)
    #expect(outcome.exitCode == 2)
    #expect(
      outcome.diagnostics.first?.summary.hasPrefix(sentence) == true, "\(outcome.diagnostics.first?.summary ?? "")")
  }

  /// One walk serves every consumer: each takes the sites that keep what it needs, with the bytes of captures of its own.
  @Test func sitesKeepDifferentThings() throws {
    let bench = ScriptBench()
    let outcome = try bench.run(
      """
      m = load DATA/tiny-llama
      cal = text DATA/calibration.txt model=m samples=4 length=16 take=order
      all = capture m cal sites=attn.heads,ffn.act,ffn.in,ffn.gate,ffn.up \
            keep=moments,ffn.in:stream,ffn.gate:stream,ffn.up:stream
      f = flap all
      k = kmeans all k=2 pca=4
      n = canica all components=2 per_run=4
      own_f = flap (capture m cal sites=attn.heads,ffn.act)
      own_k = kmeans (capture m cal sites=ffn.in keep=stream) k=2 pca=4
      own_n = canica (capture m cal sites=ffn.gate,ffn.up keep=stream) components=2 per_run=4
      fewer = flap (capture m cal sites=attn.heads,ffn.act keep=attn.heads:moments,ffn.act:gram)
      heads = mask fewer rate=10%
      whole = mask f rate=10%
      """)
    #expect(outcome.exitCode == 0, "\(outcome.diagnostics)")
    for name in ["f", "k", "n"] {
      let own = try bench.content("own_" + name)
      #expect(try bench.content(name) == own)
    }
    #expect(try bench.value("heads", "", as: Mask.self).keep.modules() == [.attention])
    #expect(try bench.value("whole", "", as: Mask.self).keep.modules() == [.attention, .ffn])
  }
}
