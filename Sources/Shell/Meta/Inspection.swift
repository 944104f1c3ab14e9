import Kernel

/// What a value is, where it comes from and why it was computed, as tables.
struct Inspection {
  let store: Store

  /// The names of a session: type, shape, size, time.
  func variables(_ session: Session, type: String?) throws -> TableData {
    var rows: [[TableData.Cell]] = []
    for name in session.names {
      guard let value = session.value(named: name) else { continue }
      let row: [TableData.Cell]
      switch value {
      case .artifact, .family:
        if let handle = value.handle {
          row = [.text(name)] + (try cells(handle))
        } else if case .family = value {
          row = [.text(name), .text(value.described), .missing, .missing, .missing]
        } else {
          continue
        }
      case .literal(let literal):
        row = [.text(name), .text(literal.kind), .text(literal.rendered), .missing, .missing]
      default: row = [.text(name), .text(value.described), .missing, .missing, .missing]
      }
      if let type, row[1] != .text(type) { continue }
      rows.append(row)
    }
    return TableData(columns: ["name", "type", "value", "size", "time"], rows: rows)
  }

  /// The names of the workspace.
  func names() throws -> TableData {
    let rows = try store.names().compactMap { name -> [TableData.Cell]? in
      guard let handle = try store.value(named: name, back: 0) else { return nil }
      return [.text(name)] + (try cells(handle))
    }
    return TableData(columns: ["name", "type", "value", "size", "time"], rows: rows)
  }

  private func cells(_ handle: ArtifactHandle) throws -> [TableData.Cell] {
    guard let stored = try store.find(handle.reference.key) else {
      return [.text(handle.type.name), .text("collected"), .missing, .missing]
    }
    return [.text(handle.type.name), .text(stored.summary), .bytes(stored.bytes), .init(seconds: stored.seconds)]
  }

  /// Everything about one object.
  func info(_ key: String) throws -> TableData {
    let info = try store.info(key)
    var rows: [(name: String, value: TableData.Cell)] = [
      ("type", .text(info.type.name)), ("shape", .text(info.summary)), ("call", .text(info.call)), ("key", .text(key)),
      ("content", .text(info.reference.content)), ("file", .text(info.path)), ("size", .bytes(info.bytes)),
    ]
    if let seconds = try store.find(key)?.seconds { rows.append(("computed in", .seconds(seconds))) }
    for (name, label) in [("time", "computed at"), ("place", "written in"), ("host", "machine")] {
      if let text = info.made[name]?.stringValue { rows.append((label, .text(text))) }
    }
    for (name, value) in info.facts.sorted(by: { $0.key < $1.key }) {
      rows.append((name, .text(value.stringValue ?? value.asWritten)))
    }
    for warning in info.warnings { rows.append(("warning", .text(warning))) }
    for ancestor in try store.ancestry(of: key).dropLast() {
      rows.append(("made from", .text("\(ancestor.content.prefix(8)) = \(ancestor.call)")))
    }
    return TableData(record: rows)
  }

  /// The fields in which a name's value differs from the one it had before, one to a line.
  /// - Parameter text: `mk`, or `mk@-1` for what it was bound to before.
  func why(_ text: String) throws -> String {
    guard let bound = BoundName(text), case let bindings = try store.bindings(of: bound.name).dropLast(bound.back),
      let first = bindings.first
    else { throw Diagnostic("no value of this workspace has been called `\(text)`", kind: .usage) }
    if bindings.count == 1 {
      let call = (try? store.info(first.key))?.call ?? first.step["op"]?.stringValue ?? ""
      return "first computed \(first.time) by `\(call)`"
    }
    let differences = try store.why(bound.name, back: bound.back)
    return differences.isEmpty
      ? "nothing differs from the value before" : differences.map(\.text).joined(separator: "\n")
  }
}
