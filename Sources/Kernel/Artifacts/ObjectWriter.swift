import Foundation

/// How an object came about: everything in its file that is not its payload.
struct ObjectRecord {
  var key: String
  var type: ArtifactType
  var op: String
  var revision: Int
  var call: String
  var summary: String
  /// What the key is the hash of.
  var step: JSONValue
  var facts: RecordedFacts
  var warnings: [String]
  /// The steps of all ancestors and its own, by key.
  var lineage: [String: JSONValue]
}

/// Writes the file of one artifact, or of a checkpoint.
///
/// The payload table (`/provenance/payload`) names every part of the payload with its hash; the hash of the table is the
/// artifact's content. Preview, provenance, counted axes and notes are not part of it.
final class ObjectWriter: ArtifactWriter {
  static let format = "prn-artifact"
  static let schema = (major: 1, minor: 0)

  private let file: HDF5File
  private let compression: Compression
  private var payload: [String: JSONValue] = [:]
  private var arrays: [(path: String, shape: [Int], axes: [String])] = []
  /// Axis datasets by path, with their length.
  private var scales: [String: Int] = [:]
  private(set) var children: [ArtifactReference] = []
  private var hasPreview = false

  init(creating path: String, compression: Compression) throws {
    file = try HDF5File(creating: path)
    self.compression = compression
  }

  func attribute(_ name: String, _ value: JSONValue) throws {
    try note(name, value)
    payload["@" + name] = value
  }

  func note(_ name: String, _ value: JSONValue) throws {
    guard !name.hasPrefix("prn_"), name != "NX_class", name != "default" else {
      throw Diagnostic("the attribute name `\(name)` is the store's own")
    }
    try file.setAttribute(name, value)
  }

  func array<E: ArtifactElement>(
    _ path: String, _ values: UnsafeBufferPointer<E>, shape: [Int], axes: [String], meaning: String?, units: String?
  ) throws {
    guard shape.reduce(1, *) == values.count, shape.count == axes.count else {
      throw Diagnostic("`\(path)` has \(values.count) values and \(axes.count) axes for the shape \(shape)")
    }
    try add(path, UnsafeRawBufferPointer(values), type: StoredType(of: E.self), shape: shape, axes: axes)
    if let meaning { try file.setAttribute("long_name", .string(meaning), of: path) }
    if let units { try file.setAttribute("units", .string(units), of: path) }
  }

  func scale(_ axis: String, _ values: [Int64], meaning: String?) throws {
    try array(axis, values, shape: [values.count], axes: [lastPart(axis)], meaning: meaning, units: nil)
  }

  func strings(_ path: String, _ values: [String], axis: String) throws {
    if values.contains(where: { $0.utf8.last == 0 }) { throw HDF5Failure.zeroByte(dataset: path) }
    let (bytes, width) = ObjectWriter.equalWidths(values)
    try bytes.withUnsafeBytes { try add(path, $0, type: .string, width: width, shape: [values.count], axes: [axis]) }
  }

  /// Texts of equal widths, filled up with zeros: unlike HDF5's variable strings these are inside checksummed chunks.
  private static func equalWidths(_ values: [String]) -> (bytes: [UInt8], width: Int) {
    let width = max(1, values.map(\.utf8.count).max() ?? 1)
    var bytes = [UInt8](repeating: 0, count: width * values.count)
    for (index, value) in values.enumerated() {
      bytes.replaceSubrange(index * width..<index * width + value.utf8.count, with: value.utf8)
    }
    return (bytes, width)
  }

  func text(_ path: String, _ value: String) throws {
    if value.utf8.last == 0 { throw HDF5Failure.zeroByte(dataset: path) }
    let bytes = value.isEmpty ? [0] : Array(value.utf8)
    try bytes.withUnsafeBytes { try add(path, $0, type: .string, width: bytes.count, shape: [], axes: []) }
  }

  func annotate(_ path: String, _ name: String, _ value: JSONValue) throws {
    try file.setAttribute(name, value, of: path)
    payload[path + "@" + name] = value
  }

  func child(_ child: ArtifactReference) throws {
    children.append(child)
  }

  func preview(title: String, signal: [Float], shape: [Int], axes: [(name: String, values: [Float])]) throws {
    guard signal.count <= 4096, (1...2).contains(shape.count), shape.reduce(1, *) == signal.count,
      axes.map(\.values.count) == shape
    else {
      throw Diagnostic(
        "the preview `\(title)` has \(signal.count) points of shape \(shape); at most 4096 in 1 or 2 axes")
    }
    func put(_ path: String, _ values: [Float], _ shape: [Int]) throws {
      try values.withUnsafeBytes { try file.write(path, $0, type: .float32, shape: shape, compression: compression) }
    }
    try put("preview/signal", signal, shape)
    // A preview may be shorter than the value, and xarray wants dimensions of one name to have one length.
    let names = axes.map { "shown_" + plain($0.name) }
    for (dimension, (name, axis)) in zip(names, axes).enumerated() {
      let path = "preview/" + name
      if try !file.has(path) {
        try put(path, axis.values, [axis.values.count])
        try file.makeScale(path, axis: name)
        try file.setAttribute("long_name", .string(axis.name), of: path)
      }
      try file.attach("preview/signal", dimension: dimension, axis: name, scale: path)
    }
    for (name, value) in [
      ("NX_class", "NXdata"), ("signal", "signal"), ("title", .string(title)),
      ("axes", .array(names.map(JSONValue.string))),
    ] as [(String, JSONValue)] {
      try file.setAttribute(name, value, of: "preview")
    }
    hasPreview = true
  }

