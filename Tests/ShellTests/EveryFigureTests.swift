import Foundation
import Kernel
import Ops
import Testing

@testable import Shell

/// A picture of every type of value, as files for a paper.
@Suite(.serialized) struct EveryFigureTests {
  /// Values by what is drawn of them; every type is among them.
  static let drawn: [(type: String, plots: [String])] = [
    ("model", ["m", "cut"]), ("corpus", ["cal", "whole"]), ("activations", ["acts", "acts y=attn.heads"]),
    ("clusters", ["cl", "kinds_of"]), ("affinity", ["S"]), ("groups", ["gr"]),
    ("rates", ["al", "al x=complexity"]),
    ("networks", ["nets", "nets layers=1", "nets y=time layers=0", "nets y=membership", "wide", "code y=gain"]),
    ("scores", ["s", "s y=attention", "blocks"]), ("mask", ["mk", "gone"]),
    ("report", ["dense", "by_kind", "by_kind by=label", "cost"]), ("texts", ["said"]),
    ("table", ["t", "t x=rate by=from", "overlap", "agree", "matched", "pairs", "kept"]),
    ("descriptions", ["d", "d y=facts", "d y=position"]), ("lesions", ["les", "les y=total"]),
    ("cards", ["c"]), ("graph", ["together", "together y=distance"]),
  ]

  static let script = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=16 length=64
    held = text ./data/test.txt model=m samples=24 length=64
    whole = text ./data/test.txt model=m
    acts = capture m cal sites=attn.heads,ffn.act keep=moments,gram
    s = flap acts
    o = obc acts
    mk = mask s rate=20%
    blocks = ablate m cal
    gone = mask blocks count=2
    cut = prune m mk comp=bias acts=acts
    dense = eval m held length=64
    by_kind = eval m whole length=128 labels=./data/test.labels.tsv
    cost = measure m length=16
    runs = for from in [flap: s, obc: o], rate in 10%,20%,30% { eval (prune m (mask from rate=rate)) held length=64 }
    t = compare runs baseline=dense
    overlap = compare [flap: mk, obc: mask o rate=20%]
    agree = compare [flap: s, obc: o, wanda: score acts how=wanda]
    said = generate m ["Once upon a time", "A"] tokens=8
    ctx = capture m cal sites=ffn.in,block.in,block.out keep=values
    cl = kmeans ctx k=4 pca=16
    kinds_of = kinds held model=m labels=./data/test.labels.tsv
    kinds_cal = kinds cal model=m labels=./data/calibration.labels.tsv
    S = taylor m cal by=cl
    gr = assign S shared=1
    al = allocate ctx rate=30% how=clip
    stream = capture m cal sites=ffn.gate,ffn.up keep=stream
    nets = canica stream components=8 per_run=8 iterations=20
    wide = canica stream components=8 per_run=8 iterations=20 scope=global keep=max
    matched = match nets nets run=0 other_run=1
    pairs = match nets nets run=0 other_run=1 by=network
    d = describe nets cal model=m test=held labels=[kinds_cal, kinds_of] layers=0,1 nulls=4
    les = lesion m held of=nets labels=kinds_of layers=0 nulls=4
    kept = preserve nets cut held
    together = connect nets nulls=4
    c = cards d lesions=les graph=together
    code = autoencode stream components=4 active=2 per_run=8 epochs=4
    """

  @Test func everyTypeHasAPictureThatCanBeRead() throws {
    let folder = try Program.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try FileManager.default.createSymbolicLink(
      atPath: folder + "/data", withDestinationPath: Program.root + "/data")
    let parts = Set(["activations.layer", "networks.layer", "descriptions.layer"])
    let types = Set(catalog.artifactTypes.keys).subtracting(parts).subtracting(["sweep"])
    #expect(types == Set(EveryFigureTests.drawn.map(\.type)))

    let plots = EveryFigureTests.drawn.flatMap(\.plots) + ["runs", "runs x=rate by=from y=token_perplexity"]
    var lines = EveryFigureTests.script.split(separator: "\n").map(String.init)
    for (index, plot) in plots.enumerated() {
      for ending in ["svg", "pdf", "png"] {
        for copy in ["a", "b"] { lines.append("plot \(plot) to=./\(copy)\(index).\(ending)") }
      }
      for (size, shape) in ["width=480 height=320", "width=1000 height=560"].enumerated() {
        lines.append("plot \(plot) \(shape) to=./size\(size)-\(index).svg")
      }
    }
    try lines.joined(separator: "\n").write(toFile: folder + "/f.prn", atomically: true, encoding: .utf8)
    let result = try Program.run(["run", "f.prn", "-q"], in: folder)
    #expect(result.status == 0, "\(result.err)")

    func bytes(_ name: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: folder + "/" + name)) }
    for (index, plot) in plots.enumerated() {
      for ending in ["svg", "pdf", "png"] {
        #expect(try bytes("a\(index).\(ending)") == bytes("b\(index).\(ending)"), "\(plot) as \(ending)")
      }
      for name in ["a\(index)", "size0-\(index)", "size1-\(index)"] {
        let layout = FigureLayout(svg: String(decoding: try bytes(name + ".svg"), as: UTF8.self))
        #expect(layout.faults.isEmpty, "\(plot), \(Int(layout.width)) wide: \(layout.faults)")
        // A title and two axes, said in words: nothing of the code that made it.
        #expect(
          layout.labels.count > 4 && !layout.labels.contains { $0.text.contains("=") && !$0.text.contains("rate=") })
      }
    }
    // For those who want to look: the pictures stay where PRN_PICTURES says.
    if let target = ProcessInfo.processInfo.environment["PRN_PICTURES"] {
      for (index, plot) in plots.enumerated() {
        try bytes("a\(index).png").write(
          to: URL(fileURLWithPath: "\(target)/\(plot.replacingOccurrences(of: " ", with: "-")).png"))
      }
    }
  }

  @Test(arguments: Sample.all.map(\.figure)) func lettersKeepClearOfEachOther(_ figure: Figure) {
    for (width, height) in [(720.0, 420.0), (360, 240), (1200, 500)] {
      let layout = FigureLayout(svg: figure.drawing(width: width, height: height).svg(title: "", description: ""))
      #expect(layout.faults.isEmpty, "\(figure.title), \(width) wide: \(layout.faults)")
    }
  }
}
