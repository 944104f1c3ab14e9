/// One step on the way to a value.
public struct Ancestor: Sendable, Equatable {
  public let key: String
  public let content: String
  public let step: JSONValue
  /// The op with its inputs and parameters, values by the beginning of their hashes: `mask 4babe4ef rate=20%`.
  public let call: String
  /// The ancestors whose values it used.
  public let inputs: [String]

  /// The steps of a lineage, each after those it used; that of `key` is last.
  /// - Parameter lineage: content, step and call by key.
  static func ordered(_ lineage: [String: JSONValue], to key: String) -> [Ancestor] {
    var keys: [String: String] = [:]
    for (key, entry) in lineage { keys[entry["content"]?.stringValue ?? ""] = key }
    var ordered = [Ancestor]()
    var visited = Set<String>()
    func visit(_ key: String) {
      guard visited.insert(key).inserted, let entry = lineage[key], let step = entry["step"] else { return }
      let inputs = (step["inputs"]?.objectValue ?? [:]).sorted { $0.key < $1.key }
        .flatMap { contents($0.value) ?? [] }.compactMap { keys[$0] }
      inputs.forEach(visit)
      ordered.append(
        Ancestor(
          key: key, content: entry["content"]?.stringValue ?? "", step: step,
          // Files of earlier builds have no calls of ancestors.
          call: entry["call"]?.stringValue ?? step["op"]?.stringValue ?? "", inputs: inputs))
    }
    visit(key)
    return ordered
  }

  /// The hashes of the values that an input of a step was given; nil when one of them failed.
  static func contents(_ value: JSONValue?) -> [String]? {
    if let text = value?.stringValue { return [text] }
    guard let items = value?.arrayValue else { return nil }
    let texts = items.compactMap { $0.stringValue ?? $0["content"]?.stringValue }
    return texts.count == items.count ? texts : nil
  }
}
