/// How one series looks: colour, marker and dash pattern, so that it is told apart without colour too.
struct SeriesStyle {
  var colour: Colour
  var marker: Int?
  var dash: [Double] = []

  /// Few series take distinct colours and markers; many are taken to be ordered and shade through one scale.
  static func styles(for count: Int) -> [SeriesStyle] {
    let colours = Palette.lines + [Paint.text]
    if count > 2 * colours.count {
      return (0..<count).map {
        SeriesStyle(colour: Palette.colour(.sequential, at: Double($0) / Double(count - 1) * 0.94), marker: nil)
      }
    }
    return (0..<count).map { index in
      SeriesStyle(
        colour: colours[index % colours.count], marker: index % 8, dash: index < colours.count ? [] : [7, 3])
    }
  }

  var pen: Drawing.Pen { Drawing.Pen(colour: colour, width: 2, dash: dash) }

  func drawMarker(at x: Double, _ y: Double, on drawing: inout Drawing) {
    guard let marker else { return }
    func polygon(_ points: [(Double, Double)]) {
      drawing.add(.fill(Drawing.Outline(points.map { (x + $0.0, y + $0.1) }, isClosed: true), colour))
    }
    func strokes(_ lines: [(Double, Double, Double, Double)]) {
      var outline = Drawing.Outline()
      for line in lines { outline.steps += [.move(x + line.0, y + line.1), .line(x + line.2, y + line.3)] }
      drawing.add(.stroke(outline, Drawing.Pen(colour: colour, width: 2)))
    }
    switch marker {
    case 0: drawing.add(.disc(x: x, y: y, radius: 3.6, fill: colour, pen: nil))
    case 1: polygon([(-3.4, -3.4), (3.4, -3.4), (3.4, 3.4), (-3.4, 3.4)])
    case 2: polygon([(0, -4.6), (4.3, 3.2), (-4.3, 3.2)])
    case 3: polygon([(0, -4.8), (4.2, 0), (0, 4.8), (-4.2, 0)])
    case 4: polygon([(0, 4.6), (4.3, -3.2), (-4.3, -3.2)])
    case 5:
      drawing.add(.disc(x: x, y: y, radius: 3.4, fill: Paint.paper, pen: Drawing.Pen(colour: colour, width: 1.8)))
    case 6: strokes([(-3.6, -3.6, 3.6, 3.6), (-3.6, 3.6, 3.6, -3.6)])
    default: strokes([(-4.4, 0, 4.4, 0), (0, -4.4, 0, 4.4)])
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

  var width: Double { min(212, 34 + (entries.map { Glyphs.width($0.name) }.max() ?? 0)) }

  func draw(x: Double, top: Double, asBlocks: Bool, on drawing: inout Drawing) {
    for (index, entry) in entries.enumerated() {
      let y = top + 8 + Double(index) * Legend.rowHeight
      if asBlocks {
        drawing.rect(x + 4, y - 5, 14, 10, entry.style.colour)
      } else {
        drawing.line(x, y, x + 22, y, entry.style.pen)
        entry.style.drawMarker(at: x + 11, y, on: &drawing)
      }
      drawing.text(x + 28, y + 4, Glyphs.cut(entry.name, to: width - 30))
    }
  }
}
