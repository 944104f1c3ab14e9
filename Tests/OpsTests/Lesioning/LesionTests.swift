import Glibc
import Kernel
import Numerics
import Testing

@testable import Ops

private let start = """
  m = load DATA/tiny-llama
  cal = text DATA/calibration.txt model=m samples=24 length=128 take=order
  few = text DATA/calibration.txt model=m samples=8 length=64 take=order
  kc = kinds cal model=m labels=DATA/calibration.labels.tsv
  acts = capture m cal sites=ffn.gate,ffn.up keep=stream
  nets = canica acts components=8 per_run=24

  """

@Suite(.serialized) struct LesionTests {
  let bench = ScriptBench()

  private func loss(_ report: Report) throws -> Double {
    let windows = try #require(report.evidence.windows)
    return mean(windows.loss)
  }

  /// Zeros are what pruning leaves, means what FLAP's bias puts back: with several layers, with heads, of one layer.
  @Test(arguments: [
    "mask (flap mean) rate=20%", "mask (flap mean) rate=10% scope=global protect=1..5",
    "mask (flap (capture m few sites=ffn.act keep=moments)) rate=20% scope=layer",
  ]) func aLesionIsAMaskedForwardPass(_ mask: String) throws {
    let text =
      start + """
        mean = capture m few sites=attn.heads,ffn.act keep=moments
        mk = \(mask)
        dense = eval m few
        masked = eval (prune m mk) few
        biased = eval (prune m mk comp=bias acts=mean) few
        zero = lesion m few of=[mk: mk] nulls=0
        filled = lesion m few of=mk with=mean nulls=0
        """
    let dense = try loss(bench.value("dense", text))
    for (lesion, model) in [("zero", "masked"), ("filled", "biased")] {
      let found: Lesions = try bench.value(lesion, text)
      let expected = try loss(bench.value(model, text)) - dense
      #expect(abs(found.rows[0].change - expected) < 2e-5 * max(1, abs(expected)), "\(lesion) \(expected)")
      // Without classes cells are windows.
      #expect(abs(found.rows[0].sums.reduce(0, +) / found.rows[0].counts.reduce(0, +) - found.rows[0].change) < 1e-9)
    }
  }

  @Test func theNetworkOfSpacesHurtsArithmeticMost() throws {
    let text =
      start + """
        held = text DATA/test.txt model=m samples=24 length=128 take=order
        kh = kinds held model=m labels=DATA/test.labels.tsv
        d = describe nets cal model=m test=held layers=0 nulls=4
        x = lesion m held of=nets labels=kh layers=0 nulls=9
        """
    let d: Descriptions = try bench.value("d", text)
    let x: Lesions = try bench.value("x", text)
    let best = try #require(d.lines.indices.max { d.lines[$0].auroc < d.lines[$1].auroc })
    let row = x.rows[best]
    #expect(row.name == d.lines[best].name && d.lines[best].auroc > 0.9)
    let most = try #require(argsort(row.byKind, descending: true).first)
    #expect(x.kinds[most] == "arithmetic")
    #expect(row.kindQ[most] < 0.05)
    #expect(x.classNulls == "student" && bench.warnings.contains { $0.contains("need 1280 random sets") })
    #expect(row.adjusted > 3 && row.p == 0.1)
    // Random sets have its energy, as near as any can.
    #expect(abs(median(row.nullEnergy.map { Glibc.log($0 / row.energy) })) < 1)
  }

