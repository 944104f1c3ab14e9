import Kernel
import Transformer

/// Groups that divide the neurons of every layer, and how token clusters count for each.
struct NeuronGrouping {
  let groups: Groups
  /// Content hash of the groups.
  let content: String
  /// Nil when all tokens count alike.
  let weighting: Weighting?

  /// As scores and masks remember it.
  var record: Scores.Grouping { Scores.Grouping(groups: content, weighting: weighting?.canonical ?? "") }

  func grouping(layer: Int) -> PerModule<Criterion.Grouping?> { groups.grouping(layer: layer, weighting: weighting) }
}

extension Groups {
  /// What a criterion needs of one layer; only neurons are grouped.
  func grouping(layer: Int, weighting: Weighting?) -> PerModule<Criterion.Grouping?> {
    let ofNeurons = Criterion.Grouping(members: members(layer: layer), group: group[layer], weighting: weighting)
    return PerModule(attention: nil, ffn: ofNeurons)
  }
}

extension [Activations] {
  /// The groups that divide the neurons in these captures, with the weighting asked for.
  func grouping(_ weight: ContextWeighting?, tau: Temperature) throws -> NeuronGrouping? {
    guard let capture = first(where: { $0.groups != nil }), let reference = capture.groups,
      let groups = try capture.loadGroups()
    else { return nil }
    if weight != nil, groups.affinity.first?.columns != groups.count {
      throw Diagnostic("weight= needs one group for each cluster; these groups are \(groups.how)", argument: "weight")
    }
    return NeuronGrouping(
      groups: groups, content: reference.content, weighting: weight.map { Weighting($0, tau: tau) })
  }
}
