import Testing

@testable import Kernel
@testable import Ops

private let start = """
  m = load DATA/tiny-llama
  cal = text DATA/calibration.txt model=m samples=80 length=128 take=order
  few = text DATA/calibration.txt model=m samples=8 length=64 take=order

  """
private let context = start + "ctx = capture m few sites=ffn.in keep=values\ncl = kmeans ctx k=3 pca=8\n"

private let moments = start + "a = capture m few sites=attn.heads,ffn.act keep=moments\n"
private let grams = start + "a = capture m few sites=attn.heads,ffn.act keep=gram\n"
private let heads =
  start + "q = capture m few sites=attn.q,attn.k\nh = capture m few sites=attn.heads keep=gram\n"
private let factors = start + "g = capture m few sites=attn.in,attn.heads,ffn.in,ffn.act keep=gram\n"

private let networks =
  start + "a = capture m few sites=ffn.gate,ffn.up keep=stream\nnets = canica a components=4 per_run=8\n"

/// What is stopped in the middle and run again is the same, bit for bit, as what was never stopped.
@Suite(.serialized) struct ResumeTests {
  struct Stop: Sendable, CustomTestStringConvertible {
    var op: String
    /// Units done when it is stopped.
    var done: Int
    var text: String
    var testDescription: String { "\(op) at \(done): \(text.split(separator: "\n").last ?? "")" }
  }

  static let stops = [
    Stop(op: "capture", done: 3, text: start + "x = capture m few sites=attn.heads,ffn.act keep=moments,gram"),
    Stop(
      op: "capture", done: 3,
      text: start + "x = capture m few sites=attn.heads layers=0..3\ny = capture m few sites=block.in,block.out,ffn.act"
    ),
    Stop(op: "eval", done: 40, text: start + "x = eval m cal length=128"),
    Stop(
      op: "eval", done: 300, text: start + "p = text DATA/calibration.txt model=m join=pages\nx = eval m p length=128"),
    Stop(op: "kmeans", done: 2, text: start + "ctx = capture m few sites=ffn.in keep=stream\nx = kmeans ctx k=3 pca=8"),
    Stop(op: "kmeans", done: 2, text: start + "ctx = capture m few sites=ffn.in keep=values\nx = kmeans ctx k=3 pca=8"),
    Stop(
      op: "taylor", done: 64,
      text: start + "ctx = capture m cal sites=ffn.in keep=values\n"
        + "cl = kmeans ctx k=3 pca=8\nx = taylor m cal by=cl"),
    Stop(op: "flap", done: 3, text: moments + "x = flap a"),
    Stop(op: "obc", done: 3, text: grams + "x = obc a how=greedy"),
    Stop(op: "prune", done: 3, text: grams + "x = prune m (mask (obc a) rate=20%) comp=ls acts=a"),
    Stop(op: "score", done: 3, text: moments + "x = score a how=wanda"),
    Stop(op: "score", done: 3, text: moments + "x = score a how=random seed=1"),
    Stop(op: "ablate", done: 4, text: start + "x = ablate m cal"),
    Stop(op: "ablate", done: 16, text: start + "x = ablate m few order=greedy count=3 protect=ends"),
    Stop(
      op: "canica", done: 5,
      text: start + "a = capture m few sites=ffn.gate,ffn.up keep=stream\nx = canica a components=4 per_run=4"),
    Stop(
      op: "autoencode", done: 3,
      text: start + "a = capture m few sites=ffn.gate,ffn.up keep=stream\n"
        + "x = autoencode a components=4 active=2 per_run=8 epochs=2 rank=32"),
    Stop(
      op: "describe", done: 2,
      text: networks + "x = describe nets cal model=m nulls=2"),
    // While sets are taken out.
    Stop(
      op: "describe", done: 7,
      text: start + "a = capture m few sites=ffn.gate,ffn.up keep=stream\nnets = canica a components=8 per_run=8\n"
        + "x = describe nets cal model=m nulls=2 checks=32"),
    Stop(
      op: "preserve", done: 4,
      text: networks + "p = prune m (mask (score nets how=max_abs_z) rate=20%)\nx = preserve nets p few"),
    Stop(op: "connect", done: 4, text: networks + "x = connect nets model=m test=few nulls=2"),
    Stop(op: "lesion", done: 300, text: networks + "x = lesion m few of=nets layers=5 nulls=99"),
    Stop(op: "cascade", done: 3, text: start + "x = cascade m few by=flap rate=20%"),
    Stop(op: "cascade", done: 3, text: start + "x = cascade m few by=wanda rate=20%"),
    Stop(
      op: "cascade", done: 3,
      text: start + "k = mask (saliency m few how=gate) rate=20%\n"
        + "x = cascade m few by=obc like=k target=dense"),
    Stop(op: "lowrank", done: 3, text: factors + "x = lowrank m acts=g rate=20%"),
    Stop(op: "lowrank", done: 3, text: heads + "x = lowrank m acts=q rate=20% of=rotary"),
    Stop(op: "lowrank", done: 3, text: heads + "x = lowrank m acts=h rate=20% of=values how=attended_ls"),
    Stop(op: "slice", done: 3, text: start + "x = slice m few width=96"),
    Stop(op: "slice", done: 3, text: start + "x = slice m few width=96 basis=shared"),
    Stop(op: "lowrank", done: 3, text: factors + "x = lowrank m acts=g rate=20% update=stream"),
    // Before the second of three shots is fired.
    Stop(op: "surgeon", done: 1024, text: start + "x = surgeon m few rate=20% shots=3"),
    Stop(
      op: "cascade", done: 2,
      text: context + "gr = assign (taylor m few by=cl) shared=1\n"
        + "x = cascade m few by=obc rate=20% groups=gr weight=context tau=30%"),
  ]

  @Test(arguments: stops) func stoppedWorkGoesOnAndEndsTheSame(_ stop: Stop) throws {
    let (whole, bench) = (ScriptBench(), ScriptBench())
    #expect(try whole.run(stop.text).exitCode == 0)
    bench.stop = (stop.op, stop.done)
    #expect(try bench.run(stop.text).exitCode == 130)
    bench.stop = nil
    #expect(try bench.run(stop.text).exitCode == 0)
    #expect(try bench.objects() == whole.objects())
  }

  /// An op that is not tried above keeps nothing of what it was doing.
  @Test(arguments: catalog.names.filter { op in !stops.contains { $0.op == op } })
  func whatSavesItselfIsTried(_ op: String) throws {
    let bench = ScriptBench()
    bench.stopsAtEnd = op
    let signature = try #require(catalog.signature(op))
    let call = try #require(ExampleCall(signature))
    let outcome = try bench.run(call.script())
    #expect([0, 130].contains(outcome.exitCode))
    #expect(!bench.hasCheckpoints, "\(op) saves checkpoints, and no stop in ResumeTests tries them")
  }
}
