import Kernel
import Numerics
import Transformer

extension Contrast: Choice {}
extension UnmixingOrder: Choice {}

struct CanICA: Op {
  static let name = "canica"
  static let revision = 4
  static let summary = "Find functional networks: neurons, or attention heads, whose signals vary together."
  static let reference: String? = "CanICA pruning, section 3; group ICA (Varoquaux et al. 2010)"
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=16 length=128 take=order
    acts = capture m cal sites=ffn.gate,ffn.up keep=stream
    nets = canica acts components=16 per_run=8 seed=0
    """

  enum Reduction: String, Choice {
    case concat, cca

    var meaning: String {
      switch self {
      case .concat: "the samples of a run are stacked, as the authors do"
      case .cca: "canonical correlations across samples first"
      }
    }
  }

  enum Analysis: String, Choice {
    case fast, none

    var meaning: String {
      switch self {
      case .fast: "FastICA"
      case .none: "the principal components as they are: the control"
      }
    }
  }

  enum Scaling: String, Choice {
    case zscore
    case zscorePerSubject = "zscore_per_subject"
    case center

    var meaning: String {
      switch self {
      case .zscore: "mean 0 and standard deviation 1 over the run"
      case .zscorePerSubject: "the same, subject by subject; a subject has per_subject= samples"
      case .center: "only the mean is taken off"
      }
    }

    var signalScale: SignalScale {
      switch self {
      case .zscore: return .zscore
      case .zscorePerSubject: return .zscorePerSubject
      case .center: return .center
      }
    }
  }

  @Input("gate and up signals of neurons, or attn.heads, kept as a stream or as values") var activations: Activations
  @Param("networks of a run", in: .atLeast(1)) var components = 128
  @Param(
    "samples of a run; a smaller last run counts if it has half as many", unit: "sample",
    in: .atLeast(1))
  var perRun = 40
  @Param("layers analysed together") var scope = LayerScope.layer
  @Param("seed of the random starts", in: .atLeast(0)) var seed = 0
  @Param("how samples are brought into one space") var reduce = Reduction.concat
  @Param("directions kept of each subject with reduce=cca; none for as many as components", in: .ifGiven(.atLeast(1)))
  var subjectComponents: Int? = nil
  @Param("samples that make up a subject", unit: "sample", in: .atLeast(1)) var perSubject = 1
  @Param("whether to rotate towards independence") var ica = Analysis.fast
  @Param("what measures independence") var contrast = Contrast.cube
  @Param("all networks at once, or one after the other") var algorithm = UnmixingOrder.parallel
  @Param("random starts; the sparsest result wins", in: .atLeast(1)) var restarts = 1
  @Param("turn of a network below which the search has converged", in: .above(0)) var tolerance = 1e-4
  @Param("largest number of steps", in: .atLeast(1)) var iterations = 300
  @Param("how signals are put on one scale") var scale = Scaling.zscore
  @Param("size of z above which a neuron counts as key in a network", in: .above(0)) var key = 3.0
  @Param("what to store") var keep = NetworkDetail.maps

  init() {}

  func check() throws -> Networks.Facts {
    try NetworkSource.require($activations, by: Self.name)
    try checkIdle()
    return Networks.Facts(layers: $activations.facts?.layers)
  }

  /// - Throws: naming a parameter that has no meaning with the others.
  private func checkIdle() throws {
    let ofRotation = [
      ("contrast", contrast != .cube), ("algorithm", algorithm != .parallel), ("restarts", restarts != 1),
      ("seed", seed != 0), ("tolerance", tolerance != 1e-4), ("iterations", iterations != 300),
    ]
    if ica == .none, let (name, _) = ofRotation.first(where: \.1) {
      throw Diagnostic("\(name)= belongs to ica=fast", argument: name, kind: .usage)
    }
    if subjectComponents != nil, reduce != .cca {
      throw Diagnostic("subject_components= belongs to reduce=cca", argument: "subject_components", kind: .usage)
    }
    if perSubject != 1, reduce != .cca, scale != .zscorePerSubject {
      throw Diagnostic(
        "per_subject= belongs to reduce=cca or scale=zscore_per_subject", argument: "per_subject", kind: .usage)
    }
  }

  func estimate(within limit: Int) throws -> Resources {
    let model = try activations.loadModel()
    let corpus = try activations.loadCorpus()
    let source = NetworkSource(activations: activations)
    let runs = source.runs(corpus, perRun: perRun, perSubject: perSubject)
    let longest = runs.map(\.tokens.count).max() ?? 0
    // More components than a run has tokens are refused by `run`, which names the run.
    let components = min(components, longest)
    let perUnit = source.signalCount(model.configuration)
    let signals = try scope.parts(of: activations.layers).map { layers in
      layers.reduce(0) { $0 + perUnit * activations.structure.units[source.module][$1] }
    }
    let (all, widest) = (signals.reduce(0, +), signals.max() ?? 0)
    // Parts of several layers are in memory together until the last run, and the model is walked run by run.
    let isTogether = scope != .layer
    let walk = model.network.walkBytes(
      tokens: isTogether ? longest : corpus.tokens.count, longest: corpus.sequences.longest)
    func maps(_ signals: Int, _ parts: Int) -> Int {
      keep == .maps ? 4 * components * (runs.count * signals + parts * corpus.tokens.count) : 0
    }
    let kept = isTogether ? maps(all, signals.count) : maps(widest, 1)
    let peak =
      NetworkSearch.bytes(
        run: (longest, min(longest, max(1024, corpus.sequences.longest))), signals: widest,
        perUnit: perUnit, heads: source.headFeatures(model.configuration), directions: components,
        components: components) + kept
    return Resources(memory: walk + peak, disk: maps(all, signals.count))
  }

  func run(_ context: any RunContext) throws -> Networks {
    let model = try activations.loadModel()
    let corpus = try activations.loadCorpus()
    let source = NetworkSource(activations: activations)
    let sites = try source.sites(model)
    let runs = source.runs(corpus, perRun: perRun, perSubject: perSubject)
    try checkRuns(runs)
    source.warnOfLeftOut(runs, corpus, perRun: perRun, context)
    // Which layers are analysed together says more than the scope they came from.
    let search = NetworkSearch(
      activations: activations, model: model, corpus: corpus, module: source.module, sites: sites, runs: runs,
      parts: try scope.parts(of: activations.layers), isLayerwise: scope == .layer, finder: finder,
      recorded: recordedParameters.filter { $0.key != "scope" }, context: context)
    let references = try search.found()
    let found = try references.map { try LayerNetworks(from: context.open($0)) }
    for part in found { warn(part, context) }
    let networks = Networks(
      structure: activations.structure, settings: settings(runs.count, sites), layers: activations.layers,
      parts: references, of: found, calibration: activations.calibration,
      open: context.open)
    networks.warnOfKeyless(context)
    return networks
  }

  private var finder: NetworkAnalysis {
    NetworkAnalysis(
      components: components, scale: scale.signalScale,
      subjectComponents: reduce == .cca ? subjectComponents ?? components : nil,
      rotation: ica == .none
        ? nil
        : .init(
          contrast: contrast, order: algorithm, restarts: restarts, seed: seed, tolerance: tolerance,
          maximumIterations: iterations),
      key: key, keepsMaps: keep == .maps)
  }

  private func settings(_ runs: Int, _ sites: [Site]) -> Networks.Settings {
    Networks.Settings(
      components: components, runs: runs, perRun: perRun, seed: seed, sites: sites.map(\.rawValue),
      scope: scope.name,
      search: .independence(
        reduce: reduce.rawValue, ica: ica.rawValue, contrast: contrast.rawValue, algorithm: algorithm.rawValue),
      scale: scale.rawValue, keep: keep.rawValue, key: key)
  }

  /// - Throws: naming the first run that is too short for the networks asked for.
  private func checkRuns(_ runs: [TokenRun]) throws {
    for (index, run) in runs.enumerated() {
      if reduce == .cca, run.subjects.count == 1, let subjectComponents, subjectComponents > components {
        throw Diagnostic(
          "run \(index) is a single subject, whose \(subjectComponents) directions without variances do not tell which \(components) to keep",
          hint: "give each run more subjects, or leave out subject_components=", argument: "subject_components")
      }
      let largest: Int
      switch reduce {
      // Centred signals of T tokens span T - 1 dimensions.
      case .concat: largest = run.tokens.count - 1
      case .cca:
        largest = run.subjects.reduce(0) { $0 + min(subjectComponents ?? components, max(0, $1.count - 1)) }
      }
      guard components <= largest else {
        throw Diagnostic(
          "run \(index) has \(run.tokens.count) tokens in \(run.samples) samples, too few for \(components) components",
          hint: "ask for components=\(max(1, largest)) at most, or give each run more samples", argument: "components")
      }
    }
  }

  private func warn(_ part: LayerNetworks, _ context: any RunContext) {
    let late = part.runs.filter { !$0.hasConverged }
    if !late.isEmpty {
      let change = late.map(\.change).max() ?? 0
      context.warn(
        "\(part.title): \(late.count) of \(part.runs.count) runs did not converge in \(iterations) steps; "
          + "their networks still turned by up to \(formatted(change))")
    }
    part.warnOfDeadSignals(context)
  }
}
