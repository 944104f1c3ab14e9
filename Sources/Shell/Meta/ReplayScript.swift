import Kernel

/// The script that makes a value again, written from the lineage in its file: no names or comments of the session that
/// made it are needed.
struct ReplayScript {
  let store: Store
  let catalog: Catalog

  /// - Parameters:
  ///   - key: the value to make.
  ///   - name: what to call it; its ancestors are `v1`, `v2` …
  /// - Throws: `Diagnostic` when an external file it came from is not known any more.
  func text(of key: String, name: String) throws -> String {
    let ancestors = try store.ancestry(of: key)
    let target = name.allSatisfy { $0.isLetter || $0.isNumber || $0 == "_" } ? name : "result"
    var variables: [String: String] = [:]
    var out = "#!/usr/bin/env prn\n# Makes \(target) (\(key.prefix(12))) again.\n"
    var reader: (any ArtifactReader)?
    for (index, ancestor) in ancestors.enumerated() {
      let variable = index == ancestors.count - 1 ? target : "v\(index + 1)"
      if reader == nil { reader = try store.open(ArtifactReference(key: key, content: ancestors.last?.content ?? "")) }
      out += try statement(variable, ancestor.step, variables, reader)
      variables[ancestor.content] = variable
    }
    return out
  }

  private func statement(
    _ variable: String, _ step: JSONValue, _ variables: [String: String], _ reader: (any ArtifactReader)?
  ) throws -> String {
    guard let op = step["op"]?.stringValue, let signature = catalog.signature(op) else {
      throw Diagnostic(
        "the lineage holds `\(step["op"]?.stringValue ?? "")`, an op this prn does not have", kind: .store)
    }
    var before = ""
    var words = [op]
    for input in signature.inputs {
      let entries = step["inputs"]?[input.name]?.arrayValue ?? []
      var given: [String] = []
      for entry in entries {
        let content = entry.stringValue ?? entry["content"]?.stringValue ?? ""
        if input.isExternal {
          given.append(ReplayScript.path(try reader?.source(content: content) ?? ""))
          continue
        }
        guard let known = variables[content] else { continue }
        if input.arity == .many, let label = entry["as"]?["label"]?.stringValue {
          given.append("\(label): \(known)")
        } else if let coordinates = entry["as"]?["coordinates"]?.arrayValue, !coordinates.isEmpty {
          // A sweep of one cell carries the coordinates that belong to the step.
          let loop = "\(variable)_\(input.name)\(given.count)"
          before += "\(loop) = for \(coordinates.map(ReplayScript.generator).joined(separator: ", ")) { \(known) }\n"
          given.append(loop)
        } else {
          given.append(known)
        }
      }
      if given.isEmpty { continue }
      let isList = given.contains { $0.contains(": ") && !$0.hasPrefix("\"") }
      let text = isList ? "[" + given.joined(separator: ", ") + "]" : given.joined(separator: input.isNamed ? "," : " ")
      words.append(input.isNamed ? "\(input.name)=\(text)" : text)
    }
    for parameter in signature.parameters {
      guard let value = step["parameters"]?[parameter.name],
        value.canonical != parameter.defaultValue?.canonical.canonical
      else { continue }
      words.append("\(parameter.name)=\(value.asWritten)")
    }
    return before + "\(variable) = \(words.joined(separator: " "))\n"
  }

  private static func generator(_ coordinate: JSONValue) -> String {
    let parts = coordinate.arrayValue ?? []
    return "\(parts.first?.stringValue ?? "x") in \(parts.count > 1 ? parts[1].asWritten : "none")"
  }

  private static func path(_ path: String) -> String {
    path.contains(where: \.isWhitespace) || !path.hasPrefix("/") ? JSONValue.string(path).canonical : path
  }
}
