import Foundation
import Kernel

/// One self-contained page about a run: no scripts, no network, at most five megabytes.
struct HTMLReport {
  static let largest = 5_000_000
  private static let largestTable = 500

  let record: RunRecord

  var text: String {
    let title = SVGCanvas.escaped(record.sourceName)
    let outcome = record.errors.isEmpty ? "<p class=\"done\">finished</p>" : "<p class=\"failed\">failed</p>"
    var out = """
      <!doctype html>
      <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
      <title>\(title) - prn report</title>
      <style>\(HTMLReport.style)</style></head><body>
      <h1>\(title)</h1>\(outcome)

      """
    if !record.errors.isEmpty {
      out += section(
        "Errors", record.errors.map { "<pre class=\"error\">\(SVGCanvas.escapedLines($0))</pre>\n" }.joined())
    }
    if !record.warnings.isEmpty {
      out += section(
        "Warnings", "<ul>" + record.warnings.map { "<li>\(SVGCanvas.escaped($0))</li>\n" }.joined() + "</ul>")
    }
    let tail =
      section("Script", sourceListing) + section("Steps", stepTable) + lineage + section("Environment", environment)
    out += results(room: HTMLReport.largest - out.utf8.count - tail.utf8.count - 1000)
    return out + tail + "</body></html>\n"
  }

  private func section(_ title: String, _ body: String) -> String {
    body.isEmpty ? "" : "<section><h2>\(title)</h2>\n\(body)</section>\n"
  }

  /// Tables, pictures and texts as they were shown, as many as there is room for.
  private func results(room: Int) -> String {
    var left = room
    var body = ""
    var omitted = 0
    for output in record.outputs {
      let part: String
      switch output {
      case .text(let text): part = "<pre>\(SVGCanvas.escapedLines(text))</pre>\n"
      case .table(let name, let table): part = "<h3>\(SVGCanvas.escaped(name))</h3>\n" + HTMLReport.html(table)
      case .figure(let figure): part = "<figure>\(figure.svg)</figure>\n"
      }
      guard part.utf8.count <= left else {
        omitted += 1
        continue
      }
      left -= part.utf8.count
      body += part
    }
    if omitted > 0 { body += "<p>\(omitted) more results did not fit this page; they are in the store.</p>\n" }
    return section("Results", body)
  }

  static func html(_ table: TableData) -> String {
    let numeric = table.columns.indices.map(table.isNumeric)
    func cell(_ tag: String, _ text: String, _ column: Int) -> String {
      "<\(tag)\(numeric[column] ? " class=\"number\"" : "")>\(SVGCanvas.escaped(text))</\(tag)>"
    }
    var out = "<div class=\"wide\"><table><thead><tr>"
    for (column, name) in table.columns.enumerated() { out += cell("th", name, column) }
    out += "</tr></thead><tbody>\n"
    for row in table.humanTexts().prefix(largestTable) {
      out += "<tr>" + row.enumerated().map { cell("td", $1, $0) }.joined() + "</tr>\n"
    }
    out += "</tbody></table></div>\n"
    if table.rows.count > largestTable { out += "<p>\(table.rows.count - largestTable) more rows</p>\n" }
    return out
  }

  /// The source with a mark on each line that ran a step.
  private var sourceListing: String {
    guard !record.source.isEmpty else { return "" }
    var marks: [Int: [RunRecord.Step]] = [:]
    for step in record.steps { if let line = step.line { marks[line, default: []].append(step) } }
    var out = "<pre class=\"source\">"
    let lines = record.source.split(separator: "\n", omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() where index < lines.count - 1 || !line.isEmpty {
      let number = String(index + 1)
      let steps = marks[index + 1] ?? []
      let mark = steps.last.map {
        "<span class=\"mark \($0.status.rawValue)\">\($0.status.rawValue)\(steps.count > 1 ? " x\(steps.count)" : "")</span>"
      }
      let gutter = String(repeating: " ", count: max(0, 4 - number.count)) + number
      out +=
        "<span class=\"line\">\(gutter)  \(SVGCanvas.escaped(String(line)))\(mark.map { "  " + $0 } ?? "")</span>\n"
    }
    return out + "</pre>\n"
  }

  private var stepTable: String {
    guard !record.steps.isEmpty else { return "" }
    return HTMLReport.html(
      TableData(
        columns: ["name", "op", "value", "status", "time", "size", "key"],
        rows: record.steps.map {
          [
            .text($0.name), .text($0.op), .text("\($0.type) \($0.summary)"), .text($0.status.rawValue),
            .seconds($0.seconds), .bytes($0.bytes), .text(String($0.key.prefix(16))),
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
    if !record.replay.isEmpty { rows.insert(("replay", record.replay), at: 0) }
    return HTMLReport.html(TableData(columns: ["name", "value"], rows: rows.map { [.text($0.0), .text($0.1)] }))
  }

  private static let style = """
    :root{--ink:#1c1f23;--soft:#5b636d;--rule:#d8dce1;--paper:#fff;--code:#f5f6f8;--good:#009e73;--note:#0072b2;--bad:#c0392b}
    @media (prefers-color-scheme: dark){:root{--ink:#e8eaed;--soft:#a3abb5;--rule:#343a41;--paper:#15181c;--code:#1e2227;--note:#56b4e9;--bad:#ff7b6b}}
    body{color:var(--ink);background:var(--paper);font:15px/1.5 system-ui,"Segoe UI",Helvetica,Arial,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
    h1{font-size:1.5rem;margin-bottom:0}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid var(--rule)}h3{font-size:1rem}
    pre{background:var(--code);padding:.7rem;overflow-x:auto;font:13px/1.45 ui-monospace,Menlo,Consolas,monospace}
    table{border-collapse:collapse;font-size:14px}th,td{padding:.2rem .7rem;border-bottom:1px solid var(--rule);text-align:left;vertical-align:top;overflow-wrap:break-word;max-width:40rem}
    .number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}.done{color:var(--good)}.failed,.error{color:var(--bad)}
    .mark{font-size:11px;padding:0 .4em;border-radius:3px;color:#fff;background:var(--soft)}.mark.run,.mark.resumed{background:var(--good)}.mark.failed{background:var(--bad)}
    figure{margin:1rem 0}figure svg{max-width:100%;height:auto}.wide{overflow-x:auto}
    .lineage{max-width:100%;height:auto}.lineage rect{fill:var(--code);stroke:var(--soft)}.lineage path{fill:none;stroke:var(--soft)}.lineage text{fill:var(--soft);font-size:10.5px}
    .lineage .name{fill:var(--ink);font-size:12px;font-weight:600}.lineage .run rect,.lineage .resumed rect{stroke:var(--good);stroke-width:1.6}.lineage .failed rect{stroke:var(--bad);stroke-width:2}
    """
}

extension SVGCanvas {
  /// Like `escaped`, keeping line ends.
  static func escapedLines(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).map { escaped(String($0)) }.joined(separator: "\n")
  }
}
