/// Names below the slots of a horizontal axis: side by side where they fit, else turned, else every so many.
struct SlotNames {
  private let names: [String]
  private let isTurned: Bool
  private let stride: Int
  /// How far turned lines of text must be apart, along the axis.
  private static let turnedWidth = 21.0

  /// Takes the room it needs from the bottom of `area`.
  init(_ names: [String], in area: inout PlotArea) {
    let widest = names.map { Glyphs.width($0, size: 11) }.max() ?? 0
    let slot = area.width / Double(max(1, names.count))
    let isCrowded = widest > slot - 6
    // Numbers that are left out can be counted; words cannot.
    isTurned = isCrowded && slot >= SlotNames.turnedWidth && !names.allSatisfy { Double($0) != nil }
    stride =
      isCrowded && !isTurned ? Ticks.wholeStride(count: names.count, room: max(2, Int(area.width / (widest + 14)))) : 1
    self.names = names
    if isTurned { area.bottom -= min(70, widest * 0.6) }
  }

  func draw(in area: PlotArea, ticks: Bool, on drawing: inout Drawing) {
    for index in Swift.stride(from: 0, to: names.count, by: stride) {
      let x = area.left + area.width * (Double(index) + 0.5) / Double(names.count)
      if ticks { drawing.line(x, area.bottom, x, area.bottom + 4, Paint.axis) }
      if isTurned {
        // A turned name ends below its slot and may not leave the picture on the left.
        let name = Glyphs.cut(names[index], to: min(120, (x - 4) / 0.82), size: 11)
        drawing.text(x + 3, area.bottom + 14, name, .tick, anchor: .end, turn: -35)
      } else {
        drawing.text(x, area.bottom + 19, names[index], .tick, anchor: .middle)
      }
    }
  }
}
