import Foundation
import Kernel

/// Where everything the user sees goes: data to standard output, everything else to standard error. It hears what the
/// session does and keeps the record a report is made of.
final class Console: SessionObserver, @unchecked Sendable {
  // Sendable: the session tells everything on the thread it runs on; progress has a lock of its own.

  let out: OutputStream
  let err: OutputStream
  var format: TableFormat?
  var isQuiet: Bool
  let voice: Voice
  private(set) var progress: Progress
  var progressStyle: ProgressStyle {
    didSet { progress = Progress(stream: err, style: isQuiet || voice != .text ? .none : progressStyle) }
  }
  private(set) var record = RunRecord()
  /// Whether a reader of standard output went away (`prn … | head`): the run goes on, quietly, except for a notebook.
  private var isDeaf = false
  /// Whether something that was asked for could not be printed, for want of space say: the run has failed then.
  private(set) var hasLostOutput = false
  /// Where steps of this run went on: units done and total.
  private var resumedAt: [String: (done: Int, total: Int)] = [:]
  private var warned: Set<String> = []

  /// To whom the console speaks.
  enum Voice {
    /// To a person: text on both streams.
    case text
    /// To a program (`--json`): events on standard output, text for a person on standard error.
    case events
    /// To a notebook (`serve`): events alone, with results as they are displayed there.
    case notebook
    /// To nobody: only the record is kept.
    case none
  }

  init(out: OutputStream, err: OutputStream, options: Options, voice: Voice) {
    self.out = out
    self.err = err
    format = options.format
    isQuiet = options.quiet
    self.voice = voice
    progressStyle = options.progress
    progress = Progress(stream: err, style: options.quiet || voice != .text ? .none : options.progress)
  }

  // MARK: - Data

  /// Prints a table in the format asked for: a box on a terminal, tabs in a pipe.
  /// - Parameter showsAll: whether every row is printed even on a terminal.
  func show(_ table: TableData, name: String, showsAll: Bool = false) {
    note(.table(name: name, table))
    switch voice {
    case .text: break
    case .events:
      return event(
        "table",
        [
          "name": .string(name), "columns": .array(table.columns.map(JSONValue.string)),
          "rows": .array(table.rows.map { .array($0.map(\.json)) }),
        ])
    case .none: return
    case .notebook:
      return display(
        Console.forms(
          of: .table(name: name, table), format: format ?? .box, rowLimit: showsAll ? nil : Console.rowLimit))
    }
    let chosen = format ?? (out.isTerminal ? (out.isUnicode ? .box : .ascii) : .tsv)
    let width = out.isTerminal ? out.size.columns : nil
    printData(
      table.printable.text(chosen, width: width, rowLimit: out.isTerminal && !showsAll ? Console.rowLimit : nil))
  }

  static let rowLimit = 40

  /// Prints text that is the result of a statement.
  func show(_ text: String, name: String) {
    note(.text(text))
    switch voice {
    case .text: break
    case .events: return event("text", ["name": .string(name), "text": .string(text)])
    case .none: return
    case .notebook: return display(Console.forms(of: .text(text), format: .box))
    }
    printData((text.hasSuffix("\n") ? text : text + "\n").printable)
  }

  /// Prints help, its lines broken between words where the terminal ends.
  func explain(_ text: String) {
    show(voice == .text && out.isTerminal ? text.wrapped(at: max(40, out.size.columns - 1)) : text, name: "help")
  }

  /// Whether a picture can be shown where the user is looking.
  var showsFigures: Bool { voice == .notebook || (voice == .text && out.isTerminal) }

  /// Shows a picture on the terminal or in the notebook.
  func show(_ figure: Figure) {
    if voice == .notebook { return display(Console.forms(of: .figure(figure), format: .box)) }
    let size = out.size
    printData(
      figure.printable.text(
        TextPictureStyle(columns: size.columns, rows: size.rows, isUnicode: out.isUnicode, colour: out.colour)))
  }

