import Foundation
import Kernel

/// The interactive shell: reads statements, which may span lines, and evaluates them one after the other.
final class Shell {
  private let session: Session
  private let store: Store
  private let console: Console
  private let meta: MetaWords
  private let environment: [String: String]
  private var history: History

  init(session: Session, store: Store, console: Console, meta: MetaWords, environment: [String: String]) {
    self.session = session
    self.store = store
    self.console = console
    self.meta = meta
    self.environment = environment
    history = History(path: History.path(environment))
  }

  /// - Returns: the exit code: 0, or 128 and the number of the signal that ended it.
  func run() throws -> Int32 {
    guard let editor = LineEditor(history: history.entries, isDumb: environment["TERM"] == "dumb") else {
      throw Diagnostic("this terminal cannot be used for line editing", hint: "pipe the statements in", kind: .usage)
    }
    meta.formerStatements = { [unowned self] in history.entries }
    let completer = Completer(session: session, store: store, settings: meta.settings)
    editor.complete = { completer.complete($0) }
    readSettings()
    session.holdNames()
    greet()
    while !meta.isQuitting {
      Interrupts.clear()
      announceRebindings()
      switch read(editor) {
      case .end:
        console.remark("")
        return 0
      case .interrupted:
        if let signal = Interrupts.termination { return 128 + signal }
        console.say("")
      case .line(let statement):
        if statement.allSatisfy(\.isWhitespace) { continue }
        if history.add(statement) { editor.remember(statement) }
        switch Habits.line(statement, isExplained: { (try? Help.text($0, session.catalog)) != nil }) {
        case .statement(let text): evaluate(text)
        case .clearScreen: editor.clearScreen()
        }
        if let signal = Interrupts.termination { return 128 + signal }
      }
    }
    return 0
  }

  /// Reads lines until they make a whole statement.
  private func read(_ editor: LineEditor) -> LineEvent {
    var text = ""
    while true {
      editor.before = text
      switch editor.readLine(prompt: text.isEmpty ? "prn> " : "...> ") {
      case .interrupted: return .interrupted
      case .end: return text.isEmpty ? .end : .line(text)
      case .line(let line):
        text += text.isEmpty ? line : "\n" + line
        text = Habits.withoutPrompts(text)
        if !Parser.isIncomplete(text) { return .line(text) }
      }
    }
  }

  private func evaluate(_ statement: String) {
    Interrupts.clear()
    var outcome = session.evaluate(statement)
    // A cancelled step has said so in its own line.
    outcome.diagnostics.removeAll { $0.kind == .cancelled }
    console.report(outcome)
  }

  private func greet() {
    guard !console.isQuiet else { return }
    let count = (try? store.usage().objects) ?? 0
    let place =
      store.root.hasPrefix((environment["HOME"] ?? "?") + "/")
      ? "~" + store.root.dropFirst((environment["HOME"] ?? "").count) : store.root
    let parts = [
      "prn \(Version.number)  \(place)  \(counted(count, "object"))", "(`help` lists the words, Ctrl-D leaves)",
    ]
    let line = parts.joined(separator: "  ")
    let fits = !console.err.isTerminal || DisplayWidth.of(line) < console.err.size.columns
    console.say(fits ? line : parts.joined(separator: "\n"))
  }

  // MARK: - Other shells

  /// Names of which it was said that another process bound them.
  private var announced: Set<String> = []

  /// Says which names another process has bound anew.
  private func announceRebindings() {
    let rebound = session.reboundElsewhere
    for name in rebound where !announced.contains(name) {
      console.remark("another process bound `\(name)` anew; here it keeps its value until `sync`")
    }
    announced = Set(rebound)
  }

  // MARK: - Settings file

  /// `set` lines of `$XDG_CONFIG_HOME/prn/rc.prn`, carried out without a word unless one is wrong.
  private func readSettings() {
    let folder =
      environment["XDG_CONFIG_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil } ?? (environment["HOME"] ?? "")
      + "/.config"
    let path = folder + "/prn/rc.prn"
    guard FileManager.default.fileExists(atPath: path) else { return }
    do {
      let source = try ScriptFile.read(path)
      for line in source.text.split(separator: "\n") {
        let words = line.split(whereSeparator: \.isWhitespace)
        guard let first = words.first, !first.hasPrefix("#") else { continue }
        guard first == "set" else {
          throw Diagnostic("\(path) may hold `set` lines only, not `\(first)`", kind: .usage)
        }
      }
      console.report(session.run(source))
    } catch { console.report(Diagnostic.of(error)) }
  }
}
