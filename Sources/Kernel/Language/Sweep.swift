/// What a `for` made, as a value of the workspace: a file of references to its cells, with their coordinates. A name that
/// holds it keeps the cells from being collected, and the next session finds them under that name.
public struct Sweep: Artifact {
  public static let type = ArtifactType("sweep")
  /// The most cells that are kept under a name.
  static let largest = 10_000

  /// What varies, in the order in which it was written.
  public let names: [String]
  /// Coordinates in the order of `names`, as a script writes them, and the value's type and object.
  let cells: [(coordinates: [String], type: String, reference: ArtifactReference)]

  public var summary: String {
    let types = Set(cells.map(\.type)).sorted().joined(separator: ", ")
    return "\(counted(cells.count, "cell")) (\(types)) over \(names.joined(separator: ", "))"
  }
  public static let fields = ["cells": "number of cells"]
  public func field(_ name: String) -> Literal? { name == "cells" ? .integer(cells.count) : nil }

  /// - Returns: nil while a cell is missing, or for more cells than are kept.
  init?(_ family: PlanValue.Family) {
    guard family.cells.count <= Sweep.largest else { return nil }
    names = family.names
    var found: [(coordinates: [String], type: String, reference: ArtifactReference)] = []
    for cell in family.cells {
      guard let handle = cell.node.handle else { return nil }
      let coordinates = family.names.map { name in
        cell.coordinates.first { $0.name == name }?.value.rendered ?? "none"
      }
      found.append((coordinates, handle.type.name, handle.reference))
    }
    cells = found
  }

  /// What the key is the hash of.
  var record: JSONValue {
    [
      "op": "for", "revision": 1,
      "parameters": .object(
        Dictionary(
          uniqueKeysWithValues: names.enumerated().map { place, name in
            (name, .array(cells.map { .string($0.coordinates[place]) }))
          })),
      "inputs": ["cells": .array(cells.map { .string($0.reference.content) })],
    ]
  }

  public func write(to writer: any ArtifactWriter) throws {
    try writer.text("coordinates", JSONValue.array(names.map(JSONValue.string)).canonical)
    for (place, name) in names.enumerated() {
      try writer.strings("coords/\(name)", cells.map { $0.coordinates[place] }, axis: "cell")
    }
    try writer.strings("value_type", cells.map(\.type), axis: "cell")
    try writer.strings("value_key", cells.map(\.reference.key), axis: "cell")
    try writer.strings("value_content", cells.map(\.reference.content), axis: "cell")
    for reference in Set(cells.map(\.reference)).sorted(by: { $0.key < $1.key }) { try writer.child(reference) }
  }

  public init(from reader: any ArtifactReader) throws {
    let names = try JSONValue(parsing: reader.text("coordinates")).arrayValue?.compactMap(\.stringValue) ?? []
    let coordinates = try names.map { try reader.strings("coords/\($0)") }
    let types = try reader.strings("value_type")
    let keys = try reader.strings("value_key")
    let contents = try reader.strings("value_content")
    guard ([types, contents] + coordinates).allSatisfy({ $0.count == keys.count }) else {
      throw Diagnostic("a sweep names cells of unlike number", kind: .store)
    }
    self.names = names
    cells = keys.indices.map { index in
      (coordinates.map { $0[index] }, types[index], ArtifactReference(key: keys[index], content: contents[index]))
    }
  }

  /// The sweep as a value of the language; nil when a cell is not in the store any more.
  func family(_ handle: ArtifactHandle, in store: any StepStore) -> PlanValue.Family? {
    var found: [(coordinates: [Coordinate], node: PlanNode)] = []
    for cell in cells {
      guard let value = (try? store.find(cell.reference.key)) ?? nil else { return nil }
      let coordinates = zip(names, cell.coordinates).map { Coordinate(name: $0, value: Literal(written: $1)) }
      found.append((coordinates, PlanNode(handle: value.handle)))
    }
    let family = PlanValue.Family(names: names, cells: found)
    family.stored.handle = handle
    return family
  }
}

extension Literal {
  /// A literal from the text of it; a word that is none stands for itself.
  init(written text: String) {
    guard case .literal(let literal)? = Parser.value(of: text)?.kind else {
      self = .symbol(text)
      return
    }
    self = literal
  }
}

extension Session {
  /// The object of a sweep, made when the store has none.
  func publish(_ family: PlanValue.Family, place: String?) throws -> ArtifactHandle? {
    guard let sweep = Sweep(family) else { return nil }
    let record = sweep.record
    let key = SHA256.hex(of: record.canonical)
    if let stored = try store.find(key) { return stored.handle }
    let recipe = StepRecipe(
      key: key, record: record, op: "for", revision: 1, parameters: record["parameters"]?.objectValue ?? [:],
      inputs: sweep.cells.map(\.reference), externals: [], outputType: Sweep.self, facts: [:],
      call: "for \(sweep.names.joined(separator: ","))", estimate: Resources(), isFresh: false, place: place,
      run: { _ in sweep })
    return try store.perform(recipe, observer: Unheard { false }).handle
  }
}
