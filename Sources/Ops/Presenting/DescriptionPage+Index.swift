import Foundation
import Kernel
import Numerics

extension DescriptionPage {
  /// All networks in one table; of cards, with what their lesions cost by kind of text, whether that fits their
  /// descriptions, and the modules they fall into.
  static func index(_ descriptions: Descriptions, _ cards: Cards?, title: String) -> String {
    let hasLesions = cards?.lesions != nil
    let rows = descriptions.lines.enumerated().map { index, line in
      """
      <tr><td class="l">\(link(line))</td><td class="l">\(escaped(line.rules))</td><td>\(number(line.auroc))</td>\
      <td>\(number(line.random))</td><td>\(line.isBetter ? "<span class=yes>yes</span>" : "no")</td>\
      <td>\(number(line.r2))</td><td>\(number(line.randomR2))</td><td>\(number(line.again))</td>\
      <td>\(number(line.otherText))</td><td class="l">\(escaped(line.writes))</td><td>\(number(line.fidelity))</td>\
      \(hasLesions ? lesionCells(cards?.rows[index]) : "")</tr>
      """
    }
    let better = descriptions.lines.count(where: \.isBetter)
    return document(
      title, width: "100em",
      """
      <h1>\(escaped(title)): what \(descriptions.lines.count) \(descriptions.noun)s do</h1>
      <p>Rules were made on one text and judged on another. \(better) of them find the events of their \(descriptions.noun) \
      better than 95 % of the rules made for random sets of the layer; the others say nothing about it.\
      \(cards.map(verdicts) ?? "")</p>
      <table><tr><th class="l">\(descriptions.noun)</th><th class="l">active at</th><th>AUROC</th><th>random</th>\
      <th>better</th><th>R² of all facts</th><th>random</th><th>other seed</th><th>other text</th>\
      <th class="l">makes likelier</th><th>fidelity</th>\
      \(hasLesions ? "<th>without it, nats</th><th>z</th><th class=l>events and lesion</th>" : "")</tr>
      \(rows.joined(separator: "\n"))
      </table>
      \(cards.map { kindMap($0) + scatter($0) + modules($0) + gains($0) } ?? "")
      """)
  }

  private static func link(_ line: Descriptions.Line) -> String {
    "<a href=\"\(file(line))\">\(LayerNetworks.title(line.layers)), \(escaped(line.name))</a>"
  }

  private static func verdicts(_ cards: Cards) -> String {
    guard cards.rows.contains(where: { $0.verdict != nil }) else { return "" }
    let (confirmed, contradicted) = (cards.count(.confirmed), cards.count(.contradicted))
    return " Lesions confirm the events of \(confirmed) and contradict those of \(contradicted); "
      + "better than random sets and confirmed: \(cards.both)."
  }

  private static func lesionCells(_ row: Cards.Row?) -> String {
    "<td>\(number(row?.change ?? .nan, digits: 3))</td><td>\(number(row?.z ?? .nan, digits: 1))</td>"
      + "<td class=l>\(verdict(row?.verdict))</td>"
  }

  static func verdict(_ verdict: KindAgreement.Verdict?) -> String {
    switch verdict {
    case .confirmed: "<span class=yes>confirmed</span>"
    case .contradicted: "<span class=no>contradicted</span>"
    case .open: "open"
    case nil: "–"
    }
  }

  /// A cell's colour: red for a loss, blue for what is gained.
  static func shade(_ value: Double, of largest: Double) -> String {
    guard value.isFinite, largest > 0 else { return "" }
    let strength = number(min(1, abs(value) / largest) * 0.75)
    return " style=\"background:rgba(\(value > 0 ? "214,80,60" : "60,110,200"),\(strength))\""
  }

  /// Change of the loss by kind of text.
  private static func kindMap(_ cards: Cards) -> String {
    guard let lesions = cards.lesions, !lesions.kinds.isEmpty else { return "" }
    let shown = zip(cards.descriptions.lines, cards.rows).filter { $0.1.lesion >= 0 }
    let rows = shown.map { line, row -> String in
      let lesion = lesions.rows[row.lesion]
      let largest = lesion.byKind.filter(\.isFinite).map(abs).max() ?? 0
      let cells = lesion.byKind.indices.map { kind in
        let isMarked = lesion.kindQ.indices.contains(kind) && lesion.kindQ[kind] < 0.05
        return
          "<td\(shade(lesion.byKind[kind], of: largest))>\(number(lesion.byKind[kind], digits: 3))\(isMarked ? " •" : "")</td>"
      }
      return "<tr><td class=\"l\">\(link(line))</td>\(cells.joined())</tr>"
    }
    return """
      <h2>What breaks without each</h2><p>Change of the loss in nats per token, by kind of text; shaded within a row; • a kind \
      that deviates from the others more than random sets do, q &lt; .05.</p>
      <table><tr><th></th>\(lesions.kinds.map { "<th>\(escaped($0))</th>" }.joined())</tr>\(rows.joined(separator: "\n"))</table>
      """
  }

