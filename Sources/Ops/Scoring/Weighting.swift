import Kernel
import Numerics

extension ContextWeighting: Choice {}

extension Temperature: ParameterValue {
  public static var kind: String { "a number, or a ratio such as 30%" }
  public init(literal: Literal) throws {
    switch literal {
    case .integer(let value): self = .absolute(Double(value))
    case .number(let value): self = .absolute(value)
    case .ratio(let value): self = .relative(value)
    default: throw Mismatch(expected: Temperature.kind, found: literal)
    }
  }
  public var literal: Literal {
    switch self {
    case .absolute(let value): .number(value)
    case .relative(let value): .ratio(value)
    }
  }
  public var canonical: JSONValue {
    switch self {
    case .absolute(let value): .number(value)
    case .relative(let value): ["relative": .number(value)]
    }
  }

  /// The softness of `weight=` when `tau=` is not given.
  static let softness = Temperature.relative(0.3)
}

/// Token-aware reweighting as an op asks for it: which clusters count how much for each group (FANG eq. 6).
struct Weighting: Equatable {
  var rule: ContextWeighting
  var tau: Temperature

  /// Canonical JSON, as scores and masks remember it.
  var canonical: String { JSONValue.object(["tau": tau.canonical, "weight": .string(rule.rawValue)]).canonical }

  init(_ rule: ContextWeighting, tau: Temperature) {
    self.rule = rule
    self.tau = tau
  }

  /// Reads what `canonical` wrote.
  init?(canonical: String) {
    guard let json = try? JSONValue(parsing: canonical), let word = json["weight"]?.stringValue,
      let rule = ContextWeighting(rawValue: word), let tau = json["tau"]
    else { return nil }
    self.rule = rule
    self.tau = tau["relative"]?.doubleValue.map(Temperature.relative) ?? .absolute(tau.doubleValue ?? 0)
  }

  /// The weights of one layer, from the means of the clusters.
  func weights(_ clusters: [Moments], layer: Int) throws -> ContextWeights {
    if let empty = clusters.firstIndex(where: { $0.count == 0 }) {
      throw Diagnostic("cluster \(empty) of layer \(layer) has no tokens", argument: "activations")
    }
    let centers = Matrix<Double>(clusters.map(\.mean))
    return try at("layer \(layer)") { try contextWeights(centers: centers, rule, temperature: tau) }
  }
}
