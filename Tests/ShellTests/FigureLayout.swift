import Foundation

@testable import Shell

/// Where the letters of a picture are: nothing may be cut off by its edge or lie on other letters.
struct FigureLayout {
  struct Label {
    let text: String
    /// The corners of its box, in order.
    let corners: [(x: Double, y: Double)]
  }

  let labels: [Label]
  let width, height: Double

  /// - Parameter svg: a picture as prn writes it.
  init(svg: String) {
    func numbers(_ text: Substring) -> [Double] { text.split(separator: " ").compactMap { Double($0) } }
    let size = svg.firstMatch(of: /viewBox="([^"]*)"/).map { numbers($0.1) } ?? [0, 0, 0, 0]
    (width, height) = (size[2], size[3])
    let pattern =
      /<text x="([^"]*)" y="([^"]*)" text-anchor="([a-z]*)" font-size="([^"]*)"[^>]*?(?: transform="rotate\(([^)]*)\)")?>([^<]*)<\/text>/
    labels = svg.matches(of: pattern).map { match in
      let (x, y, size) = (Double(match.1) ?? 0, Double(match.2) ?? 0, Double(match.4) ?? 0)
      let text = FigureLayout.plain(String(match.6))
      let length = Glyphs.width(text, size: size)
      let start = match.3 == "start" ? 0 : match.3 == "middle" ? -length / 2 : -length
      let angle = (match.5.flatMap { numbers($0).first } ?? 0) * Double.pi / 180
      let corners = [(start, 0.0), (start + length, 0), (start + length, -0.72 * size), (start, -0.72 * size)].map {
        (x: x + $0 * cos(angle) - $1 * sin(angle), y: y + $0 * sin(angle) + $1 * cos(angle))
      }
      return Label(text: text, corners: corners)
    }
  }

  /// One sentence for each label that a reader could not read.
  var faults: [String] {
    var found: [String] = []
    for label in labels
    where label.corners.contains(where: { $0.x < -0.5 || $0.y < -0.5 || $0.x > width + 0.5 || $0.y > height + 0.5 }) {
      found.append("`\(label.text)` leaves the picture")
    }
    for (index, one) in labels.enumerated() {
      for other in labels[..<index] where FigureLayout.overlap(one.corners, other.corners) {
        found.append("`\(one.text)` lies on `\(other.text)`")
      }
    }
    return found
  }

  /// Whether two convex shapes share more than an edge: there is no line between them (separating axes).
  private static func overlap(_ a: [(x: Double, y: Double)], _ b: [(x: Double, y: Double)]) -> Bool {
    for shape in [a, b] {
      for (from, to) in zip(shape, shape.dropFirst() + shape.prefix(1)) {
        let normal = (x: from.y - to.y, y: to.x - from.x)
        func shadow(_ points: [(x: Double, y: Double)]) -> (Double, Double) {
          let places = points.map { $0.x * normal.x + $0.y * normal.y }
          return (places.min() ?? 0, places.max() ?? 0)
        }
        let ((low, high), (otherLow, otherHigh)) = (shadow(a), shadow(b))
        let slack = 0.5 * (normal.x * normal.x + normal.y * normal.y).squareRoot()
        if high <= otherLow + slack || otherHigh <= low + slack { return false }
      }
    }
    return true
  }

  private static func plain(_ text: String) -> String {
    var out = text
    for match in text.matches(of: /&#(\d+);/).reversed() {
      guard let scalar = UInt32(match.1).flatMap(Unicode.Scalar.init) else { continue }
      out.replaceSubrange(match.range, with: String(scalar))
    }
    for (name, letter) in [("lt", "<"), ("gt", ">"), ("quot", "\""), ("amp", "&")] {
      out = out.replacingOccurrences(of: "&\(name);", with: letter)
    }
    return out
  }
}
