import Kernel
import Transformer

/// What a consumer asks of a capture before anything runs.
extension Input where Value == [Activations] {
  func requireGroups(_ weight: ContextWeighting?) throws {
    guard weight != nil, !allFacts.contains(where: { $0["grouped"] != .bool(false) }) else { return }
    throw Diagnostic(
      "weight= weighs the tokens group by group, and this capture is not divided",
      hint: "capture with by= and groups=", argument: "weight", kind: .usage)
  }
}

extension Input {
  func require(_ keep: Keep, by consumer: String, argument: String = "activations") throws {
    for facts in allFacts where facts["keep"]?.arrayValue?.contains(.string(keep.rawValue)) == false {
      let kept = facts["keep"]?.arrayValue?.compactMap(\.stringValue).joined(separator: ",") ?? ""
      let wanted = kept == Keep.stream.rawValue ? keep.rawValue : "\(kept),\(keep.rawValue)"
      throw Diagnostic(
        "\(consumer) needs the \(keep.noun) of the activations, and this capture does not keep them",
        hint: "capture with keep=\(wanted)", argument: argument, kind: .usage)
    }
    let wanted = Module.allCases.map(\.site.rawValue)
    let seen = allFacts.flatMap { $0["sites"]?.arrayValue?.compactMap(\.stringValue) ?? [] }
    if !seen.isEmpty, !wanted.contains(where: seen.contains) {
      throw Diagnostic(
        "\(consumer) works on \(wanted.joined(separator: " and ")), and this capture has neither",
        hint: "capture with sites=\(wanted.joined(separator: ","))", argument: argument, kind: .usage)
    }
  }
}

extension Keep {
  var noun: String {
    switch self {
    case .values: return "values"
    case .moments: return "moments"
    case .gram: return "Gram matrix"
    case .stream: return "stream"
    }
  }
}
