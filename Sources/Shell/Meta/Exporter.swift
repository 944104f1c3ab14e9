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
    /// One of the value's own forms.
    case own(ExportForm)

    static func == (left: Form, right: Form) -> Bool { left.word == right.word }

    /// The `as=` word.
    var word: String {
      switch self {
      case .script: "script"
      case .h5: "h5"
      case .table(let format): format.rawValue
      case .own(let form): form.name
      }
    }
  }

  /// Refuses what cannot be written, before anything runs.
  func check(_ call: MetaCall, reads: [String]) throws {
    guard let path = call.text("to") else {
      throw Diagnostic("`export` needs to=PATH", hint: "for example to=./\(call.name).csv", kind: .usage)
    }
    if case .family = try call.value() {
      _ = try tableFormat(ofSweep: call, path)
      return try outputs.check(path, .file, reads: reads)
    }
    guard case .artifact(let node) = try call.value() else { return _ = try call.handle() }
    let form = try form(call, path, of: node.type)
    var isFolder = false
    var known: Set<String> = ["to", "as"]
    if case .own(let own) = form {
      isFolder = own.isFolder
      known.formUnion(own.parameters.map(\.name))
    }
    if let idle = call.parameters.keys.sorted().first(where: { !known.contains($0) }) {
      throw Diagnostic("\(idle)= means nothing for as=\(form.word)", argument: idle, kind: .usage)
    }
    if case .own(let own) = form { try exportable(node.type)?.checkExport(as: own, call.parameters) }
    if form == .h5, let key = node.handle?.reference.key { _ = try whole(key, call.name) }
    try outputs.check(path, isFolder ? .folder : .file, reads: reads + (try sources(behind: node)))
  }

  /// A sweep is written as a table, a row for each cell.
  private func tableFormat(ofSweep call: MetaCall, _ path: String) throws -> TableFormat {
    let word = call.text("as")
    if let word { try refuseOtherEnding(path, as: word) }
    if let format = word.map(TableFormat.init(rawValue:)) ?? TableFormat(path: path) { return format }
    throw Diagnostic(
      "a sweep is written as a table: csv, tsv, md or json",
      hint: "its cells can be written one by one, such as `export \(call.name)[0]`",
      argument: word == nil ? "to" : "as", kind: .usage)
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
    let forms = exportable(type)?.exportForms ?? []
    if let word { try refuseOtherEnding(path, as: word, forms) }
    if word == "script" || (word == nil && suffix == "prn") { return .script }
    if word == "h5" || (word == nil && suffix == "h5") { return .h5 }
    if let format = word.flatMap(TableFormat.init(rawValue:)) ?? (word == nil ? TableFormat(path: path) : nil) {
      guard session.catalog.artifactTypes[type.name] is any Showable.Type else {
        throw Diagnostic("a value of type \(type.name) has no table", argument: "value", kind: .usage)
      }
      return .table(format)
    }
    let own = forms.first { word == nil ? $0.suffixes.contains(suffix) : $0.name == word }
    // A name that ends like a file's, in no way that is known here, names no folder.
    let isFileName = !suffix.isEmpty && suffix.allSatisfy(\.isLetter)
    if let form = own ?? (word == nil && !isFileName ? forms.first : nil) {
      try checkEnding(path, suffix, of: form, call)
      return .own(form)
    }
    let known = forms.map(\.name) + ["csv", "tsv", "md", "json", "h5", "script"]
    let what =
      word.map { "`\($0)` is not a format of the type \(type.name)" } ?? "\(path) does not say which format to write"
    throw Diagnostic(
      what, hint: "as= takes \(known.joined(separator: ", "))", argument: word == nil ? "to" : "as", kind: .usage)
  }

  /// Refuses `as=` beside a name that ends as files of another format do.
  private func refuseOtherEnding(_ path: String, as word: String, _ forms: [ExportForm] = []) throws {
    let suffix = (path as NSString).pathExtension.lowercased()
    if forms.contains(where: { $0.name == word && $0.suffixes.contains(suffix) }) { return }
    let named =
      suffix == "prn" ? "script" : suffix == "h5" ? suffix : TableFormat(rawValue: suffix)?.rawValue
    guard let other = named ?? forms.first(where: { $0.suffixes.contains(suffix) })?.name, other != word else { return }
    throw Diagnostic.contradicting(word, path)
  }

  private func exportable(_ type: ArtifactType) -> (any Exportable.Type)? {
    session.catalog.artifactTypes[type.name] as? any Exportable.Type
  }

  /// Refuses a file's name for a folder, and one that does not end as files of this form do.
  private func checkEnding(_ path: String, _ suffix: String, of form: ExportForm, _ call: MetaCall) throws {
    let isRight = form.isFolder ? !Exporter.fileEndings.contains(suffix) : form.suffixes.contains(suffix)
    if isRight || OutputPlace.isStream(path) { return }
    let ending = form.suffixes.first.map { "." + $0 } ?? ""
    throw Diagnostic(
      "`as=\(form.name)` writes a \(form.isFolder ? "folder" : ending + " file"), and \(path) names \(form.isFolder ? "a file" : "none")",
      hint: "for example to=./\(call.name)\(ending)", argument: "to", kind: .usage)
  }

  /// How files end that hold a whole model, or a picture; none of them names a folder.
  private static let fileEndings = [
    "gguf", "safetensors", "bin", "pt", "pth", "ckpt", "onnx", "npz", "npy", "zip", "gz", "tar", "svg", "png", "html",
  ]

  func export(_ call: MetaCall) throws {
    guard let path = call.text("to") else { return }
    if case .family(let family) = try call.value() {
      let table = try SweepTable(family).data
      try outputs.write(Array(table.text(try tableFormat(ofSweep: call, path)).utf8), to: path)
      console.event("file", ["path": .string(path)])
      return console.remark("wrote \(path)")
    }
    let handle = try call.handle()
    var remarks: [String] = []
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
    case .own(let form):
      guard let value = try handle.load() as? any Exportable else { return }
      let (origin, measured) =
        form.isFolder
        ? (origin(of: handle.reference, call.name), try measured(of: handle.reference)) : ([], [])
      let write = { remarks = try export(value, to: $0, as: form, call, origin, measured) }
      if form.isFolder { try outputs.writeFolder(to: path, write) } else { try outputs.write(to: path, write) }
    }
    console.event("file", ["path": .string(path)])
    console.remark("wrote \(path)")
    for remark in remarks { console.remark(remark) }
  }

  /// The script that makes a value again, and its key, as lines of Markdown.
  private func origin(of reference: ArtifactReference, _ name: String) -> [String] {
    // Of a file that is gone by now the script cannot be written; the model can.
    let script = try? ReplayScript(store: store, catalog: session.catalog).text(of: reference.key, name: name)
    let lines = script.map { ["```", $0.trimmingCharacters(in: .newlines), "```", ""] } ?? []
    return lines + ["- key in the store: `\(reference.key)`"]
  }

  /// What reports of the session say of a value, and of the model it was cut from: lines of Markdown.
  private func measured(of reference: ArtifactReference) throws -> [String] {
    let unpruned = Set(try store.ancestry(of: reference.key).filter { $0.step["op"] == "load" }.map(\.content))
    return try store.names().compactMap { name in
      guard let key = try store.key(of: name), try store.find(key)?.handle.type.name == "report" else { return nil }
      let steps = try store.ancestry(of: key)
      let inputs = steps.filter { steps.last?.inputs.contains($0.key) == true }
      let judged = Set(inputs.map(\.content))
      let isOwn = judged.contains(reference.content)
      guard isOwn || !judged.isDisjoint(with: unpruned) else { return nil }
      let info = try store.info(key)
      let texts = inputs.filter { $0.step["op"] == "text" }
      let names = texts.flatMap { files(of: $0.step) }
      let place = names.isEmpty ? "" : " on " + names.joined(separator: ", ")
      // How the text was cut, and how it was judged: the same file gives many figures.
      let calls = (texts.map(\.call) + [info.call]).map { "`\($0)`" }.joined(separator: ", ")
      let warnings = info.warnings.map { "; \($0)" }.joined()
      return
        "- \(isOwn ? "this model" : "the unpruned model"), `\(name)`: \(info.summary)\(place) (\(calls))\(warnings)"
    }
  }

  /// The files that a step reads, by their last names as far as they are known, and their hashes.
  private func files(of step: JSONValue) -> [String] {
    (step["inputs"]?["path"]?.arrayValue ?? []).compactMap { entry in
      guard let content = entry.stringValue ?? entry["content"]?.stringValue else { return nil }
      let path = try? store.source(content: content)
      return (path.map { ($0 as NSString).lastPathComponent + " " } ?? "") + "(SHA-256 `\(content)`)"
    }
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

  private func export(
    _ value: any Exportable, to path: String, as form: ExportForm, _ call: MetaCall, _ origin: [String],
    _ measured: [String]
  ) throws -> [String] {
    console.progress.begin(call.name)
    defer { console.progress.clear() }
    let parameters = call.parameters.filter { given in form.parameters.contains { $0.name == given.key } }
    return try value.export(
      ExportRequest(
        name: call.name, path: path, form: form, parameters: parameters, origin: origin,
        measured: measured
      ) {
        [console] done, total, unit in
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
