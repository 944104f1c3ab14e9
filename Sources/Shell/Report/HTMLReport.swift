import Foundation
import Kernel

/// A run as one self-contained page, in the order of the script: prose, code, and below each cell what it gave. No
/// scripts, no network, at most five megabytes.
struct HTMLReport {
  static let largest = 5_000_000
  private static let largestTable = 500

  let record: RunRecord
  private let notebook: Notebook

  init(record: RunRecord) {
    self.record = record
    notebook = Notebook(Source(name: record.sourceName, text: record.source))
  }

  var text: String {
    let title = SVG.escaped(notebook.cells.first { !$0.title.isEmpty }?.title ?? record.sourceName)
    let tail =
      section("Steps", stepTable) + lineage + section("Environment", environment) + "</body></html>\n"
    var out = """
      <!doctype html>
      <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
      <title>\(title)</title>
      <style>\(HTMLReport.style)</style></head><body>
      <header><h1>\(title)</h1>
      <p class="line">\(headline)</p>
      \(outcome)</header>

      """
    var room = HTMLReport.largest - out.utf8.count - tail.utf8.count - 1000
    out += body(&room)
    return out + tail
  }

  /// File, date, version, models.
  private var headline: String {
    ([record.sourceName, record.date, "prn \(Version.number)"] + record.models).filter { !$0.isEmpty }
      .map(SVG.escaped).joined(separator: " \u{B7} ")
  }

  private var outcome: String {
    var out = ""
    if !record.errors.isEmpty {
      out += "<p class=\"failed\">The run failed; what was finished until then is below.</p>\n"
      // Where it happened is in the script, unless nothing was run.
      out += record.errors.filter { $0.line == nil }.map { HTMLReport.html(error: $0.text) }.joined()
    }
    if !record.warnings.isEmpty {
      out +=
        "<ul class=\"warnings\">" + record.warnings.map { "<li>\(SVG.escaped($0))</li>\n" }.joined() + "</ul>\n"
    }
    return out
  }

  private func section(_ title: String, _ body: String) -> String {
    body.isEmpty ? "" : "<section><h2>\(title)</h2>\n\(body)</section>\n"
  }

  // MARK: - Cells

  private func body(_ room: inout Int) -> String {
    var out = ""
    var omitted = 0
    // What happened outside the script's own text (an included file) belongs to the first cell.
    func isIn(_ index: Int, _ line: Int?) -> Bool { (line.flatMap(notebook.cell) ?? 0) == index }
    for (index, cell) in notebook.cells.enumerated() {
      out += "<section class=\"cell\">\n"
      if !cell.title.isEmpty, index > 0 || cell.title != notebook.cells.first(where: { !$0.title.isEmpty })?.title {
        out += "<h2>\(HTMLReport.prose(cell.title))</h2>\n"
      }
      out += paragraphs(cell.prose) + listing(cell)
      for output in record.outputs where isIn(index, output.line) {
        let part = HTMLReport.html(output.content)
        guard part.utf8.count <= room else {
          omitted += 1
          continue
        }
        room -= part.utf8.count
        out += part
      }
      out += record.errors.filter { $0.line != nil && isIn(index, $0.line) }.map { HTMLReport.html(error: $0.text) }
        .joined()
      out += "</section>\n"
    }
    if omitted > 0 { out += "<p>\(omitted) more results did not fit this page; they are in the store.</p>\n" }
    return out
  }

  private func paragraphs(_ lines: [String]) -> String {
    lines.split { $0.allSatisfy(\.isWhitespace) }.map { "<p>\(HTMLReport.prose($0.joined(separator: "\n")))</p>\n" }
      .joined()
  }

  /// Text with `code` in backticks.
  private static func prose(_ text: String) -> String {
    text.split(separator: "`", omittingEmptySubsequences: false).enumerated().map { index, part in
      let escaped = SVG.escapedLines(String(part))
      return index % 2 == 0 ? escaped : "<code>\(escaped)</code>"
    }.joined()
  }

  /// The code, with a mark on each line that ran a step.
  private func listing(_ cell: Notebook.Cell) -> String {
    guard !cell.code.isEmpty else { return "" }
    let lines = cell.code.enumerated().map { offset, line -> String in
      let steps = record.steps.filter { $0.line == cell.codeLine + offset }
      let mark = steps.last.map {
        "  <span class=\"mark \($0.status.rawValue)\">\($0.status.rawValue)\(steps.count > 1 ? " x\(steps.count)" : "")</span>"
      }
      return SVG.escaped(line) + (mark ?? "")
    }
    return "<pre>\(lines.joined(separator: "\n"))</pre>\n"
  }

  private static func html(_ content: RunRecord.Output.Content) -> String {
    switch content {
    case .text(let text): return "<pre class=\"result\">\(SVG.escapedLines(text))</pre>\n"
    case .table(let name, let table): return "<h3>\(SVG.escaped(name))</h3>\n" + html(table)
    case .figure(let figure): return "<figure>\(figure.svg)</figure>\n"
    }
  }

  private static func html(error: String) -> String { "<pre class=\"error\">\(SVG.escapedLines(error))</pre>\n" }

