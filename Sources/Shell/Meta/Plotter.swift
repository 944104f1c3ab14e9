import Foundation
import Kernel

/// Draws values: to a file, or on the terminal.
struct Plotter {
  let store: Store
  let console: Console
  let outputs: Outputs

  enum Format: String, CaseIterable { case svg, pdf, png, term }

  /// Refuses what cannot be written, before anything runs.
  func check(_ call: MetaCall, reads: [String]) throws {
    let format = format(of: call)
    let adjustment = try FigureAdjustment(call)
    if format == .term {
      try adjustment.requireNoSize()
      guard call.text("to") == nil else {
        throw Diagnostic("as=term draws on the terminal and writes no file", argument: "to", kind: .usage)
      }
      return
    }
    let path = target(of: call, format)
    if let named = Plotter.format(ofFile: path), named != format {
      throw Diagnostic.contradicting(format.rawValue, path)
    }
    try outputs.check(path, .file, reads: reads)
  }

  /// `as=`, else what the file name says. Without one a person at a terminal or a notebook wants to see it at once; a
  /// script leaves a file.
  private func format(of call: MetaCall) -> Format {
    if let format = call.text("as").flatMap(Format.init(rawValue:)) { return format }
    guard let path = call.text("to") else { return console.showsFigures ? .term : .svg }
    return Plotter.format(ofFile: path) ?? .svg
  }

  private static func format(ofFile path: String) -> Format? {
    Format.allCases.first { path.lowercased().hasSuffix("." + $0.rawValue) }
  }

  private func target(of call: MetaCall, _ format: Format) -> String {
    call.text("to") ?? "./\(Plotter.fileName(call.name)).\(format.rawValue)"
  }

  func plot(_ call: MetaCall) throws {
    let adjustment = try FigureAdjustment(call)
    let figure = try adjustment.applied(to: try figure(call))
    console.note(figure)
    if case .lines(let plot) = figure.content, case let count = plot.unplaced, count > 0 {
      console.warn("\(counted(count, "point")) at or below 0 cannot stand on a logarithmic axis")
    }
    let format = format(of: call)
    if format == .term { return console.show(figure) }
    let target = target(of: call, format)
    let drawing = figure.drawing(width: adjustment.width, height: adjustment.height)
    let bytes: [UInt8]
    switch format {
    case .pdf: bytes = drawing.pdf(title: figure.title, description: figure.description)
    case .png: bytes = drawing.png()
    case .svg, .term: bytes = Array(drawing.svg(title: figure.title, description: figure.description).utf8)
    }
    try outputs.write(bytes, to: target)
    // Who reads a notebook wants to see the picture as well.
    if console.voice == .notebook { console.show(figure) }
    written(target, figure)
  }

  private func written(_ path: String, _ figure: Figure) {
    console.event("figure", ["path": .string(path), "title": .string(figure.title)])
    console.remark("wrote \(path)")
  }

  private func figure(_ call: MetaCall) throws -> Figure {
    if case .family(let family) = try call.value() {
      return try SweepTable(family).figure(
        PlotRequest(
          name: call.name, key: family.stored.handle?.reference.key, x: call.text("x"), y: call.text("y"),
          by: call.text("by")))
    }
    let handle = try call.handle()
    guard let showable = try handle.load() as? any Showable else {
      throw Diagnostic("a value of type \(handle.type.name) has no plot", argument: "value", kind: .usage)
    }
    let request = PlotRequest(
      name: call.name, key: handle.reference.key, x: call.text("x"), y: call.text("y"), by: call.text("by"),
      layers: try call.positions("layers"))
    return try showable.figure(request)
  }

  /// A file name for the picture of `name`.
  private static func fileName(_ name: String) -> String {
    let kept = name.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-") ? $0 : "-" }
    let trimmed = String(kept).trimmingCharacters(in: CharacterSet(charactersIn: "-"))
    return trimmed.isEmpty ? "plot" : String(trimmed.prefix(40))
  }
}

/// What a `plot` statement changes of the picture that a value draws of itself.
struct FigureAdjustment {
  private let title, xLabel, yLabel: String?
  let width, height: Double?
  private let spacing: PlotAxis.Spacing?
  private static let sizes = 160.0...4000.0

  /// - Throws: `Diagnostic` naming the parameter that is out of range.
  init(_ call: MetaCall) throws {
    func text(_ name: String) throws -> String? {
      switch call.parameters[name] {
      case nil: return nil
      case .string(let text)?, .symbol(let text)?: return text
      case let other?:
        throw Diagnostic("\(name)= is a text in quotes, not \(other.rendered)", argument: name, kind: .usage)
      }
    }
    func size(_ name: String) throws -> Double? {
      guard let literal = call.parameters[name] else { return nil }
      guard let value = try? Double(literal: literal), FigureAdjustment.sizes.contains(value) else {
        throw Diagnostic(
          "\(name)= is a number from 160 to 4000, not \(literal.rendered)", argument: name, kind: .usage)
      }
      return value
    }
    title = try text("title")
    xLabel = try text("x_label")
    yLabel = try text("y_label")
    width = try size("width")
    height = try size("height")
    spacing = call.text("scale").map { $0 == "log" ? .logarithmic : .linear }
  }

  /// - Throws: when a size is asked for where the window decides.
  func requireNoSize() throws {
    if width != nil || height != nil {
      throw Diagnostic(
        "the terminal has the size it has; width= and height= are those of a file",
        argument: width != nil ? "width" : "height", kind: .usage)
    }
  }

  /// - Throws: when the picture has no axis to divide otherwise.
  func applied(to figure: Figure) throws -> Figure {
    var figure = figure
    if let title { figure.title = title }
    switch figure.content {
    case .lines(var plot):
      plot.x.rename(xLabel)
      plot.y.rename(yLabel)
      if let spacing { plot.y.spacing = spacing }
      figure.content = .lines(plot)
    case .bars(var plot):
      plot.x.rename(xLabel)
      plot.y.rename(yLabel)
      try refuseSpacing("bars begin at 0")
      figure.content = .bars(plot)
    case .heatMap(var map):
      map.columns.rename(xLabel)
      map.rows.rename(yLabel)
      try refuseSpacing("both axes of a map are positions")
      figure.content = .heatMap(map)
    }
    return figure
  }

  private func refuseSpacing(_ reason: String) throws {
    if spacing == .logarithmic {
      throw Diagnostic("scale=log means nothing here: \(reason)", argument: "scale", kind: .usage)
    }
  }
}

extension PlotAxis {
  /// Takes another name; the unit goes with the old one.
  fileprivate mutating func rename(_ label: String?) {
    guard let label else { return }
    (self.label, unit) = (label, nil)
  }
}
