import Kernel
import Testing

@testable import Ops

private let start = """
  m = load DATA/tiny-llama
  cal = text DATA/calibration.txt model=m samples=8 length=64 take=order
  mean = capture m cal sites=attn.heads,ffn.act keep=moments

  """

@Suite(.serialized) struct PrunedStreamTests {
  let bench = ScriptBench()

  private func biases(_ mask: String, _ stream: String) throws -> [[Float]?] {
    let text = start + "mk = mask (flap mean) \(mask)\np = prune m mk comp=bias acts=mean stream=\(stream)"
    let model: Model = try bench.value("p", text)
    return model.pruning.blocks.map(\.ffn.bias)
  }

  @Test func theFirstPrunedLayerSeesTheDenseStream() throws {
    // A rate so low that the layer loses neurons only: its attention is then the same in both streams.
    let mask = "rate=1% protect=0..2,4..5 scope=layer"
    let (dense, pruned) = (try biases(mask, "dense"), try biases(mask, "pruned"))
    for (a, b) in zip(dense, pruned) {
      #expect((a == nil) == (b == nil))
      for (x, y) in zip(a ?? [], b ?? []) { #expect(abs(x - y) < 1e-4) }
    }
  }

  @Test func laterLayersSeeWhatEarlierOnesMakeOfTheText() throws {
    let mask = "rate=30% scope=layer"
    #expect(try biases(mask, "dense")[5] != biases(mask, "pruned")[5])
  }

  @Test func aCaptureThatKeepsNothingStillSaysWhichTextToRunOn() throws {
    let text =
      start + """
        acts = capture m cal sites=ffn.gate,ffn.up keep=stream
        mk = mask (flap mean) rate=20% scope=layer
        a = prune m mk comp=bias acts=acts
        b = prune m mk comp=bias acts=mean stream=pruned
        """
    let a: Model = try bench.value("a", text)
    let b: Model = try bench.value("b", text)
    #expect(a.compensation == "bias, means of the pruned stream")
    #expect(a.pruning.blocks.map(\.ffn.bias) == b.pruning.blocks.map(\.ffn.bias))
    #expect(a.pruning.blocks.map(\.attention.bias) == b.pruning.blocks.map(\.attention.bias))
  }

  @Test func anInterruptedStreamGoesOnAndFindsTheSame() throws {
    let text = start + "mk = mask (flap mean) rate=20% scope=layer\np = prune m mk comp=bias acts=mean stream=pruned"
    let whole = ScriptBench()
    _ = try whole.value("p", text, as: Model.self)
    bench.stop = ("prune", 3)
    #expect(try bench.run(text).exitCode == 130)
    bench.stop = nil
    _ = try bench.value("p", text, as: Model.self)
    #expect(try bench.content("p") == whole.content("p"))
    #expect(bench.resumed.contains { $0.hasPrefix("prune") })
  }

  @Test func aStreamWithoutBiasIsRefused() throws {
    let outcome = try bench.run(start + "mk = mask (flap mean) rate=20%\np = prune m mk stream=pruned")
    #expect(outcome.exitCode == 2)
  }
}
