import Foundation
import Kernel
import Numerics

extension Descriptions: Exportable {
  public static var exportForms: [ExportForm] { [ExportForm("html")] }

  /// A page per network, with nothing to load from elsewhere, and an index of them.
  public func export(_ request: ExportRequest) throws -> [String] {
    try DescriptionFolder(descriptions: self, cards: nil).write(request)
    return []
  }
}

extension Cards: Exportable {
  public static var exportForms: [ExportForm] { [ExportForm("html")] }

  /// The same pages, with what lesions and the graph tell.
  public func export(_ request: ExportRequest) throws -> [String] {
    try DescriptionFolder(descriptions: descriptions, cards: self).write(request)
    return []
  }
}

private struct DescriptionFolder {
  let descriptions: Descriptions
  let cards: Cards?

  func write(_ request: ExportRequest) throws {
    func write(_ text: String, _ name: String) throws {
      try Data(text.utf8).write(to: URL(fileURLWithPath: "\(request.path)/\(name)"))
    }
    try write(DescriptionPage.index(descriptions, cards, title: request.name), "index.html")
    var loaded: (place: Int, part: LayerDescription, writes: LayerWrites?)?
    for (index, line) in descriptions.lines.enumerated() {
      try request.progress(index, descriptions.lines.count, "page")
      if loaded?.place != line.part {
        loaded = (line.part, try descriptions.part(line.part), try descriptions.writes(line.part))
      }
      guard let loaded, let place = loaded.part.sets.firstIndex(where: { $0.name == line.name }) else { continue }
      let page = DescriptionPage(
        noun: descriptions.noun, line: line, part: loaded.part, place: place, writes: loaded.writes?.sets[place],
        cards: cards.map { ($0, index) })
      try write(page.text, DescriptionPage.file(line))
    }
  }
}

/// What is known of a network as HTML with pictures inside.
struct DescriptionPage {
  let noun: String
  let line: Descriptions.Line
  let part: LayerDescription
  /// Of the set in its part.
  let place: Int
  let writes: SetWrites?
  /// Its place among cards, where there are some.
  let cards: (all: Cards, index: Int)?

  var set: SetDescription { part.sets[place] }

  static func file(_ line: Descriptions.Line) -> String {
    let name = line.name.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" }
    return "layer\(line.layers.first ?? 0)-\(String(name)).html"
  }

