import Foundation
import Kernel

/// Writes a value for other programs: tables and figures as files, models through the value itself, anything as the
/// script that makes it again.
struct Exporter {
  let store: Store
  let console: Console
  let session: Session

  func export(_ call: MetaCall) throws {
    guard let path = call.text("to") else {
      throw Diagnostic("`export` needs to=PATH", hint: "for example to=./\(call.name).csv", kind: .usage)
    }
    let word = call.text("as")
    let suffix = (path as NSString).pathExtension.lowercased()
    if word == "script" || (word == nil && suffix == "prn") {
      let script = try ReplayScript(store: store, catalog: session.catalog).text(
        of: try call.handle().reference.key, name: call.name)
      try FileOutput.write(Array(script.utf8), to: path)
      return written([path])
    }
    let handle = try call.handle()
    if word == "h5" || (word == nil && suffix == "h5") {
      let info = try store.info(handle.reference.key)
      guard let data = FileManager.default.contents(atPath: info.path) else {
        throw Diagnostic("\(info.path) cannot be read", kind: .store)
      }
      try FileOutput.write(Array(data), to: path)
      return written([path])
    }
    let artifact = try handle.load()
    if let exportable = artifact as? any Exportable {
      let formats = type(of: exportable).exportFormats
      if word.map(formats.contains) ?? (TableFormat(path: path) == nil) {
        return try export(exportable, to: path, as: word, name: call.name)
      }
    }
    guard let format = word.flatMap(TableFormat.init(rawValue:)) ?? (word == nil ? TableFormat(path: path) : nil) else {
      throw Exporter.unknownFormat(artifact, word: word, path: path)
    }
    try FileOutput.write(Array(try table(artifact, call).text(format).utf8), to: path)
    written([path])
  }

  private func export(_ value: any Exportable, to path: String, as format: String?, name: String) throws {
    console.progress.begin(name)
    defer { console.progress.clear() }
    let request = ExportRequest(name: name, path: path, format: format) { [console] done, total, unit in
      if console.isCancelled { throw Diagnostic("stopped", kind: .cancelled) }
      console.progress.update(done, of: total, unit)
    }
    written(try value.export(request))
  }

  /// The value's table, or the numbers behind its picture.
  private func table(_ artifact: any Artifact, _ call: MetaCall) throws -> TableData {
    guard let showable = artifact as? any Showable else {
      throw Diagnostic("a value of type \(type(of: artifact).type.name) has no table", argument: "value", kind: .usage)
    }
    if let table = try showable.table(ShowRequest(name: call.name)) { return table }
    return try showable.figure(PlotRequest(name: call.name)).table
  }

  private static func unknownFormat(_ artifact: any Artifact, word: String?, path: String) -> Diagnostic {
    let models = (artifact as? any Exportable).map { type(of: $0).exportFormats } ?? []
    let formats = models + ["csv", "tsv", "md", "json", "h5", "script"]
    let what =
      word.map { "`\($0)` is not a format of a \(type(of: artifact).type.name)" }
      ?? "\(path) does not say which format to write"
    return Diagnostic(
      what, hint: "as= takes \(formats.joined(separator: ", "))", argument: word == nil ? "to" : "as", kind: .usage)
  }

  private func written(_ paths: [String]) {
    for path in paths {
      console.event("file", ["path": .string(path)])
      console.remark("wrote \(path)")
    }
  }
}

extension Figure {
  /// The numbers of the picture, one row per point.
  var table: TableData {
    func cell(_ value: Double) -> TableData.Cell { value.isNaN ? .missing : .number(value) }
    switch content {
    case .lines(let plot):
      return TableData(
        columns: ["series", plot.x.label, plot.y.label, "lower", "upper"],
        rows: plot.series.flatMap { one in
          one.x.indices.map { index in
            let range = one.interval?[index]
            return [
              .text(one.name), cell(one.x[index]), cell(one.y[index]), range.map { cell($0.lowerBound) } ?? .missing,
              range.map { cell($0.upperBound) } ?? .missing,
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