  /// How well each is described against how much it matters.
  private static func scatter(_ cards: Cards) -> String {
    let points = zip(cards.descriptions.lines, cards.rows).filter { $0.0.auroc.isFinite && $0.1.z.isFinite }
    guard points.count > 1 else { return "" }
    let gains = points.map { $0.0.auroc - $0.0.random }
    let (low, high) = (min(0, gains.min() ?? 0), max(0.1, gains.max() ?? 0))
    let (bottom, top) = (min(-2, points.map(\.1.z).min() ?? 0), max(4, points.map(\.1.z).max() ?? 0))
    func x(_ value: Double) -> String { number(30 + (value - low) / (high - low) * 440, digits: 1) }
    func y(_ value: Double) -> String { number(270 - (value - bottom) / (top - bottom) * 250, digits: 1) }
    let dots = zip(points, gains).map { point, gain in
      let colour = point.1.verdict == .confirmed ? "#1a7f37" : point.1.verdict == .contradicted ? "#b03030" : "#4488cc"
      let name = "\(point.0.layers.first ?? 0):\(escaped(point.0.name))"
      return
        "<circle cx=\"\(x(gain))\" cy=\"\(y(point.1.z))\" r=\"4\" fill=\"\(colour)\" fill-opacity=\".8\"><title>\(name)</title></circle>"
    }
    return """
      <h2>Described and needed</h2><p>Across: AUROC above the median of random sets. Up: z of what the lesion costs. Green: \
      confirmed by it, red: contradicted.</p><svg width="500" height="300" role="img">\
      <path d="M\(x(0)) 15V275M25 \(y(0))H480" stroke="#bbb"/><text x="\(x(high))" y="295" text-anchor="end">\(number(high))</text>\
      <text x="\(x(0))" y="295" text-anchor="middle">0</text><text x="2" y="\(y(top))">\(number(top, digits: 1))</text>\
      <text x="2" y="\(y(0))">0</text>\(dots.joined())</svg>
      """
  }

  /// The networks of each module, a column a layer, with the strongest edges between layers.
  private static func modules(_ cards: Cards) -> String {
    guard let graph = cards.graph else { return "" }
    let layers = Set(graph.nodes.map(\.layer)).sorted()
    let colours = ["#4488cc", "#d0662b", "#2e8b57", "#8a5fb0", "#b03060", "#777777", "#b8860b", "#20a0a0"]
    func place(_ node: Int) -> (x: Int, y: Int) {
      let own = graph.nodes[node]
      return (30 + (layers.firstIndex(of: own.layer) ?? 0) * 90, 20 + own.network * 24)
    }
    let pairs = graph.nodes.indices.flatMap { i in
      graph.nodes.indices.filter { $0 > i && graph.nodes[$0].layer != graph.nodes[i].layer }.map { (i, $0) }
    }
    let strongest = argsort(pairs.map { abs(graph.edges[$0.0, $0.1]) }, descending: true).prefix(60)
    let lines = strongest.map { index -> String in
      let (i, j) = pairs[index]
      let (a, b) = (place(i), place(j))
      let isInside = graph.nodes[i].module == graph.nodes[j].module
      let colour = isInside ? colours[graph.nodes[i].module % colours.count] : "#ccc"
      let width = number(3 * abs(graph.edges[i, j]), digits: 1)
      return
        "<path d=\"M\(a.x) \(a.y)L\(b.x) \(b.y)\" stroke=\"\(colour)\" stroke-width=\"\(width)\" stroke-opacity=\".6\"/>"
    }
    let dots = graph.nodes.indices.map { node -> String in
      let (x, y) = place(node)
      let colour = colours[graph.nodes[node].module % colours.count]
      return
        "<circle cx=\"\(x)\" cy=\"\(y)\" r=\"5\" fill=\"\(colour)\"/><text x=\"\(x + 8)\" y=\"\(y + 4)\">\(graph.label(node))</text>"
    }
    let (width, height) = (60 + layers.count * 90, 40 + ((graph.nodes.map(\.network).max() ?? 0) + 1) * 24)
    return """
      <h2>Active together</h2><p>\(graph.modules) modules by colour, modularity \(number(graph.Q)) (by chance \
      \(number(mean(graph.nullQ)))); a column a layer; the 60 strongest edges between layers.</p>\
      <svg width="\(width)" height="\(height)" role="img">\(lines.joined())\(dots.joined())</svg>
      """
  }

  /// What a code explains beyond principal components, layer by layer.
  private static func gains(_ cards: Cards) -> String {
    guard let code = cards.code else { return "" }
    let fits = zip(code.partLayers, code.codes).compactMap { layers, fit in fit.map { (layers, $0) } }
    let largest = fits.map { abs($0.1.gain) }.filter(\.isFinite).max() ?? 0
    let rows = fits.map { layers, fit in
      """
      <tr><td class="l">\(LayerNetworks.title(layers))</td><td>\(number(fit.fvuHeld, digits: 3))</td>\
      <td>\(number(fit.pcaK, digits: 3))</td><td\(shade(-fit.gain, of: largest))>\(number(fit.gain, digits: 3))</td></tr>
      """
    }
    return """
      <h2>Non-linear gain</h2><p>Share of the variance of held-out tokens that the code leaves \
      unexplained, beside as many principal components; the gain is what it explains beyond them.</p>
      <table><tr><th></th><th>code</th><th>principal components</th><th>gain</th></tr>\(rows.joined(separator: "\n"))</table>
      """
  }
}
