import Kernel

extension [Activations] {
  /// The groups that divide the neurons in these captures, and the weighting asked for.
  func grouping(_ weight: ContextWeighting?, tau: Temperature) throws -> (
    groups: Groups, reference: ArtifactReference, weighting: Weighting?
  )? {
    guard let capture = first(where: { $0.groups != nil }), let reference = capture.groups,
      let groups = try capture.loadGroups()
    else { return nil }
    if weight != nil, groups.affinity.first?.columns != groups.count {
      throw Diagnostic("weight= needs one group for each cluster; these groups are \(groups.how)", argument: "weight")
    }
    return (groups, reference, weight.map { Weighting($0, tau: tau) })
  }
}
