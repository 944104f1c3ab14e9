import Glibc

extension Drawing {
  /// The picture in pixels, `scale` to a unit, as a PNG.
  func png(scale: Double = 2) -> [UInt8] {
    var raster = Raster(width: Int((width * scale).rounded()), height: Int((height * scale).rounded()), scale: scale)
    for shape in shapes { raster.draw(shape) }
    return PNG.rgb(width: raster.width, height: raster.height, raster.pixels)
  }
}

/// Pixels, and how shapes cover them: the share of a pixel that lies inside an outline (winding number not 0), exact
/// along x and in four lines along y.
private struct Raster {
  let width: Int
  let height: Int
  let scale: Double
  /// Red, green and blue, row by row.
  private(set) var pixels: [UInt8]
  private static let lines = 4

  init(width: Int, height: Int, scale: Double) {
    self.width = width
    self.height = height
    self.scale = scale
    pixels = [UInt8](repeating: 255, count: width * height * 3)
  }

  typealias Point = (x: Double, y: Double)

  mutating func draw(_ shape: Drawing.Shape) {
    switch shape {
    case .fill(let outline, let colour): fill(polygons(outline), colour)
    case .stroke(let outline, let pen): stroke(outline, pen)
    case .disc(let x, let y, let radius, let colour, let pen):
      let circle = Drawing.Outline.circle(x, y, radius)
      fill(polygons(circle), colour)
      if let pen { stroke(circle, pen) }
    case .tile(let box, let colour): tile(box, colour)
    case .text(let label):
      let outline = Glyphs.outline(of: label)
      fill(polygons(outline), label.colour)
      if label.isBold { stroke(outline, Drawing.Pen(colour: label.colour, width: label.size / 28)) }
    case .ramp(let box, let colours):
      let rows = Drawing.rampSteps
      for row in 0..<rows {
        let part = Drawing.Box(
          x: box.x, y: box.y + box.height * Double(row) / Double(rows), width: box.width,
          height: box.height / Double(rows))
        tile(part, Palette.colour(colours, at: 1 - (Double(row) + 0.5) / Double(rows)))
      }
    case .cells(let box, let rows, let columns, let colours):
      for row in 0..<rows {
        for column in 0..<columns {
          guard let colour = colours[row * columns + column] else { continue }
          let part = Drawing.Box(
            x: box.x + box.width * Double(column) / Double(columns), y: box.y + box.height * Double(row) / Double(rows),
            width: box.width / Double(columns), height: box.height / Double(rows))
          tile(part, colour)
        }
      }
    }
  }

  /// Whole pixels, so that neighbours meet.
  private mutating func tile(_ box: Drawing.Box, _ colour: Colour) {
    func pixel(_ value: Double, _ limit: Int) -> Int { min(max(0, Int((value * scale).rounded())), limit) }
    for y in pixel(box.y, height)..<max(pixel(box.y, height), pixel(box.y + box.height, height)) {
      for x in pixel(box.x, width)..<max(pixel(box.x, width), pixel(box.x + box.width, width)) {
        blend(x, y, colour, 1)
      }
    }
  }

  private mutating func blend(_ x: Int, _ y: Int, _ colour: Colour, _ share: Double) {
    let place = (y * width + x) * 3
    let share = min(share, 1)
    pixels[place] = Raster.mixed(pixels[place], colour.red, share)
    pixels[place + 1] = Raster.mixed(pixels[place + 1], colour.green, share)
    pixels[place + 2] = Raster.mixed(pixels[place + 2], colour.blue, share)
  }

  private static func mixed(_ old: UInt8, _ new: UInt8, _ share: Double) -> UInt8 {
    share == 1 ? new : UInt8((Double(old) + (Double(new) - Double(old)) * share).rounded())
  }

  // MARK: - Outlines

  /// The corners of an outline in pixels, curves as short lines.
  private func polygons(_ outline: Drawing.Outline) -> [[Point]] {
    var found: [[Point]] = []
    var current: [Point] = []
    func point(_ x: Double, _ y: Double) -> Point { (x * scale, y * scale) }
    for step in outline.steps {
      switch step {
      case .move(let x, let y):
        if current.count > 1 { found.append(current) }
        current = [point(x, y)]
      case .line(let x, let y): current.append(point(x, y))
      case .curve(let a, let b, let x, let y):
        guard let start = current.last else { continue }
        let (control, end) = (point(a, b), point(x, y))
        let parts = 5
        for part in 1...parts {
          let t = Double(part) / Double(parts)
          current.append(
            (
              (1 - t) * (1 - t) * start.x + 2 * t * (1 - t) * control.x + t * t * end.x,
              (1 - t) * (1 - t) * start.y + 2 * t * (1 - t) * control.y + t * t * end.y
            ))
        }
      case .close: if let first = current.first { current.append(first) }
      }
    }
    if current.count > 1 { found.append(current) }
    return found
  }

