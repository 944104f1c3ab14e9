import Kernel

/// Builds the text of one SVG picture. Pure ASCII and free of clocks, so equal figures give equal bytes.
struct SVGCanvas {
  static let width = 720.0
  static let height = 420.0

  private var body = ""

  /// One coordinate, to a hundredth of a unit.
  static func number(_ value: Double) -> String { NumberText.trimmed(value, 2) }

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

  mutating func add(_ element: String) { body += element + "\n" }

  mutating func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, class name: String, style: String = "") {
    let n = SVGCanvas.number
    add("<line class=\"\(name)\" x1=\"\(n(x1))\" y1=\"\(n(y1))\" x2=\"\(n(x2))\" y2=\"\(n(y2))\"\(style)/>")
  }

  mutating func rect(_ x: Double, _ y: Double, _ width: Double, _ height: Double, attributes: String) {
    let n = SVGCanvas.number
    add("<rect x=\"\(n(x))\" y=\"\(n(y))\" width=\"\(n(width))\" height=\"\(n(height))\" \(attributes)/>")
  }

  enum Anchor: String { case start, middle, end }

  mutating func text(
    _ x: Double, _ y: Double, _ text: String, class name: String = "label", anchor: Anchor = .start, rotated: Double = 0
  ) {
    let n = SVGCanvas.number
    let turn = rotated == 0 ? "" : " transform=\"rotate(\(n(rotated)) \(n(x)) \(n(y)))\""
    let place = "x=\"\(n(x))\" y=\"\(n(y))\" text-anchor=\"\(anchor.rawValue)\"\(turn)"
    add("<text class=\"\(name)\" \(place)>\(SVGCanvas.escaped(text))</text>")
  }

  /// Estimated width of `text` at 12 units, wide enough for common sans-serif faces.
  static func textWidth(_ text: String) -> Double {
    text.reduce(0) { $0 + ("iljt.,:;'|!() ".contains($1) ? 4 : "mwMWABCDGHKNOQRUVXYZ%_".contains($1) ? 9 : 6.9) }
  }

  /// The start of `text` that fits `width`.
  static func cut(_ text: String, to width: Double) -> String {
    guard textWidth(text) > width else { return text }
    var kept = text
    while !kept.isEmpty, textWidth(kept) > width - 12 { kept.removeLast() }
    return kept + "..."
  }

  /// The whole document.
  func document(title: String, key: String?) -> String {
    let description = key.map { "prn artifact \($0)" } ?? "prn figure"
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 420" width="720" height="420" role="img">
      <title>\(SVGCanvas.escaped(title))</title>
      <desc>\(SVGCanvas.escaped(description))</desc>
      <style>
      .prn{color:#1c1f23;font-family:system-ui,"Segoe UI",Helvetica,Arial,sans-serif}
      .prn .paper{fill:#ffffff}
      .prn text{fill:#1c1f23;font-size:12px}
      .prn .title{font-size:14px;font-weight:600}
      .prn .tick{fill:#5b636d;font-size:11px}
      .prn .grid{stroke:#e3e6ea;stroke-width:1}
      .prn .axis{stroke:#5b636d;stroke-width:1}
      .prn .reference{stroke:#5b636d;stroke-width:1.5;stroke-dasharray:6 4}
      .prn .curve{fill:none;stroke-width:2;stroke-linejoin:round}
      .prn .interval{stroke-width:1.2}
      .prn .ink{stroke:#1c1f23}
      .prn .inkfill{fill:#1c1f23}
      </style>
      <g class="prn">
      <rect class="paper" x="0" y="0" width="720" height="420"/>

      """ + body + "</g>\n</svg>\n"
  }
}

/// The rectangle the data is drawn in, with its axes.
struct PlotArea {
  var left = 74.0
  var right = SVGCanvas.width - 24
  var top = 46.0
  var bottom = SVGCanvas.height - 58
  /// How far the first and last x value stay away from the frame.
  var inset = 0.0

  var width: Double { right - left }
  var height: Double { bottom - top }

  /// Title, frame lines and axis labels.
  func drawFrame(on canvas: inout SVGCanvas, title: String, x: PlotAxis, y: PlotAxis) {
    canvas.text(16, 26, SVGCanvas.cut(title, to: (SVGCanvas.width - 32) / 1.2), class: "title")
    canvas.text((left + right) / 2, SVGCanvas.height - 14, x.text, anchor: .middle)
    let middle = (top + bottom) / 2
    canvas.text(18, middle, SVGCanvas.cut(y.text, to: height), anchor: .middle, rotated: -90)
  }

  func drawVerticalTicks(_ ticks: Ticks, _ spacing: PlotAxis.Spacing, on canvas: inout SVGCanvas) {
    for (value, label) in zip(ticks.values, ticks.labels) {
      let y = bottom - ticks.fraction(value, spacing) * height
      canvas.line(left, y, right, y, class: "grid")
      canvas.text(left - 7, y + 4, label, class: "tick", anchor: .end)
    }
  }

  /// Where the x value at `fraction` of its axis is drawn.
  func horizontal(_ fraction: Double) -> Double { left + inset + fraction * (width - 2 * inset) }

  func drawHorizontalTicks(_ ticks: Ticks, _ spacing: PlotAxis.Spacing, on canvas: inout SVGCanvas) {
    for (value, label) in zip(ticks.values, ticks.labels) {
      let x = horizontal(ticks.fraction(value, spacing))
      canvas.line(x, bottom, x, bottom + 5, class: "axis")
      canvas.text(x, bottom + 19, label, class: "tick", anchor: .middle)
    }
  }

  func drawAxes(on canvas: inout SVGCanvas) {
    canvas.line(left, bottom, right, bottom, class: "axis")
    canvas.line(left, top, left, bottom, class: "axis")
  }
}
