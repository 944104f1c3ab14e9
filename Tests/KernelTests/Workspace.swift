import Foundation
import Kernel

/// A value for tests: a matrix with named axes, texts, a list, and parts of its own.
struct Grid: Artifact {
  static let type = ArtifactType("grid", version: 2)
  var values: [Float]
  var labels: [String] = ["a", "b"]
  var unit = "neuron"
  var note: JSONValue = 0
  var parts: [ArtifactReference] = []
  var columns = 4

  var rows: Int { values.count / columns }
  var summary: String { "\(rows) x \(columns)" }

  init(_ values: [Float], parts: [ArtifactReference] = []) {
    self.values = values
    self.parts = parts
  }

  func write(to writer: any ArtifactWriter) throws {
    try writer.array("z", values, shape: [rows, columns], axes: ["layer", "neuron"], meaning: "strength", units: "sd")
    try writer.vector("keep", (0..<columns).map { UInt8($0 % 2) }, axis: "neuron")
    try writer.annotate("keep", "flag_meanings", "drop keep")
    try writer.scale("layer", (0..<Int64(rows)).map { $0 * 10 }, meaning: "layer of the model")
    try writer.strings("label", labels, axis: "name")
    try writer.text("config", "{\"unit\":\"\u{e9}\"}")
    try writer.attribute("unit", .string(unit))
    try writer.note("asked", note)
    try writer.array(
      "delta/layer_00/weight", [Double](repeating: 0.5, count: 6), shape: [2, 3], axes: ["row", "neuron"])
    try writer.preview(
      title: "strength", signal: Array(values.prefix(columns)), shape: [columns],
      axes: [("neuron", (0..<columns).map { Float($0) })])
    for part in parts { try writer.child(part) }
  }

  init(from reader: any ArtifactReader) throws {
    values = try reader.array("z", as: Float.self)
    columns = try reader.shape("z")[1]
    labels = try reader.strings("label")
    unit = try reader.attribute("unit").stringValue ?? ""
    note = try reader.attribute("asked")
    parts = try reader.children
  }
}

/// A workspace in a folder of its own that goes away with it.
final class Workspace: @unchecked Sendable {
  let folder: String
  var root: String { folder + "/.prn" }

  init() {
    folder = NSTemporaryDirectory() + "prn-test-\(UUID().uuidString)"
    try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  func store(_ options: Store.Options = Store.Options()) throws -> Store {
    try Store(workspace: root, types: ["grid": Grid.self], options: options)
  }

  func objectPath(_ key: String) -> String { "\(root)/objects/\(key.prefix(2))/\(key).h5" }

  func bytes(_ path: String) -> [UInt8] { FileManager.default.contents(atPath: path).map { Array($0) } ?? [] }

  func overwrite(_ path: String, _ bytes: [UInt8]) {
    chmod(path, 0o644)
    _ = FileManager.default.createFile(atPath: path, contents: Data(bytes))
  }

  /// Replaces the first occurrence of `old`, which must be there, by as many bytes.
  func patch(_ path: String, _ old: [UInt8], _ new: [UInt8]) -> Bool {
    var content = bytes(path)
    guard let start = content.indices.first(where: { content[$0...].starts(with: old) }) else { return false }
    content.replaceSubrange(start..<start + old.count, with: new)
    overwrite(path, content)
    return true
  }

  /// Every path below the folder with its size and time.
  func listing() throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: folder).sorted().map { path in
      var info = stat()
      lstat(folder + "/" + path, &info)
      return "\(path) \(info.st_size) \(info.st_mtim.tv_sec).\(info.st_mtim.tv_nsec)"
    }
  }

  /// Makes a file look as if it had been written some seconds ago.
  func age(_ path: String, by seconds: Int) {
    let then = timeval(tv_sec: time(nil) - seconds, tv_usec: 0)
    utimes(path, [then, then])
  }
}

/// The recipe of a step of the made-up op `grid`.
func recipe(
  seed: Int, inputs: [ArtifactReference] = [], isFresh: Bool = false,
  run: @escaping (any RunContext) throws -> any Artifact = { _ in Grid((0..<12).map { Float($0) }) }
) -> StepRecipe {
  let record: JSONValue = [
    "op": "grid", "revision": 1, "parameters": ["seed": .integer(seed), "how": "exact"],
    "inputs": .object(inputs.isEmpty ? [:] : ["from": .array(inputs.map { .string($0.content) })]),
  ]
  return StepRecipe(
    key: SHA256.hex(of: record.canonical), record: record, op: "grid", revision: 1,
    parameters: ["seed": .integer(seed)], inputs: inputs, externals: [], outputType: Grid.self,
    facts: ["unit": "neuron"], call: "grid seed=\(seed)", estimate: Resources(), isFresh: isFresh, place: "t.prn:1",
    run: run)
}

/// Remembers what it heard.
final class StepListener: StepObserver, @unchecked Sendable {
  var heard: [String] = []
  var isCancelled = false
  func progress(_ done: Int, of total: Int, _ unit: String) { heard.append("\(done)/\(total) \(unit)") }
  func resumed(at done: Int, of total: Int, _ unit: String) { heard.append("resumed \(done)/\(total)") }
  func warned(_ sentence: String) { heard.append("warned \(sentence)") }
  func waiting(forProcess pid: Int) { heard.append("waiting \(pid)") }
}

func diagnostic(_ body: () throws -> Void) -> Diagnostic? {
  do { try body() } catch { return error as? Diagnostic ?? (error as? any Explained)?.diagnostic }
  return nil
}