  private mutating func stroke(_ outline: Drawing.Outline, _ pen: Drawing.Pen) {
    let half = pen.width * scale / 2
    var pieces: [[Point]] = []
    for line in dashed(polygons(outline), pen.dash.map { $0 * scale }) {
      for (start, end) in zip(line, line.dropFirst()) {
        let length = hypot(end.x - start.x, end.y - start.y)
        guard length > 0 else { continue }
        let (dx, dy) = ((end.x - start.x) / length * half, (end.y - start.y) / length * half)
        pieces.append([
          (start.x - dy, start.y + dx), (end.x - dy, end.y + dx), (end.x + dy, end.y - dx),
          (start.x + dy, start.y - dx),
          (start.x - dy, start.y + dx),
        ])
      }
      // Joints are round; wide enough to be seen only on lines that are.
      guard half > 1 else { continue }
      for joint in line.dropFirst().dropLast() {
        pieces.append(
          (0...12).map { (joint.x + half * cos(Double($0) * .pi / 6), joint.y - half * sin(Double($0) * .pi / 6)) })
      }
    }
    fill(pieces.map(Raster.oneWay), pen.colour)
  }

  /// Turned the same way round, so that pieces that overlap add up.
  private static func oneWay(_ polygon: [Point]) -> [Point] {
    let area = zip(polygon, polygon.dropFirst()).reduce(0) { $0 + $1.0.x * $1.1.y - $1.1.x * $1.0.y }
    return area < 0 ? polygon.reversed() : polygon
  }

  private func dashed(_ lines: [[Point]], _ pattern: [Double]) -> [[Point]] {
    guard !pattern.isEmpty, pattern.allSatisfy({ $0 > 0 }) else { return lines }
    var dashes: [[Point]] = []
    for line in lines {
      var (index, left) = (0, pattern[0])
      var current: [Point] = line.first.map { [$0] } ?? []
      for (start, end) in zip(line, line.dropFirst()) {
        let length = hypot(end.x - start.x, end.y - start.y)
        var done = 0.0
        while length - done > left {
          done += left
          let t = done / length
          let cut: Point = (start.x + (end.x - start.x) * t, start.y + (end.y - start.y) * t)
          if index % 2 == 0 { dashes.append(current + [cut]) }
          current = [cut]
          index += 1
          left = pattern[index % pattern.count]
        }
        left -= length - done
        current.append(end)
      }
      if index % 2 == 0, current.count > 1 { dashes.append(current) }
    }
    return dashes
  }

  private mutating func fill(_ polygons: [[Point]], _ colour: Colour) {
    // Edges with their direction; level ones cross no line.
    var edges: [(top: Point, bottom: Point, turn: Int)] = []
    for polygon in polygons {
      for (a, b) in zip(polygon, polygon.dropFirst() + polygon.prefix(1)) where a.y != b.y {
        edges.append(a.y < b.y ? (a, b, 1) : (b, a, -1))
      }
    }
    guard let top = edges.map(\.top.y).min(), let bottom = edges.map(\.bottom.y).max() else { return }
    edges.sort { $0.top.y < $1.top.y }
    var next = 0
    var active: [(top: Point, bottom: Point, turn: Int)] = []
    for y in max(0, Int(top))..<max(max(0, Int(top)), min(height, Int(bottom) + 1)) {
      var cover = [Double](repeating: 0, count: 0)
      var range: Range<Int>?
      for line in 0..<Raster.lines {
        let level = Double(y) + (Double(line) + 0.5) / Double(Raster.lines)
        while next < edges.count, edges[next].top.y <= level {
          active.append(edges[next])
          next += 1
        }
        active.removeAll { $0.bottom.y <= level }
        let crossings = active.map { edge -> (x: Double, turn: Int) in
          let t = (level - edge.top.y) / (edge.bottom.y - edge.top.y)
          return (edge.top.x + (edge.bottom.x - edge.top.x) * t, edge.turn)
        }.sorted { $0.x < $1.x }
        var winding = 0
        for (index, crossing) in crossings.enumerated() {
          winding += crossing.turn
          guard winding != 0, index + 1 < crossings.count else { continue }
          let (left, right) = (max(0, crossing.x), min(Double(width), crossings[index + 1].x))
          guard left < right else { continue }
          if range == nil {
            cover = [Double](repeating: 0, count: width)
            range = Int(left)..<Int(left)
          }
          let (first, last) = (Int(left), min(width - 1, Int(right)))
          for x in first...last {
            cover[x] += max(0, min(right, Double(x + 1)) - max(left, Double(x))) / Double(Raster.lines)
          }
          range = min(range?.lowerBound ?? first, first)..<max(range?.upperBound ?? 0, last + 1)
        }
      }
      for x in range ?? 0..<0 where cover[x] > 0 { blend(x, y, colour, cover[x]) }
    }
  }
}

extension Drawing.Outline {
  /// A circle as eight curves.
  static func circle(_ x: Double, _ y: Double, _ radius: Double) -> Drawing.Outline {
    var outline = Drawing.Outline()
    let reach = radius / cos(.pi / 8)
    for part in 0..<8 {
      let (from, to) = (Double(part) * .pi / 4, Double(part + 1) * .pi / 4)
      if part == 0 { outline.steps.append(.move(x + radius, y)) }
      let middle = (from + to) / 2
      outline.steps.append(
        .curve(x + reach * cos(middle), y + reach * sin(middle), x + radius * cos(to), y + radius * sin(to)))
    }
    outline.steps.append(.close)
    return outline
  }
}
