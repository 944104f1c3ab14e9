import Kernel

extension LinePlot {
  /// Braille dots, eight to a character; without Unicode one letter per series.
  func text(_ style: TextPictureStyle) -> String {
    guard let bounds else { return "no finite values\n" }
    let yTicks = Ticks(from: bounds.y.lowerBound, to: bounds.y.upperBound, axis: y, count: 5)
    let xTicks = Ticks(from: bounds.x.lowerBound, to: bounds.x.upperBound, axis: x, count: 6, widening: false)
    let labelWidth = yTicks.labels.map(DisplayWidth.of).max() ?? 0
    let columns = max(16, min(style.columns - labelWidth - 2, 110))
    let rows = max(6, min(style.rows - 5 - min(series.count, 8), 24))
    var grid = DotGrid(columns: columns, rows: rows, isBraille: style.isUnicode)
    for (index, one) in series.enumerated() {
      var last: (Int, Int)?
      for (px, py) in zip(one.x, one.y) {
        guard isDrawable(px, py) else {
          last = nil
          continue
        }
        let point = (
          Int((xTicks.fraction(px, x.spacing) * Double(grid.width - 1)).rounded()),
          Int(((1 - yTicks.fraction(py, y.spacing)) * Double(grid.height - 1)).rounded())
        )
        if let last { grid.line(from: last, to: point, series: index) } else { grid.dot(point, series: index) }
        last = point
      }
    }
    var marks: [Int: String] = [:]
    for (value, label) in zip(yTicks.values, yTicks.labels) {
      let fraction = yTicks.fraction(value, y.spacing)
      if (0...1).contains(fraction) { marks[Int(((1 - fraction) * Double(rows - 1)).rounded())] = label }
    }
    let (stem, tee) = style.isUnicode ? ("│", "┤") : ("|", "+")
    var out = y.text + "\n"
    for row in 0..<rows {
      out += DisplayWidth.padded(marks[row] ?? "", to: labelWidth, right: true) + (marks[row] == nil ? stem : tee)
      out += grid.row(row, depth: style.colour) + "\n"
    }
    out += String(repeating: " ", count: labelWidth) + (style.isUnicode ? "└" : "+")
    out += String(repeating: style.isUnicode ? "─" : "-", count: columns) + "\n"
    out += xLabels(xTicks, columns: columns, indent: labelWidth + 1)
    return out + keyLines(style, indent: labelWidth + 1)
  }

  private func xLabels(_ ticks: Ticks, columns: Int, indent: Int) -> String {
    var line = [Character](repeating: " ", count: indent + columns + 12)
    var free = 0
    for (value, label) in zip(ticks.values, ticks.labels) {
      let centre = indent + Int((ticks.fraction(value, x.spacing) * Double(columns - 1)).rounded())
      let start = max(0, centre - label.count / 2)
      guard start >= free, start + label.count <= line.count else { continue }
      for (offset, character) in label.enumerated() { line[start + offset] = character }
      free = start + label.count + 1
    }
    while line.last == " " { line.removeLast() }
    return String(line) + "\n" + String(repeating: " ", count: indent + max(0, (columns - x.text.count) / 2)) + x.text
      + "\n"
  }

  private func keyLines(_ style: TextPictureStyle, indent: Int) -> String {
    guard series.count > 1 || !(series.first?.name.isEmpty ?? true) else { return "" }
    let shown = series.count <= 8 ? Array(series.indices) : (0..<8).map { $0 * (series.count - 1) / 7 }
    return shown.map { index in
      let mark: String
      if style.isUnicode && style.colour != .none {
        mark = Ink.foreground(DotGrid.colour(index), style.colour) + "━━" + Ink.reset
      } else {
        mark = style.isUnicode ? "-" : String(DotGrid.letter(index))
      }
      return String(repeating: " ", count: indent) + "\(mark) \(series[index].name)\n"
    }.joined()
  }
}

/// A grid of characters addressed in dots: 2 x 4 to a character in braille, one otherwise.
struct DotGrid {
  let columns: Int
  let rows: Int
  let isBraille: Bool
  private var dots: [UInt8]
  private var owner: [Int]

  init(columns: Int, rows: Int, isBraille: Bool) {
    (self.columns, self.rows, self.isBraille) = (columns, rows, isBraille)
    dots = [UInt8](repeating: 0, count: columns * rows)
    owner = [Int](repeating: -1, count: columns * rows)
  }

  var width: Int { isBraille ? columns * 2 : columns }
  var height: Int { isBraille ? rows * 4 : rows }

  static func colour(_ series: Int) -> Colour { Palette.lines[series % Palette.lines.count] }
  static func letter(_ series: Int) -> Character { Array("abcdefghijklmnopqrstuvwxyz")[series % 26] }

  mutating func dot(_ point: (Int, Int), series: Int) {
    let (x, y) = point
    guard (0..<width).contains(x), (0..<height).contains(y) else { return }
    let cell = isBraille ? y / 4 * columns + x / 2 : y * columns + x
    // Braille dots are numbered 1-3, 7 down the left column and 4-6, 8 down the right one.
    let bits: [[UInt8]] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]]
    dots[cell] |= isBraille ? bits[x % 2][y % 4] : 1
    owner[cell] = series
  }

  /// Bresenham's line.
  mutating func line(from start: (Int, Int), to end: (Int, Int), series: Int) {
    var (x, y) = start
    let (dx, dy) = (abs(end.0 - x), -abs(end.1 - y))
    let (stepX, stepY) = (x < end.0 ? 1 : -1, y < end.1 ? 1 : -1)
    var error = dx + dy
    while true {
      dot((x, y), series: series)
      if x == end.0, y == end.1 { return }
      let doubled = 2 * error
      if doubled >= dy {
        error += dy
        x += stepX
      }
      if doubled <= dx {
        error += dx
        y += stepY
      }
    }
  }

  func row(_ row: Int, depth: TextPictureStyle.ColourDepth) -> String {
    var out = ""
    var current = -1
    for column in 0..<columns {
      let cell = row * columns + column
      guard dots[cell] != 0 else {
        out += " "
        continue
      }
      if depth != .none, owner[cell] != current {
        out += Ink.foreground(DotGrid.colour(owner[cell]), depth)
        current = owner[cell]
      }
      if isBraille {
        if let scalar = Unicode.Scalar(0x2800 + UInt32(dots[cell])) { out.unicodeScalars.append(scalar) }
      } else {
        out.append(DotGrid.letter(owner[cell]))
      }
    }
    while out.hasSuffix(" ") { out.removeLast() }
    return current >= 0 ? out + Ink.reset : out
  }
}
