import Kernel

/// The steps of a run as a picture: inputs on the left, what is made from them to the right.
struct LineageGraph {
  static let largest = 60
  private static let box = (width: 132.0, height: 36.0, gapX: 46.0, gapY: 14.0)

  /// The picture; nil when there is nothing to draw or too much to be read.
  static func svg(_ steps: [RunRecord.Step]) -> String? {
    var seen = Set<String>()
    let nodes = steps.filter { !$0.key.isEmpty && seen.insert($0.key).inserted }
    guard nodes.count > 1, nodes.count <= largest else { return nil }
    var column: [String: Int] = [:]
    // Steps come in the order in which they ran, so inputs are placed already.
    for node in nodes { column[node.key] = (node.inputs.compactMap { column[$0] }.max() ?? -1) + 1 }
    var place: [String: (x: Double, y: Double)] = [:]
    var rows: [Int: Int] = [:]
    for node in nodes {
      let across = column[node.key] ?? 0
      let down = rows[across, default: 0]
      rows[across] = down + 1
      place[node.key] = (10 + Double(across) * (box.width + box.gapX), 10 + Double(down) * (box.height + box.gapY))
    }
    let width = 20 + Double((column.values.max() ?? 0) + 1) * (box.width + box.gapX) - box.gapX
    let height = 20 + Double(rows.values.max() ?? 1) * (box.height + box.gapY) - box.gapY
    let n = SVG.number
    var out =
      "<svg class=\"lineage\" viewBox=\"0 0 \(n(width)) \(n(height))\" width=\"\(n(width))\" height=\"\(n(height))\" role=\"img\">"
    out += "<title>Lineage of the values</title>\n"
    for node in nodes {
      guard let end = place[node.key] else { continue }
      for input in node.inputs {
        guard let start = place[input] else { continue }
        let (x1, y1) = (start.x + box.width, start.y + box.height / 2)
        let (x2, y2) = (end.x, end.y + box.height / 2)
        let middle = (x1 + x2) / 2
        out += "<path d=\"M\(n(x1)) \(n(y1))C\(n(middle)) \(n(y1)) \(n(middle)) \(n(y2)) \(n(x2)) \(n(y2))\"/>\n"
      }
    }
    for node in nodes {
      guard let (x, y) = place[node.key] else { continue }
      out +=
        "<g class=\"\(node.status.rawValue)\"><title>\(SVG.escaped(node.summary)) \(node.key.prefix(12))</title>"
      out += "<rect x=\"\(n(x))\" y=\"\(n(y))\" width=\"\(n(box.width))\" height=\"\(n(box.height))\" rx=\"5\"/>"
      out +=
        "<text x=\"\(n(x + 8))\" y=\"\(n(y + 15))\" class=\"name\">\(SVG.escaped(Glyphs.cut(node.name, to: 116)))</text>"
      let note = node.op == node.name ? node.type : "\(node.op) \u{2192} \(node.type)"
      out +=
        "<text x=\"\(n(x + 8))\" y=\"\(n(y + 29))\">\(SVG.escaped(Glyphs.cut(note, to: 116)))</text></g>\n"
    }
    return out + "</svg>\n"
  }
}
