import Kernel
import Numerics
import Transformer

/// What networks are sought in: the signals of neurons, or of attention heads.
struct NetworkSource {
  let activations: Activations

  static let gates: [Site] = [.gateBefore, .gate]
  static let neuronSites: [Site] = gates + [.up]

  /// - Throws: before anything runs, when a capture does not have signals of one kind.
  static func require(_ input: Input<Activations>, by op: String) throws {
    try input.require(keep: Statistic.signals, sites: .any([.up, .attentionHeads]), by: op)
    let sites = input.facts?.sites(keeping: Statistic.signals) ?? []
    if sites.contains(.attentionHeads), neuronSites.contains(where: sites.contains) {
      throw Diagnostic(
        "this capture has signals of heads and of neurons; \(op) takes one kind",
        hint: "capture them separately, and score both sets of networks together", argument: "activations",
        kind: .usage)
    }
    if gates.allSatisfy(sites.contains) {
      throw Diagnostic(
        "this capture has the gate before and after the activation function; \(op) takes one of them",
        argument: "activations", kind: .usage)
    }
  }

  /// What networks are made of: neurons, or attention units with a signal per query head.
  var module: Module { signalled.contains(.attentionHeads) ? .attention : .ffn }

  private var signalled: [Site] { activations.sites(keeping: Statistic.signals) }

  /// Signals of a neuron or unit.
  func signalCount(_ configuration: Configuration) -> Int {
    switch module {
    case .attention: configuration.queriesPerUnit
    case .ffn: NetworkSource.neuronSites.count(where: signalled.contains)
    }
  }

  /// Features of all heads, where they are what is read.
  func headFeatures(_ configuration: Configuration) -> Int {
    module == .attention ? Site.attentionHeads.width(configuration, layer: 0) : 0
  }

  /// Gate and up in the order in which a block reaches them, or the heads.
  func sites(_ model: Model) throws -> [Site] {
    if module == .attention { return [.attentionHeads] }
    let sites = NetworkSource.neuronSites.filter(signalled.contains)
    if model.configuration.family.isGated, sites.count < 2 {
      throw Diagnostic(
        "\(model.configuration.family.name) has a gate, whose signals belong to the networks too",
        hint: "capture with sites=ffn.gate,ffn.up", argument: "activations")
    }
    return sites
  }

  /// Groups of `perRun` samples in the order of the corpus. A smaller last group is a run of its own if it has at least
  /// half as many samples, or there is no other; else its samples are left out.
  func runs(_ corpus: Corpus, perRun: Int, perSubject: Int = 1) -> [TokenRun] {
    Parallel.ranges(corpus.windows, of: perRun).filter { 2 * $0.count >= perRun || $0.lowerBound == 0 }.map { samples in
      let first = corpus.starts[samples.lowerBound]
      let subjects = Parallel.ranges(samples.count, of: perSubject).map { group in
        (corpus.starts[samples.lowerBound + group.lowerBound] - first)..<(corpus.starts[
          samples.lowerBound + group.upperBound] - first)
      }
      return TokenRun(
        tokens: first..<corpus.starts[samples.upperBound], subjects: subjects, sequences: samples)
    }
  }

  /// Says which samples are in no run.
  func warnOfLeftOut(_ runs: [TokenRun], _ corpus: Corpus, perRun: Int, _ context: any RunContext) {
    let used = runs.reduce(0) { $0 + $1.samples }
    guard used < corpus.windows else { return }
    context.warn(
      "the last \(corpus.windows - used) of \(corpus.windows) samples are left out: fewer than half a run of \(perRun)"
    )
  }
}

/// The samples that are analysed together, as positions among the tokens of the corpus.
struct TokenRun: Sendable {
  var tokens: Range<Int>
  /// Subjects, as rows of the run.
  var subjects: [Range<Int>]
  /// The samples.
  var sequences: Range<Int>
  var samples: Int { sequences.count }
}

/// What a search stores.
enum NetworkDetail: String, Choice {
  case maps, max

  var meaning: String {
    switch self {
    case .maps: "maps, time courses and what follows"
    case .max: "per neuron the largest |z| and where it is key"
    }
  }
}

extension Networks {
  /// The share of networks without a key neuron above which a search is warned about.
  private static let tolerableShare = 0.2

  /// Warns when most networks are made of nothing that stands out.
  func warnOfKeyless(_ context: any RunContext) {
    let share = mean(withoutKey)
    guard share > Networks.tolerableShare else { return }
    context.warn(
      "\(percent(share)) of the networks have no \(settings.module.axis) with |z| above \(formatted(settings.key)): nothing in them stands out; ask for more components or a lower key="
    )
  }
}

extension LayerNetworks {
  func warnOfDeadSignals(_ context: any RunContext) {
    guard let dead = runs.map(\.dead).max(), dead > 0 else { return }
    context.warn(
      "\(title): up to \(dead) of \(signals.count * units) signals of a run never change and are in no network"
    )
  }
}
