import Kernel
import Numerics

extension AffinityScale: Choice {}
extension SharedRule: Choice {}

struct Assign: Op {
  static let name = "assign"
  static let summary = "Divide the neurons of every layer into functional groups of equal size."
  static let reference: String? = "FANG, neuron-to-function assignment and shared neuron group retention"
  static let revision = 2
  static let example = """
    m = load ./data/tiny-llama
    cal = text ./data/calibration.txt model=m samples=16 length=128
    cl = kmeans (capture m cal sites=ffn.in keep=values) k=7
    gr = assign (taylor m cal by=cl) shared=1 how=exact
    """

  enum How: String, Choice {
    case exact, greedy, random, single

    var meaning: String {
      switch self {
      case .exact: "the optimum of the transportation problem"
      case .greedy: "the largest remaining score whose group has room goes first"
      case .random: "equal groups at random: the control"
      case .single: "one group of all that is not shared"
      }
    }
  }

  @Input("cluster-neuron scores, from taylor") var affinity: Affinity
  @Param("shared groups kept out of pruning", unit: "group", in: .between(0, 1)) var shared = 1
  @Param("how neurons find their group") var how = How.exact
  @Param("how the shared neurons are chosen") var sharedRule = SharedRule.frequency
  @Param("how the scores of different clusters are put on one scale") var scale = AffinityScale.raw
  @Param("seed of how=random", in: .atLeast(0)) var seed = 0

  init() {}

  func check() throws -> NoFacts {
    if seed != 0, how != .random {
      throw Diagnostic("seed= belongs to how=random", argument: "seed", kind: .usage)
    }
    if sharedRule != .frequency, shared == 0 || how == .random {
      throw Diagnostic(
        shared == 0 ? "shared_rule= needs shared=1" : "how=random chooses the shared neurons at random, too",
        argument: "shared_rule", kind: .usage)
    }
    if scale != .raw, how == .random || how == .single {
      throw Diagnostic("scale= belongs to how=exact or how=greedy", argument: "scale", kind: .usage)
    }
    return NoFacts()
  }

  func estimate(within limit: Int) throws -> Resources {
    // Of the widest layer the scores as costs, how they are sorted, and where each neuron may go; and what is found of all.
    let widest = affinity.score.map(\.columns).max() ?? 0
    let neurons = affinity.score.reduce(0) { $0 + $1.columns }
    return Resources(memory: 4 * 8 * widest * (affinity.count + 1) + 16 * neurons)
  }

  func run(_ context: any RunContext) throws -> Groups {
    var group: [[Int32]] = []
    var prices: [[Double]] = []
    var objective: [Double] = []
    var means: [Matrix<Double>] = []
    let K = affinity.count
    for (layer, S) in affinity.score.enumerated() {
      try context.progress(layer, of: affinity.score.count, "layer")
      let found: NeuronGroups = try at("layer \(layer)") {
        if how == .single {
          let common =
            shared == 1
            ? sharedNeurons(S, size: groupSizes(neurons: S.columns, groups: K, shared: true).shared, rule: sharedRule)
            : []
          var group = [Int](repeating: 0, count: S.columns)
          for neuron in common { group[neuron] = 1 }
          return NeuronGroups(group: group, count: 1)
        } else if how == .random {
          var generator = RandomStream(seed: seed, name: "assign layer \(layer)")
          return try randomGroups(neurons: S.columns, groups: K, shared: shared == 1, using: &generator)
        } else {
          let result = try functionalGroups(
            S, shared: shared == 1 ? sharedRule : nil, isExact: how == .exact, scale: scale)
          for k in result.groupsWithoutScores {
            context.warn("cluster \(k) of layer \(layer) has no gradient; ties decide its group")
          }
          prices.append(result.prices)
          return result.neurons
        }
      }
      group.append(found.group.map { $0 == found.count ? -1 : Int32($0) })
      objective.append(
        how == .single ? 0 : found.group.enumerated().reduce(0) { $0 + ($1.element < K ? S[$1.element, $1.offset] : 0) }
      )
      means.append(meanAffinity(S, found))
    }
    return Groups(
      structure: affinity.structure, group: group, count: how == .single ? 1 : K, prices: how == .exact ? prices : nil,
      objective: objective, affinity: means, how: how.rawValue, clusters: affinity.clusters,
      calibration: affinity.calibration,
      open: context.open)
  }

  /// Mean affinity of each group's neurons to each cluster, the shared group last: (groups + 1) x clusters.
  private func meanAffinity(_ S: Matrix<Double>, _ groups: NeuronGroups) -> Matrix<Double> {
    let means = Matrix<Double>(rows: groups.count + 1, columns: S.rows)
    var sizes = [Double](repeating: 0, count: groups.count + 1)
    for (neuron, group) in groups.group.enumerated() {
      sizes[group] += 1
      for cluster in 0..<S.rows { means[group, cluster] += S[cluster, neuron] }
    }
    means.scaleRows(by: sizes.map { $0 > 0 ? 1 / $0 : 0 })
    return means
  }
}
