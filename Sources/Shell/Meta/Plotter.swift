import Foundation
import Kernel

/// Draws values: to a file, or on the terminal.
struct Plotter {
  let store: Store
  let console: Console

  enum Format: String, CaseIterable { case svg, png, term }

  func plot(_ call: MetaCall) throws {
    let figure = try figure(call)
    console.note(figure)
    let path = call.text("to")
    var format = Plotter.format(as: call.text("as"), path: path)
    // Without a file name a person at a terminal wants to see it at once; a script leaves a file.
    if path == nil, call.text("as") == nil, console.out.isTerminal, !console.isJSON { format = .term }
    switch format {
    case .term: console.show(figure)
    case .svg:
      let target = path ?? "./\(Plotter.fileName(call.name)).svg"
      try FileOutput.write(Array(figure.svg.utf8), to: target)
      written(target, figure)
    case .png:
      guard case .heatMap(let map) = figure.content else {
        throw Diagnostic("only a heat map can be a PNG", hint: "write an .svg", argument: "as", kind: .usage)
      }
      let target = path ?? "./\(Plotter.fileName(call.name)).png"
      let pooled = map.pooled(rows: 1024, columns: 2048)
      try FileOutput.write(pooled.png(magnification: max(1, 720 / max(1, pooled.columnCount))), to: target)
      written(target, figure)
    }
  }

  private func written(_ path: String, _ figure: Figure) {
    console.event("figure", ["path": .string(path), "title": .string(figure.title)])
    console.remark("wrote \(path)")
  }

  private func figure(_ call: MetaCall) throws -> Figure {
    let handle = try call.handle()
    guard let showable = try handle.load() as? any Showable else {
      throw Diagnostic("a value of type \(handle.type.name) has no plot", argument: "value", kind: .usage)
    }
    var source: String?
    if case .artifact(let node) = try call.value() { source = node.span.map { Console.oneLine($0.text) } }
    // A value of an earlier session has no source text here; its file has the canonical call.
    let made = source ?? (try? store.info(handle.reference.key).call)
    let request = PlotRequest(
      name: call.name, call: made == call.name ? nil : made, key: handle.reference.key, x: call.text("x"),
      y: call.text("y"), by: call.text("by"), layers: try call.positions("layers"))
    return try showable.figure(request)
  }

  private static func format(as word: String?, path: String?) -> Format {
    if let word, let format = Format(rawValue: word) { return format }
    return path?.lowercased().hasSuffix(".png") == true ? .png : .svg
  }

  /// A file name for the picture of `name`.
  private static func fileName(_ name: String) -> String {
    let kept = name.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-") ? $0 : "-" }
    let trimmed = String(kept).trimmingCharacters(in: CharacterSet(charactersIn: "-"))
    return trimmed.isEmpty ? "plot" : String(trimmed.prefix(40))
  }
}

/// Files the user asked for: written beside their place and renamed, so that none is ever half there.
enum FileOutput {
  static func write(_ bytes: [UInt8], to path: String) throws {
    let folder = (path as NSString).deletingLastPathComponent
    let temporary = (folder.isEmpty ? "." : folder) + "/.\((path as NSString).lastPathComponent).\(getpid()).tmp"
    do {
      if !folder.isEmpty { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }
      try Data(bytes).write(to: URL(fileURLWithPath: temporary))
      guard rename(temporary, path) == 0 else {
        throw Diagnostic("\(path) cannot be written: \(String(cString: strerror(errno)))", argument: "to")
      }
    } catch {
      unlink(temporary)
      if let refusal = error as? Diagnostic { throw refusal }
      throw Diagnostic("\(path) cannot be written" + reason(error), argument: "to")
    }
  }

  private static func reason(_ error: any Error) -> String {
    switch (error as? CocoaError)?.code {
    case .fileNoSuchFile?, .fileReadNoSuchFile?: ": its folder cannot be made"
    case .fileWriteNoPermission?, .fileWriteVolumeReadOnly?: ": there is no permission to"
    case .fileWriteOutOfSpace?: ": no space is left on the disk"
    default: ""
    }
  }
}
