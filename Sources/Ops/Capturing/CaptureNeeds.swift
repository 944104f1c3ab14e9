import Kernel
import Transformer

extension Input {
  /// What a consumer asks of captures before anything runs; nothing else asks.
  ///
  /// - Parameters:
  ///   - keep: what every capture must keep; any one of these will do.
  ///   - sites: where every capture must have looked.
  ///   - grouped: whether some capture must be divided by neuron groups; false when none may be, nil when either will do.
  ///   - consumer: who asks: an op, or a parameter such as `how=wanda`.
  ///   - argument: what to give differently.
  func require(
    keep: [Statistic] = [], sites: SiteNeed? = nil, grouped: Bool? = nil, by consumer: String,
    argument: String = "activations"
  ) throws {
    func refused(_ problem: String, hint: String) -> Diagnostic {
      Diagnostic("\(consumer) needs \(problem)", hint: hint, argument: argument, kind: .usage)
    }
    let captures = facts(of: Activations.self)
    for case let capture? in captures {
      let holding = keep.isEmpty ? capture.sites : capture.sites(keeping: keep)
      if let first = keep.first, holding.isEmpty {
        let wanted = first == .stream || capture.keep == [Kept(.stream)] ? [Kept(first)] : capture.keep + [Kept(first)]
        throw refused(
          "\(first.noun) of the activations, and this capture does not keep them",
          hint: "capture with keep=\(wanted.map(\.rawValue).joined(separator: ","))")
      }
      if let sites, !sites.isMet(by: capture.sites) {
        throw refused(
          "\(sites), and this capture looks at \(capture.sites.map(\.rawValue).joined(separator: ", "))",
          hint: sites.hint)
      }
      if let sites, let first = keep.first, !sites.isMet(by: holding) {
        let lacking = sites.wanted.filter { capture.sites.contains($0) && !holding.contains($0) }
        throw refused(
          "\(first.noun) of \(lacking.map(\.rawValue).joined(separator: " and ")), which this capture does not keep",
          hint: "capture with keep=\(lacking.map { Kept(first, of: $0).rawValue }.joined(separator: ","))")
      }
    }
    if grouped == false, captures.contains(where: { $0?.grouped == true }) {
      throw refused("ungrouped Gram matrices", hint: "capture with keep=gram and without groups=")
    }
    if grouped == true, !captures.isEmpty, captures.allSatisfy({ $0?.grouped == false }) {
      throw refused("a capture divided by neuron groups", hint: "capture with by= and groups=")
    }
  }

  /// - Throws: when a parameter concerns attention and none of the captures looks there.
  func requireHeads(for parameter: String, keeping statistics: [Statistic]) throws {
    let captures = facts(of: Activations.self)
    let site = Module.attention.site
    guard captures.isEmpty || captures.contains(where: { $0?.sites(keeping: statistics).contains(site) ?? true }) else {
      throw Diagnostic(
        "\(parameter)= concerns \(site.rawValue), where no capture looks", argument: parameter,
        kind: .usage)
    }
  }
}

/// Where a capture must have looked.
enum SiteNeed: CustomStringConvertible {
  case any([Site])
  case all([Site])

  /// The inputs of the last maps of a block, by which neurons and heads are judged.
  static let judged = SiteNeed.any(Module.allCases.map(\.site))
  /// What enters and leaves a block, to compare.
  static let ends = SiteNeed.all([.blockIn, .blockOut])

  var wanted: [Site] {
    switch self {
    case .any(let wanted), .all(let wanted): wanted
    }
  }

  func isMet(by sites: [Site]) -> Bool {
    switch self {
    case .any(let wanted): wanted.contains(where: sites.contains)
    case .all(let wanted): wanted.allSatisfy(sites.contains)
    }
  }

  var description: String {
    switch self {
    case .any: wanted.map(\.rawValue).joined(separator: " or ")
    case .all: wanted.map(\.rawValue).joined(separator: " and ")
    }
  }

  fileprivate var hint: String {
    switch self {
    case .any: "capture with " + wanted.map { "sites=\($0.rawValue)" }.joined(separator: " or ")
    case .all: "capture with sites=" + wanted.map(\.rawValue).joined(separator: ",")
    }
  }
}

extension Input {
  /// Blocks of the model that captures or networks were made on, if known.
  var knownLayers: Int? {
    let layers = facts(of: Activations.self).map { $0?.layers } + facts(of: Networks.self).map { $0?.layers }
    return layers.first ?? nil
  }
}

extension Statistic {
  /// Anything that makes a capture look at its sites at once.
  static let something: [Statistic] = [.moments, .values, .gram]
  /// Either gives the signals of every token.
  static let signals: [Statistic] = [.stream, .values]

  fileprivate var noun: String {
    switch self {
    case .values: "the values"
    case .moments: "the moments"
    case .gram: "the Gram matrix"
    case .stream: "the signals"
    }
  }
}

extension LayerActivations {
  /// What a consumer cannot do without.
  /// - Throws: when the capture did not keep it.
  func kept<Value>(_ value: KeyPath<LayerActivations, Value?>, _ statistic: Statistic) throws -> Value {
    guard let value = self[keyPath: value] else {
      throw Diagnostic(
        "the capture does not have \(statistic.noun) of \(site.rawValue) in layer \(layer)",
        hint: "capture with keep=\(statistic.rawValue)")
    }
    return value
  }
}

extension Activations {
  /// How far a block turns the residual stream, 1 - cosine: block influence, and the functional complexity of FANG eq. 8.
  /// - Parameter argument: the input the capture was given to.
  func turn(layer: Int, argument: String) throws -> Double {
    guard let cosine = try part(.blockOut, layer: layer).cosine else {
      throw Diagnostic(
        "the capture does not know how far layer \(layer) turns the residual stream",
        hint: "capture block.in and block.out together", argument: argument)
    }
    return 1 - cosine
  }
}
