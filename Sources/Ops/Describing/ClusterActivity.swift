import Numerics
import Transformer

/// The event of a cluster is its label. Random sets are the labels with every window turned.
struct ClusterActivity: ActivitySource {
  let clusters: Clusters
  let text: DescribedText
  let draws: RandomDraws

  var module: Module? { nil }
  var parts: [[Int]] { clusters.layers.map { [$0] } }
  var look: ((Walk) throws -> [Matrix<Float>])? { nil }

  func activity(of part: [Int], _ layers: [[Matrix<Float>]]) throws -> Activity {
    let layer = part[0]
    let own = try clusters.labels(layer: layer)
    let label = text.origin.map { own[$0.token] }
    var activity = Activity(isLabel: true)
    activity.courses = (0..<clusters.count).map { cluster in label.map { $0 == Int32(cluster) ? 1 : 0 } }
    activity.sets = (0..<clusters.count).map { cluster in
      SetDescription(name: clusters.kinds?.names[cluster] ?? String(cluster), keys: [[]], spread: [1], threshold: 0.5)
    }
    activity.random = try draws.map("clusters of layer \(layer)") { stream in
      let offsets = text.halves.shifts(1, using: &stream)[0]
      return activity.courses.map { text.halves.turned($0, by: offsets) }
    }
    let test = text.halves.test
    activity.information = text.facts.map { adjustedMutualInformation(Array(label[test]), Array($0.level[test])) }
    return activity
  }
}