  /// A result in every form a notebook may show it in, by media type.
  static func forms(of content: RunRecord.Output.Content, format: TableFormat, rowLimit: Int? = rowLimit)
    -> [String: String]
  {
    switch content {
    case .text(let text): return ["text/plain": text.printable]
    case .table(_, let table):
      let table = table.printable
      return [
        "text/plain": table.text(format, rowLimit: rowLimit), "text/html": HTMLReport.html(table, isByItself: true),
      ]
    case .figure(let figure):
      let figure = figure.printable
      let text = figure.text(TextPictureStyle(columns: 80, rows: 24, isUnicode: true, colour: .none))
      // Jupyter draws no SVG of a notebook that somebody else carried out; a bitmap it does.
      return [
        "image/svg+xml": figure.svg, "image/png": Data(figure.drawing().png(scale: 1)).base64EncodedString(),
        "text/plain": text,
      ]
    }
  }

  private func display(_ forms: [String: String]) {
    event("display", ["data": .object(forms.mapValues(JSONValue.string))])
  }

  /// Takes a picture into the report.
  func note(_ figure: Figure) { note(.figure(figure)) }

  private func note(_ content: RunRecord.Output.Content) {
    record.outputs.append(RunRecord.Output(content: content, line: line))
  }

  private func printData(_ text: String) {
    progress.clear()
    guard !isDeaf, voice != .none else { return }
    do { try out.write(text) } catch {
      isDeaf = true
      // Nobody hears the rest of a notebook's work.
      if voice == .notebook { Interrupts.interrupt() }
      guard let failure = error as? WriteFailed, !failure.isBrokenPipe else { return }
      hasLostOutput = true
      say("error: standard output cannot be written: \(String(cString: strerror(failure.code)))")
    }
  }

  /// One line of the event stream.
  func event(_ kind: String, _ members: [String: JSONValue]) {
    guard voice != .text, voice != .none else { return }
    let line = JSONValue.object(members.merging(["v": 1, "event": .string(kind)]) { $1 })
    printData(line.canonical + "\n")
  }

  // MARK: - Everything else

  /// A line on standard error, whatever `--quiet` says.
  func say(_ text: String) { sayPainted(text.printable, isComplaint: false) }

  /// - Parameter isComplaint: whether a notebook shows it in red.
  private func sayPainted(_ text: String, isComplaint: Bool = true) {
    if voice == .notebook {
      return event("stream", ["name": isComplaint ? "stderr" : "stdout", "text": .string(text + "\n")])
    }
    if voice == .none { return }
    progress.clear()
    try? err.write(text + "\n")
  }

  /// A line on standard error unless `--quiet`.
  func remark(_ text: String) { if !isQuiet { say(text) } }

  /// A title between the lines of steps.
  private func announce(_ title: String) {
    if !isQuiet { sayPainted(painted(title.printable, 36), isComplaint: false) }
  }

  func warn(_ sentence: String) {
    guard warned.insert(sentence).inserted else { return }
    record.warnings.append(sentence)
    event("warning", ["text": .string(sentence)])
    sayPainted(painted("warning: ", 33) + sentence.printable)
  }

  /// Prints errors as they are rendered, the word `error` in colour.
  func report(_ outcome: Outcome) { report(outcome.diagnostics, rendered: outcome.rendered) }

  func report(_ diagnostics: [Diagnostic], rendered: String) {
    guard !diagnostics.isEmpty else { return }
    record.errors.append(RunRecord.Failure(text: rendered, line: diagnostics.first.flatMap { lineOfScript($0.span) }))
    for diagnostic in diagnostics { reportEvent(diagnostic) }
    sayPainted(paintErrors(rendered))
  }

  func report(_ diagnostic: Diagnostic) {
    record.errors.append(RunRecord.Failure(text: diagnostic.rendered, line: lineOfScript(diagnostic.span)))
    reportEvent(diagnostic)
    sayPainted(paintErrors(diagnostic.rendered))
  }

