import Foundation
import Kernel

/// A script as a Jupyter notebook (nbformat 4.5), and back.
///
/// Title and prose of a cell are one cell of Markdown, its code another; `metadata.prn` says which `# %%` line it was, so
/// that a script comes back as it was.
enum NotebookFile {
  /// - Parameter outputs: what the cell's code showed, as notebooks hold it.
  static func text(_ notebook: Notebook, outputs: (Notebook.Cell) -> [JSONValue]) -> String {
    var cells: [JSONValue] = []
    func add(_ kind: String, _ source: String, _ metadata: [String: JSONValue], _ more: [String: JSONValue] = [:]) {
      let lines = source.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
      let text = lines.enumerated().map { JSONValue.string($1 + ($0 < lines.count - 1 ? "\n" : "")) }
      cells.append(
        .object(
          more.merging([
            "cell_type": .string(kind), "id": .string("cell-\(cells.count)"), "metadata": .object(metadata),
            "source": .array(source.isEmpty ? [] : text),
          ]) { $1 }))
    }
    for cell in notebook.cells {
      if cell.hasMark {
        let title = cell.title.isEmpty ? [] : ["## " + cell.title]
        add(
          "markdown", (title + (cell.prose.isEmpty ? [] : [""] + cell.prose)).joined(separator: "\n"),
          ["prn": .string(cell.isMarkdown ? "markdown" : "code")])
      }
      guard !cell.code.isEmpty else { continue }
      add(
        "code", cell.code.joined(separator: "\n"), [:],
        ["execution_count": JSONValue.null, "outputs": .array(outputs(cell))])
    }
    let document: JSONValue = [
      "cells": .array(cells),
      "metadata": [
        "kernelspec": ["display_name": "prn", "language": "prn", "name": "prn"],
        "language_info": ["file_extension": ".prn", "mimetype": "text/x-prn", "name": "prn"],
      ],
      "nbformat": 4, "nbformat_minor": 5,
    ]
    return document.canonical + "\n"
  }

  /// The script of a notebook.
  /// - Throws: `Diagnostic` of kind `usage` when it is none, or of another language.
  static func script(_ text: String, name: String) throws -> String {
    guard let document = try? JSONValue(parsing: text), let cells = document["cells"]?.arrayValue,
      document["nbformat"]?.intValue == 4
    else { throw Diagnostic("\(name) is not a Jupyter notebook of format 4", kind: .usage) }
    if let language = document["metadata"]?["kernelspec"]?["language"]?.stringValue, language != "prn" {
      throw Diagnostic("\(name) is a notebook in \(language), not in prn", kind: .usage)
    }
    var out = "#!/usr/bin/env prn\n"
    var isBehindText = false
    for (index, cell) in cells.enumerated() {
      let source = lines(cell["source"])
      switch cell["cell_type"]?.stringValue {
      case "markdown", "raw":
        out += (index > 0 ? "\n" : "") + mark(source, cell["metadata"]?["prn"]?.stringValue)
        isBehindText = true
      case "code":
        if !isBehindText, index > 0 { out += "\n# %%\n" }
        out += source.joined(separator: "\n") + (source.isEmpty ? "" : "\n")
        isBehindText = false
      default: throw Diagnostic("cell \(index + 1) of \(name) is of no kind that is known", kind: .usage)
      }
    }
    return out
  }

  /// The `# %%` line and the comments of a cell of text.
  private static func mark(_ source: [String], _ kind: String?) -> String {
    var rest = source[...]
    var title = ""
    if let first = rest.first, first.hasPrefix("#") {
      title = String(first.drop { $0 == "#" || $0 == " " })
      rest = rest.dropFirst()
    }
    while rest.first?.isEmpty == true { rest = rest.dropFirst() }
    let head = ["# %%", kind == "code" ? "" : "[markdown]", title].filter { !$0.isEmpty }.joined(separator: " ")
    return ([head] + rest.map { $0.isEmpty ? "#" : "# " + $0 }).joined(separator: "\n") + "\n"
  }

  /// Text as one string or as a list of lines.
  private static func lines(_ value: JSONValue?) -> [String] {
    let text = value?.stringValue ?? (value?.arrayValue ?? []).compactMap(\.stringValue).joined()
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    while lines.last?.isEmpty == true { lines.removeLast() }
    return lines
  }
}
