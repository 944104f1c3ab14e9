import Kernel
import Numerics
import Transformer

struct Measure: Op {
  static let name = "measure"
  static let summary = "Measure what a model costs: its size, the work of a token, its speed and its memory."
  static let isRepeatable = false
  static let example = """
    m = load ./data/tiny-llama
    show (measure m length=64 tokens=8)
    """

  @Input("the model to measure") var model: Model
  @Param("tokens of the prompt, which are read at once", unit: "token", in: .atLeast(1)) var length = 256
  @Param("tokens made one by one after it", unit: "token", in: .atLeast(1)) var tokens = 32
  @Param("how often each speed is taken; the median counts", unit: "run", in: .between(1, 1000)) var runs = 5

  init() {}

  func estimate(within limit: Int) throws -> Resources {
    let configuration = model.configuration
    let capacity = min(length, configuration.positions) + min(tokens, configuration.positions)
    return Resources(
      memory: model.network.stayingBytes(limit / 2, tokens: capacity)
        + KeyValueCache.bytes(of: model.network, capacity: capacity))
  }

  func run(_ context: any RunContext) throws -> Report {
    let (network, positions) = (model.network, model.configuration.positions)
    guard tokens < positions, length <= positions - tokens else {
      throw Diagnostic(
        "a prompt of \(length) tokens and \(tokens) more are longer than the model's \(positions) positions",
        argument: "length")
    }
    if !ProcessMemory.restart() {
      context.warn("the system does not tell the peak of one step: peak_bytes is that of everything since the start")
    }
    let speeds = try speeds(context)
    let costs = Costs(
      bytes: try network.storedBytes(), parameters: network.totalParameters,
      macsPerToken: network.multiplyAccumulates(perTokenOf: length), peakBytes: ProcessMemory.peak,
      prefill: speeds.map(\.prefill), decode: speeds.map(\.decode))
    return Report(
      .costs(costs), metrics: Metric.all,
      conditions: [
        "length": .integer(length), "tokens": .integer(tokens), "runs": .integer(runs),
        "threads": .integer(Processor.threads), "kernels": .string(Processor.core),
        "precision": .string(network.precision.rawValue),
        "revision": .integer(Measure.revision),
      ], calibrationOverlap: false)
  }

  /// Tokens per second of each run, after one that only warms up.
  private func speeds(_ context: any RunContext) throws -> [(prefill: Double, decode: Double)] {
    let decoder = try Decoder(model.network, memory: context.memoryLimit / 2)
    // Which tokens they are makes no difference.
    let prompt = (0..<length).map { Int32($0 * 7919 % model.configuration.vocabularySize) }
    func perSecond(_ count: Int, _ work: () throws -> Void) rethrows -> Double {
      Double(count) / (try ContinuousClock().measure(work) / .seconds(1))
    }
    return try (0...runs).map { run in
      try context.progress(run, of: runs + 1, "run")
      let text = KeyValueCache(capacity: length + tokens)
      let prefill = try perSecond(length) {
        _ = try decoder.logits(adding: prompt, to: text, pulse: context.checkCancelled)
      }
      let decode = try perSecond(tokens) {
        for token in 0..<tokens {
          _ = try decoder.logits(adding: [prompt[token % length]], to: text, pulse: context.checkCancelled)
        }
      }
      return (prefill, decode)
    }.dropFirst().map { $0 }
  }
}
