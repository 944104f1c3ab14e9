import Kernel

extension HeatMap {
  /// Above this many cells the map is one image instead of one rectangle per cell.
  static let largestDrawnCellByCell = 4096

  func draw(on drawing: inout Drawing, title: String) {
    var area = PlotArea(of: drawing)
    let range = range
    let barTicks = Ticks(from: range.lower, to: range.upper, axis: linearValue, count: 6, widening: false)
    let barWidth = 16.0
    let tickWidth = barTicks.labels.map { Glyphs.width($0, size: 11) }.max() ?? 0
    area.right = drawing.width - 20 - barWidth - tickWidth - 34
    if let longest = rowNames.map({ Glyphs.width($0, size: 11) }).max() {
      area.left = min(190, max(area.left, longest + 44))
    }
    let slotNames = SlotNames(columnNames.isEmpty ? (0..<columnCount).map(String.init) : columnNames, in: &area)
    area.drawFrame(on: &drawing, title: title, x: columns, y: rows)

    let shown = pooled(rows: 256, columns: 600)
    if shown.values.count <= HeatMap.largestDrawnCellByCell {
      drawCells(of: shown, in: area, range, on: &drawing)
    } else {
      let colours = (0..<shown.rowCount).flatMap { row in
        (0..<shown.columnCount).map { shown.colour(row, $0, range, levels: 254) }
      }
      let box = Drawing.Box(x: area.left, y: area.top, width: area.width, height: area.height)
      drawing.add(.cells(box, rows: shown.rowCount, columns: shown.columnCount, colours))
    }
    area.drawAxes(on: &drawing)
    drawRowNames(area, on: &drawing)
    slotNames.draw(in: area, ticks: true, on: &drawing)
    drawColourBar(x: area.right + 18, width: barWidth, area, barTicks, tickWidth, on: &drawing)
  }

  private var linearValue: PlotAxis { PlotAxis(value.label, unit: value.unit, isRatio: value.isRatio) }

  private func drawCells(
    of map: HeatMap, in area: PlotArea, _ range: (lower: Double, upper: Double), on drawing: inout Drawing
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
        let box = Drawing.Box(
          x: left, y: top, width: edge(area.left, area.width, column, of: map.columnCount) - left,
          height: edge(area.top, area.height, row + 1, of: map.rowCount) - top)
        drawing.add(.tile(box, colour))
      }
    }
  }

  /// The colour of a cell; nil where there is no value.
  /// - Parameter levels: how many steps the scale has; nil for any.
  func colour(
    _ row: Int, _ column: Int, _ range: (lower: Double, upper: Double), levels: Double? = nil
  ) -> Colour? {
    let value = values[row * columnCount + column]
    guard value.isFinite else { return nil }
    let share = value.share(from: range.lower, to: range.upper)
    return Palette.colour(scale, at: levels.map { (min(max(share, 0), 1) * $0).rounded() / $0 } ?? share)
  }

  /// Names or numbers of rows, at their middles, as many as there is room for.
  private func drawRowNames(_ area: PlotArea, on drawing: inout Drawing) {
    guard rowCount > 0 else { return }
    let stride = Ticks.wholeStride(count: rowCount, room: max(2, Int(area.height / 14)))
    for index in Swift.stride(from: 0, to: rowCount, by: stride) {
      let y = area.top + area.height * (Double(index) + 0.5) / Double(rowCount)
      let name = Glyphs.cut(rowNames.isEmpty ? "\(index)" : rowNames[index], to: 140, size: 11)
      drawing.line(area.left - 4, y, area.left, y, Paint.axis)
      drawing.text(area.left - 7, y + 4, name, .tick, anchor: .end)
    }
  }

  private func drawColourBar(
    x: Double, width: Double, _ area: PlotArea, _ ticks: Ticks, _ tickWidth: Double, on drawing: inout Drawing
  ) {
    drawing.add(.ramp(Drawing.Box(x: x, y: area.top, width: width, height: area.height), Palette.stops(scale)))
    for (value, label) in zip(ticks.values, ticks.labels) {
      let y = area.bottom - ticks.fraction(value, .linear) * area.height
      drawing.line(x + width, y, x + width + 4, y, Paint.axis)
      drawing.text(x + width + 7, y + 4, label, .tick)
    }
    area.drawUpright(value.text, x: x + width + tickWidth + 22, on: &drawing)
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
