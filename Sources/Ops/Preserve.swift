import Kernel
import Numerics
import Transformer

struct Preserve: Op {
  static let name = "preserve"
  static let summary = "Measure how much of the courses of networks a pruned model still shows."
  static let reference: String? = "the claim of CanICA pruning, that what it keeps keeps the networks; dual regression"
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=16 length=128 take=order
    acts = capture m cal sites=ffn.gate,ffn.up keep=stream
    nets = canica acts components=8 per_run=16
    p = prune m (mask (score nets how=max_abs_z) rate=20%)
    show (preserve nets p cal)
    """

  enum Rows: String, Choice {
    case layer, network

    var meaning: String {
      switch self {
      case .layer: "one row per layer, or per set of layers analysed together"
      case .network: "one row per network"
      }
    }
  }

  @Input("the networks, of the dense model") var networks: Networks
  @Input("the pruned model") var model: Model
  @Input("windows of text to compare courses on") var text: Corpus
  @Param("run of the networks", in: .atLeast(0)) var run = 0
  @Param("what a row tells about") var by = Rows.layer

  init() {}

  func estimate(within limit: Int) throws -> Resources {
    // Both models walk, a block of one at a time, and what each shows of a part's layers is held; the units that are left are
    // cut out to be compared, when no block is there.
    let (network, tokens) = (model.network, text.tokens.count)
    let walk = network.walkBytes(tokens: tokens, longest: text.sequences.longest)
    let signals = NetworkSignals.bytes(networks, model.configuration, tokens: tokens)
    let block = max(network.original.blockBytes, network.blockBytes)
    return Resources(memory: 2 * (walk - network.blockBytes) + 2 * signals + max(block, signals))
  }

  func run(_ context: any RunContext) throws -> ResultTable {
    try text.requireWindows(of: model, argument: "text")
    let dense = model.network.original
    guard Structure(dense, model: "").spans == networks.structure.spans else {
      throw Diagnostic("the networks are of a model of other sizes", argument: "model")
    }
    try networks.require(run: run)
    let found = try PreservedNetworks(
      networks, run: run, dense: dense, pruned: model.network, sequences: text.sequences, context
    ).found()
    let rows = found.enumerated().flatMap { part, values in values.enumerated().map { (part, $0, $1) } }
    // The first layer names a set of layers.
    let layers = networks.partLayers.map { Double($0[0]) }
    let names = ["kept", "preserved", "readable"]
    if by == .network {
      return ResultTable(
        names: ["layer", "network"] + names,
        columns: [
          .numbers(rows.map { layers[$0.0] }), .numbers(rows.map { Double($0.1) }), .numbers(rows.map { $0.2.kept }),
          .numbers(rows.map { $0.2.preserved }), .numbers(rows.map { $0.2.readable }),
        ], keys: ["layer", "network"])
    }
    func means(_ value: (PreservedNetworks.Network) -> Double) -> ResultTable.Column {
      .numbers(found.map { mean($0.map(value)) })
    }
    return ResultTable(
      names: ["layer", "networks"] + names + ["least_preserved"],
      columns: [
        .numbers(layers), .numbers(found.map { Double($0.count) }), means(\.kept), means(\.preserved),
        means(\.readable),
        .numbers(found.map { $0.map(\.preserved).min() ?? .nan }),
      ], keys: ["layer"])
  }
}
