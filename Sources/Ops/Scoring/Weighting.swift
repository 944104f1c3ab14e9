import Kernel
import Numerics

extension ContextWeighting: Choice {}

extension Scale {
  /// The softness of `weight=` when `tau=` is not given.
  static let softness = Scale.relative(0.3)
}

/// Token-aware reweighting as an op asks for it: which clusters count how much for each group (FANG eq. 6).
struct Weighting: Equatable {
  var rule: ContextWeighting
  var tau: Scale

  /// What scores and masks remember of it.
  var record: String { JSONValue.object(["tau": tau.canonical, "weight": .string(rule.rawValue)]).canonical }

  init(_ rule: ContextWeighting, tau: Scale) {
    self.rule = rule
    self.tau = tau
  }

  /// Reads what `record` wrote.
  init?(record: String) {
    guard let json = try? JSONValue(parsing: record), let word = json["weight"]?.stringValue,
      let rule = ContextWeighting(rawValue: word), let tau = json["tau"]
    else { return nil }
    self.rule = rule
    self.tau = tau["relative"]?.doubleValue.map(Scale.relative) ?? .absolute(tau.doubleValue ?? 0)
  }

  private var temperature: Temperature {
    switch tau {
    case .absolute(let value): return .absolute(value)
    case .relative(let share): return .relative(share)
    }
  }

  /// The weights of one layer, from the means of the clusters.
  func weights(_ clusters: [Moments], layer: Int) throws -> ContextWeights {
    if let empty = clusters.firstIndex(where: { $0.count == 0 }) {
      throw Diagnostic("cluster \(empty) of layer \(layer) has no tokens", argument: "activations")
    }
    let centers = Matrix<Double>(clusters.map(\.mean))
    do {
      return try contextWeights(centers: centers, rule, temperature: temperature)
    } catch let error as ContextWeightError {
      throw Diagnostic("layer \(layer): \(error)", argument: "tau")
    }
  }
}
