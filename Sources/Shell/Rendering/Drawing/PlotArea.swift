import Kernel

/// The rectangle the data is drawn in, with its axes.
struct PlotArea {
  var left = 74.0
  var right: Double
  var top = 46.0
  var bottom: Double
  /// How far the first and last x value stay away from the frame.
  var inset = 0.0

  init(of drawing: Drawing) {
    right = drawing.width - 24
    bottom = drawing.height - 58
  }

  var width: Double { right - left }
  var height: Double { bottom - top }

  /// Title and axis labels.
  func drawFrame(on drawing: inout Drawing, title: String, x: PlotAxis, y: PlotAxis) {
    drawing.text(16, 26, Glyphs.cut(title, to: drawing.width - 32, size: 14), .title)
    let label = Glyphs.cut(x.text, to: drawing.width - 32)
    // In the middle of the axis, as far as the picture has room for it there.
    let half = Glyphs.width(label) / 2
    let middle = min(max((left + right) / 2, half + 8), drawing.width - half - 8)
    drawing.text(middle, drawing.height - 14, label, anchor: .middle)
    drawUpright(y.text, x: 18, on: &drawing)
  }

  /// A label along a vertical axis, in its middle, as far as the picture has room for it there below the title.
  func drawUpright(_ text: String, x: Double, on drawing: inout Drawing) {
    let (highest, lowest) = (36.0, drawing.height - 8)
    let label = Glyphs.cut(text, to: lowest - highest)
    let half = Glyphs.width(label) / 2
    drawing.text(x, min(max((top + bottom) / 2, highest + half), lowest - half), label, anchor: .middle, turn: -90)
  }

  func drawVerticalTicks(_ ticks: Ticks, _ spacing: PlotAxis.Spacing, on drawing: inout Drawing) {
    for (value, label) in zip(ticks.values, ticks.labels) {
      let y = bottom - ticks.fraction(value, spacing) * height
      drawing.line(left, y, right, y, Paint.grid)
      drawing.text(left - 7, y + 4, label, .tick, anchor: .end)
    }
  }

  /// Where the x value at `fraction` of its axis is drawn.
  func horizontal(_ fraction: Double) -> Double { left + inset + fraction * (width - 2 * inset) }

  func drawHorizontalTicks(_ ticks: Ticks, _ spacing: PlotAxis.Spacing, on drawing: inout Drawing) {
    for (value, label) in zip(ticks.values, ticks.labels) {
      let x = horizontal(ticks.fraction(value, spacing))
      drawing.line(x, bottom, x, bottom + 5, Paint.axis)
      drawing.text(x, bottom + 19, label, .tick, anchor: .middle)
    }
  }

  func drawAxes(on drawing: inout Drawing) {
    drawing.line(left, bottom, right, bottom, Paint.axis)
    drawing.line(left, top, left, bottom, Paint.axis)
  }

  /// A bar that says how sure a value is, with caps.
  static func drawInterval(_ x: Double, _ low: Double, _ high: Double, _ colour: Colour, on drawing: inout Drawing) {
    var outline = Drawing.Outline([(x, low), (x, high)])
    for y in [low, high] { outline.steps += [.move(x - 4, y), .line(x + 4, y)] }
    drawing.add(.stroke(outline, Drawing.Pen(colour: colour, width: 1.2)))
  }
}

extension Figure {
  static let standardSize = (width: 720.0, height: 420.0)

  /// The picture as shapes.
  func drawing(width: Double? = nil, height: Double? = nil) -> Drawing {
    var drawing = Drawing(
      width: width ?? Figure.standardSize.width, height: height ?? Figure.standardSize.height)
    switch content {
    case .lines(let plot): plot.draw(on: &drawing, title: title)
    case .heatMap(let map): map.draw(on: &drawing, title: title)
    case .bars(let plot): plot.draw(on: &drawing, title: title)
    }
    return drawing
  }

  /// The picture as an SVG document of the standard size.
  var svg: String { drawing().svg(title: title, description: description) }

  /// Where the numbers come from, for whoever opens the file.
  var description: String { key.map { "prn artifact \($0)" } ?? "prn figure" }
}
