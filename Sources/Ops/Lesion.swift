import Kernel
import Numerics
import Transformer

extension SetMatch: Choice {}

struct Lesion: Op {
  static let name = "lesion"
  static let summary = "Take networks, groups or masks out of a model, each by itself, and see what that costs where."
  static let reference: String? =
    "matched random sets; Holm 1979, Benjamini and Hochberg 1995; double dissociation on split halves"
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=16 length=128 take=order
    nets = canica (capture m cal sites=ffn.gate,ffn.up layers=0 keep=stream) components=4 per_run=16
    cl = kinds cal model=m labels=./data/calibration.labels.tsv
    show (lesion m cal of=nets labels=cl nulls=9)
    """

  enum Mode: String, Choice {
    /// Its units are taken out.
    case each
    /// All other units of its layers are taken out.
    case only
    /// Units are taken out by falling |z|, a twentieth of the layer after the other, and at random beside it.
    case grow
  }

  enum Filling: String, Choice {
    /// Nothing: what pruning does.
    case zero
    /// Their mean over the text: what they tell is gone, what they always add stays.
    case mean
  }

  enum How: String, Choice {
    /// Every lesion goes through the model.
    case exact
    /// One backward pass for all of them; of use from the second layer on.
    case estimate
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
    let given = $of.givenType?.name
    if let given, given != Networks.type.name {
      for (name, isGiven) in [("run", run != 0), ("key", $key.isGiven)] where isGiven {
        throw Diagnostic("\(name)= is for networks, and of= is a value of type \(given)", argument: name, kind: .usage)
      }
      if mode != .each {
        throw Diagnostic("mode=\(mode.rawValue) is for networks", argument: "mode", kind: .usage)
      }
    }
    if mode == .grow {
      for (name, isGiven) in [("key", $key.isGiven), ("match", match != .energy)] where isGiven {
        throw Diagnostic(
          "mode=grow takes all units in their order, so \(name)= has no effect", argument: name, kind: .usage)
      }
    }
    return NoFacts()
  }

  func estimate() throws -> Resources {
    let configuration = model.configuration
    let states = 4 * min(text.tokens.count, WindowProtocol.chunkTokens) * configuration.hiddenSize
    let widest = (0..<configuration.layers).map { configuration.units(.ffn, layer: $0) }.max() ?? 0
    let rows = 128 * configuration.vocabularySize * 4 * 2
    return Resources(memory: 4 * states + 8 * text.tokens.count * widest + 2 * configuration.blockBytes + rows)
  }

  func run(_ context: any RunContext) throws -> Lesions {
    try text.requireWindows(of: model)
    let reference = $text.references[0]
    if let model = of.model, model != $model.references[0].content {
      throw Diagnostic("the \(of.noun)s were made on another model", argument: "of")
    }
    for (clusters, argument) in [(labels, "labels"), (by, "by")] {
      if let clusters, clusters.corpus != reference.content {
        throw Diagnostic("\(argument)= is of the tokens of another text", argument: argument)
      }
    }
    if let labels, labels.kinds == nil {
      throw Diagnostic(
        "labels= takes what `kinds` makes, not clusters of values", hint: "give them as by=", argument: "labels")
    }
    return try LesionStudy(self, lesions: lesions(), context).result()
  }

  // MARK: What is taken out

  private func lesions() throws -> [NamedLesion] {
    let chosen = try layers.ranges.isEmpty ? nil : Set(layers.layers(of: model.configuration.layers, for: "layers"))
    func isWanted(_ layers: [Int]) -> Bool { chosen.map { !$0.isDisjoint(with: layers) } ?? true }
    var found: [NamedLesion] = []
    switch of {
    case .networks(let networks):
      guard run < networks.settings.runs else {
        throw Diagnostic("there is no run \(run); the networks have \(networks.settings.runs) runs", argument: "run")
      }
      for (index, layers) in networks.partLayers.enumerated() where isWanted(layers) {
        let part = try networks.part(index)
        let S = Matrix<Double>(try part.maps(run: run))
        found += (0..<S.rows).map { lesion($0, of: part, z: S.row($0)) }
      }
    case .groups(let groups):
      for layer in groups.group.indices where isWanted([layer]) {
        let own = groups.group[layer]
        let numbers = (0..<Int32(groups.count)).map { $0 } + (own.contains { $0 < 0 } ? [-1] : [])
        found += numbers.map { number in
          let units = own.indices.filter { own[$0] == number }
          return NamedLesion(
            layers: [layer], name: number < 0 ? "shared" : String(number),
            members: LesionSet([.init(layer: layer, module: .ffn, units: units)]))
        }
      }
    case .masks(let masks):
      found = masks.enumerated().map { index, mask in
        let pieces = mask.value.keep.modules().flatMap { module in
          (mask.value.keep[module] ?? []).enumerated().map { layer, keep in
            LesionSet.Piece(layer: layer, module: module, units: keep.indices.filter { !keep[$0] })
          }
        }.filter { isWanted([$0.layer]) }
        let set = LesionSet(pieces)
        return NamedLesion(
          layers: set.pieces.map(\.layer).uniqued, name: mask.label ?? String(index), members: set)
      }
    }
    guard !found.isEmpty else { throw Diagnostic("there are no \(of.noun)s of these layers", argument: "layers") }
    if let empty = found.first(where: { $0.members.units == 0 }) {
      let place = empty.layers.isEmpty ? "" : " of \(LayerNetworks.title(empty.layers))"
      throw Diagnostic(
        "\(of.noun) \(empty.name)\(place) has no units to take out",
        hint: given(key), argument: "of")
    }
    return found
  }

  private func given(_ key: KeyRule) -> String? {
    if case .threshold = key { return "key=5% takes the strongest of every network" }
    return nil
  }

  private func lesion(_ number: Int, of part: LayerNetworks, z: [Double]) -> NamedLesion {
    let halves = part.signals.count
    func located(_ places: [Int]) -> [(layer: Int, module: Module, unit: Int)] {
      places.map { place in
        let layer = part.layers.first { part.places(of: $0).contains(place) } ?? part.layers[0]
        return (layer, part.module, place - part.places(of: layer).lowerBound)
      }
    }
    let keys = key.units(of: z, halves: halves)
    let taken = mode == .only ? (0..<part.units).filter { !Set(keys).contains($0) } : keys
    return NamedLesion(
      layers: part.layers, name: String(number), members: LesionSet(located(taken)),
      order: located(KeyRule.share(1).units(of: z, halves: halves)))
  }
}

extension LesionSet {
  init(_ members: [(layer: Int, module: Module, unit: Int)]) {
    var pieces: [Piece] = []
    for layer in Set(members.map(\.layer)).sorted() {
      for module in Module.allCases {
        let units = members.filter { $0.layer == layer && $0.module == module }.map(\.unit)
        pieces.append(Piece(layer: layer, module: module, units: units))
      }
    }
    self.init(pieces)
  }
}
