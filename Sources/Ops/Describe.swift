import Kernel
import Numerics
import Transformer

struct Describe: Op {
  static let name = "describe"
  static let summary =
    "Say in rules when networks, groups or clusters are active, and how well the rules hold elsewhere."
  static let reference: String? =
    "enrichment: Monroe et al. 2008; judged as descriptions of neurons are (Bills et al. 2023), against random sets"
  static let revision = 2
  static let example = """
    param windows = 16
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=windows length=128 take=order
    held = text ./data/test.txt model=m samples=windows length=128 take=order
    nets = canica (capture m cal sites=ffn.gate,ffn.up keep=stream) components=8 per_run=16
    show (describe nets cal model=m test=held)
    """

  enum Course: String, Choice {
    case regression, mean

    var meaning: String {
      switch self {
      case .regression: "dual regression of the standardised signals on the maps"
      case .mean: "the mean of the raw signals of the key neurons"
      }
    }
  }

  @Input("networks, neuron groups, or token clusters") var networks: Described
  @Input("windows of text to describe them on; clusters need the text they label") var text: Corpus
  @Input("the model they were found in", named: true) var model: Model
  @Input(
    "windows to judge the descriptions on; not given, odd windows of the text, and even ones to describe", named: true)
  var test: Corpus?
  @Input("kinds of the tokens of each text, as a further fact", named: true) var labels: [Clusters]
  @Param("which layers, from 0; none for all") var layers = Positions()
  @Param("run of the networks", in: .atLeast(0)) var run = 0
  @Param("which neurons are key: a share of the largest |z|, or |z| above a size") var key = KeyRule.share(0.05)
  @Param("share of the tokens that count as events, the most active ones", in: .between(0.001, 0.5))
  var events = Ratio(0.05)
  @Param("most conditions of a description", in: .atLeast(1)) var rules = 6
  @Param("places shown of the strongest, and of each quarter of the rest", in: .atLeast(0)) var contexts = 8
  @Param("random sets of each network", in: .between(1, 9999)) var nulls = 16
  @Param("how active a network is at a token") var course = Course.regression
  @Param(
    "events at which a set is also taken out, to see how much of that its words tell; 0: none",
    in: .between(0, 65_536))
  var checks = 512
  @Param("seed of random sets, shifts and samples", in: .atLeast(0)) var seed = 0

  init() {}

  func check() throws -> NoFacts {
    try layers.check(among: $model.facts?.layers, for: "layers")
    let texts = [("text", $text.facts(of: Corpus.self)), ("test", $test.facts(of: Corpus.self))]
    for (argument, facts) in texts {
      if let windows = facts.first??.windows {
        try DescribedText.require(windows: windows, isWhole: false, argument: argument)
      }
    }
    try Networks.require(
      $networks.givenType, for: ["run": run != 0, "course": course != .regression, "key": $key.isGiven])
    if $networks.givenType?.name == Clusters.type.name, $test.isGiven {
      throw Diagnostic(
        "test= is another text, and the clusters label their own",
        hint: "leave it out: even windows are judged on odd ones",
        argument: "test", kind: .usage)
    }
    if $networks.givenType?.name == Clusters.type.name, $checks.isGiven {
      throw Diagnostic(
        "checks= is for networks and groups: a cluster has no units to take out", argument: "checks", kind: .usage)
    }
    return NoFacts()
  }

