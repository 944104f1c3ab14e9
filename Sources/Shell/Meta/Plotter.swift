import Foundation
import Kernel

/// Draws values: to a file, or on the terminal.
struct Plotter {
  let store: Store
  let console: Console
  let outputs: Outputs

  enum Format: String, CaseIterable { case svg, png, term }

  /// Refuses what cannot be written, before anything runs.
  func check(_ call: MetaCall, reads: [String]) throws {
    let format = format(of: call)
    if format == .term {
      guard call.text("to") == nil else {
        throw Diagnostic("as=term draws on the terminal and writes no file", argument: "to", kind: .usage)
      }
      return
    }
    try outputs.check(target(of: call, format), .file, reads: reads)
  }

  /// `as=`, else what the file name says. Without one a person at a terminal or a notebook wants to see it at once; a
  /// script leaves a file.
  private func format(of call: MetaCall) -> Format {
    if let format = call.text("as").flatMap(Format.init(rawValue:)) { return format }
    guard let path = call.text("to") else { return console.showsFigures ? .term : .svg }
    return path.lowercased().hasSuffix(".png") ? .png : .svg
  }

  private func target(of call: MetaCall, _ format: Format) -> String {
    call.text("to") ?? "./\(Plotter.fileName(call.name)).\(format.rawValue)"
  }

  func plot(_ call: MetaCall) throws {
    let figure = try figure(call)
    console.note(figure)
    let format = format(of: call)
    let target = target(of: call, format)
    switch format {
    case .term: console.show(figure)
    case .svg:
      try outputs.write(Array(figure.svg.utf8), to: target)
      written(target, figure)
    case .png:
      guard case .heatMap(let map) = figure.content else {
        throw Diagnostic("only a heat map can be a PNG", hint: "write an .svg", argument: "as", kind: .usage)
      }
      let pooled = map.pooled(rows: 1024, columns: 2048)
      try outputs.write(pooled.png(magnification: max(1, 720 / max(1, pooled.columnCount))), to: target)
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

  /// A file name for the picture of `name`.
  private static func fileName(_ name: String) -> String {
    let kept = name.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-") ? $0 : "-" }
    let trimmed = String(kept).trimmingCharacters(in: CharacterSet(charactersIn: "-"))
    return trimmed.isEmpty ? "plot" : String(trimmed.prefix(40))
  }
}
