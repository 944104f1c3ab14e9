import Kernel
import Testing

@testable import Ops

private let signals = """
  m = load DATA/tiny-llama
  cal = text DATA/calibration.txt model=m samples=4 length=16 take=order
  acts = capture m cal sites=ffn.gate,ffn.up keep=stream

  """

@Suite(.serialized) struct CanICAErrorTests {
  let bench = ScriptBench()

  private func problem(_ text: String) throws -> Diagnostic? { try bench.run(signals + text).diagnostics.first }

  @Test func tooFewTokensNameBothNumbers() throws {
    let found = try problem("n = canica acts components=128 per_run=2")
    #expect(found?.summary == "run 0 has 32 tokens in 2 samples, too few for 128 components")
    #expect(found?.argument == "components")
  }

  @Test func aCaptureWithoutSignalsIsRefusedBeforeAnythingRuns() throws {
    let outcome = try bench.run(signals + "x = capture m cal sites=ffn.act keep=moments\nn = canica x components=4")
    #expect(outcome.exitCode == 2)
    #expect(outcome.diagnostics.first?.hint == "capture with keep=stream")
    #expect(bench.computed.isEmpty)
  }

  @Test func theGateBelongsToTheSignals() throws {
    let found = try problem("x = capture m cal sites=ffn.up keep=stream\nn = canica x components=4 per_run=4")
    #expect(found?.summary.contains("has a gate") == true)
  }

  @Test func networksAreScoredByTheirOwnMethods() throws {
    let outcome = try bench.run(signals + "n = canica acts components=4 per_run=4\ns = score n how=wanda")
    #expect(outcome.exitCode == 2)
    #expect(outcome.diagnostics.first?.hint == "score networks with how=max_abs_z")
    let other = try bench.run(signals + "x = capture m cal sites=ffn.act keep=moments\ns = score x how=max_abs_z")
    #expect(other.exitCode == 2)
  }

  @Test func aSearchThatStopsEarlyIsKeptAndSaysSo() throws {
    let networks: Networks = try bench.value("n", signals + "n = canica acts components=8 per_run=4 iterations=1")
    #expect(networks.converged.allSatisfy { $0 == 0 })
    #expect(bench.warnings.contains { $0.hasPrefix("layer 0: 1 of 1 runs did not converge in 1 steps") })
  }

  @Test func samplesThatMakeLessThanHalfARunAreLeftOut() throws {
    let networks: Networks = try bench.value("n", signals + "n = canica acts components=4 per_run=3")
    #expect(networks.settings.runs == 1)
    #expect(bench.warnings.contains("the last 1 of 4 samples are left out: fewer than half a run of 3"))
  }

  @Test func aRateBeyondWhatProtectionLeavesIsRefused() throws {
    let found = try problem(
      "n = canica acts components=4 per_run=4\nmk = mask (score n how=max_abs_z) rate=60% base=total protect=0..3")
    #expect(found?.kind == .failure)
    #expect(found?.summary.contains("%") == true)
  }

  @Test func directionsOfASingleSubjectAreRefused() throws {
    let found = try problem("n = canica acts components=4 per_run=4 per_subject=4 reduce=cca subject_components=8")
    #expect(found?.summary.hasPrefix("run 0 is a single subject") == true)
    #expect(found?.argument == "subject_components")
    let short = try problem("n = canica acts components=4 per_run=3 per_subject=2 reduce=cca subject_components=8")
    #expect(short == nil)
    #expect(try problem("n = canica acts components=4 per_run=4 per_subject=4 reduce=cca") == nil)
  }
}
