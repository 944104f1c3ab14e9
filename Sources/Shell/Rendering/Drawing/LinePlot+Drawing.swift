import Kernel

extension LinePlot {
  /// Smallest and largest of everything drawn along x and y; nil when nothing is finite.
  var bounds: (x: ClosedRange<Double>, y: ClosedRange<Double>)? {
    var (xs, ys): ([Double], [Double]) = ([], [])
    for one in series {
      for (index, pair) in zip(one.x, one.y).enumerated() where isDrawable(pair.0, pair.1) {
        xs.append(pair.0)
        ys.append(pair.1)
        if let interval = one.interval?[index], interval.lowerBound.isFinite, interval.upperBound.isFinite {
          if y.spacing == .linear || interval.lowerBound > 0 { ys.append(interval.lowerBound) }
          ys.append(interval.upperBound)
        }
      }
    }
    if let reference, reference.y.isFinite, y.spacing == .linear || reference.y > 0 { ys.append(reference.y) }
    guard let left = xs.min(), let right = xs.max(), let low = ys.min(), let high = ys.max() else { return nil }
    return (left...right, low...high)
  }

  func isDrawable(_ px: Double, _ py: Double) -> Bool {
    px.isFinite && py.isFinite && (x.spacing == .linear || px > 0) && (y.spacing == .linear || py > 0)
  }

  func draw(on drawing: inout Drawing, title: String) {
    let styles = SeriesStyle.styles(for: series.count)
    var area = PlotArea(of: drawing)
    area.inset = 10  // Markers keep clear of the vertical axis.
    let legend = Legend(names: series.map(\.name), styles: styles, room: area.height)
    let hasLegend = series.count > 1 || !(series.first?.name.isEmpty ?? true)
    if hasLegend { area.right = drawing.width - 20 - legend.width }
    area.drawFrame(on: &drawing, title: title, x: x, y: y)
    guard let bounds else {
      area.drawAxes(on: &drawing)
      drawing.text((area.left + area.right) / 2, (area.top + area.bottom) / 2, "no finite values", anchor: .middle)
      return
    }
    let xTicks = Ticks(
      from: bounds.x.lowerBound, to: bounds.x.upperBound, axis: x, count: max(3, min(8, Int(area.width / 64))),
      widening: false)
    let yTicks = Ticks(
      from: bounds.y.lowerBound, to: bounds.y.upperBound, axis: y, count: max(3, Int(area.height / 52)))
    area.drawVerticalTicks(yTicks, y.spacing, on: &drawing)
    area.drawHorizontalTicks(xTicks, x.spacing, on: &drawing)
    area.drawAxes(on: &drawing)

    func place(_ px: Double, _ py: Double) -> (Double, Double) {
      (area.horizontal(xTicks.fraction(px, x.spacing)), area.bottom - yTicks.fraction(py, y.spacing) * area.height)
    }
    if let reference, reference.y.isFinite, y.spacing == .linear || reference.y > 0 {
      let level = place(bounds.x.lowerBound, reference.y).1
      drawing.line(area.left, level, area.right, level, Paint.reference)
      drawing.text(area.right - 4, level - 5, reference.name, .tick, anchor: .end)
    }
    for (one, style) in zip(series, styles) { draw(one, style, place, on: &drawing) }
    if hasLegend { legend.draw(x: area.right + 14, top: area.top, asBlocks: false, on: &drawing) }
  }

  private func draw(
    _ one: Series, _ style: SeriesStyle, _ place: (Double, Double) -> (Double, Double), on drawing: inout Drawing
  ) {
    var outline = Drawing.Outline()
    var isPenDown = false
    var points: [(x: Double, y: Double, index: Int)] = []
    for (index, pair) in zip(one.x, one.y).enumerated() {
      guard isDrawable(pair.0, pair.1) else {
        isPenDown = false
        continue
      }
      let (px, py) = place(pair.0, pair.1)
      outline.steps.append(isPenDown ? .line(px, py) : .move(px, py))
      isPenDown = true
      points.append((px, py, index))
    }
    if let interval = one.interval {
      for point in points where y.spacing == .linear || interval[point.index].lowerBound > 0 {
        let range = interval[point.index]
        guard range.lowerBound.isFinite, range.upperBound.isFinite else { continue }
        let (low, high) = (place(one.x[point.index], range.lowerBound).1, place(one.x[point.index], range.upperBound).1)
        PlotArea.drawInterval(point.x, low, high, style.colour, on: &drawing)
      }
    }
    if points.count > 1 { drawing.add(.stroke(outline, style.pen)) }
    // On long curves a dozen markers are enough to tell lines apart, and a line by itself needs none.
    if points.count > 40, series.count == 1 { return }
    let stride = points.count > 40 ? points.count / 12 : 1
    for point in points where point.index % stride == 0 { style.drawMarker(at: point.x, point.y, on: &drawing) }
  }
}
