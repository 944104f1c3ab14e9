import Kernel
import Numerics
import Transformer

extension Contrast: Choice {}
extension UnmixingOrder: Choice {}

struct CanICA: Op {
  static let name = "canica"
  static let summary = "Find functional networks: neurons whose gate and up signals vary together."
  static let reference: String? = "CanICA pruning, section 3; group ICA (Varoquaux et al. 2010)"
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=16 length=128 take=order
    acts = capture m cal sites=ffn.gate,ffn.up keep=stream
    nets = canica acts components=16 per_run=8 seed=0
    """

  enum Reduction: String, Choice {
    /// The samples of a run are stacked (the authors').
    case concat
    /// Each subject is reduced to directions without variances first: canonical correlations across subjects.
    case cca
  }

  enum Analysis: String, Choice {
    /// FastICA.
    case fast
    /// Whitened principal components as they are: the control that tells what ICA adds.
    case none
  }

  enum Scaling: String, Choice {
    /// Each signal has mean 0 and standard deviation 1 over the run.
    case zscore
    /// The same, subject by subject.
    case zscorePerSubject = "zscore_per_subject"
    /// Only the mean is taken off.
    case center

    var signalScale: SignalScale {
      switch self {
      case .zscore: return .zscore
      case .zscorePerSubject: return .zscorePerSubject
      case .center: return .center
      }
    }
  }

  enum Kept: String, Choice {
    /// Maps, time courses and what follows.
    case maps
    /// Per neuron the largest |z|, the sum of squares and the number of networks it is key in.
    case max
  }

  @Input("gate and up signals, kept as a stream or as values") var activations: Activations
  @Param("networks of a run", in: .atLeast(1)) var components = 128
  @Param(
    "samples of a run; a smaller last run counts if it has half as many", unit: "sample",
    in: .atLeast(1))
  var perRun = 40
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
  @Param("what to store") var keep = Kept.maps

  init() {}

  static let gates: [Site] = [.gateBefore, .gate]

  func check() throws -> Facts {
    guard let facts = $activations.facts, let kept = facts["keep"]?.arrayValue?.compactMap(\.stringValue) else {
      return [:]
    }
    guard kept.contains(Keep.stream.rawValue) || kept.contains(Keep.values.rawValue) else {
      throw Diagnostic(
        "canica needs the signals themselves, and this capture keeps \(kept.joined(separator: ","))",
        hint: "capture with keep=stream", argument: "activations", kind: .usage)
    }
    let sites = facts["sites"]?.arrayValue?.compactMap(\.stringValue) ?? []
    guard sites.contains(Site.up.rawValue) else {
      throw Diagnostic(
        "canica works on gate and up signals, and this capture has \(sites.joined(separator: ","))",
        hint: "capture with sites=ffn.gate,ffn.up", argument: "activations", kind: .usage)
    }
    guard !CanICA.gates.allSatisfy({ sites.contains($0.rawValue) }) else {
      throw Diagnostic(
        "this capture has the gate before and after the activation function; canica takes one of them",
        argument: "activations", kind: .usage)
    }
    return [:]
  }

  func estimate() throws -> Resources {
    let configuration = try activations.loadModel().configuration
    let corpus = try activations.loadCorpus()
    let runs = tokenRuns(corpus)
    let longest = runs.map(\.tokens.count).max() ?? 0
    let neurons = activations.layers.map { activations.structure.neurons[$0] }.max() ?? 0
    let signals = activations.sites.count * neurons
    let numbers = 8 * components * signals
    let block = 4 * (activations.structure.blockParameters.max() ?? 0)
    let states = 4 * corpus.tokens.count * configuration.hiddenSize
    let maps = keep == .maps ? 4 * components * (runs.count * signals + corpus.tokens.count) : 0
    // At the peak: the run's signals, its token-by-token products with their eigenvectors, the reduced signals as found,
    // whitened, in tiles and as maps; and the maps of all runs of the layer.
    let peak = 4 * longest * signals + 3 * 8 * longest * longest + 5 * numbers + maps
    return Resources(memory: states + block + peak, disk: maps * activations.layers.count)
  }

  func run(_ context: any RunContext) throws -> Networks {
    let model = try activations.loadModel()
    let corpus = try activations.loadCorpus()
    let sites = try signalSites(model)
    let runs = tokenRuns(corpus)
    try checkRuns(runs, corpus, context)
    let found = try NetworkSearch(self, model: model, corpus: corpus, sites: sites, runs: runs, context: context)
      .layers()
    let layers = try found.map { try LayerNetworks(from: context.open($0)) }
    for layer in layers { warn(layer, context) }
    return Networks(
      structure: activations.structure, recipe: recipe(runs.count, sites), layers: activations.layers, parts: found,
      of: layers, calibration: activations.calibration,
      open: { [context = UncheckedContext(context)] in try context.value.open($0) })
  }

  private func recipe(_ runs: Int, _ sites: [Site]) -> Networks.Recipe {
    Networks.Recipe(
      components: components, runs: runs, perRun: perRun, seed: seed, sites: sites.map(\.rawValue),
      reduce: reduce.rawValue, ica: ica.rawValue, contrast: contrast.rawValue, algorithm: algorithm.rawValue,
      scale: scale.rawValue, keep: keep.rawValue, key: key)
  }

  /// Gate and up in the order in which a block reaches them.
  private func signalSites(_ model: Model) throws -> [Site] {
    let sites = (CanICA.gates + [.up]).filter(activations.sites.contains)
    if model.configuration.family.isGated, sites.count < 2 {
      throw Diagnostic(
        "\(model.configuration.family.name) has a gate, whose signals belong to the networks too",
        hint: "capture with sites=ffn.gate,ffn.up", argument: "activations")
    }
    return sites
  }
}

/// The samples that are analysed together, as positions among the tokens of the corpus.
struct TokenRun: Sendable {
  var tokens: Range<Int>
  /// Subjects, as rows of the run.
  var subjects: [Range<Int>]
  var samples: Int
}

extension CanICA {
  /// Groups of `perRun` samples in the order of the corpus. A smaller last group is a run of its own if it has at least
  /// half as many samples, or there is no other; else its samples are left out.
  func tokenRuns(_ corpus: Corpus) -> [TokenRun] {
    Parallel.ranges(corpus.windows, of: perRun).filter { 2 * $0.count >= perRun || $0.lowerBound == 0 }.map { samples in
      let first = corpus.starts[samples.lowerBound]
      let subjects = Parallel.ranges(samples.count, of: perSubject).map { group in
        (corpus.starts[samples.lowerBound + group.lowerBound] - first)..<(corpus.starts[
          samples.lowerBound + group.upperBound] - first)
      }
      return TokenRun(
        tokens: first..<corpus.starts[samples.upperBound], subjects: subjects, samples: samples.count)
    }
  }

  /// - Throws: naming the first run that is too short for the networks asked for.
  private func checkRuns(_ runs: [TokenRun], _ corpus: Corpus, _ context: any RunContext) throws {
    for (index, run) in runs.enumerated() {
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
    let used = runs.reduce(0) { $0 + $1.samples }
    if used < corpus.windows {
      context.warn(
        "the last \(corpus.windows - used) of \(corpus.windows) samples are left out: fewer than half a run of \(perRun)"
      )
    }
  }

  private func warn(_ layer: LayerNetworks, _ context: any RunContext) {
    let late = layer.runs.filter { !$0.hasConverged }
    if !late.isEmpty {
      let change = late.map(\.change).max() ?? 0
      context.warn(
        "layer \(layer.layer): \(late.count) of \(layer.runs.count) runs did not converge in \(iterations) steps; "
          + "their networks still turned by up to \(formatted(change))")
    }
    if let dead = layer.runs.map(\.dead).max(), dead > 0 {
      context.warn(
        "layer \(layer.layer): up to \(dead) of \(layer.sites.count * layer.neurons) signals of a run never change and are in no network"
      )
    }
  }
}
