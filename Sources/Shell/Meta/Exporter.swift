import Foundation
import Kernel

/// Writes a value for other programs: tables and figures as files, models through the value itself, anything as the
/// script that makes it again.
struct Exporter {
  let store: Store
  let console: Console
  let session: Session
  let outputs: Outputs

  /// What a statement asks to have written.
  private enum Form: Equatable {
    case script, h5
    case table(TableFormat)
    /// A folder in one of the value's own formats; nil is the first of them.
    case folder(String?)
  }

  /// Refuses what cannot be written, before anything runs.
  func check(_ call: MetaCall, reads: [String]) throws {
    guard let path = call.text("to") else {
      throw Diagnostic("`export` needs to=PATH", hint: "for example to=./\(call.name).csv", kind: .usage)
    }
    guard case .artifact(let node) = try call.value() else { return _ = try call.handle() }
    let form = try form(call, path, of: node.type)
    var isFolder = false
    if case .folder = form { isFolder = true }
    if form == .h5, let key = node.handle?.reference.key { _ = try whole(key, call.name) }
    try outputs.check(path, isFolder ? .folder : .file, reads: reads + (try sources(behind: node)))
  }

  /// The files and folders that a value is made from, as far as they are known.
  private func sources(behind node: PlanNode) throws -> [String] {
    if let handle = node.handle { return try store.sources(behind: handle.reference.key) }
    return try node.inputs.flatMap { try sources(behind: $0) }
  }

  /// `as=`, else what the name says, else the first format of the value's own.
  private func form(_ call: MetaCall, _ path: String, of type: ArtifactType) throws -> Form {
    let word = call.text("as")
    let suffix = (path as NSString).pathExtension.lowercased()
    let valueType = session.catalog.artifactTypes[type.name]
    let formats = (valueType as? any Exportable.Type)?.exportFormats ?? []
    if word == "script" || (word == nil && suffix == "prn") { return .script }
    if word == "h5" || (word == nil && suffix == "h5") { return .h5 }
    if let format = word.flatMap(TableFormat.init(rawValue:)) ?? (word == nil ? TableFormat(path: path) : nil) {
      guard valueType is any Showable.Type else {
        throw Diagnostic("a value of type \(type.name) has no table", argument: "value", kind: .usage)
      }
      return .table(format)
    }
    if !formats.isEmpty, word.map(formats.contains) ?? true {
      guard !Exporter.fileEndings.contains(suffix) else {
        throw Diagnostic(
          "`as=\(word ?? formats[0])` writes a folder, and \(path) names a file", hint: "for example to=./\(call.name)",
          argument: "to", kind: .usage)
      }
      return .folder(word)
    }
    let known = formats + ["csv", "tsv", "md", "json", "h5", "script"]
    let what =
      word.map { "`\($0)` is not a format of the type \(type.name)" } ?? "\(path) does not say which format to write"
    throw Diagnostic(
      what, hint: "as= takes \(known.joined(separator: ", "))", argument: word == nil ? "to" : "as", kind: .usage)
  }

  /// How files end that hold a whole model, or a picture; none of them names a folder.
  private static let fileEndings = [
    "gguf", "safetensors", "bin", "pt", "pth", "ckpt", "onnx", "npz", "npy", "zip", "gz", "tar", "svg", "png", "html",
  ]

  func export(_ call: MetaCall) throws {
    guard let path = call.text("to") else { return }
    let handle = try call.handle()
    switch try form(call, path, of: handle.type) {
    case .script:
      let script = try ReplayScript(store: store, catalog: session.catalog).text(
        of: handle.reference.key, name: call.name)
      try outputs.write(Array(script.utf8), to: path)
    case .h5:
      let source = try whole(handle.reference.key, call.name)
      try outputs.write(to: path) { try FileManager.default.copyItem(atPath: source, toPath: $0) }
    case .table(let format):
      try outputs.write(Array(try table(try handle.load(), call).text(format).utf8), to: path)
    case .folder(let format):
      guard let exportable = try handle.load() as? any Exportable else { return }
      try outputs.writeFolder(to: path) { try export(exportable, to: $0, as: format, name: call.name) }
    }
    console.event("file", ["path": .string(path)])
    console.remark("wrote \(path)")
  }

  /// The file of a value whose file holds all of it. Links to parts would lead nowhere from another place.
  private func whole(_ key: String, _ name: String) throws -> String {
    let info = try store.info(key)
    guard info.children.isEmpty else {
      throw Diagnostic(
        "`\(name)` is spread over \(info.children.count + 1) files of the workspace and cannot be written as one",
        hint: "read it where it is, at \(info.path), or write as=script", argument: "value", kind: .usage)
    }
    return info.path
  }

  private func export(_ value: any Exportable, to folder: String, as format: String?, name: String) throws {
    console.progress.begin(name)
    defer { console.progress.clear() }
    try value.export(
      ExportRequest(name: name, path: folder, format: format) { [console] done, total, unit in
        if console.isCancelled { throw Diagnostic("stopped", kind: .cancelled) }
        console.progress.update(done, of: total, unit)
      })
  }

  /// The value's table, or the numbers behind its picture.
  private func table(_ artifact: any Artifact, _ call: MetaCall) throws -> TableData {
    guard let showable = artifact as? any Showable else {
      throw Diagnostic("a value of type \(type(of: artifact).type.name) has no table", argument: "value", kind: .usage)
    }
    if let table = try showable.exportedTable(ShowRequest(name: call.name)) { return table }
    return try showable.figure(PlotRequest(name: call.name)).table
  }
}

extension Figure {
  /// The numbers of the picture, one row per point.
  var table: TableData {
    func cell(_ value: Double) -> TableData.Cell { !value.isFinite ? .missing : .number(value) }
    switch content {
    case .lines(let plot):
      return TableData(
        columns: ["series", plot.x.label, plot.y.label, "lower", "upper"],
        rows: plot.series.flatMap { one in
          one.x.indices.map { index in
            let range = one.interval?[index]
            return [
              .text(one.name), cell(one.x[index]), cell(one.y[index]), cell(range?.lowerBound ?? .nan),
              cell(range?.upperBound ?? .nan),
            ]
          }
        })
    case .heatMap(let map):
      return TableData(
        columns: [map.rows.label, map.columns.label, map.value.label],
        rows: map.values.indices.map { index in
          let (row, column) = (index / map.columnCount, index % map.columnCount)
          return [
            map.rowNames.isEmpty ? .integer(row) : .text(map.rowNames[row]),
            map.columnNames.isEmpty ? .integer(column) : .text(map.columnNames[column]), cell(map.values[index]),
          ]
        })
    case .bars(let plot):
      return TableData(
        columns: [plot.x.label] + plot.groups.map { $0.name.isEmpty ? plot.y.label : $0.name },
        rows: plot.names.enumerated().map { index, name in
          [.text(name)] + plot.groups.map { index < $0.values.count ? cell($0.values[index]) : .missing }
        })
    }
  }
}
