import Foundation
import Kernel
import Testing

@testable import Ops

/// Captures of one model and text that share a walk.
@Suite(.serialized) struct JoinedCaptureTests {
  private static let script = """
    m = load DATA/tiny-llama
    cal = text DATA/calibration.txt model=m samples=12 length=128
    ends = capture m cal sites=block.in,block.out keep=moments
    late = capture m cal sites=attn.in layers=4..5
    plain = capture m cal sites=attn.heads,ffn.act keep=moments,gram
    more = capture m cal sites=block.out,attn.heads,ffn.up keep=moments,gram,ffn.up:values
    cl = kmeans (capture m cal sites=ffn.in keep=stream) k=3 pca=8
    gr = assign (taylor m cal by=cl)
    grouped = capture m cal sites=attn.heads,ffn.act keep=moments,gram by=cl groups=gr
    clustered = capture m cal sites=ffn.act keep=moments by=cl
    """

  @Test(arguments: [1, 3]) func theObjectsAreThoseOfCapturesOneByOne(_ threads: Int) throws {
    let joined = try ScriptBench.objects(of: Self.script, threads: threads)
    let single = try ScriptBench.objects(ofEachIn: Self.script)
    #expect(joined.count > 40)
    #expect(joined == single)
  }

  @Test func theLaterOnesFindTheirParts() throws {
    let bench = ScriptBench()
    #expect(try bench.run(Self.script).diagnostics.isEmpty)
    #expect(bench.company["ends"] == ["late", "plain", "more"])
    #expect(bench.company["more"] == ["ends"] && bench.company["late"] == ["ends"])
    #expect(bench.company["grouped"] == ["clustered"] && bench.company["clustered"] == ["grouped"])
    #expect(bench.resumed.isEmpty)
  }

  @Test func anErrorOfOneIsItsOwn() throws {
    let bench = ScriptBench()
    let outcome = try bench.run(
      """
      m = load DATA/tiny-llama
      cal = text DATA/calibration.txt model=m samples=4 length=64
      other = text DATA/calibration.txt model=m samples=4 length=32
      cl = kmeans (capture m other sites=ffn.in keep=stream) k=2 pca=8
      fine = capture m cal sites=ffn.act
      wrong = capture m cal sites=ffn.act by=cl
      last = capture m cal sites=ffn.up
      """)
    #expect(outcome.diagnostics.map(\.summary) == ["the clusters label the tokens of another corpus"])
    #expect(outcome.diagnostics.first?.span?.text.contains("cl") == true)
    #expect(bench.company["fine"] == ["last"])
    #expect(try bench.content("fine") != nil)
  }

  /// Stopped on the common walk, the second alone goes on with what it has.
  @Test func whatWasFinishedStaysForEach() throws {
    let start = "m = load DATA/tiny-llama\ncal = text DATA/calibration.txt model=m samples=4 length=64\n"
    let (one, two) = ("a = capture m cal sites=ffn.act\n", "b = capture m cal sites=ffn.up\n")
    let bench = ScriptBench()
    bench.stop = ("capture", 3)
    #expect(try bench.run(start + one + two).exitCode == 130)
    #expect(try bench.objects().count == 2 + 2 * 3)
    bench.stop = nil
    #expect(try bench.run(start + two + one).exitCode == 0)
    #expect(try bench.objects() == ScriptBench.objects(ofEachIn: start + one + two))
  }
}