  @Test func theEstimateRanksLesionsAsTheModelDoes() throws {
    let text =
      start + "x = lesion m cal of=nets nulls=0\ny = lesion m cal of=nets how=estimate nulls=0\n"
    let exact: Lesions = try bench.value("x", text)
    let estimate: Lesions = try bench.value("y", text)
    #expect(exact.rows.count == 48 && estimate.rows.count == 48)
    #expect(rankCorrelation(exact.rows.map(\.change), estimate.rows.map(\.change)) > 0.85)
    for layer in 2..<6 {
      let own = exact.rows.indices.filter { exact.rows[$0].layers == [layer] }
      #expect(
        rankCorrelation(own.map { exact.rows[$0].change }, own.map { estimate.rows[$0].change }) > 0.5, "\(layer)")
    }
  }

  @Test func growingLesionsEndAtTheSamePlace() throws {
    let x: Lesions = try bench.value("x", start + "x = lesion m few of=nets layers=5 mode=grow nulls=2")
    #expect(x.rows.count == 8 * 20 && x.isGrown)
    for row in x.rows where row.share == 1 {
      #expect(row.units == 384)
      #expect(row.null.allSatisfy { abs($0 - row.change) < 1e-9 })
    }
    #expect(try x.table(ShowRequest(name: "x"))?.rows.count == 160)
    _ = try x.figure(PlotRequest(name: "x"))
  }

  @Test func onlyANetworkIsLeftOfItsLayer() throws {
    let x: Lesions = try bench.value("x", start + "x = lesion m few of=nets layers=5 mode=only nulls=3")
    #expect(x.rows.allSatisfy { $0.units == 364 && $0.null.count == 3 })
  }

  @Test func groupsHurtTheTextOfTheirClusters() throws {
    let text =
      start + """
        cl = kmeans (capture m cal sites=ffn.in keep=values) k=4 pca=16
        gr = assign (taylor m cal by=cl)
        x = lesion m cal of=gr by=cl layers=3,5 nulls=0
        """
    let x: Lesions = try bench.value("x", text)
    #expect(x.rows.map(\.name) == ["0", "1", "2", "3", "shared", "0", "1", "2", "3", "shared"])
    #expect(x.kinds == ["0", "1", "2", "3"])
    // Mean change of the diagonal above that of the other clusters, over both layers.
    let excess = x.rows.filter { $0.name != "shared" }.map { row in
      row.byKind[Int(row.name) ?? 0] - mean(row.byKind)
    }
    #expect(mean(excess) > 0)
    let shared = x.rows.filter { $0.name == "shared" }.map(\.change)
    let others = x.rows.filter { $0.name != "shared" }.map(\.change)
    #expect(mean(shared) > mean(others))
    #expect(try x.table(ShowRequest(name: "x", by: "class"))?.rows.count == 40)
    _ = try x.figure(PlotRequest(name: "x"))
  }

  @Test func oneAndTwoThreadsGiveTheSameBytes() throws {
    let text = start + "x = lesion m cal of=nets labels=kc layers=4,5 nulls=2"
    #expect(try ScriptBench.objects(of: text, threads: 1) == ScriptBench.objects(of: text, threads: 2))
  }

  @Test(arguments: [
    ("x = lesion m few of=nets labels=kc", "labels= is of the tokens of another text"),
    ("x = lesion m cal of=nets labels=kc by=kc", "labels= and by= both tell targets apart; give one of them"),
    ("x = lesion m cal of=nets key=9", "network 0 of layer 0 has no units to take out"),
    ("x = lesion m cal of=nets run=1", "there is no run 1; the networks have 1 run"),
    ("x = lesion m cal of=nets mode=grow key=5%", "mode=grow takes all units in their order, so key= has no effect"),
    (
      "p = prune m (mask (score nets how=max_abs_z) rate=5%)\nx = lesion p cal of=nets",
      "the networks were made on another model"
    ),
    (
      "mk = mask (score (capture m few sites=ffn.act keep=moments)) rate=50% scope=layer\nx = lesion m few of=mk nulls=1",
      "layer 0 has 128 units outside of mask mk, fewer than its 256: there are no random sets like it"
    ),
    (
      "mk = mask (flap (capture m few sites=attn.heads)) rate=5% scope=layer\nx = lesion m few of=mk how=estimate nulls=0",
      "how=estimate is for neurons, and these are of attention"
    ),
    (
      "mk = mask (flap (capture m few sites=attn.heads)) rate=5% scope=layer\nx = lesion m few of=mk run=1",
      "run= is for networks, and this is a value of type mask"
    ),
    (
      "x = lesion m cal of=[nets, again: nets]",
      "of= takes networks, groups, or masks, and of the first two only one value"
    ),
  ]) func whatCannotBeLesionedIsRefusedInOneSentence(_ statement: String, _ expected: String) throws {
    #expect(try bench.refusal(start + statement) == expected)
  }
}
