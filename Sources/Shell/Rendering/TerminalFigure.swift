import Kernel

/// What a text picture may use.
struct TextPictureStyle {
  var columns: Int
  var rows: Int
  /// Whether block, box and braille characters can be shown.
  var isUnicode: Bool
  var colour: ColourDepth

  enum ColourDepth: Sendable { case none, palette, full }
}

extension Figure {
  /// The picture as lines of text, sized to the window.
  func text(_ style: TextPictureStyle) -> String {
    let head = DisplayWidth.cut(title, to: style.columns, mark: "...") + "\n"
    switch content {
    case .lines(let plot): return head + plot.text(style)
    case .heatMap(let map): return head + map.text(style)
    case .bars(let plot): return head + plot.text(style)
    }
  }
}

/// Escape sequences for colours.
enum Ink {
  static let reset = "\u{1B}[0m"

  static func foreground(_ colour: Colour, _ depth: TextPictureStyle.ColourDepth) -> String { code(38, colour, depth) }
  static func background(_ colour: Colour, _ depth: TextPictureStyle.ColourDepth) -> String { code(48, colour, depth) }

  private static func code(_ kind: Int, _ colour: Colour, _ depth: TextPictureStyle.ColourDepth) -> String {
    switch depth {
    case .none: return ""
    case .full: return "\u{1B}[\(kind);2;\(colour.red);\(colour.green);\(colour.blue)m"
    case .palette:
      // The 6 x 6 x 6 cube of the 256-colour palette.
      func level(_ part: UInt8) -> Int { part < 48 ? 0 : part < 115 ? 1 : (Int(part) - 35) / 40 }
      return "\u{1B}[\(kind);5;\(16 + 36 * level(colour.red) + 6 * level(colour.green) + level(colour.blue))m"
    }
  }
}

extension HeatMap {
  static let ramp = Array(" .:-=+*#%@")

  func text(_ style: TextPictureStyle) -> String {
    let isBlocks = style.isUnicode && style.colour != .none
    let labelWidth = min(16, max("\(rowCount)".count, rowNames.map(DisplayWidth.of).max() ?? 0))
    let perLine = isBlocks ? 2 : 1
    let shown = pooled(rows: max(2, (style.rows - 5) * perLine), columns: max(4, style.columns - labelWidth - 2))
    let range = range
    // Narrow maps are stretched, so that a map of eight layers does not become a stripe.
    let stretch = max(1, min(8, (style.columns - labelWidth - 2) / max(1, shown.columnCount)))
    var out = ""
    for line in 0..<(shown.rowCount + perLine - 1) / perLine {
      let row = line * perLine
      let original = row * rowCount / shown.rowCount
      let name = shown.rowNames.isEmpty ? "\(original)" : shown.rowNames[row]
      out += DisplayWidth.padded(DisplayWidth.cut(name, to: labelWidth, mark: "~"), to: labelWidth, right: true) + " "
      for column in 0..<shown.columnCount {
        if isBlocks {
          let upper = shown.colour(row, column, range)
          let lower = row + 1 < shown.rowCount ? shown.colour(row + 1, column, range) : nil
          out += block(upper, lower, stretch, style.colour)
        } else {
          out += String(repeating: character(shown.values[row * shown.columnCount + column], range), count: stretch)
        }
      }
      out += (isBlocks ? Ink.reset : "") + "\n"
    }
    return out + footer(style, range, labelWidth)
  }

  private func block(_ upper: Colour?, _ lower: Colour?, _ count: Int, _ depth: TextPictureStyle.ColourDepth) -> String
  {
    switch (upper, lower) {
    case (let upper?, let lower?):
      return Ink.foreground(upper, depth) + Ink.background(lower, depth) + String(repeating: "▀", count: count)
    case (let upper?, nil): return Ink.reset + Ink.foreground(upper, depth) + String(repeating: "▀", count: count)
    case (nil, let lower?): return Ink.reset + Ink.foreground(lower, depth) + String(repeating: "▄", count: count)
    case (nil, nil): return Ink.reset + String(repeating: " ", count: count)
    }
  }

  private func character(_ value: Double, _ range: (lower: Double, upper: Double)) -> Character {
    guard value.isFinite else { return "?" }
    let t = value.share(from: range.lower, to: range.upper)
    if scale == .diverging {
      let signed = (t - 0.5) * 2
      let levels: [Character] = signed < 0 ? [" ", ",", "-", "="] : [" ", "'", "+", "#"]
      return levels[min(3, Int(abs(signed) * 3.999))]
    }
    return HeatMap.ramp[min(HeatMap.ramp.count - 1, Int(max(0, t) * Double(HeatMap.ramp.count)))]
  }

  private func footer(_ style: TextPictureStyle, _ range: (lower: Double, upper: Double), _ indent: Int) -> String {
    let (low, high) = (value.labelled(range.lower), value.labelled(range.upper))
    let bar: String
    if style.colour != .none {
      bar =
        (0..<24).map { Ink.background(Palette.colour(scale, at: Double($0) / 23), style.colour) + " " }.joined()
        + Ink.reset
    } else if scale == .diverging {
      bar = "= - ,   ' + #"
    } else {
      bar = String(HeatMap.ramp)
    }
    let gap = String(repeating: " ", count: indent + 1)
    return gap + "\(rows.text) down, \(columns.text) across (\(columnCount))\n" + gap
      + "\(value.text): \(low) \(bar) \(high)\n"
  }
}

extension PlotAxis {
  /// A value on this axis as text.
  func labelled(_ value: Double) -> String {
    isRatio ? NumberText.percent(value) : NumberText.significant(value, 4)
  }
}

extension BarPlot {
  func text(_ style: TextPictureStyle) -> String {
    let labels = names.flatMap { name in groups.map { groups.count > 1 ? "\(name) \($0.name)" : name } }
    let values = names.indices.flatMap { index in groups.map { index < $0.values.count ? $0.values[index] : .nan } }
    let labelWidth = min(28, labels.map(DisplayWidth.of).max() ?? 0)
    let texts = values.map { y.labelled($0) }
    let room = max(8, style.columns - labelWidth - (texts.map(\.count).max() ?? 0) - 3)
    let largest = values.filter(\.isFinite).map(abs).max() ?? 1
    var out = "\(y.text) by \(x.text)\n"
    for (index, label) in labels.enumerated() {
      let share = values[index].isFinite && largest > 0 ? abs(values[index]) / largest : 0
      out += DisplayWidth.padded(DisplayWidth.cut(label, to: labelWidth, mark: "~"), to: labelWidth, right: false) + " "
      out += bar(share * Double(room), style, groups.count > 1 ? index % groups.count : 0) + " \(texts[index])\n"
    }
    return out
  }

  private func bar(_ length: Double, _ style: TextPictureStyle, _ group: Int) -> String {
    guard style.isUnicode else { return String(repeating: "#", count: Int(length.rounded())) }
    let eighths = Int((length * 8).rounded())
    let parts = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]
    let blocks = String(repeating: "█", count: eighths / 8) + parts[eighths % 8]
    guard style.colour != .none else { return blocks }
    return Ink.foreground(Palette.lines[group % Palette.lines.count], style.colour) + blocks + Ink.reset
  }
}
