import Foundation
import Kernel

/// `prn serve --stdio`: one session, asked by another program (a Jupyter kernel, an editor).
///
/// A request is one line of JSON with a `type` and an `id` of the asker's choice. What happens while it is carried out is
/// told in events, one line each; the last is the `reply` with that `id`.
///
///     {"type":"execute","id":1,"code":"m = load ./data/tiny-llama"}
///     {"type":"complete","id":2,"code":"mk = ma","cursor":7}        cursors count Unicode scalars
///     {"type":"inspect","id":3,"code":"flap acts","cursor":2}
///     {"type":"is_complete","id":4,"code":"runs = for r in 10%,20% {"}
///     {"type":"history","id":5}
///     {"type":"interrupt"}                                          at any time; the session goes on
///     {"type":"shutdown","id":6}
final class Server {
  private let session: Session
  private let store: Store
  private let console: Console
  private let meta: MetaWords
  private let catalog: Catalog
  private let requests = RequestQueue()

  init(session: Session, store: Store, console: Console, meta: MetaWords, catalog: Catalog) {
    self.session = session
    self.store = store
    self.console = console
    self.meta = meta
    self.catalog = catalog
  }

  /// Answers requests until `shutdown` or the end of standard input.
  /// - Returns: the exit code.
  func run() -> Int32 {
    requests.listen()
    session.holdNames()
    func list(_ words: some Sequence<String>) -> JSONValue { .array(words.sorted().map(JSONValue.string)) }
    console.event(
      "ready",
      [
        "version": .string(Version.number), "workspace": .string(store.root),
        "words": [
          "op": list(catalog.names), "session": list(MetaWord.all.map(\.name)), "language": list(keywords),
        ],
      ])
    while let request = requests.next() {
      guard let type = request["type"]?.stringValue else {
        fail(nil, "a request is a JSON object with a `type`")
        continue
      }
      let id = request["id"]
      let code = request["code"]?.stringValue ?? ""
      switch type {
      case "execute": execute(code, id)
      case "complete": complete(code, request["cursor"]?.intValue, id)
      case "inspect": inspect(code, request["cursor"]?.intValue, id)
      case "is_complete": reply(id, ["status": .string(Parser.completeness(of: code).rawValue)])
      case "history": reply(id, ["status": "ok", "statements": .array(session.history.map(JSONValue.string))])
      case "shutdown":
        reply(id, ["status": "ok"])
        return 0
      default: fail(id, "there is no request `\(type)`")
      }
      if meta.isQuitting { return 0 }
    }
    return Interrupts.termination.map { 128 + $0 } ?? 0
  }

  private func reply(_ id: JSONValue?, _ members: [String: JSONValue]) {
    console.event("reply", members.merging(["id": id ?? .null]) { $1 })
  }

  private func fail(_ id: JSONValue?, _ sentence: String) {
    reply(id, ["status": "error", "kind": "usage", "text": .string(sentence), "rendered": .string(sentence)])
  }

  private func execute(_ code: String, _ id: JSONValue?) {
    Interrupts.clear()
    let statement: String
    switch Habits.line(code, isExplained: { (try? Help.text($0, catalog)) != nil }) {
    case .statement(let text): statement = text
    case .clearScreen: statement = ""
    }
    var outcome = session.evaluate(statement)
    if meta.isQuitting { outcome.diagnostics.removeAll { $0.kind == .cancelled } }
    guard let first = outcome.diagnostics.first else { return reply(id, ["status": "ok"]) }
    reply(
      id,
      [
        "status": first.kind == .cancelled ? "aborted" : "error", "kind": .string("\(first.kind)"),
        "text": .string(first.summary.printable), "rendered": .string(outcome.rendered.printable),
      ])
  }

  // MARK: - Help while typing

  private func complete(_ code: String, _ cursor: Int?, _ id: JSONValue?) {
    let head = Server.head(code, cursor)
    let found = Completer(session: session, store: store, settings: meta.settings).completions(head)
    let start = String(decoding: Array(head.utf8)[..<found.range.lowerBound], as: UTF8.self).unicodeScalars.count
    reply(
      id,
      [
        "status": "ok", "start": .integer(start), "end": .integer(head.unicodeScalars.count),
        "matches": .array(
          found.candidates.map {
            ["text": .string($0.text), "kind": .string($0.kind.rawValue), "meaning": .string($0.meaning)]
          }),
      ])
  }

  /// What is known of the word at the cursor: help of an op, a parameter's op, or the value of a name.
  private func inspect(_ code: String, _ cursor: Int?, _ id: JSONValue?) {
    guard let word = Server.word(code, cursor) else { return reply(id, ["status": "ok", "found": false]) }
    var text: String?
    if let handle = session.value(named: word)?.handle {
      text = (try? Inspection(store: store).info(handle.reference.key))?.printable.text(.box)
    } else if case .literal(let literal)? = session.value(named: word) {
      text = "\(word) = \(literal.rendered)"
    } else {
      text = try? Help.text(word, catalog).wrapped(at: 100)
    }
    reply(id, ["status": "ok", "found": .bool(text != nil), "text": .string(text ?? "")])
  }

  private static func head(_ code: String, _ cursor: Int?) -> String {
    String(String.UnicodeScalarView(code.unicodeScalars.prefix(max(0, cursor ?? .max))))
  }

  /// The name that the cursor stands in or behind.
  static func word(_ code: String, _ cursor: Int?) -> String? {
    let scalars = Array(code.unicodeScalars)
    func isPart(_ scalar: Unicode.Scalar) -> Bool { scalar == "_" || scalar.properties.isAlphabetic || scalar.isDigit }
    var start = min(max(0, cursor ?? scalars.count), scalars.count)
    var end = start
    while start > 0, isPart(scalars[start - 1]) { start -= 1 }
    while end < scalars.count, isPart(scalars[end]) { end += 1 }
    return start < end ? String(String.UnicodeScalarView(scalars[start..<end])) : nil
  }
}

extension Unicode.Scalar {
  fileprivate var isDigit: Bool { ("0"..."9").contains(self) }
}

/// The requests on standard input, taken as they come, so that an interrupt is heard while something runs.
private final class RequestQueue: @unchecked Sendable {
  private let condition = NSCondition()
  private var requests: [JSONValue] = []
  private var isClosed = false

  func listen() {
    let thread = Thread { [self] in
      while let line = readLine() {
        let request = (try? JSONValue(parsing: line)) ?? .null
        if request["type"]?.stringValue == "interrupt" {
          Interrupts.interrupt()
          continue
        }
        condition.withLock {
          requests.append(request)
          condition.signal()
        }
      }
      condition.withLock {
        isClosed = true
        condition.signal()
      }
    }
    thread.start()
  }

  /// The next request, null for a line that is not JSON; nil when there will be none.
  func next() -> JSONValue? {
    condition.withLock {
      while requests.isEmpty, !isClosed, Interrupts.termination == nil { _ = condition.wait(until: Date() + 0.2) }
      // Not `nil`, which could be read as JSON's null.
      guard !requests.isEmpty, Interrupts.termination == nil else { return .none }
      return requests.removeFirst()
    }
  }
}
