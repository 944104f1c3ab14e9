import Kernel
import Numerics
import Transformer

struct Autoencode: Op {
  static let name = "autoencode"
  static let summary = "Find networks that need not be independent, nor linear: a sparse or deep code of the signals."
  static let reference: String? =
    "k-sparse auto-encoder: Makhzani and Frey 2014, Gao et al. 2024; the non-linear networks CanICA pruning leaves open"
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=16 length=128 take=order
    acts = capture m cal sites=ffn.gate,ffn.up keep=stream
    nets = autoencode acts components=16 active=4 per_run=16 epochs=10
    """

  @Input("gate and up signals of neurons, or attn.heads, kept as a stream or as values") var activations: Activations
  @Param("networks of a run", in: .atLeast(1)) var components = 128
  @Param("networks active at a token; with decoder=deep all are", in: .atLeast(1)) var active = 8
  @Param("how networks add up to signals") var decoder = SparseCodeSearch.Decoder.linear
  @Param("leading directions of the signals that the code sees", in: .atLeast(1)) var rank = 512
  @Param("passes over the tokens", in: .atLeast(1)) var epochs = 30
  @Param("tokens of a step", unit: "token", in: .atLeast(1)) var batch = 256
  @Param("size of a step; none for 0.02, with decoder=deep 0.002", in: .ifGiven(.above(0))) var rate: Double? = nil
  @Param("random starts; the one that explains most wins", in: .atLeast(1)) var restarts = 1
  @Param("every so many samples one is held out", unit: "sample", in: .atLeast(2)) var hold = 8
  @Param(
    "samples of a run; a smaller last run counts if it has half as many", unit: "sample",
    in: .atLeast(1))
  var perRun = 40
  @Param("seed of the random starts", in: .atLeast(0)) var seed = 0
  @Param("size of z above which a neuron counts as key in a network", in: .above(0)) var key = 3.0
  @Param("what to store") var keep = NetworkDetail.maps

  init() {}

  func check() throws -> Networks.Facts {
    try NetworkSource.require($activations, by: Self.name)
    if decoder == .deep, $active.isGiven {
      throw Diagnostic("active= belongs to decoder=linear", argument: "active", kind: .usage)
    }
    if decoder == .linear, active > components {
      throw Diagnostic(
        "active=\(active)\($active.isGiven ? "" : ", the default,") is more than the networks of components=\(components)",
        hint: "give active= of at most \(components)", argument: $active.isGiven ? "active" : "components", kind: .usage
      )
    }
    return Networks.Facts(layers: $activations.facts?.layers)
  }

  func estimate(within limit: Int) throws -> Resources {
    let network = try activations.loadModel().network
    let configuration = network.configuration
    let corpus = try activations.loadCorpus()
    let source = NetworkSource(activations: activations)
    let runs = source.runs(corpus, perRun: perRun)
    let longest = runs.map(\.tokens.count).max() ?? 0
    let components = min(components, longest)
    let signals = activations.layers.map {
      source.signalCount(configuration) * activations.structure.units[source.module][$0]
    }
    let (all, widest) = (signals.reduce(0, +), signals.max() ?? 0)
    let side = min(longest, widest)
    let directions = min(rank, side)
    func maps(_ signals: Int, _ layers: Int) -> Int {
      keep == .maps ? 4 * components * (runs.count * signals + layers * corpus.tokens.count) : 0
    }
    let states = network.walkBytes(tokens: corpus.tokens.count, longest: corpus.sequences.longest)
    let code = 4 * longest * (3 * directions + 3 * components) + 16 * directions * (components + DeepCode<Float>.hidden)
    let peak = NetworkSearch.bytes(
      run: (longest, min(longest, max(1024, corpus.sequences.longest))), signals: widest,
      perUnit: source.signalCount(configuration), heads: source.headFeatures(configuration), directions: directions,
      components: components, between: code)
    return Resources(
      memory: states + peak + maps(widest, 1),
      disk: maps(all, signals.count))
  }

  func run(_ context: any RunContext) throws -> Networks {
    let model = try activations.loadModel()
    let corpus = try activations.loadCorpus()
    let source = NetworkSource(activations: activations)
    let sites = try source.sites(model)
    let runs = source.runs(corpus, perRun: perRun)
    for (index, run) in runs.enumerated() where run.samples < hold {
      throw Diagnostic(
        "run \(index) has \(run.samples) samples, so that none is held out with hold=\(hold)",
        hint: "give each run more samples, or hold out more of them", argument: "hold")
    }
    for (index, run) in runs.enumerated() where components > run.tokens.count / 2 {
      throw Diagnostic(
        "run \(index) has \(run.tokens.count) tokens, too few to learn \(components) networks from",
        hint: "ask for components=\(max(1, run.tokens.count / 2)) at most, or give each run more samples",
        argument: "components")
    }
    source.warnOfLeftOut(runs, corpus, perRun: perRun, context)
    let search = NetworkSearch(
      activations: activations, model: model, corpus: corpus, module: source.module, sites: sites, runs: runs,
      parts: activations.layers.map { [$0] }, isLayerwise: true, finder: finder, recorded: recordedParameters,
      context: context)
    let references = try search.found()
    let found = try references.map { try LayerNetworks(from: context.open($0)) }
    for part in found { warn(part, context) }
    let networks = Networks(
      structure: activations.structure,
      settings: Networks.Settings(
        components: components, runs: runs.count, perRun: perRun, seed: seed, sites: sites.map(\.rawValue),
        scope: LayerScope.layer.name, search: .code(finder.search), scale: finder.scale.rawValue, keep: keep.rawValue,
        key: key),
      layers: activations.layers, parts: references, of: found, calibration: activations.calibration,
      open: context.open)
    networks.warnOfKeyless(context)
    return networks
  }

  private var finder: SparseCodeFinder {
    SparseCodeFinder(
      components: components,
      search: SparseCodeSearch(
        decoder: decoder, active: decoder == .linear ? active : components, rank: rank,
        training: CodeTraining(epochs: epochs, batch: batch, rate: rate ?? decoder.rate, seed: seed),
        restarts: restarts, hold: hold),
      key: key, keepsMaps: keep == .maps)
  }

  /// Names what makes a code worth little.
  private func warn(_ part: LayerNetworks, _ context: any RunContext) {
    guard let fit = CodeFit(meanOf: part.runs.compactMap(\.code)) else { return }
    if fit.fvuHeld > fit.fvu + 0.1 {
      context.warn(
        "\(part.title): held-out tokens are explained worse, \(formatted(fit.fvuHeld)) of their variance left against \(formatted(fit.fvu)): \(50 * components) tokens are wanted for \(components) networks"
      )
    }
    if fit.dead >= 1 {
      context.warn("\(part.title): \(formatted(fit.dead)) of \(components) networks are active at no token")
    }
    if fit.rankKept < 0.9 {
      context.warn(
        "\(part.title): the code sees \(percent(fit.rankKept)) of the variance of the signals; ask for a larger rank=")
    }
    let broad = fit.activeShare.count { $0 > 0.5 }
    if broad > 0 {
      context.warn("\(part.title): \(broad) networks are active at over half of the tokens: they stand for a bias")
    }
    if part.runs.count > 1, mean(part.runs.dropFirst().map(\.similarity)) < 0.5 {
      context.warn("\(part.title): the networks of the runs are hardly alike")
    }
    part.warnOfDeadSignals(context)
  }
}
