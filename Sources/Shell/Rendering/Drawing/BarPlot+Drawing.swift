import Kernel

extension BarPlot {
  func draw(on drawing: inout Drawing, title: String) {
    let styles = SeriesStyle.styles(for: groups.count)
    var area = PlotArea(of: drawing)
    let legend = Legend(names: groups.map(\.name), styles: styles, room: area.height)
    if groups.count > 1 { area.right = drawing.width - 20 - legend.width }
    let slot = area.width / Double(max(1, names.count))
    let slotNames = SlotNames(names, in: &area)
    area.drawFrame(on: &drawing, title: title, x: x, y: y)
    var extremes = groups.flatMap(\.values).filter(\.isFinite) + [0]
    for group in groups {
      extremes += (group.interval ?? []).flatMap { [$0.lowerBound, $0.upperBound] }.filter(\.isFinite)
    }
    let linear = PlotAxis(y.label, unit: y.unit, spacing: .linear, isRatio: y.isRatio)
    let ticks = Ticks(from: extremes.min() ?? 0, to: extremes.max() ?? 1, axis: linear)
    area.drawVerticalTicks(ticks, .linear, on: &drawing)
    func level(_ value: Double) -> Double { area.bottom - ticks.fraction(value, .linear) * area.height }

    let barWidth = slot * 0.72 / Double(max(1, groups.count))
    for (groupIndex, group) in groups.enumerated() {
      for (index, value) in group.values.enumerated() where value.isFinite {
        let x = area.left + slot * (Double(index) + 0.14) + barWidth * Double(groupIndex)
        let (top, bottom) = (min(level(value), level(0)), max(level(value), level(0)))
        drawing.rect(x, top, max(0.5, barWidth - 1), bottom - top, styles[groupIndex].colour)
        if let interval = group.interval?[index], interval.lowerBound.isFinite, interval.upperBound.isFinite {
          PlotArea.drawInterval(
            x + (barWidth - 1) / 2, level(interval.lowerBound), level(interval.upperBound), Paint.text, on: &drawing)
        }
      }
    }
    area.drawAxes(on: &drawing)
    slotNames.draw(in: area, ticks: false, on: &drawing)
    if groups.count > 1 { legend.draw(x: area.right + 14, top: area.top, asBlocks: true, on: &drawing) }
  }
}
