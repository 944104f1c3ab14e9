import Foundation
import Kernel
import Testing

@testable import Ops
@testable import Transformer

/// Folders of `as=hf` whose heads are narrow, whose stream is turned, whose maps are two factors: read back, the ops take
/// them as they took the model that was written.
@Suite(.serialized) struct FolderTests {
  private let bench = ScriptBench()
  private let start = """
    m = load \(ScriptBench.data)/tiny-llama
    cal = text \(ScriptBench.data)/calibration.txt model=m samples=4 length=64 take=order
    g = capture m cal sites=attn.in,attn.heads,ffn.in,ffn.act keep=gram
    q = capture m cal sites=attn.q,attn.k

    """

  /// What a call makes of the bundled model, as a folder.
  private func folder(of call: String) throws -> String {
    let model: Model = try bench.value("p", start + "p = " + call)
    let folder = bench.folder + "/out"
    try? FileManager.default.removeItem(atPath: folder)
    try model.network.export(to: folder, as: .huggingFace)
    return folder
  }

  private func made(_ text: String) throws -> (perplexities: [Double], mask: Mask, scores: Scores) {
    let mask: Mask = try bench.value("mk", text)
    let reports: [Report] = try ["a", "b", "c", "d"].map { try bench.value($0) }
    return (reports.map { $0.measurements[0].value }, mask, try bench.value("s"))
  }

  @Test(arguments: [
    "lowrank m acts=q rate=50% of=rotary", "lowrank m acts=g rate=50% of=values", "slice m cal slicing=20%",
    "slice (lowrank m acts=g rate=50% of=values) cal slicing=20%",
  ])
  func whatIsReadBackIsScoredAndPrunedAlike(_ call: String) throws {
    func text(_ model: String) -> String {
      start + """
        x = \(model)
        acts = capture x cal sites=attn.heads,ffn.act keep=moments,gram
        mk = mask (flap acts) rate=20%
        a = eval x cal length=64
        b = eval (prune x mk comp=bias acts=acts) cal length=64
        c = eval (prune x mk comp=ls acts=acts) cal length=64
        d = eval (cascade x cal rate=20%) cal length=64
        s = saliency x cal how=param_first

        """
    }
    let (written, read) = (try made(text(call)), try made(text("load " + (try folder(of: call)))))
    for (name, ratio) in zip(["a", "b", "c", "d"], zip(read.perplexities, written.perplexities).map(/)) {
      #expect(abs(ratio - 1) < (name == "a" ? 1e-5 : 2e-3), "\(name)")
    }
    let (before, after) = (written.mask.structure, read.mask.structure)
    #expect(before.parametersPerUnit == after.parametersPerUnit)
    #expect(before.blockParameters == after.blockParameters && before.totalParameters == after.totalParameters)
    let (old, new) = (written.scores, read.scores)
    let pairs = zip(old.score.ffn?.joined().map { $0 } ?? [], new.score.ffn?.joined().map { $0 } ?? [])
    #expect(pairs.allSatisfy { abs($0 - $1) <= 1e-3 * abs($0) + 1e-6 })
  }

  @Test(arguments: [
    ("lowrank m acts=g rate=20%", "lowrank x rate=20% how=plain", "needs maps of one matrix each"),
    ("lowrank m acts=g rate=20%", "cascade x cal rate=20%", "needs maps of one matrix each"),
    ("lowrank m acts=q rate=50% of=rotary", "surgeon x cal rate=20%", "lost rotary pairs already"),
    (
      "lowrank m acts=q rate=50% of=rotary",
      "lowrank x acts=(capture x cal sites=attn.q,attn.k) rate=20% of=rotary", "lost rotary pairs already"
    ),
    (
      "lowrank m acts=g rate=50% of=values",
      "lowrank x acts=(capture x cal sites=attn.heads keep=gram) rate=20% of=values",
      "lost directions of their values already"
    ),
    ("slice m cal slicing=20%", "slice x cal slicing=20%", "needs the whole residual stream"),
    (
      "slice m cal slicing=20%", "score (capture x cal sites=block.in,block.out) how=block_influence", "different bases"
    ),
  ])
  func whatIsGoneIsNotTakenTwice(_ call: String, _ again: String, _ sentence: String) throws {
    let outcome = try bench.run(start + "x = load \(try folder(of: call))\ne = eval x cal length=64\ny = \(again)")
    #expect(
      outcome.diagnostics.count == 1 && outcome.diagnostics[0].summary.contains(sentence), "\(outcome.diagnostics)")
  }

  /// A map in the place of a block acts on what slicing leaves of the stream: it is counted so, and goes backwards.
  @Test func aSlicedModelWithAMapInTheWayIsWhatItsFolderIs() throws {
    let bridge =
      "prune m (mask (ablate m cal) count=1) comp=linear acts=(capture m cal sites=block.in,block.out keep=values)"
    let again = start + "b = load \(try folder(of: bridge))\nx = slice b cal slicing=25%"
    let sliced: Model = try bench.value("x", again)
    let call = "slice (\(bridge)) cal slicing=25%"
    let text = start + "p = \(call)\nx = load \(try folder(of: call))\n"
    let scores: Scores = try bench.value("s", text + "s = saliency p cal how=param_first")
    let read: Scores = try bench.value("s", text + "s = saliency x cal how=param_first")
    let (p, x): (Model, Model) = (try bench.value("p"), try bench.value("x"))
    for other in [x, sliced] {
      #expect(p.network.blockParameters == other.network.blockParameters)
      // What was fitted as compensation here is a bias of the model there.
      #expect(p.network.totalParameters + 96 == other.network.totalParameters)
    }
    // The block that is gone has neurons without scores here, and none there.
    let (own, others) = (scores.score.ffn ?? [], read.score.ffn ?? [])
    #expect(own.joined().count { !$0.isNaN } == others.joined().count)
    let pairs = zip(own.joined().filter { !$0.isNaN }, others.joined())
    #expect(pairs.allSatisfy { abs($0 - $1) <= 1e-3 * abs($0) + 1e-6 })
  }

  /// Factors are as good as the model that was written, and so small.
  @Test func twoFactorsAreEvaluated() throws {
    let call = "lowrank m acts=g rate=20%"
    let path = try folder(of: call)
    let text = start + "p = \(call)\nx = load \(path)\na = eval p cal length=64\nb = eval x cal length=64"
    let (p, x): (Model, Model) = (try bench.value("p", text), try bench.value("x", text))
    #expect(p.network.totalParameters == x.network.totalParameters && x.removed == nil)
    #expect(x.removedInOwnTerms == "nothing" && p.removedInOwnTerms == "42 maps in two factors")
    let (a, b): (Report, Report) = (try bench.value("a", text), try bench.value("b", text))
    #expect(a.measurements[0].value == b.measurements[0].value)
  }
}