  /// Names the axes, writes the provenance and closes the file.
  /// - Returns: the content hash.
  func finish(_ record: ObjectRecord) throws -> String {
    try finishPayload()
    let table = JSONValue.object(payload).canonical
    let content = SHA256.hex(of: table)
    let call = record.call.utf8.count <= 2000 ? record.call : String(record.call.prefix(1997)) + "..."
    var lineage = record.lineage
    lineage[record.key] = ["content": .string(content), "step": record.step, "call": .string(call)]
    for (name, text) in [
      ("step", record.step.canonical), ("facts", JSONValue.object(record.facts).canonical),
      ("lineage", JSONValue.object(lineage).canonical), ("payload", table),
      ("warnings", JSONValue.array(record.warnings.map(JSONValue.string)).canonical), ("summary", record.summary),
    ] {
      try writeText("provenance/" + name, text)
    }
    // The lineage once more, for people: a line for each step, in the order of the work.
    let steps = Ancestor.ordered(lineage, to: record.key).map { "\($0.content.prefix(8)) = \($0.call)" }
    let (bytes, width) = ObjectWriter.equalWidths(steps)
    try bytes.withUnsafeBytes {
      try file.write("provenance/calls", $0, type: .string, width: width, shape: [steps.count])
    }
    for (name, value) in [
      ("prn_format", .string(ObjectWriter.format)),
      ("prn_schema", .string("\(ObjectWriter.schema.major).\(ObjectWriter.schema.minor)")),
      ("prn_type", .string(record.type.name)), ("prn_type_version", .integer(record.type.version)),
      ("prn_key", .string(record.key)), ("prn_content", .string(content)), ("prn_op", .string(record.op)),
      ("prn_op_version", .integer(record.revision)), ("prn_call", .string(call)), ("NX_class", "NXroot"),
    ] as [(String, JSONValue)] {
      try file.setAttribute(name, value)
    }
    if hasPreview { try file.setAttribute("default", "preview") }
    try file.close()
    return content
  }

  /// Closes without finishing; the file is of no use then.
  func abandon() { try? file.close() }

  private func finishPayload() throws {
    if !children.isEmpty {
      try strings("child_key", children.map(\.key), axis: "child")
      try strings("child_content", children.map(\.content), axis: "child")
      payload["child_key"] = nil
    }
    for array in arrays {
      for (dimension, axis) in array.axes.enumerated() {
        let scale = try scalePath(axis, length: array.shape[dimension], of: array.path)
        try file.attach(array.path, dimension: dimension, axis: axis, scale: scale)
      }
    }
  }

  private func add(
    _ path: String, _ bytes: UnsafeRawBufferPointer, type: StoredType, width: Int = 1, shape: [Int], axes: [String]
  ) throws {
    guard payload[path] == nil, !path.isEmpty, !["provenance", "preview"].contains(firstPart(path)) else {
      throw Diagnostic("the dataset name `\(path)` is taken")
    }
    try file.write(path, bytes, type: type, width: width, shape: shape, compression: compression)
    let kind = type == .string ? "str\(width)" : type.rawValue
    let hash = JSONValue.string(SHA256.hex(of: bytes))
    payload[path] = ["type": .string(kind), "shape": .array(shape.map(JSONValue.integer)), "sha256": hash]
    if axes.count == 1, type != .string, axes[0] == lastPart(path) {
      // Values that carry the name of their own axis are that axis.
      try file.makeScale(path, axis: axes[0])
      scales[path] = shape[0]
    }
    if !axes.isEmpty { arrays.append((path, shape, axes)) }
  }

  /// The scale of an axis: one of that name and length in the dataset's group or above it, else a new one that counts
  /// from 0, at the root when the name is free there.
  private func scalePath(_ axis: String, length: Int, of dataset: String) throws -> String {
    var groups = [String]()
    var group = dataset
    while let slash = group.lastIndex(of: "/") {
      group = String(group[..<slash])
      groups.append(group + "/")
    }
    groups.append("")
    for group in groups where scales[group + axis] == length { return group + axis }
    for path in [axis, groups[0] + axis] where try scales[path] == nil && !file.has(path) {
      let values = (0..<Int64(length)).map { $0 }
      try values.withUnsafeBytes {
        try file.write(path, $0, type: .int64, shape: [length], compression: compression)
      }
      try file.makeScale(path, axis: lastPart(axis))
      scales[path] = length
      return path
    }
    throw Diagnostic(
      "the axis `\(axis)` of `\(dataset)` has \(length) positions; elsewhere in the artifact that name has another meaning"
    )
  }

  private func writeText(_ path: String, _ value: String) throws {
    let bytes = value.isEmpty ? [0] : Array(value.utf8)
    try bytes.withUnsafeBytes { try file.write(path, $0, type: .string, width: bytes.count, shape: []) }
  }

  private func lastPart(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }
  private func firstPart(_ path: String) -> String { path.split(separator: "/").first.map(String.init) ?? path }
  /// An axis title as a dataset name.
  private func plain(_ name: String) -> String {
    let word = String(name.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
    return word.isEmpty || word == "signal" ? "axis_" + word : word
  }
}
