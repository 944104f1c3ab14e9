import Kernel

/// The script that makes a value again, written from the lineage in its file: no names or comments of the session that
/// made it are needed.
struct ReplayScript {
  let store: Store
  let catalog: Catalog

  /// A value that is there already: the name it has in the script, and the call that makes it.
  private struct Made {
    let name: String
    let call: String
  }

  /// - Parameters:
  ///   - key: the value to make.
  ///   - name: what to call it; its ancestors are `v1`, `v2` …
  /// - Throws: `Diagnostic` when an external file it came from is not known any more, or a sweep had cells that failed.
  func text(of key: String, name: String) throws -> String {
    let ancestors = try store.ancestry(of: key)
    let target = name.allSatisfy { $0.isLetter || $0.isNumber || $0 == "_" } ? name : "result"
    // A value may have to go by its label; nothing else is called like that.
    let taken = Set(ancestors.flatMap { labels(of: $0.step) } + [target])
    var free = (1...).lazy.map { "v\($0)" }.filter { !taken.contains($0) }.makeIterator()
    var made: [String: Made] = [:]
    var out = "#!/usr/bin/env prn\n# Makes \(target) (\(key.prefix(12))) again.\n"
    for ancestor in ancestors {
      let variable = ancestor.key == key ? target : free.next() ?? target
      let (before, call) = try statement(ancestor.step, made, target)
      for line in before + ["\(variable) = \(call)"] { out += line + "\n" }
      made[ancestor.content] = Made(name: variable, call: call)
    }
    return out
  }

  private func labels(of step: JSONValue) -> [String] {
    (step["inputs"]?.objectValue ?? [:]).values.flatMap { $0.arrayValue ?? [] }
      .compactMap { $0["as"]?["label"]?.stringValue }
  }

  /// The call of a step, and what must stand before it.
  private func statement(
    _ step: JSONValue, _ made: [String: Made], _ target: String
  ) throws -> (before: [String], call: String) {
    if step["op"] == "for" {
      throw Diagnostic("a sweep is not written as one script", hint: "write its cells, such as `export \(target)[0]`")
    }
    guard let op = step["op"]?.stringValue, let signature = catalog.signature(op) else {
      throw Diagnostic(
        "the lineage holds `\(step["op"]?.stringValue ?? "")`, an op this prn does not have", kind: .store)
    }
    var before: [String] = []
    var words = [op]
    for input in signature.inputs {
      let entries = step["inputs"]?[input.name]?.arrayValue ?? []
      if entries.isEmpty { continue }
      var given: [(label: String?, text: String)] = []
      for entry in entries {
        let content = entry.stringValue ?? entry["content"]?.stringValue
        if let content, input.isExternal {
          given.append((nil, ReplayScript.path(try store.source(content: content))))
        } else if let value = content.flatMap({ made[$0] }) {
          var argument = argument(value, entry["as"])
          if let label = argument.label, input.arity != .many {
            before.append("\(label) = \(argument.text)")
            argument = (nil, label)
          }
          given.append(argument)
        } else {
          throw Diagnostic("`\(target)` is made from a step that failed, and a failure cannot be made again")
        }
      }
      words += input.isNamed ? ["\(input.name)=\(ReplayScript.list(given))"] : ReplayScript.arguments(given)
    }
    for parameter in signature.parameters {
      guard let value = step["parameters"]?[parameter.name],
        value.canonical != parameter.recordedDefault?.canonical
      else { continue }
      words.append("\(parameter.name)=\(value.asWritten)")
    }
    return (before, words.joined(separator: " "))
  }

  /// A value as the call was given it: with a label, as the cell of a sweep, or in full where it had no name.
  private func argument(_ value: Made, _ record: JSONValue?) -> (label: String?, text: String) {
    guard let record else { return (nil, value.name) }
    let label = record["label"]?.stringValue
    let coordinates = record["coordinates"]?.arrayValue ?? []
    if !coordinates.isEmpty {
      let cell = "for \(coordinates.map(ReplayScript.generator).joined(separator: ", ")) { \(value.name) }"
      return (label, label == nil ? "(\(cell))" : cell)
    }
    return (label, label == nil ? "(\(value.call))" : value.name)
  }

  /// Neighbours with labels share a list.
  private static func arguments(_ given: [(label: String?, text: String)]) -> [String] {
    var words: [String] = []
    var labelled: [(label: String?, text: String)] = []
    for argument in given {
      if argument.label != nil {
        labelled.append(argument)
        continue
      }
      if !labelled.isEmpty { words.append(list(labelled)) }
      labelled = []
      words.append(argument.text)
    }
    return labelled.isEmpty ? words : words + [list(labelled)]
  }

  private static func list(_ given: [(label: String?, text: String)]) -> String {
    if given.count == 1, given[0].label == nil { return given[0].text }
    return "[" + given.map { ($0.label.map { "\($0): " } ?? "") + $0.text }.joined(separator: ", ") + "]"
  }

  /// `rate in [10%]`. A word is given as a label, which no variable of that name can stand in for.
  private static func generator(_ coordinate: JSONValue) -> String {
    let parts = coordinate.arrayValue?.compactMap(\.stringValue) ?? []
    let (name, value) = (parts.first ?? "x", parts.last ?? "none")
    let isWord =
      value.first?.isLetter == true && value.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
      && !["true", "false", "none"].contains(value)
    return "\(name) in [\(value)\(isWord ? ": none" : "")]"
  }

  private static func path(_ path: String) -> String {
    let isPlain =
      path.hasPrefix("/") && path.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "/._-".contains($0)) }
    return isPlain ? path : Literal.string(path).rendered
  }
}
