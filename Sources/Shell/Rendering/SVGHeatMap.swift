import Kernel

extension HeatMap {
  /// Above this many cells the map is embedded as one image instead of one rectangle per cell.
  static let largestDrawnCellByCell = 4096

  func draw(on canvas: inout SVGCanvas, title: String) {
    var area = PlotArea()
    let range = range
    let barTicks = Ticks(from: range.lower, to: range.upper, axis: linearValue, count: 6, widening: false)
    let barWidth = 16.0
    let tickWidth = barTicks.labels.map(SVGCanvas.textWidth).max() ?? 0
    area.right = SVGCanvas.width - 20 - barWidth - tickWidth - 34
    if let longest = rowNames.map(SVGCanvas.textWidth).max() { area.left = min(190, max(area.left, longest + 44)) }
    area.drawFrame(on: &canvas, title: title, x: columns, y: rows)

    let shown = pooled(rows: 256, columns: 600)
    if shown.values.count <= HeatMap.largestDrawnCellByCell {
      drawCells(of: shown, in: area, range, on: &canvas)
    } else {
      let n = SVGCanvas.number
      canvas.add(
        "<image x=\"\(n(area.left))\" y=\"\(n(area.top))\" width=\"\(n(area.width))\" height=\"\(n(area.height))\" "
          + "preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\" "
          + "href=\"data:image/png;base64,\(Base64.text(shown.png()))\"/>")
    }
    area.drawAxes(on: &canvas)
    drawPositions(rowNames, count: rowCount, room: area.height / 14) { fraction, label in
      let y = area.top + fraction * area.height
      canvas.line(area.left - 4, y, area.left, y, class: "axis")
      canvas.text(area.left - 7, y + 4, SVGCanvas.cut(label, to: 136), class: "tick", anchor: .end)
    }
    let columnWidth = (columnNames.isEmpty ? ["\(columnCount)"] : columnNames).map(SVGCanvas.textWidth).max() ?? 10
    drawPositions(columnNames, count: columnCount, room: area.width / (columnWidth + 14)) { fraction, label in
      let x = area.left + fraction * area.width
      canvas.line(x, area.bottom, x, area.bottom + 4, class: "axis")
      canvas.text(x, area.bottom + 18, label, class: "tick", anchor: .middle)
    }
    drawColourBar(x: area.right + 18, width: barWidth, area, barTicks, tickWidth, on: &canvas)
  }

  private var linearValue: PlotAxis { PlotAxis(value.label, unit: value.unit, isRatio: value.isRatio) }

  private func drawCells(
    of map: HeatMap, in area: PlotArea, _ range: (lower: Double, upper: Double), on canvas: inout SVGCanvas
  ) {
    // Edges are rounded as they will be written, so that neighbours share them and no gap shows.
    func edge(_ start: Double, _ length: Double, _ index: Int, of count: Int) -> Double {
      ((start + length * Double(index) / Double(count)) * 100).rounded() / 100
    }
    for row in 0..<map.rowCount {
      var column = 0
      while column < map.columnCount {
        let first = column
        let colour = map.colour(row, first, range)
        // Equal neighbours become one rectangle.
        while column < map.columnCount, map.colour(row, column, range) == colour { column += 1 }
        guard let colour else { continue }
        let left = edge(area.left, area.width, first, of: map.columnCount)
        let top = edge(area.top, area.height, row, of: map.rowCount)
        canvas.rect(
          left, top, edge(area.left, area.width, column, of: map.columnCount) - left,
          edge(area.top, area.height, row + 1, of: map.rowCount) - top,
          attributes: "fill=\"\(colour.hex)\" shape-rendering=\"crispEdges\"")
      }
    }
  }

  /// The colour of a cell; nil where there is no value.
  func colour(_ row: Int, _ column: Int, _ range: (lower: Double, upper: Double)) -> Colour? {
    let value = values[row * columnCount + column]
    guard value.isFinite else { return nil }
    return Palette.colour(scale, at: value.share(from: range.lower, to: range.upper))
  }

  /// Names or numbers of cells, at their middles, as many as there is room for.
  private func drawPositions(_ names: [String], count: Int, room: Double, draw: (Double, String) -> Void) {
    guard count > 0 else { return }
    let stride = Ticks.wholeStride(count: count, room: max(2, Int(room)))
    for index in Swift.stride(from: 0, to: count, by: stride) {
      draw((Double(index) + 0.5) / Double(count), names.isEmpty ? "\(index)" : names[index])
    }
  }

  private func drawColourBar(
    x: Double, width: Double, _ area: PlotArea, _ ticks: Ticks, _ tickWidth: Double, on canvas: inout SVGCanvas
  ) {
    let stops = Palette.stops(scale)
    let offsets = stops.enumerated().map { index, colour in
      "<stop offset=\"\(NumberText.trimmed(Double(index) / Double(stops.count - 1), 4))\" stop-color=\"\(colour.hex)\"/>"
    }
    canvas.add(
      "<linearGradient id=\"scale-\(scale)\" x1=\"0\" y1=\"1\" x2=\"0\" y2=\"0\">\(offsets.joined())</linearGradient>")
    canvas.rect(x, area.top, width, area.height, attributes: "fill=\"url(#scale-\(scale))\"")
    for (value, label) in zip(ticks.values, ticks.labels) {
      let y = area.bottom - ticks.fraction(value, .linear) * area.height
      canvas.line(x + width, y, x + width + 4, y, class: "axis")
      canvas.text(x + width + 7, y + 4, label, class: "tick")
    }
    canvas.text(
      x + width + tickWidth + 22, (area.top + area.bottom) / 2, SVGCanvas.cut(value.text, to: area.height),
      anchor: .middle,
      rotated: -90)
  }
}

extension Ticks {
  /// The smallest of 1, 2, 5, 10, 20 … that puts at most `room` marks on `count` positions.
  static func wholeStride(count: Int, room: Int) -> Int {
    var power = 1
    while true {
      for multiple in [1, 2, 5] where (count - 1) / (multiple * power) + 1 <= room { return multiple * power }
      power *= 10
    }
  }
}