  /// A table whose words stay whole: one that is wider than the page scrolls.
  /// - Parameter isByItself: whether it stands in the page of another program, whose style does not know ours.
  static func html(_ table: TableData, isByItself: Bool = false) -> String {
    let numeric = table.columns.indices.map(table.isNumeric)
    func cell(_ tag: String, _ text: String, _ column: Int) -> String {
      var kind = numeric[column] ? " class=\"number\"" : text.utf8.count > 60 ? " class=\"long\"" : ""
      if isByItself, !numeric[column] { kind += " style=\"text-align:left\"" }
      return "<\(tag)\(kind)>\(SVG.escaped(text))</\(tag)>"
    }
    var out = "<div class=\"wide\"><table><thead><tr>"
    // A long name may break behind its words.
    for (column, name) in table.columns.enumerated() {
      out += cell("th", name, column).replacingOccurrences(of: "_", with: "_<wbr>")
    }
    out += "</tr></thead><tbody>\n"
    for row in table.humanTexts().prefix(largestTable) {
      out += "<tr>" + row.enumerated().map { cell("td", $1, $0) }.joined() + "</tr>\n"
    }
    out += "</tbody></table></div>\n"
    if table.rows.count > largestTable { out += "<p>\(counted(table.rows.count - largestTable, "more row"))</p>\n" }
    return out
  }

  // MARK: - How it was made

  private var stepTable: String {
    guard !record.steps.isEmpty else { return "" }
    return HTMLReport.html(
      TableData(
        columns: ["name", "op", "value", "status", "time", "size", "key"],
        rows: record.steps.map {
          [
            .text($0.name), .text($0.op), .text("\($0.type) \($0.summary)"), .text($0.status.rawValue),
            .init(seconds: $0.seconds), .bytes($0.bytes), .text(String($0.key.prefix(16))),
          ]
        }))
  }

  private var lineage: String {
    let unique = Set(record.steps.map(\.key)).count
    if let picture = LineageGraph.svg(record.steps) {
      return section("Lineage", "<div class=\"wide\">\(picture)</div>")
    }
    return unique > LineageGraph.largest
      ? section(
        "Lineage", "<p>\(unique) values are too many for one picture; `info NAME` shows the lineage of one.</p>") : ""
  }

  private var environment: String {
    var rows = record.parameters.map { ("param \($0.name)", $0.value) } + record.environment.map { ($0.name, $0.value) }
    rows += record.models.map { ("model", $0) }
    if !record.date.isEmpty { rows.insert(("date", record.date), at: 0) }
    if !record.replay.isEmpty { rows.insert(("replay", record.replay), at: 0) }
    return HTMLReport.html(TableData(columns: ["name", "value"], rows: rows.map { [.text($0.0), .text($0.1)] }))
  }

  private static let style = """
    :root{--ink:#1c1f23;--soft:#5b636d;--rule:#d8dce1;--paper:#fff;--code:#f5f6f8;--good:#00795a;--bad:#b3261e}
    @media (prefers-color-scheme: dark){:root{--ink:#e8eaed;--soft:#a3abb5;--rule:#343a41;--paper:#15181c;--code:#1e2227;--good:#2fbf96;--bad:#ff7b6b}}
    body{color:var(--ink);background:var(--paper);font:16px/1.55 system-ui,"Segoe UI",Helvetica,Arial,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}
    h1{font-size:1.6rem;line-height:1.25;margin-bottom:.2rem}h2{font-size:1.2rem;margin-top:2.2rem;border-bottom:1px solid var(--rule)}h3{font-size:1rem;margin:1rem 0 .3rem}
    .line{color:var(--soft);margin-top:0}code{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:.9em;background:var(--code);padding:0 .2em}
    pre{background:var(--code);padding:.6rem .8rem;overflow-x:auto;font:13px/1.45 ui-monospace,Menlo,Consolas,monospace}
    pre.result{background:none;border-left:3px solid var(--rule)}pre.error,.failed{color:var(--bad)}pre.error{border-left:3px solid var(--bad)}
    .wide{overflow-x:auto}table{border-collapse:collapse;font-size:14px;line-height:1.35}
    th,td{padding:.2rem .7rem;border-bottom:1px solid var(--rule);text-align:left;vertical-align:top;white-space:nowrap}
    th{border-bottom:2px solid var(--rule);white-space:normal}.long{white-space:normal;min-width:24rem}td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}
    .mark{font-size:11px;padding:0 .4em;border-radius:3px;color:#fff;background:#5b636d}.mark.run,.mark.resumed{background:#00795a}.mark.failed{background:#b3261e}
    figure{margin:1rem 0}figure svg{max-width:100%;height:auto}
    .lineage{max-width:100%;height:auto}.lineage rect{fill:var(--code);stroke:var(--soft)}.lineage path{fill:none;stroke:var(--soft)}.lineage text{fill:var(--soft);font-size:10.5px}
    .lineage .name{fill:var(--ink);font-size:12px;font-weight:600}.lineage .run rect,.lineage .resumed rect{stroke:var(--good);stroke-width:1.6}.lineage .failed rect{stroke:var(--bad);stroke-width:2}
    @media print{:root{--ink:#000;--soft:#444;--rule:#bbb;--paper:#fff;--code:#f4f4f4}body{font-size:10.5pt;max-width:none;margin:0}
    pre{white-space:pre-wrap;font-size:8.5pt}table{font-size:8pt}th,td{padding:.1rem .35rem}td:not(.number){white-space:normal}.wide{overflow:visible}figure,tr,pre{break-inside:avoid}h2,h3{break-after:avoid}.mark{print-color-adjust:exact}}
    """
}
