import Testing

@testable import Kernel
@testable import Ops
@testable import Transformer

private let start = """
  m = load DATA/tiny-llama
  b = load DATA/tiny-llama precision=bf16
  cal = text DATA/calibration.txt model=m samples=4 length=64
  held = text DATA/test.txt model=m samples=4 length=64

  """

/// A model whose products are in bfloat16 is another model, through every op.
@Suite(.serialized) struct PrecisionTests {
  let bench = ScriptBench()

  @Test func aReportSaysThePrecision() throws {
    let plain: Report = try bench.value("r", start + "r = eval m held")
    let rounded: Report = try bench.value("r", start + "r = eval b held")
    #expect(plain.conditions["precision"] == "f32" && rounded.conditions["precision"] == "bf16")
    let apart = try #require(plain.measurements.first).value / (try #require(rounded.measurements.first).value) - 1
    #expect(apart != 0 && abs(apart) < 0.01)
  }

  @Test func whatIsPrunedStaysInItsPrecision() throws {
    let script =
      start + """
        acts = capture b cal sites=attn.heads,ffn.act keep=moments,gram
        p = prune b (mask (flap acts) rate=20%) comp=ls acts=acts

        """
    let model: Model = try bench.value("p", script)
    #expect(model.network.precision == .bfloat16)
    let report: Report = try bench.value("r", script + "r = eval p held")
    #expect(report.conditions["precision"] == "bf16")
  }

  @Test func scoresAreNearThoseOfFloats() throws {
    let both = try ["m", "b"].map { model -> [Float] in
      let call = "s = flap (capture \(model) cal sites=ffn.act keep=moments)"
      let scores: Scores = try bench.value("s", start + call)
      return try #require(scores.score[.ffn]).flatMap { $0 }
    }
    let largest = both[0].max() ?? 0
    #expect(both[0] != both[1])
    #expect(zip(both[0], both[1]).allSatisfy { abs($0 - $1) < 0.1 * largest })
  }
}
