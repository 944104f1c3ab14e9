import Foundation
import Kernel
import MadeUpModels
import Testing

/// Estimates against what was resident, on a model whose matrices outweigh the program.
@Suite(.serialized) struct SlowMemoryTests {
  private struct Step {
    let op: String
    let estimate: Double
    let peak: Double
  }

  /// Runs a script on a made-up model, each step in a process of its own: what an earlier one leaves of the allocator's
  /// memory is another for every machine.
  private func steps(_ text: String) throws -> [Step] {
    let folder = try Program.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try FileManager.default.createDirectory(atPath: folder + "/model", withIntermediateDirectories: false)
    let shape = try #require(MadeUpModel.shapes["small"])
    try shape.write(blocks: 2, tokenizerOf: Program.root + "/data/tiny-llama", to: folder + "/model")
    try text.write(toFile: folder + "/f.prn", atomically: true, encoding: .utf8)
    for number in 1... {
      let result = try Program.run(["run", "f.prn", "-q", "--threads", "2", "--step", "\(number)"], in: folder)
      if result.err.contains("there is no step") { break }
      #expect(result.status == 0, "\(result)")
      guard result.status == 0 else { break }
    }
    let journal = folder + "/.prn/journal"
    let lines = try FileManager.default.contentsOfDirectory(atPath: journal).flatMap {
      try String(contentsOfFile: journal + "/" + $0, encoding: .utf8).split(separator: "\n")
    }
    return lines.compactMap { try? JSONValue(parsing: String($0)) }.compactMap { line in
      guard line["event"] == "step", line["status"] == "finished", let op = line["op"]?.stringValue,
        let estimate = line["estimate"]?.doubleValue, let peak = line["memory"]?.doubleValue, peak > 0
      else { return nil }
      return Step(op: op, estimate: estimate, peak: peak)
    }
  }

  @Test func noStepTakesMoreThanItsEstimateNorMuchLess() throws {
    let data = Program.root + "/data"
    let steps = try steps(
      """
      m    = load ./model
      cal  = text \(data)/calibration.txt model=m samples=16 length=512
      held = text \(data)/test.txt model=m samples=12 length=512
      eval m held
      acts = capture m cal sites=attn.heads,ffn.act keep=moments
      eval (prune m (mask (flap acts) rate=20%) comp=bias acts=acts) held
      once = obc (capture m cal sites=attn.heads,ffn.act keep=moments,gram)
      cl   = kmeans (capture m cal sites=ffn.in keep=stream) k=7 pca=64 restarts=1
      S    = taylor m cal by=cl
      both = capture m cal sites=ffn.gate,ffn.up keep=stream
      nets = canica both components=16 per_run=4
      autoencode both components=32 rank=64 per_run=16 epochs=1
      describe nets cal model=m nulls=2
      lesion m cal of=nets layers=1 nulls=0
      lesion m cal of=nets how=estimate nulls=5
      """)
    #expect(
      Set(steps.map(\.op)).isSuperset(of: [
        "load", "text", "eval", "flap", "obc", "kmeans", "taylor", "canica", "autoencode", "describe", "lesion",
      ]))
    for step in steps {
      let ratio = step.estimate / step.peak
      #expect(ratio >= 1 && ratio <= 1.2, "\(step.op): \(step.estimate / 1e6) MB for \(step.peak / 1e6) MB")
    }
  }

  @Test func gradientsOfWeightsAndTheirCurvatureTakeWhatIsEstimated() throws {
    let data = Program.root + "/data"
    let steps = try steps(
      """
      m    = load ./model
      cal  = text \(data)/calibration.txt model=m samples=12 length=512
      s    = saliency m cal how=param_first
      k    = saliency m cal how=kfac
      p    = surgeon m cal rate=10% shots=2
      """)
    #expect(steps.count == 5)
    for step in steps where ["saliency", "surgeon"].contains(step.op) {
      let ratio = step.estimate / step.peak
      #expect(ratio >= 1 && ratio <= 1.2, "\(step.op): \(step.estimate / 1e6) MB for \(step.peak / 1e6) MB")
    }
  }
}
