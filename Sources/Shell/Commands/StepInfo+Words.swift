import Kernel

// A step as lines and events name it.

extension StepInfo {
  /// The variable, else the op, with the cell of the sweep: `mk[rate=20%]`.
  var title: String {
    (name ?? op) + (coordinates.isEmpty ? "" : "[\(coordinates.written.printable)]")
  }

  /// The steps that were computed in one go with another, by name; of many, how many.
  static func company(_ steps: [StepInfo]) -> String {
    steps.count > 4 ? "\(steps.count) others" : steps.map(\.title).joined(separator: ", ")
  }

  /// What an event says of it, and more.
  func members(_ more: [String: JSONValue] = [:]) -> [String: JSONValue] {
    var out: [String: JSONValue] = [
      "op": .string(op), "type": .string(type.name), "index": .integer(index), "total": .integer(total),
    ]
    out["name"] = name.map(JSONValue.string)
    out["key"] = key.map(JSONValue.string)
    if !with.isEmpty { out["with"] = .array(with.map { .string($0.title) }) }
    if !coordinates.isEmpty { out["cell"] = coordinates.json }
    return out.merging(more) { $1 }
  }
}
