import Foundation
import Kernel
import Numerics

// What a page says of a network besides when it is active.

extension DescriptionPage {
  private func words(_ likelier: Bool) -> String {
    (writes?.words ?? []).filter { ($0.effect > 0) == likelier }.map { word in
      "<code>\(Self.escaped(word.text))</code> <span class=n>\(Self.number(word.effect))</span>"
    }.joined(separator: " · ")
  }

  /// What it adds to the stream at its events, as words.
  var written: String {
    guard let writes, !writes.words.isEmpty else { return "" }
    let isLarger = writes.largest > writes.randomLimit
    return """
      <h2>It writes</h2><p>likelier, in nats: \(words(true))</p><p>less likely: \(words(false))</p>
      <p>Up to <b>\(Self.number(writes.largest))</b> nats straight through the head, random sets of as much energy \
      \(Self.number(writes.randomLargest)) (95 % below \(Self.number(writes.randomLimit))): \
      \(isLarger ? "<span class=yes>more than random sets</span>" : "<b>not</b> more than random sets"). \
      \(Self.escaped(writes.verdict.prefix(1).uppercased() + writes.verdict.dropFirst())).</p>
      """
  }

  /// What its lesion costs, and whether that fits its events.
  var without: String {
    guard let cards, let lesions = cards.all.lesions, cards.all.rows[cards.index].lesion >= 0 else { return "" }
    let row = cards.all.rows[cards.index]
    let lesion = lesions.rows[row.lesion]
    let (change, random) = (Self.number(row.change, digits: 3), Self.number(mean(lesion.null), digits: 3))
    var text = """
      <h2>Without it</h2><p>The loss changes by <b>\(change)</b> nats per token (random sets \(random)), \
      z \(Self.number(row.z, digits: 1)), with the energy taken into account \(Self.number(lesion.adjusted, digits: 1)); \
      p \(Self.number(lesion.p, digits: 3)), for all lesions together \(Self.number(row.holm, digits: 3)).</p>
      """
    guard !lesion.byKind.isEmpty else { return text }
    let largest = lesion.byKind.filter(\.isFinite).map(abs).max() ?? 0
    func tested(_ values: [Double], _ kind: Int) -> String {
      values.indices.contains(kind) ? Self.number(values[kind]) : "–"
    }
    let rows = lesions.kinds.indices.map { kind in
      let odds = part.kinds.firstIndex(of: lesions.kinds[kind]).map { tested(set.kindOdds, $0) } ?? "–"
      return """
        <tr><td class="l">\(Self.escaped(lesions.kinds[kind]))</td><td>\(odds)</td>\
        <td\(Self.shade(lesion.byKind[kind], of: largest))>\(Self.number(lesion.byKind[kind], digits: 3))</td>\
        <td>\(tested(lesion.kindZ, kind))</td><td>\(tested(lesion.kindQ, kind))</td></tr>
        """
    }
    text += """
      <table><tr><th class="l">kind of text</th><th>events, log odds</th><th>change, nats</th><th>z</th><th>q</th></tr>\
      \(rows.joined())</table>
      """
    if row.verdict != nil {
      text += """
        <p>\(Self.verdict(row.verdict)): rank correlation over kinds of its events with what its lesion costs \
        \(Self.number(row.agreement)), random sets \(Self.number(row.randomAgreement)).</p>
        """
    }
    return text
  }

  /// What is active at the same time.
  var company: String {
    guard let cards, let graph = cards.all.graph, cards.all.rows[cards.index].node >= 0 else { return "" }
    let row = cards.all.rows[cards.index]
    let near = graph.neighbours(of: row.node).map { node, edge -> String in
      let (layer, name) = (graph.nodes[node].layer, String(graph.nodes[node].network))
      let line = cards.all.descriptions.lines.first { $0.layers[0] == layer && $0.name == name }
      let label = graph.label(node)
      let linked = line.map { "<a href=\"\(Self.file($0))\">\(label)</a>" } ?? label
      return "<li>\(linked) <span class=n>\(Self.number(edge)) \(Self.escaped(line?.rules ?? ""))</span></li>"
    }
    return """
      <h2>Active together with</h2><p>Module \(row.module) of \(graph.modules); the strongest of other layers, \
      \(Self.escaped(graph.edge)):</p><ul>\(near.joined())</ul>
      """
  }

  /// Units shown.
  private static let shownKeys = 40

  /// Its strongest units: z of each signal, what each puts into the stream, and in how many networks it is key.
  var keys: String {
    var rows: [String] = []
    for (layer, units) in zip(part.layers.indices, set.keys) {
      for (index, unit) in units.enumerated() where rows.count < Self.shownKeys {
        let z = set.keyZ.isEmpty ? [] : set.keyZ[layer][index]
        let energy = writes?.energies.first { $0.layer == part.layers[layer] && $0.unit == Int(unit) }?.energy
        let members = part.sets.count { $0.keys[layer].contains(unit) }
        rows.append(
          "<tr><td>\(part.layers[layer])</td><td>\(unit)</td>\(z.map { "<td>\(Self.number($0))</td>" }.joined())"
            + "<td>\(energy.map { formatted($0) } ?? "–")</td><td>\(members)</td></tr>")
      }
    }
    guard !rows.isEmpty else { return "<p>none: it is a cluster of tokens</p>" }
    let signals = set.keyZ.isEmpty ? "" : part.signals.map { "<th>z \(Self.escaped($0))</th>" }.joined()
    let rest = line.keys > rows.count ? "<p>and \(line.keys - rows.count) more</p>" : ""
    return """
      <table><tr><th>layer</th><th>unit</th>\(signals)<th>energy</th><th>\(noun)s</th></tr>\(rows.joined())</table>\(rest)
      """
  }
}
