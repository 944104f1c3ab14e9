import Foundation
import Kernel

/// `prn export f.prn to=f.ipynb`, with what its statements show as far as their values are in the store, and back.
struct NotebookExport {
  let store: Store
  let console: Console
  let catalog: Catalog
  let options: Options
  let outputs: Outputs

  /// The file and target when the words of `export` are about a notebook, not about a value.
  static func files(in words: [String]) throws -> (from: String, to: String)? {
    guard let from = words.first, from.hasSuffix(".prn") || from.hasSuffix(".ipynb") else { return nil }
    let rest = Array(words.dropFirst())
    guard rest.count == 1, rest[0].hasPrefix("to=") else {
      throw Diagnostic("`prn export \(from)` needs `to=PATH` and nothing else", kind: .usage)
    }
    let to = String(rest[0].dropFirst(3))
    let wanted = from.hasSuffix(".prn") ? ".ipynb" : ".prn"
    guard to.hasSuffix(wanted) else {
      throw Diagnostic("\(from) is written as a \(wanted) file, and \(to) names none", kind: .usage)
    }
    return (from, to)
  }

  func run(from: String, to: String) throws {
    let source = try ScriptFile.read(from)
    try outputs.check(to, .file, reads: [from], argument: nil)
    let text =
      from.hasSuffix(".prn") ? try notebook(source) : try NotebookFile.script(source.text, name: from)
    try outputs.write(Array(text.utf8), to: to, argument: nil)
    console.remark("wrote \(to)")
  }

  private func notebook(_ source: Source) throws -> String {
    let notebook = Notebook(source)
    let (record, missing) = shown(source)
    if let missing { console.remark("\(missing): what comes after it is written without results") }
    return NotebookFile.text(notebook) { cell in
      record.outputs.filter { $0.line.map(cell.lines.contains) ?? false }.map { output in
        let data = Console.forms(of: output.content, format: .box).mapValues(JSONValue.string)
        return ["output_type": "display_data", "metadata": [:], "data": .object(data)]
      }
    }
  }

  /// What the statements show, up to the first whose value is not there.
  private func shown(_ source: Source) -> (RunRecord, missing: String?) {
    let silent = Console(out: console.out, err: console.err, options: options, voice: .none)
    let idle = Outputs(store: store, isForced: false, isIdle: true)
    let meta = ShowingWords(MetaWords(store: store, console: silent, settings: Settings(), outputs: idle))
    let session = Session(catalog: catalog, store: StoreView(store), observer: silent, meta: meta)
    let presenter = ValuePresenter(session: session, store: store, console: silent)
    silent.shownValue = { value, span in
      try? presenter.show(value, ShowRequest(name: Console.oneLine(span.text)))
    }
    silent.begin(source)
    let outcome = session.run(source)
    return (silent.record, outcome.diagnostics.first?.summary)
  }
}

/// The meta words that only show something.
private final class ShowingWords: MetaHandler {
  let words: MetaWords
  init(_ words: MetaWords) { self.words = words }

  func check(_ call: MetaCall, reads: [String], in session: Session) throws {
    if shows(call) { try words.check(call, reads: reads, in: session) }
  }
  func perform(_ call: MetaCall, in session: Session) throws {
    if shows(call) { try words.perform(call, in: session) }
  }
  private func shows(_ call: MetaCall) -> Bool { ["show", "plot", "info", "help"].contains(call.word.name) }
}