  func estimate(within limit: Int) throws -> Resources {
    let (configuration, network) = (model.configuration, model.network)
    let tokens = text.tokens.count + (test?.tokens.count ?? 0)
    let longest = max(text.sequences.longest, test?.sequences.longest ?? 0)
    let walk = network.walkBytes(tokens: tokens, longest: longest)
    let widest = configuration.mostUnits(.ffn)
    // What is read of a layer, and what makes a set's course of it; the sets, and columns of their members, all together.
    let (activity, perLayer, members): (Int, Int, Int)
    switch networks {
    case .networks(let networks):
      let k = networks.settings.components
      let (signals, half) = (networks.settings.sites.count * widest, (tokens + 1) / 2)
      let side = min(half, signals)
      let again = 8 * side * side + leadingEigenBytes(side, k) + 5 * 8 * k * signals
      activity = 4 * tokens * signals + again + 8 * tokens * k * (nulls + 2)
      let share = if case .share(let share) = key { share } else { 0.05 }
      (perLayer, members) = (k, Int(Double(k * widest) * share))
    case .groups(let groups):
      activity = 4 * tokens * (2 * widest + configuration.hiddenSize) + 8 * tokens * (groups.count + 1) * (nulls + 2)
      (perLayer, members) = (groups.count + 1, widest)
    case .clusters(let clusters):
      return Resources(memory: 8 * tokens * clusters.count * (nulls + 3))
    }
    // What is held of the events that are checked, and the logits of a layer's sets with their random ones.
    let held = configuration.layers * (checks * members + 8 * perLayer * widest)
    let logits = 3 * perLayer * (nulls + 2) * configuration.vocabularySize
    let lesions = checks == 0 ? 0 : LesionRounds.memory(perLayer, network, fitSequences, within: limit)
    return Resources(
      memory: max(walk + activity, 4 * (held + logits) + network.statesBytes(tokens) + max(walk, lesions)))
  }

  /// The windows that are described.
  private var fitSequences: Sequences {
    test == nil ? text.sequences[0..<((text.sequences.count + 1) / 2)] : text.sequences
  }

  func run(_ context: any RunContext) throws -> Descriptions {
    let sets = networks.sets
    try sets.require(of: $model.references[0], argument: "networks")
    if case .networks(let networks) = networks { try networks.require(run: run) }
    if case .clusters(let clusters) = networks, clusters.corpus != $text.references[0].content {
      throw Diagnostic("the clusters label the tokens of another text", argument: "text")
    }
    let read = try DescribedText(
      [text] + (test.map { [$0] } ?? []), $text.references + $test.references, labels: labels, model)
    let least = Int((Double(read.halves.fit.count) * events.value).rounded(.down))
    guard least >= Describe.fewestEvents else {
      throw Diagnostic(
        "\(percent(events.value)) of \(read.halves.fit.count) tokens are \(least) events; \(Describe.fewestEvents) are needed",
        argument: "events")
    }
    let source = source(read, context)
    let wanted = try layers.layersOrAll(of: model.configuration.layers, for: "layers")
    let parts = source.parts.filter { $0.contains(where: wanted.contains) }
    if parts.isEmpty { throw Diagnostic("there are no \(sets.noun)s of these layers", argument: "layers") }
    let described = try DescribedLayers(
      network: model.network, source: source, parts: parts, noun: sets.noun,
      reader: SetReader(read, events: events.value, rules: rules, contexts: contexts, seed: seed, context),
      parameters: recordedParameters.filter { $0.key != "checks" }, context: context
    ).described()
    let found = try described.map { try LayerDescription(from: context.open($0)) }
    let written = try source.module.map { module in
      try DescribedWrites(
        network: model.network, module: module, text: read,
        draws: RandomDraws(count: nulls, seed: seed, context: context), checks: checks, share: events.value,
        parameters: recordedParameters, context: context
      ).found(found)
    }
    return Descriptions(
      noun: sets.noun, described: $networks.references[0].content, parts: described, of: found,
      written: written ?? [], of: try (written ?? []).map { try LayerWrites(from: context.open($0)) },
      open: context.open)
  }

  private func source(_ text: DescribedText, _ context: any RunContext) -> any ActivitySource {
    let draws = RandomDraws(count: nulls, seed: seed, context: context)
    switch networks {
    case .networks(let networks):
      return NetworkActivity(
        networks, of: model.configuration, run: run, course: course, key: key, text: text, draws: draws, context)
    case .groups(let groups):
      return GroupActivity(groups: groups, network: model.network, draws: draws, context: context)
    case .clusters(let clusters): return ClusterActivity(clusters: clusters, text: text, draws: draws)
    }
  }

  /// Of fewer events nothing is learned.
  static let fewestEvents = 20
}