  static func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
      .replacing("\"", with: "&quot;")
  }

  static func number(_ value: Double, digits: Int = 2) -> String {
    guard value.isFinite else { return "–" }
    return String(format: "%.\(digits)f", value)
  }

  static func document(_ title: String, width: String = "60em", _ body: String) -> String {
    """
    <!doctype html><html lang="en"><meta charset="utf-8"><title>\(escaped(title))</title>
    <style>body{font:15px/1.45 system-ui,sans-serif;max-width:\(width);margin:2em auto;padding:0 1em;color:#222}
    h1{font-size:1.5em}h2{font-size:1.1em;margin:1.6em 0 .4em}table{border-collapse:collapse}
    td,th{padding:.15em .6em;text-align:right;border-bottom:1px solid #ddd}td.l,th.l{text-align:left}
    code{font:13px ui-monospace,monospace;white-space:pre-wrap}.n{color:#777}b.t{padding:0 .1em}
    .yes{color:#1a7f37;font-weight:600}.no{color:#b03030;font-weight:600}a{color:#1f5fa8;white-space:nowrap}svg text{font:11px system-ui,sans-serif;fill:#444}</style>
    \(body)</html>

    """
  }

  // MARK: One network

  var text: String {
    let profile = CourseProfile(part, place)
    let title = "\(LayerNetworks.title(line.layers)), \(noun) \(line.name)"
    return Self.document(
      title,
      """
      <p><a href="index.html">index</a></p><h1>\(Self.escaped(title))</h1>
      <p>\(line.keys) key units · found again from another seed r = \(Self.number(set.again)) · in the other text r = \
      \(Self.number(set.otherText))\(explained)</p>
      <h2>It is active</h2>\(Self.rules(set))
      <p>These rules find its events in the other text with AUROC <b>\(Self.number(set.auroc, digits: 3))</b> \
      (random sets \(Self.number(line.random, digits: 3)), 95 % of those of the layer below \
      \(Self.number(line.randomLimit, digits: 3)); turned text \(Self.number(set.turned, digits: 3))): \
      \(line.isBetter ? "<span class=yes>better than random sets</span>" : "<b>not</b> better than random sets").
      All facts together: AUROC \(Self.number(set.ceilingAUROC, digits: 3)), R² \(Self.number(set.r2)) \
      (random sets \(Self.number(line.randomR2))).</p>
      \(Self.bars(part, set))
      <h2>Strongest places</h2>\(Self.places(set, quarter: 0))
      \(Self.folded(set))
      <h2>When</h2>\(Self.histogram(profile)) \(Self.curve("autocorrelation by lag", profile.autocorrelation(lags: 32)))
      \(Self.curve("median by place in the window", profile.medianByPlace))
      \(written)\(without)\(company)
      <h2>Key units</h2>\(keys)
      """)
  }

  private var explained: String {
    let share =
      set.explained.isNaN ? "" : " · \(Self.number(100 * set.explained, digits: 1)) % of the signals' variance"
    guard part.layers.count > 1 else { return share }
    let layers = zip(part.layers, set.spread).map { "\($0): \(Self.number(100 * $1, digits: 0)) %" }
    return share + " · by layer " + layers.joined(separator: ", ")
  }

  private static func rules(_ set: SetDescription) -> String {
    if set.rules.isEmpty { return "<p>No fact is more frequent where it is active.</p>" }
    let items = set.rules.map {
      "<li>\(escaped($0.words)) <span class=n>\(escaped($0.fact)), log odds \(number($0.weight))</span></li>"
    }
    return "<ul>\(items.joined())</ul>"
  }

  /// What each fact explains; a tick where the median random set is.
  private static func bars(_ part: LayerDescription, _ set: SetDescription) -> String {
    guard !set.factShares.isEmpty else { return "" }
    let order = argsort(set.factShares.map { $0.isNaN ? -1 : $0 }, descending: true)
    var shapes = ""
    for (row, fact) in order.enumerated() {
      let y = Double(row) * 20
      let share = min(1, max(0, set.factShares[fact].isNaN ? 0 : set.factShares[fact]))
      let random = min(1, max(0, median(set.nullFactShares.map { $0[fact] }.filter { !$0.isNaN })))
      shapes +=
        "<text x=\"112\" y=\"\(number(y + 13, digits: 0))\" text-anchor=\"end\">\(escaped(part.facts[fact]))</text>"
      shapes +=
        "<rect x=\"120\" y=\"\(number(y + 3, digits: 0))\" width=\"\(number(share * 400, digits: 1))\" height=\"13\" fill=\"#4488cc\"/>"
      if random.isFinite {
        let x = number(120 + random * 400, digits: 1)
        shapes += "<path d=\"M\(x) \(number(y + 1, digits: 0))v17\" stroke=\"#b03030\" stroke-width=\"2\"/>"
      }
      shapes +=
        "<text x=\"\(number(126 + max(share, random.isFinite ? random : 0) * 400, digits: 1))\" y=\"\(number(y + 13, digits: 0))\">\(number(set.factShares[fact]))</text>"
    }
    return
      "<p>R² of each fact alone in the other text; red: random sets</p><svg width=\"580\" height=\"\(order.count * 20 + 4)\" role=\"img\">\(shapes)</svg>"
  }

  private static func places(_ set: SetDescription, quarter: Int) -> String {
    let shown = set.contexts.filter { $0.quarter == quarter }
    let largest = set.contexts.map(\.course).max() ?? 1
    let rows = shown.map { place -> String in
      let shade = largest > 0 ? min(1, max(0, place.course / largest)) : 0
      return """
        <tr><td>\(number(place.course))</td><td class="l"><code>\(escaped(place.before))<b class=t style="background:\
        rgba(255,150,40,\(number(0.1 + 0.7 * shade)))">\(escaped(place.text))</b>\(escaped(place.after))</code></td></tr>
        """
    }
    return "<table>\(rows.joined())</table>"
  }

  private static func folded(_ set: SetDescription) -> String {
    (1...4).filter { quarter in set.contexts.contains { $0.quarter == quarter } }.map { quarter in
      let name = ["strongest", "second", "third", "weakest"][quarter - 1]
      return
        "<details><summary>sampled from the \(name) quarter of the rest</summary>\(places(set, quarter: quarter))</details>"
    }.joined()
  }

  private static func histogram(_ profile: CourseProfile) -> String {
    let bins = profile.histogram(50)
    let tallest = Double(max(1, bins.max() ?? 1))
    let shapes = bins.enumerated().map { place, count in
      let height = Double(count) / tallest * 80
      return
        "<rect x=\"\(place * 5)\" y=\"\(number(90 - height, digits: 1))\" width=\"4\" height=\"\(number(height, digits: 1))\" fill=\"#4488cc\"/>"
    }
    let x = number(min(250, max(0, (profile.threshold + 4) / 10 * 250)), digits: 1)
    return
      "<svg width=\"260\" height=\"110\" role=\"img\"><text x=\"0\" y=\"106\">course, events right of the line</text>\(shapes.joined())<path d=\"M\(x) 6v84\" stroke=\"#b03030\"/></svg>"
  }

  private static func curve(_ title: String, _ values: [Double]) -> String {
    let known = values.filter(\.isFinite)
    guard known.count > 1, let low = known.min(), let high = known.max() else { return "" }
    let span = max(high - low, 1e-12)
    let points = values.enumerated().filter { $0.element.isFinite }.map { place, value in
      "\(number(Double(place) / Double(values.count - 1) * 250, digits: 1)),\(number(90 - (value - low) / span * 80, digits: 1))"
    }
    return """
      <svg width="300" height="110" role="img"><text x="0" y="106">\(escaped(title)), 0 to \(values.count - 1)</text>\
      <polyline points="\(points.joined(separator: " "))" fill="none" stroke="#4488cc" stroke-width="1.5"/>\
      <text x="254" y="14">\(number(high))</text><text x="254" y="92">\(number(low))</text></svg>
      """
  }
}
