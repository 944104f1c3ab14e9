import Foundation
import Kernel

extension Drawing {
  /// One SVG document in plain ASCII and presentation attributes, which every renderer knows.
  func svg(title: String, description: String) -> String {
    let n = SVG.number
    var out = """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(n(width)) \(n(height))" width="\(n(width))" height="\(n(height))" role="img">
      <title>\(SVG.escaped(title))</title>
      <desc>\(SVG.escaped(description))</desc>
      <g font-family="system-ui, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif">

      """
    for (index, shape) in shapes.enumerated() { out += element(shape, index) + "\n" }
    return out + "</g>\n</svg>\n"
  }

  private func element(_ shape: Shape, _ index: Int) -> String {
    let n = SVG.number
    func place(_ box: Box) -> String {
      "x=\"\(n(box.x))\" y=\"\(n(box.y))\" width=\"\(n(box.width))\" height=\"\(n(box.height))\""
    }
    func stroke(_ pen: Pen) -> String {
      let dash = pen.dash.isEmpty ? "" : " stroke-dasharray=\"\(pen.dash.map(n).joined(separator: " "))\""
      return "stroke=\"\(pen.colour.hex)\" stroke-width=\"\(n(pen.width))\"\(dash)"
    }
    switch shape {
    case .fill(let outline, let colour): return "<path d=\"\(SVG.path(outline))\" fill=\"\(colour.hex)\"/>"
    case .stroke(let outline, let pen):
      return "<path d=\"\(SVG.path(outline))\" fill=\"none\" \(stroke(pen)) stroke-linejoin=\"round\"/>"
    case .disc(let x, let y, let radius, let fill, let pen):
      let edge = pen.map { " " + stroke($0) } ?? ""
      return "<circle cx=\"\(n(x))\" cy=\"\(n(y))\" r=\"\(n(radius))\" fill=\"\(fill.hex)\"\(edge)/>"
    case .tile(let box, let colour):
      return "<rect \(place(box)) fill=\"\(colour.hex)\" shape-rendering=\"crispEdges\"/>"
    case .text(let label):
      let turn = label.turn == 0 ? "" : " transform=\"rotate(\(n(label.turn)) \(n(label.x)) \(n(label.y)))\""
      let weight = label.isBold ? " font-weight=\"600\"" : ""
      return "<text x=\"\(n(label.x))\" y=\"\(n(label.y))\" text-anchor=\"\(label.anchor.rawValue)\" "
        + "font-size=\"\(n(label.size))\"\(weight) fill=\"\(label.colour.hex)\"\(turn)>\(SVG.escaped(label.text))</text>"
    case .ramp(let box, let colours):
      let stops = colours.enumerated().map { place, colour in
        "<stop offset=\"\(NumberText.trimmed(Double(place) / Double(max(1, colours.count - 1)), 4))\" stop-color=\"\(colour.hex)\"/>"
      }
      return
        "<linearGradient id=\"scale-\(index)\" x1=\"0\" y1=\"1\" x2=\"0\" y2=\"0\">\(stops.joined())</linearGradient>"
        + "<rect \(place(box)) fill=\"url(#scale-\(index))\"/>"
    case .cells(let box, let rows, let columns, let colours):
      let png = PNG.indexed(rows: rows, columns: columns, colours)
      return "<image \(place(box)) preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\" "
        + "href=\"data:image/png;base64,\(Data(png).base64EncodedString())\"/>"
    }
  }
}

/// How numbers, paths and text are written in SVG and HTML.
enum SVG {
  /// One coordinate, to a hundredth of a unit.
  static func number(_ value: Double) -> String { NumberText.trimmed(value, 2) }

  static func path(_ outline: Drawing.Outline) -> String {
    let n = number
    return outline.steps.map { step in
      switch step {
      case .move(let x, let y): "M\(n(x)) \(n(y))"
      case .line(let x, let y): "L\(n(x)) \(n(y))"
      case .curve(let a, let b, let x, let y): "Q\(n(a)) \(n(b)) \(n(x)) \(n(y))"
      case .close: "Z"
      }
    }.joined()
  }

  /// Text for element content and attributes; what is not ASCII becomes a numeric reference.
  static func escaped(_ text: String) -> String {
    let isPlain = text.utf8.allSatisfy {
      (0x20...0x7E).contains($0) && $0 != 0x26 && $0 != 0x3C && $0 != 0x3E && $0 != 0x22
    }
    if isPlain { return text }
    var out = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": out += "&amp;"
      case "<": out += "&lt;"
      case ">": out += "&gt;"
      case "\"": out += "&quot;"
      case "\n", "\t", "\r": out += " "
      default:
        if (0x20...0x7E).contains(scalar.value) {
          out.unicodeScalars.append(scalar)
        } else if scalar.value > 0x9F {
          out += "&#\(scalar.value);"
        }
      }
    }
    return out
  }

  /// Like `escaped`, keeping line ends.
  static func escapedLines(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).map { escaped(String($0)) }.joined(separator: "\n")
  }
}
