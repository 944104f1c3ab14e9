import Kernel

extension Figure {
  /// The picture as one SVG document.
  var svg: String {
    var canvas = SVGCanvas()
    switch content {
    case .lines(let plot): plot.draw(on: &canvas, title: title)
    case .heatMap(let map): map.draw(on: &canvas, title: title)
    case .bars(let plot): plot.draw(on: &canvas, title: title)
    }
    return canvas.document(title: title, key: key)
  }
}

/// How one series looks: colour, marker and dash pattern, so that it is told apart without colour too.
struct SeriesStyle {
  /// nil: the colour of the text.
  var colour: Colour?
  var marker: Int?
  var dash: String?

  /// Few series take distinct colours and markers; many are taken to be ordered and shade through one scale.
  static func styles(for count: Int) -> [SeriesStyle] {
    if count > 2 * (Palette.lines.count + 1) {
      return (0..<count).map {
        SeriesStyle(
          colour: Palette.colour(.sequential, at: Double($0) / Double(count - 1) * 0.94), marker: nil, dash: nil)
      }
    }
    let perRound = Palette.lines.count + 1
    return (0..<count).map { index in
      let position = index % perRound
      return SeriesStyle(
        colour: position < Palette.lines.count ? Palette.lines[position] : nil, marker: index % 8,
        dash: index < perRound ? nil : "7 3")
    }
  }

  var stroke: String { colour.map { "stroke=\"\($0.hex)\"" } ?? "stroke=\"currentColor\"" }
  var fill: String { colour.map { "fill=\"\($0.hex)\"" } ?? "fill=\"currentColor\"" }
  var dashes: String { dash.map { " stroke-dasharray=\"\($0)\"" } ?? "" }

  func drawMarker(at x: Double, _ y: Double, on canvas: inout SVGCanvas) {
    guard let marker else { return }
    let n = SVGCanvas.number
    func polygon(_ points: [(Double, Double)]) -> String {
      "<polygon points=\"" + points.map { "\(n(x + $0.0)),\(n(y + $0.1))" }.joined(separator: " ") + "\" \(fill)/>"
    }
    switch marker {
    case 0: canvas.add("<circle cx=\"\(n(x))\" cy=\"\(n(y))\" r=\"3.6\" \(fill)/>")
    case 1: canvas.rect(x - 3.4, y - 3.4, 6.8, 6.8, attributes: fill)
    case 2: canvas.add(polygon([(0, -4.6), (4.3, 3.2), (-4.3, 3.2)]))
    case 3: canvas.add(polygon([(0, -4.8), (4.2, 0), (0, 4.8), (-4.2, 0)]))
    case 4: canvas.add(polygon([(0, 4.6), (4.3, -3.2), (-4.3, -3.2)]))
    case 5:
      canvas.add("<circle cx=\"\(n(x))\" cy=\"\(n(y))\" r=\"3.4\" class=\"paper\" \(stroke) stroke-width=\"1.8\"/>")
    case 6:
      let d =
        "M\(n(x - 3.6)) \(n(y - 3.6))L\(n(x + 3.6)) \(n(y + 3.6))M\(n(x - 3.6)) \(n(y + 3.6))L\(n(x + 3.6)) \(n(y - 3.6))"
      canvas.add("<path d=\"\(d)\" \(stroke) stroke-width=\"2\"/>")
    default:
      let d = "M\(n(x - 4.4)) \(n(y))L\(n(x + 4.4)) \(n(y))M\(n(x)) \(n(y - 4.4))L\(n(x)) \(n(y + 4.4))"
      canvas.add("<path d=\"\(d)\" \(stroke) stroke-width=\"2\"/>")
    }
  }
}

/// Names of the series at the right-hand side of a plot.
struct Legend {
  var entries: [(name: String, style: SeriesStyle)]
  static let rowHeight = 19.0

  /// With many series only some names fit; the first and the last always stay.
  init(names: [String], styles: [SeriesStyle], room: Double) {
    let rows = max(2, Int(room / Legend.rowHeight))
    let all = Array(zip(names, styles)).map { (name: $0, style: $1) }
    if all.count <= rows {
      entries = all
    } else {
      entries = (0..<rows).map { all[$0 * (all.count - 1) / (rows - 1)] }
    }
  }

  var width: Double { min(190, 34 + (entries.map { SVGCanvas.textWidth($0.name) }.max() ?? 0)) }

  func draw(x: Double, top: Double, asBlocks: Bool, on canvas: inout SVGCanvas) {
    for (index, entry) in entries.enumerated() {
      let y = top + 8 + Double(index) * Legend.rowHeight
      if asBlocks {
        canvas.rect(x + 4, y - 5, 14, 10, attributes: entry.style.fill)
      } else {
        canvas.add(
          "<path d=\"M\(SVGCanvas.number(x)) \(SVGCanvas.number(y))h22\" class=\"curve\" \(entry.style.stroke)\(entry.style.dashes)/>"
        )
        entry.style.drawMarker(at: x + 11, y, on: &canvas)
      }
      canvas.text(x + 28, y + 4, SVGCanvas.cut(entry.name, to: width - 30))
    }
  }
}
