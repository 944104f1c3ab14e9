import Foundation
import Kernel
import Ranks
import Testing

@testable import Ops

/// Scripts that several ranks run together: the objects of one, made by one of them.
@Suite(.serialized) struct RankedStoreTests {
  private static let script = """
    m = load DATA/tiny-llama
    cal = text DATA/calibration.txt model=m samples=20 length=128 take=order
    cl = kmeans (capture m cal sites=ffn.in keep=stream) k=3 pca=8
    gr = assign (taylor m cal by=cl)
    acts = capture m cal sites=attn.heads,ffn.act keep=moments,gram by=cl groups=gr
    ends = capture m cal sites=block.in,block.out keep=moments
    p = prune m (mask (obc acts) rate=20% scope=layer within=gr) comp=ls acts=acts
    c = cascade m cal by=flap rate=20%
    runs = for length in 64,128 { eval c cal length=length }
    speed = measure c tokens=2 length=8 runs=1
    """

  /// - Parameter stop: when rank 0 is stopped.
  /// - Returns: where rank 0 went on.
  @discardableResult
  private func run(
    _ size: Int, _ text: String, in bench: ScriptBench, stop: ResumeTests.Stop? = nil
  ) throws -> [String] {
    let folder = bench.folder
    return try ThreadRanks.run(size) { ranks in
      let store = try Store(workspace: folder + "/.prn", types: catalog.artifactTypes)
      let observer = ScriptBench()
      if ranks.isFirst { observer.stop = stop.map { ($0.op, $0.done) } }
      let session = Session(
        catalog: catalog, store: RankedStore(store, ranks), observer: observer, meta: observer)
      let outcome = session.run(
        Source(name: "test.prn", text: text.replacingOccurrences(of: "DATA", with: ScriptBench.data)))
      // As the program does: the others are not left waiting.
      if let first = outcome.diagnostics.first { throw first }
      return observer.resumed
    }[0]
  }

  @Test(arguments: [2, 3]) func theObjectsAreThoseOfOneRank(_ size: Int) throws {
    let (alone, together) = (ScriptBench(), ScriptBench())
    let whole = try alone.run(Self.script)
    #expect(whole.diagnostics.isEmpty, "\(whole.rendered)")
    try run(size, Self.script, in: together)
    let (theirs, ours) = (try alone.objects(), try together.objects())
    #expect(Set(theirs.keys).symmetricDifference(ours.keys).count == 2)
    #expect(ours.count == theirs.count && ours.count > 20)
    for (name, bytes) in ours where theirs[name] != nil { #expect(bytes == theirs[name], "\(name)") }
    // Once more: everything is there, and nothing is written.
    let steps = Self.script.split(separator: "\n").filter { !$0.contains("measure") }.joined(separator: "\n")
    try run(size, steps, in: together)
    #expect(try together.objects() == ours)
    #expect(try FileManager.default.contentsOfDirectory(atPath: together.folder + "/.prn/tmp").isEmpty)
    #expect(try FileManager.default.contentsOfDirectory(atPath: together.folder + "/.prn/partial").isEmpty)
  }

  @Test func aMistakeThatShowsWhileRunningIsEveryRanks() throws {
    let bench = ScriptBench()
    let text = "m = load DATA/tiny-llama\ncal = text DATA/calibration.txt model=m\nx = eval m cal length=100000"
    #expect(throws: Diagnostic.self) { try run(3, text, in: bench) }
    #expect(try bench.objects().count == 2)
  }

  private static let stops = Dictionary(grouping: ResumeTests.stops, by: \.op).values.compactMap(\.first).filter {
    ["capture", "kmeans", "taylor", "obc", "canica", "cascade"].contains($0.op)
  }

  @Test(arguments: stops) func whatTwoRanksLeaveThreeGoOnWith(_ stop: ResumeTests.Stop) throws {
    let (alone, together) = (ScriptBench(), ScriptBench())
    #expect(try alone.run(stop.text).diagnostics.isEmpty)
    #expect(throws: Diagnostic.self) { try run(2, stop.text, in: together, stop: stop) }
    let resumed = try run(3, stop.text, in: together)
    #expect(resumed.contains { $0.hasPrefix(stop.op) }, "\(resumed)")
    #expect(try together.objects() == alone.objects())
  }
}
