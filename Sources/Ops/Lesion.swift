import Kernel
import Numerics
import Transformer

extension SetMatch: Choice {}

struct Lesion: Op {
  static let name = "lesion"
  static let summary = "Take networks, groups or masks out of a model, each by itself, and see what that costs where."
  static let reference: String? =
    "matched random sets; Holm 1979, Benjamini and Hochberg 1995; double dissociation on split halves"
  static let revision = 2
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=16 length=128 take=order
    nets = canica (capture m cal sites=ffn.gate,ffn.up layers=0 keep=stream) components=4 per_run=16
    cl = kinds cal model=m labels=./data/calibration.labels.tsv
    show (lesion m cal of=nets labels=cl nulls=9)
    """

  enum Mode: String, Choice {
    case each, only, grow

    var meaning: String {
      switch self {
      case .each: "its units are taken out"
      case .only: "all other units of its layers are taken out"
      case .grow:
        "units are taken out by falling |z|, a twentieth of the layer after the other, and at random beside it"
      }
    }
  }

  enum Filling: String, Choice {
    case zero, mean

    var meaning: String {
      switch self {
      case .zero: "nothing: what pruning does"
      case .mean: "their mean over the text: what they tell is gone, what they always add stays"
      }
    }
  }

  enum How: String, Choice {
    case exact, estimate

    var meaning: String {
      switch self {
      case .exact: "every lesion goes through the model"
      case .estimate: "one backward pass for all of them; of use from the second layer on"
      }
    }
  }

  @Input("the model") var model: Model
  @Input("windows of text to judge on") var text: Corpus
  @Input("networks, neuron groups, or masks that remove what is to be lesioned", named: true) var of: Lesioned
  @Input("kinds of text, by the passage of the token that is predicted", named: true) var labels: Clusters?
  @Input("clusters of the text, by the token that predicts", named: true) var by: Clusters?
  @Param("what is taken out") var mode = Mode.each
  @Param("what stands in its place") var with = Filling.zero
  @Param("which neurons of a network are key: a share of the largest |z|, or |z| above a size")
  var key = KeyRule.share(0.05)
  @Param("run of the networks", in: .atLeast(0)) var run = 0
  @Param("random sets of each lesion; of mode=grow random orders, 3 at most", in: .atLeast(0)) var nulls = 99
  @Param("how random sets are like what they stand for") var match = SetMatch.energy
  @Param("through the model, or by its derivative") var how = How.exact
  @Param("which layers, from 0; none for all") var layers = Positions()
  @Param("seed of random sets and resampling", in: .atLeast(0)) var seed = 0

  init() {}

  func check() throws -> NoFacts {
    try layers.check(among: $model.facts?.layers, for: "layers")
    if $labels.isGiven, $by.isGiven {
      throw Diagnostic("labels= and by= both tell targets apart; give one of them", argument: "by", kind: .usage)
    }
    try Networks.require(
      $of.givenType, for: ["run": run != 0, "key": $key.isGiven, "mode": mode != .each])
    if mode == .grow {
      for (name, isGiven) in [("key", $key.isGiven), ("match", match != .energy)] where isGiven {
        throw Diagnostic(
          "mode=grow takes all units in their order, so \(name)= has no effect", argument: name, kind: .usage)
      }
    }
    for (name, isGiven) in [("match", match != .energy), ("seed", seed != 0)] where isGiven && nulls == 0 {
      throw Diagnostic("\(name)= is for random sets, and nulls=0 draws none", argument: name, kind: .usage)
    }
    return NoFacts()
  }

  func estimate(within limit: Int) throws -> Resources {
    let (network, tokens, longest) = (model.network, text.tokens.count, text.sequences.longest)
    // Of random sets only those that go through the model together count.
    let lesions =
      of.count(of: try layers.layersOrAll(of: network.layers, for: "layers"))
      * (1 + min(nulls, LesionRounds.mostTogether))
    let survey = network.walkBytes(tokens: tokens, longest: longest)
    let study =
      switch how {
      case .exact: LesionRounds.memory(lesions, network, text.sequences, within: limit)
      case .estimate:
        network.gradientBytes(tokens: tokens, longest: longest, memory: limit / 4)
          + LesionEstimate.sumBytes(network.configuration, windows: text.sequences.count, kinds: kinds)
      }
    return Resources(memory: max(survey, study, network.headBytes(tokens: tokens) + network.statesBytes(tokens)))
  }

  /// Classes that targets are told apart by.
  private var kinds: Int { (labels ?? by)?.count ?? 0 }

  func run(_ context: any RunContext) throws -> Lesions {
    try text.requireWindows(of: model, argument: "text")
    let sets = of.sets
    try sets.require(of: $model.references[0], argument: "of")
    for (clusters, argument) in [(labels, "labels"), (by, "by")] {
      if let clusters, clusters.corpus != $text.references[0].content {
        throw Diagnostic("\(argument)= is of the tokens of another text", argument: argument)
      }
    }
    if let labels, labels.kinds == nil {
      throw Diagnostic(
        "labels= takes what `kinds` makes, not clusters of values", hint: "give them as by=", argument: "labels")
    }
    let targets = LesionTargets(text.sequences, labels: labels, by: by)
    let found = try LesionStudy(
      network: model.network, lesions: lesions(noun: sets.noun), noun: sets.noun, targets: targets, mode: mode,
      fillsMeans: with == .mean, how: how, draws: nulls, match: match, seed: seed, context: context
    ).findings()
    return Lesions(
      noun: sets.noun, mode: mode.rawValue, with: with.rawValue, how: how.rawValue,
      described: $of.references.map(\.content), kinds: targets.kinds, cellKinds: targets.cells.kind,
      classNulls: found.classNulls, rows: found.rows, pairs: found.pairs, randomPairs: found.randomPairs)
  }

  /// What is taken out.
  private func lesions(noun: String) throws -> [NamedLesion] {
    let found = try of.lesions(
      of: layers.layersOrAll(of: model.configuration.layers, for: "layers"), run: run, key: key,
      keepsKeys: mode == .only)
    guard !found.isEmpty else { throw Diagnostic("there are no \(noun)s of these layers", argument: "layers") }
    if let empty = found.first(where: { $0.members.units == 0 }) {
      let place = empty.layers.isEmpty ? "" : " of \(LayerNetworks.title(empty.layers))"
      var hint: String?
      if case .threshold = key { hint = "key=5% takes the strongest of every network" }
      throw Diagnostic("\(noun) \(empty.name)\(place) has no units to take out", hint: hint, argument: "of")
    }
    return found
  }
}
