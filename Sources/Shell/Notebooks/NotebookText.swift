import Foundation
import Kernel

/// A script as a notebook, with what its statements show as far as their values are in the store.
struct NotebookText {
  let store: Store
  let console: Console
  let catalog: Catalog
  let options: Options

  func of(_ source: Source) throws -> String {
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
