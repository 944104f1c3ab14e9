import Kernel

/// A colour in sRGB, 0 to 255.
struct Colour: Hashable, Sendable {
  var red, green, blue: UInt8

  init(_ hex: UInt32) {
    red = UInt8(hex >> 16 & 255)
    green = UInt8(hex >> 8 & 255)
    blue = UInt8(hex & 255)
  }

  init(between a: Colour, and b: Colour, at t: Double) {
    func mixed(_ x: UInt8, _ y: UInt8) -> UInt8 { UInt8((Double(x) + (Double(y) - Double(x)) * t).rounded()) }
    (red, green, blue) = (mixed(a.red, b.red), mixed(a.green, b.green), mixed(a.blue, b.blue))
  }

  /// "#1f988b".
  var hex: String {
    let digits = Array("0123456789abcdef")
    return [red, green, blue].reduce(into: "#") { text, part in
      text.append(digits[Int(part >> 4)])
      text.append(digits[Int(part & 15)])
    }
  }
}

/// The colours of the pictures.
enum Palette {
  /// Okabe and Ito (2008), told apart with every common colour vision; the black one is the text colour and comes last.
  static let lines: [Colour] = [0x0072B2, 0xD55E00, 0x009E73, 0xCC79A7, 0xE69F00, 0x56B4E9, 0xF0E442].map(Colour.init)

  /// Viridis (van der Walt and Smith 2015) at sixteen even steps: perceptually uniform, for magnitudes.
  static let sequential: [Colour] = [
    0x440154, 0x481A6C, 0x472F7D, 0x414487, 0x39568C, 0x31688E, 0x2A788E, 0x23888E,
    0x1F988B, 0x22A884, 0x35B779, 0x54C568, 0x7AD151, 0xA5DB36, 0xD2E21B, 0xFDE725,
  ].map(Colour.init)

  /// ColorBrewer's red-blue (Harrower and Brewer 2003), blue for negative: its middle is neutral, for signed values.
  static let diverging: [Colour] = [
    0x053061, 0x2166AC, 0x4393C3, 0x92C5DE, 0xD1E5F0, 0xF7F7F7, 0xFDDBC7, 0xF4A582, 0xD6604D, 0xB2182B, 0x67001F,
  ].map(Colour.init)

  static func stops(_ scale: HeatMap.Scale) -> [Colour] { scale == .sequential ? sequential : diverging }

  /// The colour at `t` in 0…1 along a scale.
  static func colour(_ scale: HeatMap.Scale, at t: Double) -> Colour { colour(stops(scale), at: t) }

  static func colour(_ stops: [Colour], at t: Double) -> Colour {
    let position = min(max(t, 0), 1) * Double(stops.count - 1)
    let index = min(Int(position), stops.count - 2)
    return Colour(between: stops[index], and: stops[index + 1], at: position - Double(index))
  }
}

extension HeatMap {
  /// The values at the two ends of the colour scale. A diverging scale is symmetric, so that 0 is neutral.
  var range: (lower: Double, upper: Double) {
    let finite = values.filter(\.isFinite)
    let (smallest, largest) = (finite.min() ?? 0, finite.max() ?? 1)
    switch scale {
    case .sequential: return smallest < largest ? (smallest, largest) : (smallest, smallest + 1)
    case .diverging:
      let reach = max(abs(smallest), abs(largest))
      return reach > 0 ? (-reach, reach) : (-1, 1)
    }
  }

  /// At most `rows x columns` cells: each is the most extreme of the values it stands for, so that peaks stay visible.
  func pooled(rows maximumRows: Int, columns maximumColumns: Int) -> HeatMap {
    guard rowCount > maximumRows || columnCount > maximumColumns else { return self }
    let (newRows, newColumns) = (min(rowCount, maximumRows), min(columnCount, maximumColumns))
    var pooled: [Double] = []
    pooled.reserveCapacity(newRows * newColumns)
    for row in 0..<newRows {
      let rowRange = row * rowCount / newRows..<max((row + 1) * rowCount / newRows, row * rowCount / newRows + 1)
      for column in 0..<newColumns {
        let start = column * columnCount / newColumns
        let columnRange = start..<max((column + 1) * columnCount / newColumns, start + 1)
        var extreme = Double.nan
        for r in rowRange {
          for c in columnRange {
            let value = values[r * columnCount + c]
            guard value.isFinite else { continue }
            let isFurther = scale == .diverging ? abs(value) > abs(extreme) : value > extreme
            if extreme.isNaN || isFurther { extreme = value }
          }
        }
        pooled.append(extreme)
      }
    }
    var smaller = self
    (smaller.rowCount, smaller.columnCount, smaller.values) = (newRows, newColumns, pooled)
    // Names no longer stand for single cells; the axes keep counting the original positions.
    smaller.rowNames = newRows == rowCount ? rowNames : []
    smaller.columnNames = newColumns == columnCount ? columnNames : []
    return smaller
  }
}
