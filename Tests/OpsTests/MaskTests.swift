import Foundation
import Kernel
import Testing

@testable import Ops

private let start = """
  m = load DATA/tiny-llama
  cal = text DATA/calibration.txt model=m samples=8 length=64
  acts = capture m cal sites=attn.heads,ffn.act keep=moments

  """

@Suite(.serialized) struct MaskTests {
  let bench = ScriptBench()

  @Test(arguments: ["flap acts", "score acts how=wanda", "score acts how=random"])
  func theReportedThresholdGivesTheSameMask(_ scores: String) throws {
    let text = start + "s = \(scores)\na = mask s rate=20%\nlevel = a.threshold\nb = mask s threshold=level\n"
    let (a, b): (Mask, Mask) = (try bench.value("a", text), try bench.value("b", text))
    #expect(a.keep == b.keep)
    #expect(a.threshold == b.threshold)
    #expect(b.removedParameters > 0)
  }

  /// What rates were made of has been seen as well as what scores were made of.
  @Test func theTextsOfRatesAreRemembered() throws {
    let text =
      start + """
        other = text DATA/test.txt model=m samples=8 length=64
        al = allocate (capture m other sites=block.in,block.out keep=moments) rate=20% how=clip
        x = mask (score acts how=wanda) rates=al
        y = cascade m cal by=wanda rates=al
        z = lowrank m acts=(capture m cal sites=attn.in,attn.heads,ffn.in,ffn.act keep=moments,gram) rates=al

        """
    let texts: [Corpus] = [try bench.value("cal", text), try bench.value("other", text)]
    let seen = texts.map(\.textHash).sorted()
    #expect((try bench.value("x", text) as Mask).calibration == seen)
    #expect((try bench.value("y", text) as Model).calibration == seen)
    #expect((try bench.value("z", text) as Model).calibration == seen)
  }

  /// A rate of the modules that are ranked, and not of the blocks.
  @Test(arguments: ["rate=20%", "rate=20% scope=layer", "rates=al"]) func aRateCanBeAShareOfWhatIsRanked(_ how: String)
    throws
  {
    let text =
      start + """
        n = capture m cal sites=ffn.act keep=moments
        al = allocate (capture m cal sites=block.in,block.out keep=moments) rate=20% how=uniform
        x = mask (score n how=wanda) \(how) base=module

        """
    let mask: Mask = try bench.value("x", text)
    let whole = Double(mask.structure.units.ffn.reduce(0, +))
    let gone = (0..<mask.structure.layers).reduce(0) { $0 + mask.dropped(.ffn, layer: $1).count }
    #expect(abs(Double(gone) / whole - 0.2) < 0.002)
    #expect(mask.keep.attention == nil)
  }

  @Test(arguments: [
    ("threshold=0 scope=layer", "scope"), ("threshold=0 base=total", "base"), ("threshold=0 rate=20%", "rate"),
    ("rates=al base=total", "base"), ("threshold=0 base=module", "base"),
  ])
  func whatAThresholdOrRatesCannotHeedIsRefused(_ arguments: String, _ argument: String) throws {
    let ends = "al = allocate (capture m cal sites=block.in,block.out keep=moments) rate=20%\n"
    let outcome = try bench.run(start + ends + "x = mask (flap acts) \(arguments)")
    #expect(outcome.exitCode == 2)
    #expect(outcome.diagnostics.first?.argument == argument)
  }

  @Test func aCombinationThatEmptiesALayerSaysSo() throws {
    _ = try bench.run(start + "a = mask (flap acts) rate=20% scope=layer\nx = !a & a")
    let all = "layers 0, 1, 2, 3, 4, 5"
    #expect(bench.warnings.contains("the mask keeps nothing of ffn.act in \(all)"))
    #expect(bench.warnings.contains("the mask keeps nothing of attn.heads in \(all)"))
    let quiet = ScriptBench()
    _ = try quiet.run(start + "a = mask (flap acts) rate=20% scope=layer\nx = a & a")
    #expect(quiet.warnings.isEmpty)
  }

  /// The best of an emptied layer stays, and what this saves is not taken elsewhere: then the rate is not reached.
  @Test func aRateThatIsMissedIsSaid() throws {
    let bench = ScriptBench()
    let mask: Mask = try bench.value(
      "mk",
      """
      m = load DATA/tiny-llama
      cal = text DATA/calibration.txt model=m samples=8 length=64
      mk = mask (flap (capture m cal sites=attn.heads,ffn.act keep=moments)) rate=90%
      """)
    #expect(mask.blockRate < 0.88)
    let words = "went in place of 90%, since nothing else goes for them"
    #expect(bench.warnings.contains { $0.hasSuffix("; \(percent(mask.blockRate)) \(words)") })
  }

  /// LLaMA-Pro's new blocks and depth-pruned models have such layers.
  @Test func aLayerOfEqualScoresCanBeProtectedOrRankedByItself() throws {
    let folder = try modelWithZeros("model.layers.2.mlp.down_proj.weight")
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let zeros = start.replacingOccurrences(of: "DATA/tiny-llama", with: "\"\(folder)\"")
    let refused = try bench.run(zeros + "x = mask (flap acts) rate=20%")
    #expect(refused.exitCode == 1)
    #expect(refused.diagnostics.first?.hint == "use scope=layer, or protect=2")
    let mask: Mask = try bench.value("x", zeros + "x = mask (flap acts) rate=20% protect=2")
    #expect(mask.dropped(.ffn, layer: 2).isEmpty)
    #expect(abs(mask.blockRate - 0.2) < 0.005)
    #expect(try bench.run(zeros + "x = mask (flap acts) rate=20% scope=layer").exitCode == 0)
  }

  /// A copy of the bundled model in which every number of one tensor is zero.
  private func modelWithZeros(_ tensor: String) throws -> String {
    let folder = NSTemporaryDirectory() + "prn-zeros-\(UUID().uuidString)"
    try FileManager.default.copyItem(atPath: ScriptBench.data + "/tiny-llama", toPath: folder)
    let file = URL(fileURLWithPath: folder + "/model.safetensors")
    var bytes = try Data(contentsOf: file)
    let size = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    let header = try JSONValue(parsing: String(decoding: bytes[8..<(8 + size)], as: UTF8.self))
    let offsets = (header[tensor]?["data_offsets"]?.arrayValue ?? []).map { 8 + size + ($0.intValue ?? 0) }
    try #require(offsets.count == 2)
    let place = offsets[0]..<offsets[1]
    bytes.replaceSubrange(place, with: Data(count: place.count))
    try FileManager.default.removeItem(at: file)
    try bytes.write(to: file)
    return folder
  }
}