  private func reportEvent(_ diagnostic: Diagnostic) {
    guard voice != .text else { return }
    var members: [String: JSONValue] = [
      "text": .string(diagnostic.summary), "exit": .integer(diagnostic.kind.rawValue),
    ]
    members["hint"] = diagnostic.hint.map(JSONValue.string)
    if !diagnostic.coordinates.isEmpty { members["cell"] = diagnostic.coordinates.json }
    if let span = diagnostic.span {
      let (line, column) = span.source.position(of: span.range.lowerBound)
      members["file"] = .string(span.source.name)
      members["line"] = .integer(line)
      members["column"] = .integer(column)
    }
    event("error", members)
  }

  private func painted(_ text: String, _ code: Int) -> String {
    err.colour == .none ? text : "\u{1B}[1;\(code)m\(text)\u{1B}[0m"
  }

  private func paintErrors(_ text: String) -> String {
    guard err.colour != .none else { return text }
    return text.split(separator: "\n", omittingEmptySubsequences: false).map { line -> String in
      if let word = line.firstRange(of: "error: "), line[..<word.lowerBound].allSatisfy({ $0 != "|" }) {
        return line[..<word.lowerBound] + "\u{1B}[1;31merror:\u{1B}[0m " + line[word.upperBound...]
      }
      return String(line)
    }.joined(separator: "\n")
  }

  // MARK: - SessionObserver

  var isCancelled: Bool { Interrupts.isStopping }

  func handle(_ sessionEvent: SessionEvent) {
    switch sessionEvent {
    case .statement(let span): reached(span)
    case .started(let step):
      progress.begin(step.title)
      event("started", step.members())
    case .progress(let step, let done, let total, let unit):
      progress.update(done, of: total, unit)
      if voice != .text, progressEvents.allows(step.index, done == total) {
        event("progress", step.members(["done": .integer(done), "total": .integer(total), "unit": .string(unit)]))
      }
    case .resumed(let step, let done, let total, let unit):
      resumedAt[step.key ?? ""] = (done, total)
      event("resumed", step.members(["done": .integer(done), "total": .integer(total), "unit": .string(unit)]))
      remark("\(step.title)  resumed at \(unit) \(done)/\(total)")
    case .warned(_, let sentence): warn(sentence)
    case .waiting(let step, let process):
      event("waiting", step.members(["process": .integer(process)]))
      remark(
        "\(step.title)  waits for process \(process), which is computing the same step (Ctrl-C stops waiting)")
    case .cached(let step, let stored): finished(step, stored, .cached, seconds: stored.seconds, hasChanged: nil)
    case .finished(let step, let stored, let seconds, let hasChanged):
      let status = resumedAt[step.key ?? ""] == nil ? StepStatus.run : .resumed
      finished(step, stored, status, seconds: seconds, hasChanged: hasChanged)
    case .failed(let step, let problem):
      progress.clear()
      event("step", step.members(["status": "failed", "text": .string(problem.summary)]))
      note(step, nil, .failed, seconds: nil)
    case .cancelled(let step):
      progress.clear()
      event("step", step.members(["status": "cancelled"]))
      remark("\(step.title)  stopped; what is finished is kept")
    case .bound(let name, let value): bound(name, value)
    case .asserted: break
    case .value(let value, let span): shownValue?(value, span)
    case .timed(let span, let seconds):
      event("time", ["text": .string(span.text), "seconds": Console.milliseconds(seconds)])
      say("\(NumberText.duration(seconds))  \(Console.oneLine(span.text))")
    }
  }

  /// Prints the value of an expression statement; set by whoever knows how values look.
  var shownValue: ((PlanValue, Span) -> Void)?
  private var progressEvents = Throttle(interval: 0.5)

  /// Names that a step line was printed for, with the key of the value.
  private var announced: [String: String] = [:]

  /// A name bound to a value that another statement made has had no line yet.
  private func bound(_ name: String, _ value: PlanValue) {
    guard let handle = value.handle, announced[name] != handle.reference.key else { return }
    guard let step = record.steps.last(where: { $0.key == handle.reference.key }) else { return }
    announced[name] = handle.reference.key
    event(
      "step",
      [
        "name": .string(name), "op": .string(step.op), "type": .string(step.type), "key": .string(step.key),
        "content": .string(step.content), "status": "cached", "seconds": 0, "summary": .string(step.summary),
      ])
    remark(stepLine(name, "\(step.type) \(step.summary)", step.bytes, "cached"))
  }

