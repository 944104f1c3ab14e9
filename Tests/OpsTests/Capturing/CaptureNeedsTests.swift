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
}
