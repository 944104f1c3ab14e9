import Kernel
import Numerics

struct Match: Op {
  static let name = "match"
  static let summary = "Pair the networks of two sets one to one and tell how alike they are."
  static let reference: String? = "stability of independent components (ICASSO, Himberg et al. 2004)"
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=16 length=128 take=order
    acts = capture m cal sites=ffn.gate,ffn.up layers=2 keep=stream
    a = canica acts components=8 per_run=8 seed=0
    b = canica acts components=8 per_run=8 seed=1
    show (match a b)
    """

  enum Rows: String, Choice {
    case layer, network

    var meaning: String {
      switch self {
      case .layer: "one row per layer, or per set of layers analysed together"
      case .network: "one row per network: its partner and their |correlation|"
      }
    }
  }

  enum Likeness: String, Choice {
    case maps, courses

    var meaning: String {
      switch self {
      case .maps: "the same neurons: |correlation| of the maps"
      case .courses:
        "active at the same tokens: |rank correlation| of the time courses, of one model or of two on the same text"
      }
    }
  }

  @Input("networks") var networks: Networks
  @Input("networks to pair them with") var others: Networks
  @Param("run of the first set", in: .atLeast(0)) var run = 0
  @Param("run of the second set; the same when none", in: .ifGiven(.atLeast(0))) var otherRun: Int? = nil
  @Param("what a row tells about") var by = Rows.layer
  @Param("in what they are alike", later: true) var like = Likeness.maps

  init() {}

  func estimate(within limit: Int) throws -> Resources {
    // Maps or courses of a part as they are read, in double precision, and centred.
    let sets = try [networks, others].map { set in
      try set.parts.indices.map { index in
        let part = try set.part(index)
        let tokens = part.runs.reduce(0) { $0 + $1.tokens }
        return part.components * (like == .maps ? part.signals.count * part.units : tokens)
      }.max() ?? 0
    }
    return Resources(memory: 32 * sets.reduce(0, +))
  }

  func run(_ context: any RunContext) throws -> ResultTable {
    guard like == .courses || networks.structure.model == others.structure.model else {
      throw Diagnostic(
        "the networks were found in different models", hint: "like=courses pairs them by when they are active",
        argument: "others")
    }
    guard like == .maps || !Set(networks.calibration).isDisjoint(with: others.calibration) else {
      throw Diagnostic("the networks were found on different texts", argument: "others")
    }
    let shared = networks.partLayers.filter(others.partLayers.contains)
    guard !shared.isEmpty else {
      throw Diagnostic("the two sets have no layer in common", argument: "others")
    }
    let other = otherRun ?? run
    for (set, run, argument) in [(networks, run, "run"), (others, other, otherRun == nil ? "run" : "other_run")] {
      try set.require(run: run, argument: argument)
    }
    let pairs = try shared.enumerated().map { done, layers -> NetworkMatch in
      try context.progress(done, of: shared.count, "layer")
      return try pairing(layers, other)
    }
    // The first layer names a set of layers.
    let layers = shared.map { $0[0] }
    return by == .layer ? perLayer(layers, pairs) : perNetwork(layers, pairs)
  }

  private func pairing(_ layers: [Int], _ other: Int) throws -> NetworkMatch {
    guard let i = networks.partLayers.firstIndex(of: layers), let j = others.partLayers.firstIndex(of: layers) else {
      throw Diagnostic("there are no networks of \(LayerNetworks.title(layers))", argument: "others")
    }
    let (a, b) = (try networks.part(i), try others.part(j))
    let (x, y) = try compared(a, b, other)
    guard x.rows <= y.rows else {
      throw Diagnostic(
        "the second set has \(y.rows) networks, fewer than the \(x.rows) of the first",
        hint: "give them in the other order",
        argument: "others")
    }
    return matchNetworks(x, y)
  }

  /// Rows to be correlated, a network each.
  private func compared(_ a: LayerNetworks, _ b: LayerNetworks, _ other: Int) throws -> (Matrix<Double>, Matrix<Double>)
  {
    switch like {
    case .maps:
      guard a.signals == b.signals else {
        throw Diagnostic("the networks are of different signals", argument: "others")
      }
      return (Matrix<Double>(try a.maps(run: run)), Matrix<Double>(try b.maps(run: other)))
    case .courses:
      let (x, y) = (try a.courses(run: run), try b.courses(run: other))
      guard x.columns == y.columns else {
        throw Diagnostic(
          "the networks' runs are of \(x.columns) and of \(y.columns) tokens", argument: "others")
      }
      func ranked(_ courses: Matrix<Float>) -> Matrix<Double> {
        Matrix((0..<courses.rows).map { ranks(courses.row($0).map(Double.init)) })
      }
      return (ranked(x), ranked(y))
    }
  }

  private func perLayer(_ layers: [Int], _ pairs: [NetworkMatch]) -> ResultTable {
    func share(_ least: Double) -> ResultTable.Column {
      .numbers(pairs.map { pair in mean(pair.similarity.map { $0 > least ? 1 : 0 }) })
    }
    return ResultTable(
      names: ["layer", "networks", "mean_correlation", "min_correlation", "above_0.8", "above_0.9"],
      columns: [
        .numbers(layers.map(Double.init)), .numbers(pairs.map { Double($0.similarity.count) }),
        .numbers(pairs.map { mean($0.similarity) }), .numbers(pairs.map { $0.similarity.min() ?? .nan }), share(0.8),
        share(0.9),
      ], keys: ["layer"])
  }

  private func perNetwork(_ layers: [Int], _ pairs: [NetworkMatch]) -> ResultTable {
    func column(_ value: (Int, NetworkMatch) -> [Double]) -> ResultTable.Column {
      .numbers(zip(layers, pairs).flatMap(value))
    }
    return ResultTable(
      names: ["layer", "network", "partner", "correlation"],
      columns: [
        column { layer, pair in pair.partner.map { _ in Double(layer) } },
        column { _, pair in pair.partner.indices.map(Double.init) },
        column { _, pair in pair.partner.map(Double.init) }, column { _, pair in pair.similarity },
      ], keys: ["layer", "network"])
  }
}