  private var columns = StepColumns()

  private func stepLine(_ name: String, _ what: String, _ bytes: Int, _ tail: String, aside: String = "") -> String {
    columns.line(name, what, bytes, tail, aside: aside, width: err.isTerminal ? err.size.columns : nil)
  }

  private func finished(
    _ step: StepInfo, _ stored: StoredStep, _ status: StepStatus, seconds: Double?, hasChanged: Bool?
  ) {
    progress.clear()
    note(step, stored, status, seconds: seconds)
    if let name = step.name { announced[name] = stored.handle.reference.key }
    var more: [String: JSONValue] = [
      "status": .string(status.rawValue), "bytes": .integer(stored.bytes), "summary": .string(stored.summary),
      "content": .string(stored.handle.reference.content),
    ]
    more["seconds"] = seconds.map(Console.milliseconds)
    more["changed"] = hasChanged.map(JSONValue.bool)
    event("step", step.members(more))
    guard !isQuiet else { return }
    var tail = NumberText.duration(seconds ?? .nan)
    var aside = ""
    switch status {
    case .cached:
      tail = "cached"
      if let seconds, seconds >= 0.05 { aside = " (saved \(NumberText.duration(seconds)))" }
    case .resumed:
      if let (done, total) = resumedAt[step.key ?? ""] { tail += ", resumed at \(done)/\(total)" }
    case .run, .failed: break
    }
    if !step.with.isEmpty, status != .cached { tail += ", with \(StepInfo.company(step.with))" }
    if let hasChanged { tail += hasChanged ? ", content changed" : ", content unchanged" }
    say(stepLine(step.title, "\(stored.handle.type.name) \(stored.summary)", stored.bytes, tail, aside: aside))
  }

  private func note(_ step: StepInfo, _ stored: StoredStep?, _ status: StepStatus, seconds: Double?) {
    record.steps.append(
      RunRecord.Step(
        name: step.title, op: step.op, type: step.type.name, summary: stored?.summary ?? "",
        key: step.key ?? "",
        content: stored?.handle.reference.content ?? "", inputs: [], status: status, seconds: seconds,
        bytes: stored?.bytes ?? 0,
        line: lineOfScript(step.span)))
  }

  // MARK: - Where a run is

  /// The line of the script whose statement is carried out.
  private var line: Int?
  /// The script's cells, and the one last begun.
  private var notebook: Notebook?
  private var cell: Int?

  private func lineOfScript(_ span: Span?) -> Int? {
    guard let span, span.source.name == record.sourceName else { return nil }
    return span.source.position(of: span.range.lowerBound).line
  }

  /// A run of a script begins.
  func begin(_ source: Source) {
    record.sourceName = source.name
    record.source = source.text
    notebook = Notebook(source)
  }

  /// Tells which cell a statement is the first of.
  private func reached(_ span: Span) {
    guard let notebook, let here = lineOfScript(span) else { return }
    line = here
    guard let now = notebook.cell(ofLine: here), now != cell else { return }
    cell = now
    let title = notebook.cells[now].title
    guard !title.isEmpty else { return }
    event(
      "cell", ["title": .string(title), "index": .integer(now + 1), "total": .integer(notebook.cells.count)])
    announce("[\(now + 1)/\(notebook.cells.count)] \(title)")
  }

  /// Fills in what only the end of a run knows.
  func complete(_ change: (inout RunRecord) -> Void) { change(&record) }

  /// A time in events, to a thousandth.
  static func milliseconds(_ seconds: Double) -> JSONValue { .number((seconds * 1000).rounded() / 1000) }

  static func oneLine(_ text: String) -> String { text.split(whereSeparator: \.isWhitespace).joined(separator: " ") }
}
